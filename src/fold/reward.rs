//! The reward an operator declares, and what one run earns by it.
//!
//! With `x` a quantity divided by its target and clipped to [0, 1], and `s` 1 for a success and 0
//! for a failure:
//!
//! ```text
//! r = ( w_success·s + Σ |w_i|·s·(1 − x_i)  for each cost i with w_i < 0 ) / Σ |w|     in [0, 1]
//! ```
//!
//! Costs earn credit on successes only: credited on failures too, an agent would learn to fail fast.

use serde::{Deserialize, Serialize};

use crate::decode::{Outcome, Run};

/// Weights and targets of the reward. Costs have weights of at most 0; 0 leaves a term out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RewardSpec {
    /// Weight of success, above 0. Default 1.0.
    pub success_weight: f64,
    /// Weight of latency, at most 0. Default −0.5.
    pub latency_weight: f64,
    /// Weight of attempts (tool calls), at most 0. Default −0.3.
    pub attempts_weight: f64,
    /// Weight of tokens, at most 0. Default 0.0.
    pub tokens_weight: f64,
    /// Seconds at and above which latency earns nothing. Default 600.
    pub latency_target: f64,
    /// Tool calls at and above which attempts earn nothing. Default 30.
    pub attempts_target: f64,
    /// Tokens at and above which they earn nothing. Default 200 000.
    pub tokens_target: f64,
}

impl Default for RewardSpec {
    fn default() -> Self {
        Self {
            success_weight: 1.0,
            latency_weight: -0.5,
            attempts_weight: -0.3,
            tokens_weight: 0.0,
            latency_target: 600.0,
            attempts_target: 30.0,
            tokens_target: 200_000.0,
        }
    }
}

/// What one run earned, each term in millionths of the whole reward so that sums are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reward {
    /// Earned by success.
    pub success: i64,
    /// Earned by being quick.
    pub latency: i64,
    /// Earned by needing few tool calls.
    pub attempts: i64,
    /// Earned by needing few tokens.
    pub tokens: i64,
}

impl Reward {
    /// One whole reward, in the unit of the terms.
    pub const ONE: i64 = 1_000_000;

    /// All terms together, 0 to [`Reward::ONE`]. Terms are rounded down, so the best run there is may
    /// earn up to 4 less than one.
    pub fn total(self) -> i64 {
        self.success + self.latency + self.attempts + self.tokens
    }

    /// Adds `other` to a sum of rewards.
    pub fn add(&mut self, other: Self) {
        self.success += other.success;
        self.latency += other.latency;
        self.attempts += other.attempts;
        self.tokens += other.tokens;
    }

    /// Of a sum over `runs` runs, the mean in [0, 1]; `None` without runs.
    #[expect(clippy::cast_precision_loss, reason = "sums are below 2^52")]
    pub fn mean(self, runs: u64) -> Option<f64> {
        (runs > 0).then(|| self.total() as f64 / (runs as f64 * Self::ONE as f64))
    }
}

impl RewardSpec {
    /// What `run` earned; `None` if its outcome is not known or not the agent's doing.
    pub fn reward(&self, run: &Run) -> Option<Reward> {
        match run.outcome {
            Outcome::Success => {}
            Outcome::Failure => return Some(Reward::default()),
            Outcome::Aborted | Outcome::Unknown => return None,
        }
        #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
        let tokens = run.tokens.total() as f64;
        let best = self.best();
        let saved = |weight: f64, amount: f64, target: f64| {
            micros(weight.abs() * (1.0 - (amount / target).clamp(0.0, 1.0)) / best)
        };
        Some(Reward {
            success: micros(self.success_weight / best),
            latency: saved(self.latency_weight, run.latency(), self.latency_target),
            attempts: saved(self.attempts_weight, f64::from(run.attempts), self.attempts_target),
            tokens: saved(self.tokens_weight, tokens, self.tokens_target),
        })
    }

    fn best(&self) -> f64 {
        self.success_weight
            + self.latency_weight.abs()
            + self.attempts_weight.abs()
            + self.tokens_weight.abs()
    }

    /// What is impossible about this spec, naming the field; `None` if nothing is.
    pub fn problem(&self) -> Option<String> {
        let costs = [
            ("latency_weight", self.latency_weight, "latency_target", self.latency_target),
            ("attempts_weight", self.attempts_weight, "attempts_target", self.attempts_target),
            ("tokens_weight", self.tokens_weight, "tokens_target", self.tokens_target),
        ];
        if !(self.success_weight.is_finite() && self.success_weight > 0.0) {
            return Some("success_weight must be above 0".to_owned());
        }
        for (weight_name, weight, target_name, target) in costs {
            if !(weight.is_finite() && weight <= 0.0) {
                return Some(format!("{weight_name} is a cost: it must be 0 or below"));
            }
            if !(target.is_finite() && target > 0.0) {
                return Some(format!("{target_name} must be above 0"));
            }
        }
        None
    }
}

/// Rounds down: rounded to the nearest, the terms of a perfect run can add up to more than one.
#[expect(clippy::cast_possible_truncation, reason = "a share of 1, so at most a million")]
fn micros(share: f64) -> i64 {
    (share * 1_000_000.0).floor() as i64
}
