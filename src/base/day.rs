//! Days in UTC: what is counted by the day is counted by these, whatever the machine's time zone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::EventTime;

const MILLIS: i64 = 86_400_000;

/// A day in UTC, counted from 1970-01-01.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(i64);

/// A text that names no day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no day: write it as 2026-01-31")]
pub struct InvalidDay(String);

impl Day {
    /// The day that `time` belongs to.
    pub const fn of(time: EventTime) -> Self {
        Self(time.as_millis().div_euclid(MILLIS))
    }

    /// Its first moment.
    pub const fn start(self) -> EventTime {
        EventTime::from_millis(self.0.saturating_mul(MILLIS))
    }

    /// The day `days` later; earlier if negative.
    #[must_use]
    pub const fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }
}

impl fmt::Display for Day {
    /// As in `2026-01-31`; the number where no calendar reaches.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.start().as_millis()) {
            Ok(timestamp) => timestamp.strftime("%Y-%m-%d").fmt(f),
            Err(_) => write!(f, "day {}", self.0),
        }
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDay(text.chars().take(20).collect());
        let date: jiff::civil::Date = text.parse().map_err(|_| invalid())?;
        let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| invalid())?;
        let day = Self::of(EventTime::from_millis(zoned.timestamp().as_millisecond()));
        // Dates can be written in many ways, of which one is ours.
        (day.to_string() == text).then_some(day).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        let check = |millis: i64, day: &str| {
            let found = Day::of(EventTime::from_millis(millis));
            assert_eq!(found.to_string(), day);
            assert_eq!(day.parse(), Ok(found));
        };
        check(0, "1970-01-01");
        check(-1, "1969-12-31");
        check(MILLIS - 1, "1970-01-01");
        check(MILLIS, "1970-01-02");
        check(1_767_000_000_000, "2025-12-29");
        let day: Day = "2024-02-29".parse().unwrap();
        assert_eq!(Day::of(day.start()), day);
        assert_eq!(day.plus(1).to_string(), "2024-03-01");
    }

    #[test]
    fn nothing_else_is_a_day() {
        for text in ["", "2026-1-31", "2026-02-30", "20260131", "2026-01-31T00:00", "../x"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        let never = Day::of(EventTime::from_millis(i64::MIN)).to_string();
        assert!(never.starts_with("day -"), "{never}");
    }
}
