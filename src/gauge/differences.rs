//! Differences between two arms, block by block, and what they prove. Keeps counts, no capital.
//!
//! A block is some runs of the candidate and some of the baseline, and its difference D in [−1, 1] the
//! candidate's mean less the baseline's. For a margin δ, betting λ that the mean of D is above it,
//!
//! ```text
//! E(δ) = mean over λ of  Π over blocks ( 1 + λ·(D − δ)/(1 + δ) )
//! ```
//!
//! is an e-process for "the mean of D is at most δ": every factor is positive, and none is expected to
//! be above 1. The other direction is its mirror image. (Waudby-Smith & Ramdas 2020, arXiv 2010.09686.)
//!
//! The capital of a fixed bet does not depend on the order of the blocks, so how often each value of D
//! came is all there is to know. D is therefore rounded to a hundredth, up or down by chance so that
//! its expectation stays exactly what it was, and counted. State is then whole numbers, a few hundred
//! bytes; it merges in any order, replays bit for bit, and answers for any δ that is asked of it later.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::evidence::{BETS, mixed};

/// How often each difference came, in hundredths from −100 to 100.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences(BTreeMap<i8, u64>);

impl Differences {
    /// Steps to one whole.
    const STEPS: i128 = 100;
    /// Halvings that a bound is searched with: far below a hundredth.
    const HALVINGS: u32 = 16;

    /// Adds the block whose difference is `numerator / denominator`, in [−1, 1]; the denominator is
    /// above 0. `dither` decides how it is rounded: it must be uniform and know nothing of the outcome.
    pub fn add(&mut self, numerator: i128, denominator: i128, dither: u32) {
        let denominator = denominator.max(1);
        let scaled = numerator * Self::STEPS;
        let (floor, rest) = (scaled.div_euclid(denominator), scaled.rem_euclid(denominator));
        // Up with a probability of rest/denominator.
        let up = (rest << 32) > i128::from(dither) * denominator;
        let step = (floor + i128::from(up)).clamp(-Self::STEPS, Self::STEPS);
        *self.0.entry(i8::try_from(step).unwrap_or_default()).or_default() += 1;
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (step, count) in &other.0 {
            *self.0.entry(*step).or_default() += count;
        }
    }

    /// How many blocks there were.
    pub fn blocks(&self) -> u64 {
        self.0.values().sum()
    }

    /// The mean difference; `None` without blocks.
    pub fn mean(&self) -> Option<f64> {
        let (mut blocks, mut sum) = (0.0, 0.0);
        for (difference, count) in self.each(1.0) {
            blocks += count;
            sum += count * difference;
        }
        (blocks > 0.0).then(|| sum / blocks)
    }

    /// ln of the e-value against "the mean is at most `delta`"; `delta` in (−1, 1).
    pub fn ln_e_above(&self, delta: f64) -> f64 {
        self.ln_e(1.0, delta, 1.0)
    }

    /// The same if each block had come `times` as often; for forecasts.
    pub fn ln_e_above_at(&self, times: f64, delta: f64) -> f64 {
        self.ln_e(1.0, delta, times)
    }

    /// ln of the e-value against "the mean is at least `delta`"; `delta` in (−1, 1).
    pub fn ln_e_below(&self, delta: f64) -> f64 {
        self.ln_e(-1.0, -delta, 1.0)
    }

