//! Whether trying again pays. Where it hardly ever does, fewer tries are offered: the rest only costs time
//! and tokens.

use serde_json::Value;

use super::draft::{Draft, Want};
use super::limits::whole;
use super::significance::rate_at_least;
use super::{Scene, share};
use crate::fold::Split;

/// Retried runs below which nothing is said.
const MIN_RETRIED: u64 = 20;
/// Retries are in vain if surely fewer than this share of retried runs succeed.
const IN_VAIN: f64 = 0.2;

/// Retried runs from which on it counts that hardly any succeeded, and how few that is: not enough to take
/// tries away, but enough not to add any.
const SOME_RETRIED: u64 = 10;
const HARDLY: f64 = 0.2;

/// Whether trying again has hardly ever helped.
pub(super) fn are_idle(retried: Split) -> bool {
    retried.total() >= SOME_RETRIED && share(retried.success, retried.total()) < HARDLY
}

/// What became of runs that were tried more than once.
pub(super) fn drafts(scene: &Scene<'_>) -> Option<Draft> {
    let retried = scene.window.retried;
    if retried.total() < MIN_RETRIED {
        return None;
    }
    let in_vain = rate_at_least(retried.failure, retried.total(), retried.total()) > 1.0 - IN_VAIN;
    let summary = format!(
        "{} of {} runs that were tried again succeeded, {} of {} that were not",
        retried.success,
        retried.total(),
        scene.counts.success.saturating_sub(retried.success),
        scene.counts.known().saturating_sub(retried.total()),
    );
    if !in_vain {
        return Some(Draft::figure("retries_pay", summary, retried.total()));
    }
    Some(Draft {
        kind: "retries_in_vain",
        summary,
        runs: retried.total(),
        strength: share(retried.failure, retried.total())
            * share(retried.total(), scene.counts.known()),
        wants: fewer(scene).into_iter().collect(),
    })
}

/// Fewer tries, by at most a step, and never fewer than nearly all successes needed.
fn fewer(scene: &Scene<'_>) -> Option<Want> {
    let key = &scene.policy.retry_key;
    let value = scene.content.config_u32(key)?;
    let tunable = scene.policy.guard.tunables.get(key)?;
    let needed = scene.window.tries_of_successes.quantile(0.95).unwrap_or(1.0).ceil();
    let target = (f64::from(value) - tunable.step.floor()).max(needed).max(tunable.min.ceil());
    let target = whole(target).filter(|target| *target < value)?;
    Some(Want::Set(key.clone(), Value::from(target)))
}
