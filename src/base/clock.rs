//! The one door to the wall clock, so that tests can hold it shut.

use std::sync::atomic::{AtomicI64, Ordering};

use super::EventTime;

/// Where the shell gets the time from. The core never sees it: time comes in with the record.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> EventTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> EventTime {
        EventTime::from_millis(jiff::Timestamp::now().as_millisecond())
    }
}

/// A clock that stands still until it is set: for tests and for simulated time.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn at(now: EventTime) -> Self {
        Self(AtomicI64::new(now.as_millis()))
    }

    /// Moves the clock to `now`.
    pub fn set(&self, now: EventTime) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> EventTime {
        EventTime::from_millis(self.0.load(Ordering::SeqCst))
    }
}
