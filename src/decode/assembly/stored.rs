//! A trace in pieces, as it is stored: what came of it step by step, and what became of its runs. Knows
//! neither bytes nor records.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::base::{AgentName, EventTime};
use crate::decode::otlp::{Evaluation, Span, SpanId, TraceId, rows};

/// The key of a piece: a trace, alone or with the number of what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceKey {
    /// The trace.
    pub trace: TraceId,
    /// Which of the parts that came, from 0; none for what became of its runs.
    pub part: Option<u32>,
}

/// What came of a trace within one step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Spans, with the time at which each arrived.
    pub spans: Vec<(EventTime, Span)>,
    /// Evaluations that came by themselves.
    pub evaluations: Vec<Evaluation>,
    /// When the last of it arrived.
    pub last: EventTime,
}

impl Part {
    /// The same in parts that fit a record; none of nothing.
    pub(super) fn split(self) -> impl Iterator<Item = Self> {
        let Self { spans, evaluations, last } = self;
        let spans = rows(spans, |(_, span)| span.weight()).into_iter();
        let spans = spans.map(move |spans| Self { spans, evaluations: Vec::new(), last });
        let evaluations = rows(evaluations, Evaluation::weight).into_iter();
        spans.chain(evaluations.map(move |evaluations| Self {
            spans: Vec::new(),
            evaluations,
            last,
        }))
    }
}

/// What became of a trace's runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Runs that are told, by their agents' spans. None of those that made no sense.
    pub runs: BTreeMap<SpanId, Option<AgentName>>,
    /// Which run a span belonged to, where there was more than one.
    pub claims: BTreeMap<SpanId, SpanId>,
    /// Whether spans of a run were given up before its agent's came.
    pub given_up: bool,
    /// When the last of the trace arrived.
    pub last: EventTime,
}

/// A piece.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TracePiece {
    /// What came.
    Part(Part),
    /// What became of it.
    Outcomes(Outcomes),
}

/// A piece that is to be stored, or taken out of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceChange {
    /// Its key.
    pub key: TraceKey,
    /// What it holds now; none if it is gone.
    pub piece: Option<TracePiece>,
}

/// A key that names no piece of a trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no piece of a trace")]
pub struct UnknownTraceKey(String);

impl fmt::Display for TraceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Some(part) => write!(f, "{}/{part}", self.trace),
            None => write!(f, "{}", self.trace),
        }
    }
}

impl FromStr for TraceKey {
    type Err = UnknownTraceKey;

    /// Reads what a key is written as and nothing else: two spellings would be two keys of one piece.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (trace, part) = match text.split_once('/') {
            Some((trace, part)) => (trace, part.parse().ok().map(Some)),
            None => (text, Some(None)),
        };
        let key = trace.parse().ok().zip(part).map(|(trace, part)| Self { trace, part });
        key.filter(|key| key.to_string() == text)
            .ok_or_else(|| UnknownTraceKey(text.chars().take(100).collect()))
    }
}
