//! What everybody has to compute: runs, successes and the sum of rewards, by agent and window.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

/// Length of a window in milliseconds of event time.
pub(crate) const LENGTH: i64 = 3_600_000;
/// How many windows a load spans.
pub(crate) const COUNT: i64 = 6;
/// How long a window takes late runs: longer than a load spans, so that all windows are there at the end.
pub(crate) const GRACE: i64 = 24 * LENGTH;

/// An agent, and the start of a window in milliseconds.
pub(crate) type Key = (String, i64);

pub(crate) type Windows = BTreeMap<Key, Sums>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) runs: u64,
    pub(crate) successes: u64,
    /// Millionths.
    pub(crate) reward: i64,
}

impl Sums {
    pub(crate) fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.successes += other.successes;
        self.reward += other.reward;
    }
}

pub(crate) fn start(end: i64) -> i64 {
    end.div_euclid(LENGTH) * LENGTH
}

/// # Errors
/// The first window that differs, and how many do.
pub(crate) fn check(expected: &Windows, found: &Windows) -> Result<()> {
    let keys = expected.keys().chain(found.keys().filter(|key| !expected.contains_key(*key)));
    let mut different = keys.filter(|key| expected.get(*key) != found.get(*key));
    if let Some(key) = different.next() {
        let count = 1 + different.count();
        bail!(
            "{count} of {} windows differ; {key:?} is {:?} and should be {:?}",
            expected.len(),
            found.get(key),
            expected.get(key)
        );
    }
    Ok(())
}
