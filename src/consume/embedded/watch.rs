//! Noticing appends: at once from this handle, by looking again and again from any other.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::LogError;
use super::store::Store;

/// How often to look for other handles' appends: SQLite tells nobody, it must be asked.
const LOOK: Duration = Duration::from_millis(50);

/// Counts this handle's appends, and wakes those who wait for one.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<u64>,
    changed: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    fn rung(&self) -> u64 {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has rung since it had `rung` times, waiting for that until `timeout` has passed.
    fn wait_past(&self, rung: u64, timeout: Duration) -> bool {
        let now = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, _) = self
            .changed
            .wait_timeout_while(now, timeout, |now| *now == rung)
            .unwrap_or_else(PoisonError::into_inner);
        *now != rung
    }
}

/// A moment in the log's life: take it, read, and then wait for what came after it.
#[derive(Debug)]
pub(super) struct Mark {
    rung: u64,
    data_version: i64,
}

impl Store {
    pub(super) fn mark(&self) -> Result<Mark, LogError> {
        Ok(Mark { rung: self.bell().rung(), data_version: self.data_version()? })
    }

    /// Whether something may have been appended since `mark`, waiting for that until `deadline`;
    /// without one, for as long as it takes.
    pub(super) fn wait_past(
        &self,
        mark: &Mark,
        deadline: Option<Instant>,
    ) -> Result<bool, LogError> {
        loop {
            let left = deadline
                .map_or(LOOK, |deadline| deadline.saturating_duration_since(Instant::now()));
            if self.bell().wait_past(mark.rung, left.min(LOOK)) {
                return Ok(true);
            }
            if self.data_version()? != mark.data_version {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
        }
    }
}
