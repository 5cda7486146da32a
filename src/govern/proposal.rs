//! What the optimizer answers. It is an event like any other, and trusted as little.

use serde::{Deserialize, Serialize};

use super::guard::is_hidden;
use super::{Author, Half, Proposed, RequestId};
use crate::base::VersionNumber;

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The request it answers.
    pub request: RequestId,
    /// The version it starts from.
    pub parent: VersionNumber,
    /// Edits of prompts, or why there are none.
    pub prompt: Part,
    /// Edits of the config, or why there are none.
    pub config: Part,
    /// The candidates that this one was chosen from, each with what became of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub considered: Vec<Considered>,
    /// How the model was used, for people and metrics.
    pub llm: LlmReport,
    /// Findings the optimizer saw in the window, in a line each, with their counts.
    pub findings: Vec<String>,
    /// What the operator's offline gate says of the edits, if there is one and it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateReport>,
    /// Why the gate could not be asked, if so; the edits are withheld then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_problem: Option<String>,
}

/// The verdict of the operator's offline gate on a candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Whether the candidate may go on.
    pub passed: bool,
    /// How the candidate did, in the gate's own measure.
    pub score: Option<f64>,
    /// How the version did that it was made from.
    pub baseline_score: Option<f64>,
    /// The problems it was tried on.
    pub problems: Option<u64>,
    /// What the gate says besides.
    pub detail: String,
    /// How long it took.
    pub seconds: f64,
}

/// The longest text of a gate that is passed on, in characters.
const MAX_DETAIL: usize = 500;

impl GateReport {
    /// Its numbers and words in one line that can be shown anywhere, e.g.
    /// `score 0.82 against 0.78 on 40 problems: two are slower`.
    pub fn words(&self) -> String {
        let score = self.score.map(|score| match self.baseline_score {
            Some(baseline) => format!("score {score} against {baseline}"),
            None => format!("score {score}"),
        });
        let baseline = self.baseline_score.filter(|_| self.score.is_none());
        let baseline = baseline.map(|baseline| format!("baseline score {baseline}"));
        let problems = self.problems.map(|problems| format!("on {problems} problems"));
        let numbers: Vec<_> = [score, baseline, problems].into_iter().flatten().collect();
        let detail = Self::one_line(&self.detail);
        match (numbers.is_empty(), detail.is_empty()) {
            (true, true) => if self.passed { "passed" } else { "not passed" }.to_owned(),
            (true, false) => detail,
            (false, true) => numbers.join(" "),
            (false, false) => format!("{}: {detail}", numbers.join(" ")),
        }
    }

    /// `text` in one bounded line, without characters that people do not see.
    pub fn one_line(text: &str) -> String {
        let words = text.split(|c: char| c.is_whitespace() || is_hidden(c));
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        words.join(" ").chars().take(MAX_DETAIL).collect()
    }
}

/// One half of a proposal: prompts and config are asked for and authored apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Who answered.
    pub author: Author,
    /// What they answered.
    pub answer: Answer,
    /// What was proposed and refused on the way, each with its reason.
    pub refused: Vec<String>,
}

/// A candidate that was considered for one half of a proposal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Considered {
    /// The half.
    pub half: Half,
    /// Who made it, e.g. `llm (gemini-2.5-flash), one change`.
    pub by: String,
    /// What it would change, an edit each.
    pub changes: Vec<String>,
    /// What became of it.
    pub end: End,
    /// Why, with the numbers.
    pub why: String,
}

impl Considered {
    /// It in one line that can be shown anywhere.
    pub fn words(&self) -> String {
        let half = match self.half {
            Half::Prompts => "prompts",
            Half::Config => "config",
        };
        let changes =
            if self.changes.is_empty() { "nothing".to_owned() } else { self.changes.join("; ") };
        GateReport::one_line(&format!("{half}, by {}: {changes}: {}", self.by, self.why))
    }
}

/// How a candidate ended before it became a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It is the proposal.
    Chosen,
    /// Another is at least as good in every respect.
    Dominated,
    /// Another that is not better in every respect was preferred.
    NotChosen,
    /// It breaks a rule, or all of it was there or had failed before.
    Refused,
    /// Its maker finds that nothing should change.
    NoChange,
    /// Its maker did not answer, or not in a way that can be read.
    Unanswered,
}

impl End {
    /// Its name, e.g. `not_chosen`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Dominated => "dominated",
            Self::NotChosen => "not_chosen",
            Self::Refused => "refused",
            Self::NoChange => "no_change",
            Self::Unanswered => "unanswered",
        }
    }
}

/// Edits, or a reasoned none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// Change this.
    Edits {
        /// At least one.
        edits: Vec<Proposed>,
    },
    /// Nothing is better than what there is.
    NoChange {
        /// Why.
        reason: String,
    },
}

impl Answer {
    /// The edits; none for [`Answer::NoChange`].
    pub fn edits(&self) -> &[Proposed] {
        match self {
            Self::Edits { edits } => edits,
            Self::NoChange { .. } => &[],
        }
    }
}

/// How the model was used for one request.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LlmReport {
    /// The model asked, if any was.
    pub model: Option<String>,
    /// Calls made, retries included.
    pub calls: u32,
    /// Optimizations of prompt or config that the model contributed (0 to 2).
    pub optimizations: u32,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// What they cost, in millionths of a US dollar; none where no price is known, or nothing was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
    /// Answers that were there from an earlier call and cost nothing.
    #[serde(default, skip_serializing_if = "is_none")]
    pub cached: u32,
    /// Of the calls, those that brought no answer.
    #[serde(default, skip_serializing_if = "is_none")]
    pub failed: u32,
    /// Of the calls, those whose use nobody told and that are booked at the estimate made before.
    #[serde(default, skip_serializing_if = "is_none")]
    pub estimated: u32,
    /// Of the calls, those of an earlier attempt at this request that came to no end.
    #[serde(default, skip_serializing_if = "is_none")]
    pub resumed: u32,
    /// Calls that were not made because of the budget.
    #[serde(default, skip_serializing_if = "is_none")]
    pub over_budget: u32,
    /// Calls that were not made because the model had failed too often.
    #[serde(default, skip_serializing_if = "is_none")]
    pub breaker_open: u32,
    /// Lines of runs that were kept from the model since they read like instructions.
    #[serde(default, skip_serializing_if = "is_none")]
    pub quarantined: u32,
    /// Why the pattern edits stood in for the model, if they did.
    pub fallback: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(count: &u32) -> bool {
    *count == 0
}

impl LlmReport {
    /// Books tokens and what they cost. Of a sum of which a part has no price, none is known.
    pub fn book(&mut self, input_tokens: u64, output_tokens: u64, cost_micros: Option<u64>) {
        if input_tokens == 0 && output_tokens == 0 {
            return;
        }
        let first = self.input_tokens == 0 && self.output_tokens == 0;
        self.cost_micros = match (self.cost_micros, cost_micros) {
            (None, cost) if first => cost,
            (Some(before), Some(cost)) => Some(before.saturating_add(cost)),
            (None, _) | (Some(_), None) => None,
        };
        self.input_tokens = self.input_tokens.saturating_add(input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(output_tokens);
    }
}
