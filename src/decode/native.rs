//! Our own format: one JSON object for a run that ended or one that began, as
//! `configs/trace.schema.json` describes it. Checks are the draft's affair.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::draft::{Draft, Head};
use super::{Announcement, Options, Outcome, Reason, Reject, Report, Step, Tokens, Trace, text};
use crate::base::{EventTime, VersionNumber};

/// How much of an unknown event a refusal quotes.
const MAX_SHOWN_BYTES: usize = 60;

/// The record as written. Unknown fields are ignored: a later Whetstone may write more.
#[derive(Deserialize)]
#[serde(bound(deserialize = "S: Deserialize<'de>"))]
pub(super) struct Raw<'a, S> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    /// Lines of trajectories are told by it.
    #[serde(rename = "type")]
    other: Option<IgnoredAny>,
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
    steps: Vec<S>,
    #[serde(default)]
    retries: u32,
    #[serde(default)]
    tokens: Tokens,
    cost_usd: Option<f64>,
    rounds: Option<u32>,
}

/// Seconds since the epoch, or RFC 3339.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected seconds since the epoch or an RFC 3339 text")]
enum Time {
    Seconds(f64),
    Text(String),
}

pub(super) fn decode(record: &str, options: &Options) -> Result<Report, Reject> {
    let raw: Raw<'_, Step> = super::detect::typed(record)?;
    raw.report(options)
}

enum Event {
    Started,
    Ended,
}

/// Any value can stand there, so it is read by itself: else a wrong type would have another reason.
fn event(raw: Option<&RawValue>) -> Result<Event, Reject> {
    let Some(raw) = raw.map(RawValue::get) else { return Ok(Event::Ended) };
    match serde_json::from_str::<String>(raw).as_deref() {
        Ok("started") => Ok(Event::Started),
        Ok("ended") => Ok(Event::Ended),
        _ => {
            let shown = text::cut(raw, MAX_SHOWN_BYTES);
            let detail = format!(
                "event is {shown}: say \"started\" for a run that begins, and \"ended\" or nothing for one \
                 that has ended"
            );
            Err(Reject::new(Reason::UnknownEvent, detail))
        }
    }
}

impl<S: Into<Step>> Raw<'_, S> {
    /// Whether no other format has a better claim to it.
    pub(super) fn is_ours(&self) -> bool {
        self.agent.is_some() && self.other.is_none()
    }

    pub(super) fn report(self, options: &Options) -> Result<Report, Reject> {
        match event(self.event)? {
            Event::Started => self.started(options).map(Report::Started),
            Event::Ended => self.ended(options).map(Report::Run),
        }
    }

    /// A record that says both is a mistake at the source; to believe its event alone would lose the run.
    fn started(self, options: &Options) -> Result<Announcement, Reject> {
        if self.end.is_some() || self.end_ms.is_some() || self.outcome.is_some() {
            let detail =
                "a run that has only started has no end and no outcome: leave them out, or event";
            return Err(Reject::new(Reason::InvalidField, detail));
        }
        let start = time("start", self.start, self.start_ms)?;
        let head = Head {
            agent: self.agent,
            trace_id: self.trace_id,
            session: self.session,
            version: known(self.version),
            start,
        };
        head.check(options)
    }

    fn ended(self, options: &Options) -> Result<Trace, Reject> {
        let start = time("start", self.start, self.start_ms)?;
        let end = time("end", self.end, self.end_ms)?;
        let draft = Draft {
            agent: self.agent,
            trace_id: self.trace_id,
            session: self.session,
            version: known(self.version),
            start,
            end,
            outcome: self.outcome.unwrap_or(Outcome::Unknown),
            task: self.task,
            result: self.result,
            steps: self.steps.into_iter().map(Into::into).collect(),
            retries: self.retries,
            tokens: self.tokens,
            cost_usd: self.cost_usd,
            rounds: self.rounds,
        };
        draft.check(options)
    }
}

/// Versions count from 1: producers that have none say 0.
fn known(version: Option<VersionNumber>) -> Option<VersionNumber> {
    version.filter(|version| version.0 > 0)
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
