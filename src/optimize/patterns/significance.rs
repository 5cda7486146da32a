//! Whether a property of runs goes with an outcome, or chance would do.
//!
//! One property is tested with Fisher's exact test, one-sided: given how many runs have the property
//! and how many succeeded, how likely is it that this many or more have both? (R. A. Fisher, "The
//! Logic of Inductive Inference", J. R. Stat. Soc. 98, 1935.) It is exact for the few runs of a
//! window, where normal approximations fail.
//!
//! A window is asked about dozens of properties, so some would look telling by chance. All tests of
//! a window are judged together by the false discovery rate of Y. Benjamini and Y. Hochberg (J. R.
//! Stat. Soc. B 57, 1995): of the properties claimed, one in ten may be none, and where nothing goes
//! with anything, at most one window in ten claims something. A test that could not succeed whatever
//! the outcomes, because too few runs have the property, is not counted: R. E. Tarone (Biometrics
//! 46, 1990) for Bonferroni, P. B. Gilbert (J. R. Stat. Soc. C 54, 2005) for the false discovery
//! rate. Which those are depends on the margins alone, on which Fisher's test conditions.
//!
//! None of this makes a cause of a correlation: that is for live traces to prove.

use super::{real, share};
use crate::fold::{Counts, Split};

/// The share of false claims among all claims.
const FALSE_DISCOVERY_RATE: f64 = 0.1;
/// Runs needed on each side: with and without the property, successes and failures.
pub(super) const MIN_RUNS: u64 = 5;
/// More runs than any window holds: beyond, logarithms of factorials lose their digits.
const MAX_RUNS: u64 = 1 << 32;

/// An outcome that a property may go with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::optimize) enum Toward {
    Success,
    Failure,
}

/// Runs with a property against those without, enough of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::optimize) struct Contrast {
    pub(super) with: Split,
    pub(super) without: Split,
}

impl Toward {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Success => Self::Failure,
            Self::Failure => Self::Success,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }

    fn of(self, runs: Split) -> u64 {
        match self {
            Self::Success => runs.success,
            Self::Failure => runs.failure,
        }
    }
}

impl Contrast {
    /// Of all runs, those `with` a property against the others; `None` if some side is too small
    /// for any claim.
    pub(in crate::optimize) fn of(with: Split, all: Counts) -> Option<Self> {
        let without = Split {
            success: all.success.checked_sub(with.success)?,
            failure: all.failure.checked_sub(with.failure)?,
        };
        let smallest = all.success.min(all.failure);
        let large = all.success.max(all.failure) > MAX_RUNS;
        let enough = smallest >= MIN_RUNS && !large;
        let enough = enough && with.total() >= MIN_RUNS && without.total() >= MIN_RUNS;
        enough.then_some(Self { with, without })
    }

    /// How likely this or more is by chance.
    pub(in crate::optimize) fn p_value(&self, toward: Toward) -> f64 {
        self.tail(toward, toward.of(self.with))
    }

    /// The least that [`Contrast::p_value`] could be with these margins.
    fn least_p_value(&self, toward: Toward) -> f64 {
        let hits = toward.of(self.with) + toward.of(self.without);
        self.tail(toward, hits.min(self.with.total()))
    }

    /// How much more often runs with the property end `toward`, −1 to 1.
    pub(super) fn effect(&self, toward: Toward) -> f64 {
        share(toward.of(self.with), self.with.total())
            - share(toward.of(self.without), self.without.total())
    }

    fn tail(&self, toward: Toward, hits: u64) -> f64 {
        let drawn = self.with.total();
        let all = drawn + self.without.total();
        upper_tail(hits, drawn, toward.of(self.with) + toward.of(self.without), all)
    }
}

/// Which of `tests` hold, all accounted for: see the module's page.
pub(super) fn hold<'a>(tests: impl Iterator<Item = (&'a Contrast, Toward)>) -> Vec<bool> {
    let rate = FALSE_DISCOVERY_RATE;
    let values: Vec<_> = tests
        .map(|(contrast, toward)| (contrast.p_value(toward), contrast.least_p_value(toward)))
        .collect();
    // Tarone's K: the least number for which no more than K tests can reach the K-th part of the rate.
    let able = |k: u64| values.iter().filter(move |(_, least)| *least <= rate / real(k)).count();
    let k = (1..).find(|k| able(*k) as u64 <= *k).unwrap_or(1);
    let counted = |least: f64| least <= rate / real(k);

    let mut sorted: Vec<_> =
        values.iter().filter(|(_, least)| counted(*least)).map(|(p, _)| *p).collect();
    sorted.sort_by(f64::total_cmp);
    let tests = real(sorted.len() as u64);
    let passing = (1..).zip(&sorted).filter(|(rank, p)| **p <= rate * real(*rank) / tests);
    let Some((_, bar)) = passing.last() else { return vec![false; values.len()] };
    values.iter().map(|(p, least)| counted(*least) && p <= bar).collect()
}

/// The chance of at least `hits` hits among `drawn` of `all`, `of` which are hits: the upper tail of
/// the hypergeometric distribution. 1 where `hits` is no more than to be expected.
fn upper_tail(hits: u64, drawn: u64, of: u64, all: u64) -> f64 {
    if u128::from(hits) * u128::from(all) <= u128::from(drawn) * u128::from(of) {
        return 1.0;
    }
    let misses = all - of;
    let start = ln_choose(of, hits) + ln_choose(misses, drawn - hits) - ln_choose(all, drawn);
    let mut term = start.exp();
    let mut sum = 0.0;
    // Above the expected number each term is smaller than the one before.
    for hits in hits..=drawn.min(of) {
        sum += term;
        if term <= sum * 1e-17 {
            break;
        }
        term *= real(of - hits) * real(drawn - hits)
            / (real(hits + 1) * real((misses + hits + 1).saturating_sub(drawn).max(1)));
    }
    sum.clamp(0.0, 1.0)
}

