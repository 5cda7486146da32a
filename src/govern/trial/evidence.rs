//! What a trial has seen: totals of its arms, the block being filled, and the differences so far.

use serde::{Deserialize, Serialize};

use super::unit::Values;
use crate::fold::Reward;
use crate::gauge::Differences;

/// One arm, in whole numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Arm {
    /// Units of which the outcome is known.
    pub(super) units: u64,
    /// Units that broke, or that nobody has labelled.
    pub(super) unsound: u64,
    /// Sums over `units`, in millionths.
    pub(super) sum: Values,
    /// Sum of squares of rewards, in millionths.
    pub(super) squares: i64,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    Reward,
    Success,
    Latency,
    /// The share of units that come to a known outcome at all.
    Soundness,
}

/// Everything that verdicts rest on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Evidence {
    pub(super) candidate: Arm,
    pub(super) baseline: Arm,
    /// The block being filled: candidate and baseline.
    open: (Arm, Arm),
    reward: Differences,
    success: Differences,
    latency: Differences,
    soundness: Differences,
}

impl Arm {
    fn add(&mut self, values: Option<Values>) {
        let Some(values) = values else {
            self.unsound += 1;
            return;
        };
        self.units += 1;
        self.sum.reward += values.reward;
        self.sum.success += values.success;
        self.sum.quickness += values.quickness;
        self.squares += values.reward * values.reward / Reward::ONE;
    }

    /// Sum and number of what `metric` is the mean of, the sum in millionths.
    fn of(&self, metric: Metric) -> (i64, u64) {
        match metric {
            Metric::Reward => (self.sum.reward, self.units),
            Metric::Success => (self.sum.success, self.units),
            Metric::Latency => (self.sum.quickness, self.units),
            Metric::Soundness => {
                let units = i64::try_from(self.units).unwrap_or(i64::MAX);
                (units.saturating_mul(Reward::ONE), self.units + self.unsound)
            }
        }
    }

    /// The mean in [0, 1]; `None` without units.
    #[expect(clippy::cast_precision_loss, reason = "sums are below 2^52")]
    pub(super) fn mean(&self, metric: Metric) -> Option<f64> {
        let (sum, units) = self.of(metric);
        (units > 0).then(|| sum as f64 / (units as f64 * Reward::ONE as f64))
    }
}

impl Metric {
    pub(super) const ALL: [Self; 4] = [Self::Reward, Self::Success, Self::Latency, Self::Soundness];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reward => "reward",
            Self::Success => "success",
            Self::Latency => "quickness",
            Self::Soundness => "soundness",
        }
    }
}

impl Evidence {
    /// Units that a block holds at least. Two would do; with more of them the arms are nearer to their
    /// shares within it, and a trial takes a twentieth fewer. It must be short against any drift.
    const BLOCK: u64 = 6;

    /// Adds a unit of the candidate; true if that closed a block.
    pub(super) fn add_candidate(&mut self, values: Option<Values>, dither: u32) -> bool {
        self.candidate.add(values);
        self.open.0.add(values);
        self.close(dither)
    }

    /// Adds a unit of the baseline; true if that closed a block.
    pub(super) fn add_baseline(&mut self, values: Option<Values>, dither: u32) -> bool {
        self.baseline.add(values);
        self.open.1.add(values);
        self.close(dither)
    }

    fn close(&mut self, dither: u32) -> bool {
        let (candidate, baseline) = self.open;
        let full = candidate.units + baseline.units >= Self::BLOCK;
        if !full || candidate.units == 0 || baseline.units == 0 {
            return false;
        }
        for metric in Metric::ALL {
            let (ours, n) = candidate.of(metric);
            let (theirs, m) = baseline.of(metric);
            let (n, m) = (i128::from(n), i128::from(m));
            let difference = i128::from(ours) * m - i128::from(theirs) * n;
            let scale = n * m * i128::from(Reward::ONE);
            self.differences_mut(metric).add(difference, scale, dither);
        }
        self.open = <(Arm, Arm)>::default();
        true
    }

    pub(super) fn differences(&self, metric: Metric) -> &Differences {
        match metric {
            Metric::Reward => &self.reward,
            Metric::Success => &self.success,
            Metric::Latency => &self.latency,
            Metric::Soundness => &self.soundness,
        }
    }

    fn differences_mut(&mut self, metric: Metric) -> &mut Differences {
        match metric {
            Metric::Reward => &mut self.reward,
            Metric::Success => &mut self.success,
            Metric::Latency => &mut self.latency,
            Metric::Soundness => &mut self.soundness,
        }
    }
}
