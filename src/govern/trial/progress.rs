//! How much longer a trial may take: an estimate for people, on which nothing is decided.

use serde::{Deserialize, Serialize};

use super::evidence::Metric;
use super::verdict::SOUNDNESS_MARGIN;
use super::{Trial, TrialKind};
use crate::base::EventTime;
use crate::gauge::{BETS, Differences};

/// What it would take to promote, in units of the candidate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// If every one of them were as good as can be: it takes no fewer.
    pub at_least: Option<u64>,
    /// If it goes on as so far; none if it will not come to that.
    pub expected: Option<u64>,
    /// When the expected ones will have come, at the rate of so far.
    pub expected_at: Option<EventTime>,
    /// After so many it ends without verdict.
    pub most: u64,
}

impl Forecast {
    /// Confidence sequences are shown at this level.
    pub const ALPHA: f64 = 0.05;
}

/// The most blocks that are looked ahead.
const HORIZON: f64 = 1e6;

impl Trial {
    pub(super) fn forecast(&self) -> Forecast {
        let candidate = self.evidence.candidate.units;
        let most = self.spec.max_units.saturating_sub(candidate);
        if self.kind == TrialKind::Holdback {
            return Forecast { most: self.holdback_units, ..Forecast::default() };
        }
        let rewards = self.differences(Metric::Reward);
        let missing = (self.gain_bar() - self.ln_gain()).max(0.0);
        let best = BETS.iter().fold(0.0f64, |best, bet| best.max(bet.ln_1p()));
        let blocks = rewards.blocks();
        #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
        let units_per_block = candidate as f64 / (blocks as f64).max(1.0);
        let units = |blocks: f64| whole((blocks * units_per_block.max(1.0)).ceil());
        let expected = self.blocks_to_go(rewards).map(units);
        Forecast {
            at_least: Some(units((missing / best).ceil())),
            expected,
            expected_at: expected.and_then(|units| self.time_of(units)),
            most,
        }
    }

    /// Blocks until both the gain and every guardrail are proven, if the differences keep coming as they
    /// came.
    fn blocks_to_go(&self, rewards: &Differences) -> Option<f64> {
        let gain = ahead(rewards, self.spec.min_effect, self.gain_bar())?;
        let guards = [
            (Metric::Success, self.spec.success_margin),
            (Metric::Latency, self.spec.latency_margin),
            (Metric::Soundness, SOUNDNESS_MARGIN),
        ];
        guards.into_iter().try_fold(gain, |most, (metric, margin)| {
            let blocks = ahead(self.differences(metric), -margin, self.guardrail_bar())?;
            Some(most.max(blocks))
        })
    }

    /// When `units` more of the candidate will have come.
    fn time_of(&self, units: u64) -> Option<EventTime> {
        let passed = self.now.millis_since(self.begun);
        let so_far = self.evidence.candidate.units;
        (so_far > 0 && passed > 0).then(|| {
            let each = passed / i64::try_from(so_far).unwrap_or(i64::MAX).max(1);
            self.now.plus_millis(each.saturating_mul(i64::try_from(units).unwrap_or(i64::MAX)))
        })
    }
}

/// How many more blocks like those of `differences` bring the e-value against "at most `delta`" to the
/// bar; none if they never do.
fn ahead(differences: &Differences, delta: f64, bar: f64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
    let blocks = differences.blocks() as f64;
    let reached = |factor: f64| differences.ln_e_above_at(factor, delta) >= bar;
    if blocks < 1.0 {
        return None;
    }
    if reached(1.0) {
        return Some(0.0);
    }
    let (mut low, mut high) = (1.0, 2.0);
    while !reached(high) {
        (low, high) = (high, high * 2.0);
        if high * blocks > HORIZON {
            return None;
        }
    }
    while (high - low) * blocks > 0.5 {
        let middle = f64::midpoint(low, high);
        if reached(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some((high - 1.0) * blocks)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(number: f64) -> u64 {
    number as u64
}
