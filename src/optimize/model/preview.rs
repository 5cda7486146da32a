//! A call as it would be made, for people who want to see it first. Sends and writes nothing.

use serde::Serialize;

use super::Question;
use super::call_log::{CallLogError, index};
use super::dialect::Dialect;
use super::entry::{Estimate, Sent};
use super::index::Asked;
use super::journal::spent_on;
use super::purse::Purse;
use super::settings::LlmSettings;
use crate::base::{AgentName, Day, Digest, EventTime};
use crate::govern::{LlmBudget, LlmReport, Spend};

/// A call that would be made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preview {
    /// For which agent.
    pub agent: AgentName,
    /// What for, e.g. `prompts`.
    pub purpose: String,
    /// What would be sent.
    #[serde(flatten)]
    pub sent: Sent,
    /// That as SHA-256.
    pub hash: Digest,
    /// How long it is, in characters.
    pub chars: usize,
    /// What the call may take, on the high side.
    pub estimate: Estimate,
    /// What the agent has spent today, with the calls shown before this one.
    pub spent: Spend,
    /// What it may spend.
    pub budget: LlmBudget,
    /// Why the call would not be made, if it would not.
    pub objection: Option<String>,
}

/// The call that would answer `question`, after those that `report` counts.
///
/// # Errors
/// If the log of calls, which tells what was spent, cannot be read.
pub(in crate::optimize) fn preview(
    settings: &LlmSettings,
    question: &Question<'_>,
    report: &mut LlmReport,
    now: EventTime,
) -> Result<Preview, CallLogError> {
    let request = question.request;
    let sent = settings.sent(question, Dialect::default());
    let price = settings.price();
    let estimate = sent.estimate(price);
    let (today, budget) = (Day::of(now), &request.policy.llm_budget);
    let ledger = spent_on(request, today);
    let before = match &settings.calls {
        Some(files) => index(files, now)?.others(&Asked::of(request), today, ledger),
        None => ledger,
    };
    let purse =
        Purse { request: &request.id, budget, report, before, model: &settings.model, price };
    let objection = settings.problem().or_else(|| purse.objection(&estimate));
    let preview = Preview {
        agent: request.id.agent.clone(),
        purpose: question.purpose.to_owned(),
        hash: sent.hash(),
        chars: sent.chars(),
        sent,
        estimate,
        spent: purse.spent(),
        budget: budget.clone(),
        objection,
    };
    report.calls += 1;
    report.book(estimate.input_tokens, estimate.output_tokens, estimate.cost_micros);
    Ok(preview)
}
