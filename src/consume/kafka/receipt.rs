//! What became of records that were sent: the brokers answer each, on another thread.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

/// Shared by the records of one append or one transaction.
#[derive(Debug, Default)]
pub(super) struct Receipt {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    answered: usize,
    /// How many somebody waits for.
    wanted: usize,
    failure: Option<(Code, String)>,
}

impl Receipt {
    /// One record was delivered, or was not and why.
    pub(super) fn answered(&self, failure: Option<(Code, String)>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.answered += 1;
        if state.failure.is_none() {
            state.failure = failure;
        }
        // Nobody is woken for each of thousands.
        if state.answered >= state.wanted {
            self.changed.notify_all();
        }
    }

    /// Waits until `records` were answered; false if that takes longer than `timeout`.
    pub(super) fn wait(&self, records: usize, timeout: Duration) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.wanted = records;
        let waits = |state: &mut State| state.answered < records;
        let waited = self.changed.wait_timeout_while(state, timeout, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Why the first record that was not delivered was not.
    pub(super) fn failure(&self) -> Option<(Code, String)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).failure.clone()
    }
}
