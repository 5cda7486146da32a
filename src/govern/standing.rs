//! What is under way for agents, added up for those who watch.

use std::ops::{AddAssign, SubAssign};

use super::agent::Agent;
use super::trial::TrialKind;
use super::version::State;

/// How much is under way for one agent, or for several together. Sums and differences of it are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Agents that nothing is optimized for.
    pub paused: i64,
    /// Trials.
    pub trials: i64,
    /// Promoted versions whose predecessor is held back on a few units.
    pub holdbacks: i64,
    /// Candidates that wait for a person.
    pub candidates: i64,
    /// Requests that no proposal has answered yet.
    pub requests: i64,
    /// Runs that wait for their label.
    pub waiting: i64,
}

impl Agent {
    /// What is under way for it.
    pub fn standing(&self) -> Standing {
        let trial = self.trial.as_ref().map(|trial| trial.kind);
        let candidate = |state: &State| matches!(state, State::Candidate);
        let candidates = self.head.ledger.iter().filter(|(_, entry)| candidate(&entry.state));
        Standing {
            paused: i64::from(self.head.paused),
            trials: i64::from(trial == Some(TrialKind::Trial)),
            holdbacks: i64::from(trial == Some(TrialKind::Holdback)),
            candidates: i64::try_from(candidates.count()).unwrap_or(i64::MAX),
            requests: i64::from(self.head.asked.is_some()),
            waiting: i64::try_from(self.waiting.len()).unwrap_or(i64::MAX),
        }
    }
}

impl AddAssign for Standing {
    fn add_assign(&mut self, other: Self) {
        self.paused += other.paused;
        self.trials += other.trials;
        self.holdbacks += other.holdbacks;
        self.candidates += other.candidates;
        self.requests += other.requests;
        self.waiting += other.waiting;
    }
}

impl SubAssign for Standing {
    fn sub_assign(&mut self, other: Self) {
        self.paused -= other.paused;
        self.trials -= other.trials;
        self.holdbacks -= other.holdbacks;
        self.candidates -= other.candidates;
        self.requests -= other.requests;
        self.waiting -= other.waiting;
    }
}
