//! What an agent is beside its windows and the trace ids it has seen. Decides nothing.

use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::watch::Watch;
use super::{Author, RequestId, VersionRecord};
use crate::base::EventTime;
use crate::gauge::ErrorBudget;

/// The part of an agent that most events change a little; small, so that it is stored as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) ledger: Ledger,
    pub(super) tally: Tally,
    pub(super) paused: bool,
    /// The request that waits for its proposal.
    pub(super) asked: Option<RequestId>,
    pub(super) requests: u64,
    /// The watermark at the last request.
    pub(super) last_request: Option<EventTime>,
    /// Runs with known outcome under the active version since the last request.
    pub(super) fresh: u64,
    /// Over all candidates that were ever tried.
    #[serde(default)]
    pub(super) budget: ErrorBudget,
    #[serde(default)]
    pub(super) watch: Watch,
    #[serde(default)]
    pub(super) applied: Applied,
}

/// Where an agent's events come from, each in an order of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Everything that was placed by agent.
    Events,
    /// Runs that came placed by agent from outside.
    Traces,
}

/// How far an agent is in each of its inputs: the place behind the last event that it has taken. An event that is
/// given again is known by that, so that an agent's state may be stored later than its input is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    events: u64,
    #[serde(default)]
    traces: u64,
}

impl Applied {
    /// The place behind the last event of `input`; 0 before the first.
    pub fn of(self, input: Input) -> u64 {
        match input {
            Input::Events => self.events,
            Input::Traces => self.traces,
        }
    }

    pub(super) fn set(&mut self, input: Input, place: u64) {
        match input {
            Input::Events => self.events = place,
            Input::Traces => self.traces = place,
        }
    }
}

impl Head {
    /// Takes a version that is remembered elsewhere. Nobody remembers what it was tried with: each that a
    /// machine made counts as tried in vain.
    pub(super) fn recall(&mut self, record: VersionRecord) {
        self.budget.tested += u64::from(!matches!(record.version.author, Author::Human { .. }));
        self.ledger.recall(record);
    }
}

/// What became of the runs of one agent. Every run is in exactly one of the first four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// In a window.
    pub windowed: u64,
    /// Sent before, and not counted again.
    pub duplicate: u64,
    /// After their pane had closed.
    pub late: u64,
    /// Naming a version that does not exist.
    pub unknown_version: u64,
    /// Of the windowed, those that named no version and were booked by their start.
    pub attributed: u64,
    /// Announcements of runs.
    #[serde(default)]
    pub started: u64,
    /// Announcements that had come before.
    #[serde(default)]
    pub duplicate_starts: u64,
    /// What became of its labels.
    #[serde(default, skip_serializing_if = "LabelTally::is_empty")]
    pub labels: LabelTally,
}

/// What became of the labels of one agent, and of the runs that waited for one. Every label is in exactly
/// one of the first six.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelTally {
    /// For runs that waited.
    pub joined: u64,
    /// Before their run.
    pub early: u64,
    /// Said before.
    pub duplicate: u64,
    /// Refused: another outcome was said before.
    pub conflicting: u64,
    /// Refused: the run had an outcome already, or never counted.
    pub already_known: u64,
    /// Refused: their run had been given up.
    pub late: u64,
    /// Of the early ones, how often a run came that brought an outcome of its own.
    pub unneeded: u64,
    /// Runs whose outcome is that of a label.
    pub labelled: u64,
    /// Runs that had waited when their outcome counted, and whose window had closed by then: it counts
    /// elsewhere.
    pub after_window: u64,
    /// Runs that waited in vain: their horizon passed, or too many waited.
    pub given_up: u64,
}

impl LabelTally {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How many labels ended in each of the ways that there are, by name.
    pub fn results(self) -> [(&'static str, u64); 6] {
        [
            ("joined", self.joined),
            ("early", self.early),
            ("duplicate", self.duplicate),
            ("conflicting", self.conflicting),
            ("already_known", self.already_known),
            ("late", self.late),
        ]
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: Self) {
        *self = self.with(other, u64::saturating_add);
    }

    /// What came to it since it was `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        self.with(before, u64::saturating_sub)
    }

    fn with(self, other: Self, join: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            joined: join(self.joined, other.joined),
            early: join(self.early, other.early),
            duplicate: join(self.duplicate, other.duplicate),
            conflicting: join(self.conflicting, other.conflicting),
            already_known: join(self.already_known, other.already_known),
            late: join(self.late, other.late),
            unneeded: join(self.unneeded, other.unneeded),
            labelled: join(self.labelled, other.labelled),
            after_window: join(self.after_window, other.after_window),
            given_up: join(self.given_up, other.given_up),
        }
    }
}
