//! What an agent is beside its windows and the trace ids it has seen. Decides nothing.

use serde::{Deserialize, Serialize};

use super::RequestId;
use super::ledger::Ledger;
use crate::base::EventTime;

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
}
