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
}