    /// The confidence sequence: an interval that holds the mean at all times at once, but for a
    /// probability of `alpha`.
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        let bar = (2.0 / alpha).ln();
        let low = Self::bound(|delta| self.ln_e_above(delta) >= bar);
        let high = -Self::bound(|delta| self.ln_e_below(-delta) >= bar);
        (low, high)
    }

    /// The highest margin in [−1, 1] that is `refuted`; refuted margins lie below those that are not.
    fn bound(refuted: impl Fn(f64) -> bool) -> f64 {
        let (mut low, mut high) = (-1.0, 1.0);
        for _ in 0..Self::HALVINGS {
            let middle = f64::midpoint(low, high);
            if refuted(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        if low > -1.0 { low } else { -1.0 }
    }

    fn ln_e(&self, sign: f64, delta: f64, times: f64) -> f64 {
        let mut lns = [0.0; BETS.len()];
        for (difference, count) in self.each(sign) {
            let surplus = (difference - delta) / (1.0 + delta);
            for (ln, bet) in lns.iter_mut().zip(BETS) {
                *ln += times * count * (bet * surplus).ln_1p();
            }
        }
        mixed(lns)
    }

    /// Differences times `sign`, and how often each came.
    fn each(&self, sign: f64) -> impl Iterator<Item = (f64, f64)> {
        #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
        self.0.iter().map(move |(step, count)| (sign * f64::from(*step) / 100.0, *count as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(numerator: i128, denominator: i128, dither: u32) -> i8 {
        let mut differences = Differences::default();
        differences.add(numerator, denominator, dither);
        *differences.0.keys().next().unwrap()
    }

    #[test]
    fn rounding_keeps_the_expectation() {
        assert_eq!(rounded(1, 2, 0), 50);
        assert_eq!(rounded(1, 2, u32::MAX), 50, "what is a hundredth is not rounded");
        assert_eq!(rounded(1, 1, u32::MAX), 100);
        assert_eq!(rounded(-1, 1, 0), -100);
        // A third is 33 hundredths and a third of one.
        let third = u32::MAX / 3;
        assert_eq!((rounded(1, 3, third - 1), rounded(1, 3, third + 1)), (34, 33));
        assert_eq!((rounded(-1, 3, 2 * third - 1), rounded(-1, 3, 2 * third + 2)), (-33, -34));
    }

    #[test]
    fn an_interval_holds_the_mean_and_closes_in() {
        let mut differences = Differences::default();
        let mut width = 2.0;
        for blocks in [0, 10, 100, 1000] {
            while differences.blocks() < blocks {
                let hit = differences.blocks() % 2 == 0;
                differences.add(i128::from(hit), 2, 0);
            }
            let (low, high) = differences.interval(0.05);
            let mean = differences.mean().unwrap_or_default();
            assert!(low <= mean && mean <= high, "{low} {mean} {high}");
            assert!(high - low <= width, "{blocks} blocks: {low} to {high}");
            width = high - low;
        }
        assert!(width < 0.1, "{width}");
    }

    #[test]
    fn parts_merge_to_the_whole_in_any_order() {
        let mut rng = fastrand::Rng::with_seed(2);
        let mut whole = Differences::default();
        let mut parts = vec![Differences::default(); 5];
        for _ in 0..500 {
            let (numerator, dither) = (rng.i128(-12..=12), rng.u32(..));
            whole.add(numerator, 12, dither);
            rng.choice(&mut parts).unwrap().add(numerator, 12, dither);
        }
        for _ in 0..10 {
            rng.shuffle(&mut parts);
            let mut merged = Differences::default();
            for part in &parts {
                merged.merge(part);
            }
            assert_eq!(merged, whole);
        }
        assert_eq!(whole.blocks(), 500);
    }

    /// Ville's inequality, looking after each block, on differences of several shapes without mean.
    #[test]
    fn looking_after_each_block_costs_nothing() {
        for numerators in [&[-1i128, 1][..], &[-9, 1, 1, 1, 1, 1, 1, 1, 1, 1], &[0, 0, 0, -3, 3]] {
            let most = numerators.iter().map(|n| n.abs()).max().unwrap_or(1);
            let mut rng = fastrand::Rng::with_seed(9);
            let raised = (0..1000).filter(|_| {
                let mut differences = Differences::default();
                (0..200).any(|_| {
                    let numerator = *rng.choice(numerators).unwrap();
                    differences.add(numerator, most, rng.u32(..));
                    differences.ln_e_above(0.0) >= 20f64.ln()
                })
            });
            let raised = raised.count();
            assert!(raised <= 50 + 3 * 7, "{raised} of 1000 at 5 %: {numerators:?}");
        }
    }

    #[test]
    fn one_direction_is_the_mirror_of_the_other() {
        let (mut plus, mut minus) = (Differences::default(), Differences::default());
        for value in [3, -1, 4, 1, -5, 9, 2, 6] {
            plus.add(value, 10, 0);
            minus.add(-value, 10, 0);
        }
        for delta in [-0.3, 0.0, 0.2] {
            let difference = plus.ln_e_above(delta) - minus.ln_e_below(-delta);
            assert!(difference.abs() < 1e-12, "{delta}: {difference}");
        }
    }
}
