//! The original meta-agent's trace records: one JSON object a run of a Stratus agent.
//!
//! Their labels cannot all be believed, and what a record does not know is not guessed:
//!
//! - A run whose final submission is an exception of the harness (`Error: …`, `Execution failed: …`)
//!   is aborted, whatever its label says.
//! - The later collector (its records carry `ground_truth`) looked diagnosis and localization up under
//!   stage names that do not exist, and copied mitigation's label to rollback: for those three its
//!   label is unknown. Its mitigation label is believed where an oracle result stands beside it.
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
use crate::base::EventTime;

#[derive(Deserialize)]
struct Raw<'a> {
    trace_id: String,
    agent_type: String,
    #[serde(default)]
    problem_context: Problem,
    start_time: f64,
    end_time: f64,
    success: bool,
    final_submission: Option<String>,
    #[serde(borrow, default)]
    tool_calls: Vec<Call<'a>>,
    #[serde(default)]
    thinking_steps: Vec<Thinking>,
    /// Told apart from absent: the later collector wrote `null` where it had none.
    #[serde(default, deserialize_with = "present")]
    ground_truth: Option<Value>,
    oracle_results_enhanced: Option<Value>,
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
    response: Option<Value>,
    duration: Option<f64>,
}

#[derive(Deserialize)]
struct Thinking {
    #[serde(default)]
    reasoning: String,
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
    let task = raw.problem_context.problem_id.map(|problem| {
        let description = raw.problem_context.app_description.unwrap_or_default();
        format!("{problem}: {description}")
    });
    let mut steps: Vec<(f64, Step)> = Vec::new();
    for thinking in raw.thinking_steps {
        let thought = Thought { text: thinking.reasoning };
        steps.push((thinking.timestamp.unwrap_or_default(), Step::Thought(thought)));
    }
    steps.extend(
        raw.tool_calls.into_iter().map(|call| (call.timestamp.unwrap_or_default(), tool(call))),
    );
    steps.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let draft = Draft {
        agent: Some(agent),
        session: None,
        version: None,
        start,
        end,
        outcome,
        task,
        result: raw.final_submission,
        steps: steps.into_iter().map(|(_, step)| step).collect(),
        retries: 0,
        tokens: Tokens::default(),
        rounds: None,
        trace_id: raw.trace_id,
    };
    draft.check(options)
}

fn outcome(raw: &Raw<'_>, agent: &str) -> Outcome {
    if raw.final_submission.as_deref().is_some_and(crashed) {
        return Outcome::Aborted;
    }
    let known = match (&raw.ground_truth, agent) {
        (None, _) => true,
        (Some(_), "mitigation") => {
            let judged = |value: &Value| value.get("mitigation").is_some_and(|v| !v.is_null());
            raw.success || raw.oracle_results_enhanced.as_ref().is_some_and(judged)
        }
        (Some(_), _) => false,
    };
    match (known, raw.success) {
        (true, true) => Outcome::Success,
        (true, false) => Outcome::Failure,
        (false, _) => Outcome::Unknown,
    }
}

/// Whether a final submission is the text of an exception in the harness.
fn crashed(submission: &str) -> bool {
    submission.starts_with("Error:")
        || submission.starts_with("Execution failed:")
        || (submission.starts_with("Problem ") && submission.contains(" execution failed: "))
}

fn tool(call: Call<'_>) -> Step {
    let response = match &call.response {
        Some(Value::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let stated = response.and_then(text::stated_failure);
    let ok = call.success && stated.is_none();
    let error = (!ok).then(|| stated.unwrap_or_else(|| text::short(response.unwrap_or_default())));
    Step::Tool(ToolCall {
        name: call.tool_name,
        ok,
        error: error.filter(|error| !error.is_empty()),
        duration: call.duration.filter(|seconds| seconds.is_finite() && *seconds >= 0.0),
        arguments: call.arguments.map(|raw| raw.get().to_owned()),
    })
}
