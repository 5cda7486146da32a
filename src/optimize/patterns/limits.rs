//! Rules about limits: one that failures run into is raised if successes need nearly as much, and
//! lowered if they need far less, since then it only buys time to fail in.
//!
//! Only for the two limits whose meaning is known. What another tunable does, no rule can know.

use serde_json::Value;

use super::draft::{Draft, Want};
use super::significance::MIN_RUNS;
use super::{Scene, share};
use crate::fold::{Sketch, Split};
use crate::govern::Tunable;

/// Failures at the limit below which it is not worth naming, and their least share of all failures.
const MIN_FAILURES: u64 = 3;
const MIN_SHARE: f64 = 0.2;
/// A limit is raised if successes need this much of it (p95), or, with hardly any success to look
/// at, if most failures end there.
const TIGHT: f64 = 0.7;
const MOST: f64 = 0.5;
/// It is lowered if they need no more than this (p95 of at least [`MIN_SUCCESSES`]).
const LOOSE: f64 = 0.5;
const MIN_SUCCESSES: u64 = 10;
/// What stays above the most that a success needed.
const HEADROOM: f64 = 1.25;
/// By how much a limit is raised, at most.
const RAISE: f64 = 0.25;

/// A limit in the config and how runs fared by it.
struct Limit<'a> {
    key: &'a str,
    value: u32,
    tunable: Option<&'a Tunable>,
    hits: Split,
    /// What successes needed, in the limit's unit.
    needed: &'a Sketch,
    /// Whether more of it has been seen to help, or not been seen not to.
    pays: bool,
}

/// The step limit and the retry limit.
pub(super) fn drafts(scene: &Scene<'_>) -> Vec<Draft> {
    let (window, policy) = (scene.window, scene.policy);
    let steps = (&policy.step_key, window.at_step_limit, &window.rounds_of_successes, true);
    let pays = !super::retries::are_idle(window.retried);
    let retries = (&policy.retry_key, window.at_retry_limit, &window.tries_of_successes, pays);
    let names = [
        ["step_limit_reached", "step_limit_unused"],
        ["retry_limit_reached", "retry_limit_unused"],
    ];
    let limits = [steps, retries].into_iter().zip(names);
    limits
        .filter_map(|((key, hits, needed, pays), names)| {
            let value = scene.content.config_u32(key)?;
            let tunable = policy.guard.tunables.get(key);
            Limit { key, value, tunable, hits, needed, pays }.draft(scene, names)
        })
        .collect()
}

impl Limit<'_> {
    fn draft(&self, scene: &Scene<'_>, [reached, unused]: [&'static str; 2]) -> Option<Draft> {
        let (failures, successes) = (scene.counts.failure, scene.counts.success);
        let strength = share(self.hits.failure, failures);
        if failures < MIN_RUNS || self.hits.failure < MIN_FAILURES || strength < MIN_SHARE {
            return None;
        }
        let limit = f64::from(self.value);
        let used = self.needed.quantile(0.95).filter(|_| successes >= MIN_RUNS);
        let tight = used.map_or(strength >= MOST, |used| used >= limit * TIGHT);
        let loose = successes >= MIN_SUCCESSES
            && self.hits.success == 0
            && used.is_some_and(|used| used <= limit * LOOSE);
        let target = if tight && self.pays {
            self.raised()
        } else if loose {
            self.lowered()
        } else {
            None
        };
        let needed = used.map_or_else(
            || format!("{successes} successes are too few to tell what is needed"),
            |used| format!("successes needed up to {used:.0} (p95 of {successes})"),
        );
        Some(Draft {
            kind: if loose { unused } else { reached },
            summary: format!(
                "{} of {failures} failures ended at {} = {}, {needed}",
                self.hits.failure, self.key, self.value
            ),
            runs: self.hits.total(),
            strength,
            wants: target
                .map(|value| Want::Set(self.key.to_owned(), Value::from(value)))
                .into_iter()
                .collect(),
        })
    }

    fn raised(&self) -> Option<u32> {
        let (tunable, step) = self.tunable()?;
        let limit = f64::from(self.value);
        let target = limit + (limit * RAISE).ceil().min(step);
        whole(target.min(tunable.max.floor())).filter(|target| *target > self.value)
    }

    fn lowered(&self) -> Option<u32> {
        let (tunable, step) = self.tunable()?;
        let enough = (self.needed.quantile(1.0)? * HEADROOM).ceil();
        let target = (f64::from(self.value) - step).max(enough);
        whole(target.max(tunable.min.ceil())).filter(|target| *target < self.value)
    }

    /// The declared range and its step in whole numbers, if that leads anywhere.
    fn tunable(&self) -> Option<(&Tunable, f64)> {
        let tunable = self.tunable?;
        let step = tunable.step.floor();
        (step >= 1.0).then_some((tunable, step))
    }
}

/// `number` as a whole number, if it is one that fits.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded by the check")]
pub(super) fn whole(number: f64) -> Option<u32> {
    (0.0..=f64::from(u32::MAX)).contains(&number).then_some(number as u32)
}
