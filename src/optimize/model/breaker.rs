//! A circuit breaker: who failed several times in a row is left alone for a while. Pure: the time
//! comes in.

use std::time::Duration;

use crate::base::EventTime;

/// Failures in a row after which no more is asked.
const FAILURES: u32 = 3;
/// For how long, unless the server asks for longer.
const PAUSE: Duration = Duration::from_mins(5);

/// Whether to ask, by how it went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaker {
    failures: u32,
    closed_until: Option<EventTime>,
}

impl Breaker {
    /// Why not to ask at `now`; `None` if nothing speaks against it.
    pub(super) fn objection(&self, now: EventTime) -> Option<String> {
        let until = self.closed_until.filter(|until| now < *until)?;
        let failures = self.failures;
        Some(format!("the model failed {failures} times in a row and is not asked until {until}"))
    }

    /// Notes an answer: all is forgiven.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// Notes that none came. After the pause one more failure is enough to pause again. `wait` is what
    /// the server asked for: that holds at once.
    pub(super) fn failed(&mut self, now: EventTime, wait: Option<Duration>) {
        self.failures = self.failures.saturating_add(1);
        let own = (self.failures >= FAILURES).then_some(PAUSE);
        if let Some(pause) = own.max(wait) {
            let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            self.closed_until = self.closed_until.max(Some(now.plus_millis(millis)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    fn at(millis: i64) -> EventTime {
        EventTime::from_millis(millis)
    }

    #[test]
    fn three_failures_in_a_row_are_enough() {
        let mut breaker = Breaker::default();
        breaker.failed(at(0), None);
        breaker.failed(at(0), None);
        breaker.succeeded();
        breaker.failed(at(0), None);
        breaker.failed(at(0), None);
        assert_eq!(breaker.objection(at(0)), None);
        breaker.failed(at(0), None);
        let objection = breaker.objection(at(5 * MINUTE - 1)).unwrap();
        assert!(objection.contains("3 times in a row"), "{objection}");
        assert!(objection.contains("1970-01-01T00:05:00Z"), "{objection}");

        assert_eq!(breaker.objection(at(5 * MINUTE)), None, "one is let through");
        breaker.failed(at(5 * MINUTE), None);
        assert!(breaker.objection(at(6 * MINUTE)).is_some(), "and closes it again");
        breaker.succeeded();
        assert_eq!(breaker, Breaker::default());
    }

    #[test]
    fn a_wait_that_was_asked_for_holds_at_once() {
        let mut breaker = Breaker::default();
        breaker.failed(at(0), Some(Duration::from_mins(60)));
        assert!(breaker.objection(at(59 * MINUTE)).is_some());
        assert_eq!(breaker.objection(at(60 * MINUTE)), None);
    }
}
