//! Shares of successes, and whether two measurements of the same tasks differ. Pure.

use serde::Serialize;
use whetstone::gauge::{Proportion, wilson};

/// How many of some tasks succeeded.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Score {
    /// Successes.
    pub(crate) hits: u64,
    /// Tasks.
    pub(crate) cases: u64,
    /// Their share, with its 95 % interval.
    pub(crate) success: Proportion,
}

impl Score {
    /// The score of `results`, a success being true.
    pub(crate) fn of(results: &[bool]) -> Self {
        let (hits, cases) = (count(results.iter().filter(|hit| **hit)), count(results.iter()));
        Self { hits, cases, success: wilson(hits, cases) }
    }
}

/// How the same tasks fared before and after.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Paired {
    /// Share of successes after, less that before.
    pub(crate) difference: f64,
    /// Tasks that succeeded only after.
    pub(crate) gained: u64,
    /// Tasks that succeeded only before.
    pub(crate) lost: u64,
    /// How likely at least so uneven a split of gained and lost is by chance, two-sided.
    pub(crate) p: f64,
}

impl Paired {
    /// Compares two measurements of the same tasks in the same order.
    pub(crate) fn of(before: &[bool], after: &[bool]) -> Self {
        let changed = |from: bool| {
            let pairs = before.iter().zip(after);
            count(pairs.filter(|(before, after)| **before == from && **after != from))
        };
        let (gained, lost) = (changed(false), changed(true));
        let cases = count(before.iter()).max(1);
        Self {
            difference: (float(gained) - float(lost)) / float(cases),
            gained,
            lost,
            p: mcnemar(gained, lost),
        }
    }
}

/// McNemar's test in its exact form: both sides of a binomial with probability 1/2.
fn mcnemar(gained: u64, lost: u64) -> f64 {
    let (fewer, all) = (gained.min(lost), gained + lost);
    // C(all, k) / 2^all, from k to k + 1; its logarithm, since 2^all may not fit.
    let mut ln_term = -float(all) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in 0..=fewer {
        tail += ln_term.exp();
        ln_term += (float(all - k) / float(k + 1)).ln();
    }
    (2.0 * tail).min(1.0)
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    items.fold(0, |count, _| count + 1)
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_test_is_mcnemars() {
        let check = |gained, lost, p: f64| {
            let found = mcnemar(gained, lost);
            assert!((found - p).abs() < 1e-9, "{gained} {lost}: {found}");
        };
        check(0, 0, 1.0);
        check(1, 1, 1.0);
        check(5, 0, 0.0625);
        check(0, 5, 0.0625);
        check(9, 1, 0.021_484_375);
        assert!(mcnemar(2000, 0) < 1e-100);
    }

    #[test]
    fn only_what_changed_counts() {
        let paired = Paired::of(&[true, true, false, false], &[true, false, true, true]);
        assert_eq!((paired.gained, paired.lost), (2, 1));
        assert!((paired.difference - 0.25).abs() < 1e-12);
        assert_eq!(Score::of(&[true, false, true]).hits, 2);
    }
}
