//! The watch over the active version: what it usually earns, and whether that has fallen for good.

use serde::{Deserialize, Serialize};

use super::{DriftAction, WatchSpec};
use crate::base::VersionNumber;
use crate::fold::{Reward, RewardSpec};
use crate::gauge::DriftDetector;

/// What is known of the active version's usual reward.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Watch {
    version: VersionNumber,
    /// Rewards are comparable under one spec only.
    reward: RewardSpec,
    learnt: Learnt,
    detector: Option<DriftDetector>,
}

/// Sums over runs, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Learnt {
    pub(super) runs: u64,
    pub(super) sum: i64,
    pub(super) squares: i64,
}

impl Learnt {
    /// Standard errors below the mean at which its lower bound is taken: one-sided 95 %.
    const Z: f64 = 1.645;

    /// Mean, and a lower bound of it.
    #[expect(clippy::cast_precision_loss, reason = "sums are below 2^52")]
    fn mean(self) -> (f64, f64) {
        let runs = (self.runs as f64).max(1.0);
        let mean = self.sum as f64 / runs / Reward::ONE as f64;
        let variance = (self.squares as f64 / runs / Reward::ONE as f64 - mean * mean).max(0.0);
        (mean, mean - Self::Z * (variance / runs).sqrt())
    }
}

impl Watch {
    /// Of a version promoted by a trial, which knows what it earns.
    pub(super) fn of_promoted(
        version: VersionNumber,
        reward: &RewardSpec,
        learnt: Learnt,
        spec: &WatchSpec,
    ) -> Self {
        let mut watch = Self { version, reward: reward.clone(), learnt, detector: None };
        watch.arm(spec);
        watch
    }

    /// Takes a run of the active version; what there is to say, if its reward has fallen for good. It
    /// then learns anew.
    pub(super) fn add(
        &mut self,
        version: VersionNumber,
        reward: Reward,
        (policy, spec): (&RewardSpec, &WatchSpec),
    ) -> Option<String> {
        if spec.on_drift == DriftAction::Ignore {
            return None;
        }
        if self.version != version || self.reward != *policy {
            let (reward, learnt) = (policy.clone(), Learnt::default());
            *self = Self { version, reward, learnt, detector: None };
        }
        let total = reward.total();
        let Some(detector) = &mut self.detector else {
            self.learnt.runs += 1;
            self.learnt.sum += total;
            self.learnt.squares += total * total / Reward::ONE;
            self.arm(spec);
            return None;
        };
        #[expect(clippy::cast_precision_loss, reason = "at most a million")]
        let share = total as f64 / Reward::ONE as f64;
        #[expect(clippy::cast_precision_loss, reason = "at most a billion")]
        let bar = spec.false_alarm_runs as f64;
        if !detector.add(share, bar) {
            return None;
        }
        let why = format!(
            "{version} no longer earns what it did: {:.3} on its first {} runs, and since then, within {} \
             runs, lastingly below {:.3}; a false alarm comes once in {} runs or less often",
            self.learnt.mean().0,
            self.learnt.runs,
            detector.runs(),
            detector.level(),
            spec.false_alarm_runs
        );
        (self.learnt, self.detector) = (Learnt::default(), None);
        Some(why)
    }

    fn arm(&mut self, spec: &WatchSpec) {
        if self.learnt.runs >= spec.baseline_runs {
            let (_, bound) = self.learnt.mean();
            self.detector = Some(DriftDetector::new(bound - spec.drift_margin));
        }
    }
}
