//! What the e-processes have in common: the bets, and means of what is only known by its logarithm.

/// The shares of the capital that are bet, side by side: log-spaced from 0.1 to 0.95. Which of them
/// pays depends on the effect over its variance; all are made, and their mean is an e-process like
/// each of them (Waudby-Smith & Ramdas 2020, arXiv 2010.09686, the fixed-grid mixture).
///
/// Six from 0.1 rather than twenty from 0.01: bets that small pay only where no trial lasts long
/// enough, and each point of the grid costs capital. It takes a fifth fewer runs to the same verdict.
pub const BETS: [f64; 6] = [0.1, 0.156_872, 0.246_089, 0.386_044, 0.605_595, 0.95];

/// ln of the mean of `exp(ln)`, weighted; the weights must add up to one. Safe where `exp` would
/// overflow.
pub fn mean_ln(weighted: impl IntoIterator<Item = (f64, f64)> + Clone) -> f64 {
    let most = weighted.clone().into_iter().map(|(_, ln)| ln).fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    let sum: f64 = weighted.into_iter().map(|(weight, ln)| weight * (ln - most).exp()).sum();
    most + sum.ln()
}

/// The same with equal weights.
pub(super) fn mixed(lns: [f64; BETS.len()]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let weight = 1.0 / BETS.len() as f64;
    mean_ln(lns.map(|ln| (weight, ln)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_of_logarithms_is_the_logarithm_of_the_mean() {
        let check = |values: &[f64], expected: f64| {
            #[expect(clippy::cast_precision_loss, reason = "a handful")]
            let weight = 1.0 / values.len() as f64;
            let weighted: Vec<_> = values.iter().map(|value| (weight, value.ln())).collect();
            assert!((mean_ln(weighted).exp() - expected).abs() < 1e-12, "{values:?}");
        };
        check(&[1.0], 1.0);
        check(&[1.0, 3.0], 2.0);
        check(&[0.0, 3.0], 1.5);
        assert!((mean_ln([(0.5, 2000.0), (0.5, 2000.0)]) - 2000.0).abs() < 1e-9);
        assert!(mean_ln([(1.0, f64::NEG_INFINITY)]).is_infinite());
    }

    #[test]
    fn the_bets_are_evenly_spaced() {
        let ratio = (0.95f64 / 0.1).powf(0.2);
        for (left, right) in BETS.iter().zip(BETS.iter().skip(1)) {
            assert!((right / left - ratio).abs() < 1e-4, "{left} {right}");
        }
    }
}
