//! The error budget of an endless sequence of tests.
//!
//! e-LOND: test k is made at level α_k = α·γ_k·(1 + promotions before it), with γ_k = 6/(π²k²), whose
//! sum is 1. Then of all promotions ever made, the expected share of false ones is at most α, whatever
//! the dependence between tests (Xu & Ramdas 2024, "Online multiple testing with e-values"). In short:
//! a promotion at test k with R promotions in all has α_k/R ≤ α·γ_k, and a test that is true to its
//! null hypothesis is promoted at most as often as E[α_k·e] says, so that the terms add up to α at most.

use serde::{Deserialize, Serialize};

/// How many tests were begun and how many of them ended in a promotion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBudget {
    /// Tests begun; one that came to nothing is spent like any other.
    pub tested: u64,
    /// Promotions among them.
    pub promoted: u64,
}

impl ErrorBudget {
    /// Begins the next test and gives its level: it promotes if its e-value is at least one over that.
    pub fn begin(&mut self, alpha: f64) -> f64 {
        self.tested += 1;
        self.level(alpha)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
    fn level(&self, alpha: f64) -> f64 {
        let k = self.tested.max(1) as f64;
        let gamma = 6.0 / (std::f64::consts::PI * k).powi(2);
        (alpha * gamma * (1.0 + self.promoted as f64)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_add_up_to_alpha_and_grow_with_promotions() {
        let mut budget = ErrorBudget::default();
        let first = budget.begin(0.05);
        assert!((first - 0.030_396).abs() < 1e-6, "{first}");
        let rest: f64 = (0..100_000).map(|_| budget.begin(0.05)).sum();
        assert!(first + rest < 0.05 && first + rest > 0.0499, "{}", first + rest);
        let mut lucky = ErrorBudget { tested: 1, promoted: 1 };
        assert!((lucky.begin(0.05) - 2.0 * 0.05 * 6.0 / 39.478_417).abs() < 1e-6);
        let mut luckiest = ErrorBudget { tested: 0, promoted: 1000 };
        assert!(luckiest.begin(0.5) <= 1.0);
    }
}
