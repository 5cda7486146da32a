//! The named reasons for which a record is a dead letter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a record could not be read. The snake-case name is a metric label and is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Not valid JSON, or nested too deeply.
    MalformedJson,
    /// Not a protobuf message of the kind that the topic or the route takes.
    MalformedProtobuf,
    /// Not UTF-8.
    InvalidUtf8,
    /// JSON, but of no known format.
    UnknownFormat,
    /// The record's `event` is none that is known.
    UnknownEvent,
    /// A field is missing, or has a wrong type or an impossible value.
    InvalidField,
    /// No agent is named, and none was given.
    MissingAgent,
    /// The agent's name is not allowed.
    InvalidAgent,
    /// No trace id, or one that is too long.
    InvalidTraceId,
    /// A time before 2015.
    TimeTooOld,
    /// A time more than a day after arrival.
    TimeInFuture,
    /// The run ends before it starts.
    EndBeforeStart,
    /// A number is not finite.
    NotFinite,
    /// The record is larger than is read.
    RecordTooLarge,
    /// The run has more steps than are read.
    TooManySteps,
    /// A span without an id, or with one that is none.
    InvalidSpan,
    /// What is said of a span does not say of which trace it is.
    NoTrace,
    /// Spans of an agent's run whose agent's own span never came.
    NoAgentSpan,
    /// The spans of one run name several prompt versions.
    MixedVersions,
    /// Spans given up since too many others were held.
    TooManySpans,
    /// A command that does not parse, or that asks for what does not exist.
    InvalidCommand,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::MalformedJson,
        Self::MalformedProtobuf,
        Self::InvalidUtf8,
        Self::UnknownFormat,
        Self::UnknownEvent,
        Self::InvalidField,
        Self::MissingAgent,
        Self::InvalidAgent,
        Self::InvalidTraceId,
        Self::TimeTooOld,
        Self::TimeInFuture,
        Self::EndBeforeStart,
        Self::NotFinite,
        Self::RecordTooLarge,
        Self::TooManySteps,
        Self::InvalidSpan,
        Self::NoTrace,
        Self::NoAgentSpan,
        Self::MixedVersions,
        Self::TooManySpans,
        Self::InvalidCommand,
    ];

    /// The stable name, e.g. `malformed_json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::MalformedProtobuf => "malformed_protobuf",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::UnknownFormat => "unknown_format",
            Self::UnknownEvent => "unknown_event",
            Self::InvalidField => "invalid_field",
            Self::MissingAgent => "missing_agent",
            Self::InvalidAgent => "invalid_agent",
            Self::InvalidTraceId => "invalid_trace_id",
            Self::TimeTooOld => "time_too_old",
            Self::TimeInFuture => "time_in_future",
            Self::EndBeforeStart => "end_before_start",
            Self::NotFinite => "not_finite",
            Self::RecordTooLarge => "record_too_large",
            Self::TooManySteps => "too_many_steps",
            Self::InvalidSpan => "invalid_span",
            Self::NoTrace => "no_trace",
            Self::NoAgentSpan => "no_agent_span",
            Self::MixedVersions => "mixed_versions",
            Self::TooManySpans => "too_many_spans",
            Self::InvalidCommand => "invalid_command",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: the reason, and what a person needs to mend the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Reject {
    /// The named reason.
    pub reason: Reason,
    /// What exactly was wrong, at most a few hundred characters, with no control characters.
    pub detail: String,
}

impl Reject {
    /// A refusal for `reason`; `detail` is cut to 300 characters and stripped of control characters,
    /// as it may quote hostile input.
    pub fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        let detail = detail.to_string();
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        Self { reason, detail: detail.chars().take(300).map(clean).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_reasons_is_whole() {
        let named = include_str!("reject.rs").matches("=> \"").count();
        assert_eq!(Reason::ALL.len(), named);
        let names: std::collections::BTreeSet<_> = Reason::ALL.map(Reason::as_str).into();
        assert_eq!(names.len(), Reason::ALL.len());
    }
}
