//! Event time: when something happened to an agent, as opposed to when we heard of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A point in event time: whole milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct EventTime(i64);

impl EventTime {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since the Unix epoch. `None` if not finite or beyond the range of milliseconds
    /// that an `f64` holds exactly.
    pub fn from_secs(seconds: f64) -> Option<Self> {
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let millis = (seconds * 1000.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the check")]
        (millis.is_finite() && millis.abs() <= EXACT).then_some(Self(millis as i64))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Milliseconds from `earlier` to `self`; negative if `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Seconds from `earlier` to `self`, never negative.
    #[expect(clippy::cast_precision_loss, reason = "whole milliseconds of a run fit an f64")]
    pub fn secs_since(self, earlier: Self) -> f64 {
        (self.millis_since(earlier).max(0)) as f64 / 1000.0
    }

    /// This time moved by `millis`, which may be negative.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Display for EventTime {
    /// RFC 3339 in UTC; milliseconds since the epoch where no calendar reaches.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => timestamp.fmt(f),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}
