//! The original meta-agent's trace records: one JSON object a run of a Stratus agent.
//!
//! Their labels cannot all be believed, and what a record does not know is not guessed:
//!
//! - A run that ended in an exception of the harness is *aborted*, whatever its label says. The
//!   collector writes such an end as `Error: <exception>`, `Execution failed: <exception>` or `Problem
//!   <id> execution failed: <exception>` into the final submission, or, where there is none, as the
//!   last thought. Nothing else aborts a run: a submission that merely speaks of errors is the agent's.
//! - The later collector (its records have a `ground_truth`, if only `null`) says `false` where it found
//!   no verdict. It looked diagnosis and localization up under stage names that do not exist, so found
//!   none for any of them. Its label counts only beside an oracle's verdict on the same agent that says
//!   the same. This holds for `true` as well: to believe the successes and drop the failures that lack
//!   a verdict alike would make the agent look better than it is.
//! - A rollback's label is a copy of its mitigation's: *unknown*, from either collector.
//! - A tool call whose response begins by saying that it failed has failed.
//!
//! What one record cannot mend: the four agents of a problem were all given the whole problem's
//! duration, and the later collector booked all tool calls to diagnosis. Calls are counted for the
//! agent whose record holds them.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::draft::Draft;
use super::{Options, Outcome, Reason, Reject, Step, Thought, Tokens, ToolCall, Trace, text};
use crate::base::{EventTime, VersionNumber};

#[derive(Deserialize)]
struct Raw<'a> {
    trace_id: String,
    agent_type: String,
    problem_context: Option<Problem>,
    start_time: f64,
    end_time: f64,
    success: Option<bool>,
    final_submission: Option<String>,
    #[serde(borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    thinking_steps: Option<Vec<Thinking>>,
    /// Told apart from absent: the later collector wrote `null` where it had none.
    #[serde(default, deserialize_with = "present")]
    ground_truth: Option<Value>,
    oracle_results_enhanced: Option<Value>,
    /// Not the collector's: agents that take part in trials add it.
    prompt_version: Option<VersionNumber>,
}

#[derive(Default, Deserialize)]
struct Problem {
    problem_id: Option<String>,
    app_description: Option<String>,
}

#[derive(Deserialize)]
struct Call<'a> {
    tool_name: String,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    timestamp: Option<f64>,
    success: bool,
    #[serde(default)]
    response: Value,
    duration: Option<f64>,
}

#[derive(Deserialize)]
struct Thinking {
    reasoning: Option<String>,
    timestamp: Option<f64>,
}

fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

pub(super) fn decode(record: &str, options: &Options) -> Result<Trace, Reject> {
    let raw: Raw<'_> = super::detect::typed(record)?;
    let agent = raw.agent_type.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let outcome = outcome(&raw, &agent);
    let time = |name: &str, seconds: f64| {
        EventTime::from_secs(seconds)
            .ok_or_else(|| Reject::new(Reason::InvalidField, format!("{name} is not a time")))
    };
    let (start, end) = (time("start_time", raw.start_time)?, time("end_time", raw.end_time)?);
    let problem = raw.problem_context.unwrap_or_default();
    let task = match (problem.problem_id, problem.app_description) {
        (Some(id), Some(description)) => Some(format!("{id}: {description}")),
        (id, description) => id.or(description),
    };
    let draft = Draft {
        agent: Some(agent),
        session: None,
        version: raw.prompt_version.filter(|version| version.0 > 0),
        start,
        end,
        outcome,
        task,
        result: raw.final_submission,
        steps: steps(raw.thinking_steps, raw.tool_calls),
        retries: 0,
        tokens: Tokens::default(),
        cost_usd: None,
        rounds: None,
        trace_id: raw.trace_id,
    };
    draft.check(options)
}

fn outcome(raw: &Raw<'_>, agent: &str) -> Outcome {
    let last_thought = || raw.thinking_steps.as_ref()?.last()?.reasoning.as_deref();
    if raw.final_submission.as_deref().or_else(last_thought).is_some_and(crashed) {
        return Outcome::Aborted;
    }
    let verdict = || {
        let oracles = raw.oracle_results_enhanced.as_ref()?;
        oracles.get(agent)?.get("success")?.as_bool()
    };
    let determined =
        agent != "rollback" && (raw.ground_truth.is_none() || verdict() == raw.success);
    match raw.success.filter(|_| determined) {
        Some(true) => Outcome::Success,
        Some(false) => Outcome::Failure,
        None => Outcome::Unknown,
    }
}

/// Whether a run's last words are those with which the harness reports its own exception.
fn crashed(last_words: &str) -> bool {
    last_words.starts_with("Error:")
        || last_words.starts_with("Execution failed:")
        || (last_words.starts_with("Problem ") && last_words.contains(" execution failed: "))
}

/// Thoughts and calls in one order of time. What has no time stays behind what stood before it.
fn steps(thoughts: Option<Vec<Thinking>>, calls: Option<Vec<Call<'_>>>) -> Vec<Step> {
    let mut latest = 0.0;
    let mut timed = |time: Option<f64>, step: Step| {
        latest = time.unwrap_or(latest);
        (latest, step)
    };
    let thought = |thinking: Thinking| {
        Step::Thought(Thought { text: text::short(&thinking.reasoning.unwrap_or_default()) })
    };
    let mut steps: Vec<(f64, Step)> = Vec::new();
    for thinking in thoughts.into_iter().flatten() {
        steps.push(timed(thinking.timestamp, thought(thinking)));
    }
    for call in calls.into_iter().flatten() {
        steps.push(timed(call.timestamp, tool(call)));
    }
    steps.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    steps.into_iter().map(|(_, step)| step).collect()
}

fn tool(call: Call<'_>) -> Step {
    let mut read = ToolCall {
        name: call.tool_name,
        ok: true,
        error: None,
        duration: call.duration.filter(|seconds| seconds.is_finite() && *seconds >= 0.0),
        arguments: call.arguments.map(|raw| raw.get().to_owned()),
    };
    read.answered(&text::content(&call.response), !call.success);
    Step::Tool(read)
}
