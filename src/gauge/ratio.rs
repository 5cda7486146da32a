//! Whether the arms get their share of the runs: the sequential test for a sample ratio mismatch.

use serde::{Deserialize, Serialize};

use super::evidence::mean_ln;

/// Runs by arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCounts {
    /// Of the candidate.
    pub candidate: u64,
    /// Of the baseline.
    pub baseline: u64,
}

impl ArmCounts {
    /// Both.
    pub fn total(self) -> u64 {
        self.candidate + self.baseline
    }
}

/// Odds, times those expected, that are bet on.
const ODDS: [f64; 6] = [0.25, 0.5, 0.8, 1.25, 2.0, 4.0];

/// ln of the e-value against "each run is the candidate's with probability `share`", in (0, 1), for
/// each of `phases`: a mean of likelihood ratios, so that it is an e-process.
pub fn ln_e_ratio(phases: &[(ArmCounts, f64)]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let weight = 1.0 / ODDS.len() as f64;
    let lns = ODDS.map(|odds| {
        let phases = phases.iter().filter(|(counts, _)| counts.total() > 0);
        (weight, phases.map(|(counts, share)| ln_ratio(*counts, *share, odds)).sum())
    });
    mean_ln(lns)
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
fn ln_ratio(counts: ArmCounts, share: f64, odds: f64) -> f64 {
    let other = share * odds / (share * odds + 1.0 - share);
    counts.candidate as f64 * (other / share).ln()
        + counts.baseline as f64 * ((1.0 - other) / (1.0 - share)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_are_lost_on_one_side_are_noticed() {
        let ln =
            |candidate, baseline, share| ln_e_ratio(&[(ArmCounts { candidate, baseline }, share)]);
        assert!(ln(0, 0, 0.1).abs() < 1e-12);
        assert!(ln(100, 900, 0.1) < 0.0);
        assert!(ln(500, 500, 0.5) < 0.0);
        assert!(ln(40, 900, 0.1) > 7.0, "half of the candidate's runs never reported");
        assert!(ln(0, 200, 0.1) > 7.0);
        assert!(ln(600, 400, 0.5) > 7.0);
    }

    #[test]
    fn equal_lots_rarely_raise_it() {
        let mut rng = fastrand::Rng::with_seed(5);
        let raised = (0..2000).filter(|_| {
            let mut counts = ArmCounts::default();
            (0..1000).any(|_| {
                if rng.f64() < 0.1 {
                    counts.candidate += 1;
                } else {
                    counts.baseline += 1;
                }
                ln_e_ratio(&[(counts, 0.1)]) >= 20f64.ln()
            })
        });
        let raised = raised.count();
        assert!(raised <= 100 + 3 * 10, "{raised} of 2000 at 5 %");
    }
}
