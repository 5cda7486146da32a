//! Our own format: one JSON object a run, as `configs/trace.schema.json` describes it.

use serde::Deserialize;

use super::draft::Draft;
use super::{Options, Outcome, Reason, Reject, Step, Tokens, Trace, text};
use crate::base::{EventTime, VersionNumber};

/// The record as written. Unknown fields are ignored: a later Whetstone may write more.
#[derive(Deserialize)]
struct Raw {
    agent: Option<String>,
    #[serde(default)]
    trace_id: String,
    session: Option<String>,
    version: Option<VersionNumber>,
    start: Option<Time>,
    start_ms: Option<i64>,
    end: Option<Time>,
    end_ms: Option<i64>,
    outcome: Option<Outcome>,
    task: Option<String>,
    result: Option<String>,
    #[serde(default)]
    steps: Vec<Step>,
    #[serde(default)]
    retries: u32,
    #[serde(default)]
    tokens: Tokens,
    rounds: Option<u32>,
}

/// Seconds since the epoch, or RFC 3339.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected seconds since the epoch or an RFC 3339 text")]
enum Time {
    Seconds(f64),
    Text(String),
}

pub(super) fn decode(record: &str, options: &Options) -> Result<Trace, Reject> {
    let raw: Raw = super::detect::typed(record)?;
    let start = time("start", raw.start, raw.start_ms)?;
    let end = time("end", raw.end, raw.end_ms)?;
    let draft = Draft {
        agent: raw.agent,
        trace_id: raw.trace_id,
        session: raw.session,
        // Versions count from 1: producers that have none say 0.
        version: raw.version.filter(|version| version.0 > 0),
        start,
        end,
        outcome: raw.outcome.unwrap_or(Outcome::Unknown),
        task: raw.task,
        result: raw.result,
        steps: raw.steps,
        retries: raw.retries,
        tokens: raw.tokens,
        rounds: raw.rounds,
    };
    draft.check(options)
}

fn time(name: &str, time: Option<Time>, millis: Option<i64>) -> Result<EventTime, Reject> {
    let read = match (millis, time) {
        (Some(millis), _) => Some(EventTime::from_millis(millis)),
        (None, Some(Time::Seconds(seconds))) => EventTime::from_secs(seconds),
        (None, Some(Time::Text(time))) => text::time(&time),
        (None, None) => {
            let detail =
                format!("{name} is missing: give {name}_ms, or {name} in seconds or RFC 3339");
            return Err(Reject::new(Reason::InvalidField, detail));
        }
    };
    read.ok_or_else(|| Reject::new(Reason::InvalidField, format!("{name} is not a time")))
}