fn ln_choose(n: u64, k: u64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n.saturating_sub(k))
}

/// Exact below 16; Stirling's series above, right to twelve digits.
fn ln_factorial(n: u64) -> f64 {
    if n < 16 {
        return real((1..=n).product::<u64>()).ln();
    }
    let x = real(n);
    let correction = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + correction
}

/// The least rate that `part` in `whole` speaks for, at 99.5 % one-sided confidence (E. B. Wilson,
/// J. Am. Stat. Assoc. 22, 1927), as if only `sample` of the whole were independent.
pub(super) fn rate_at_least(part: u64, whole: u64, sample: u64) -> f64 {
    const Z: f64 = 2.576;
    if sample == 0 {
        return 0.0;
    }
    let (p, n) = (share(part, whole), real(sample));
    let centre = p + Z * Z / (2.0 * n);
    let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((centre - spread) / (1.0 + Z * Z / n)).max(0.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contrast(with: (u64, u64), without: (u64, u64)) -> Contrast {
        let split = |(success, failure)| Split { success, failure };
        Contrast { with: split(with), without: split(without) }
    }

    #[test]
    fn the_test_gives_the_known_values() {
        let check = |with, without, expected: f64| {
            let p = contrast(with, without).p_value(Toward::Success);
            assert!((p / expected - 1.0).abs() < 1e-9, "{with:?} {without:?}: {p}");
        };
        // Fisher's tea: 3 of 4 cups right, 17 of 70 ways to do that well.
        check((3, 1), (1, 3), 17.0 / 70.0);
        check((5, 0), (0, 5), 1.0 / 252.0);
        check((4, 1), (1, 4), 26.0 / 252.0);
        check((10, 0), (0, 10), 1.0 / 184_756.0);
        // Less than expected is no evidence at all.
        check((1, 3), (3, 1), 1.0);
    }

    #[test]
    fn a_claim_needs_five_runs_on_every_side() {
        let all = |success, failure| Counts { success, failure, ..Counts::default() };
        let check = |with: (u64, u64), all: Counts, enough: bool| {
            let with = Split { success: with.0, failure: with.1 };
            assert_eq!(Contrast::of(with, all).is_some(), enough, "{with:?} of {all:?}");
        };
        check((5, 0), all(5, 5), true);
        check((4, 0), all(5, 5), false);
        check((5, 1), all(5, 5), false);
        check((5, 5), all(4, 90), false);
        check((6, 0), all(5, 5), false);
        check((50, 50), all(u64::MAX, 50), false);
    }

    #[test]
    fn one_strong_effect_among_many_tests_holds_and_chance_does_not() {
        let strong = contrast((18, 2), (3, 17));
        let weak = contrast((12, 8), (9, 11));
        let tests = |count: usize| {
            let weak = std::iter::repeat_n((&weak, Toward::Success), count);
            hold(std::iter::once((&strong, Toward::Success)).chain(weak))
        };
        assert_eq!(tests(0), [true]);
        assert_eq!(tests(3), [true, false, false, false]);
        assert!(tests(200).iter().filter(|held| **held).eq([&true]));
        assert_eq!(hold(std::iter::empty()), Vec::<bool>::new());
        assert_eq!(hold([(&strong, Toward::Failure)].into_iter()), [false]);
    }

    #[test]
    fn a_test_that_cannot_succeed_costs_the_others_nothing() {
        let telling = contrast((9, 1), (11, 19));
        let alone = hold([(&telling, Toward::Success)].into_iter());
        assert_eq!(alone, [true]);
        let hopeless = contrast((20, 15), (0, 5));
        let many = std::iter::repeat_n((&hopeless, Toward::Success), 50);
        let rare = hold(std::iter::once((&telling, Toward::Success)).chain(many));
        assert_eq!(rare.first(), Some(&true));
    }

    #[test]
    fn a_rate_is_only_believed_as_far_as_the_sample_goes() {
        let check = |part, whole, sample, from: f64, to: f64| {
            let rate = rate_at_least(part, whole, sample);
            assert!((from..to).contains(&rate), "{part} of {whole} by {sample}: {rate}");
        };
        check(50, 100, 100, 0.37, 0.39);
        check(50, 100, 5, 0.10, 0.15);
        check(0, 100, 100, 0.0, 0.01);
        check(9, 3, 5, 0.4, 0.5);
        check(0, 0, 0, 0.0, 0.01);
    }

    proptest! {
        #[test]
        fn a_p_value_is_a_probability_and_both_tails_cover_everything(
            with in (0u64..3000, 0u64..3000), without in (0u64..3000, 0u64..3000),
        ) {
            let contrast = contrast(with, without);
            let (up, down) =
                (contrast.p_value(Toward::Success), contrast.p_value(Toward::Failure));
            prop_assert!((0.0..=1.0).contains(&up) && (0.0..=1.0).contains(&down));
            prop_assert!(up + down >= 1.0 - 1e-9);
            prop_assert!(contrast.least_p_value(Toward::Success) <= up * (1.0 + 1e-9));
        }
    }
}
