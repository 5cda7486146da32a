//! A share of some cases, with its interval.

use serde::{Deserialize, Serialize};

/// A share and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proportion {
    /// The share, in [0, 1].
    pub share: f64,
    /// Where its interval begins.
    pub low: f64,
    /// Where its interval ends.
    pub high: f64,
}

/// The share of `hits` in `cases` with Wilson's 95 % score interval (Wilson 1927); all 0 without cases.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
pub fn wilson(hits: u64, cases: u64) -> Proportion {
    const Z: f64 = 1.959_964;
    if cases == 0 {
        return Proportion { share: 0.0, low: 0.0, high: 0.0 };
    }
    let n = cases as f64;
    let share = hits as f64 / n;
    let centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    Proportion { share, low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilsons() {
        let check = |hits, cases, low: f64, high: f64| {
            let found = wilson(hits, cases);
            assert!((found.low - low).abs() < 5e-5, "{found:?}");
            assert!((found.high - high).abs() < 5e-5, "{found:?}");
        };
        check(0, 10, 0.0, 0.2775);
        check(10, 10, 0.7225, 1.0);
        check(81, 263, 0.2553, 0.3662);
        assert!(wilson(0, 0).share.abs() < f64::EPSILON);
    }
}
