//! The ways in which an agent fails now, and how often its earlier versions failed so: what candidates are
//! compared by, since the same run never happens under two versions. Pure.
//!
//! An earlier version that failed less in some way, though not better on the whole, knows something that
//! the present one does not: L. Agrawal et al. (GEPA, 2025) keep such on a Pareto front over the items of
//! a benchmark; here the ways to fail take the items' place.

use super::mining::{Cluster, mine};
use super::patterns::{Contrast, Toward, statement};
use crate::fold::{Counts, Split};
use crate::govern::{Edit, Past, Request};

/// The most ways to fail that are told apart.
const MAX_STRATA: usize = 6;
/// Runs that a version needs before its rates say anything.
const MIN_RUNS: u64 = 10;
/// Rates of few runs are drawn towards the common rate as if so many more runs had it.
const PRIOR_RUNS: f64 = 10.0;
/// How likely a difference in rates may be by chance.
const LEVEL: f64 = 0.05;
/// A difference in rates worth speaking of.
const MIN_GAIN: f64 = 0.05;

/// A way to fail.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stratum {
    /// `F1` for the commonest, and so on.
    pub(super) label: String,
    /// The error signatures that belong to it: hostile text.
    pub(super) cluster: Cluster,
    /// Failures of the window.
    pub(super) failures: u64,
}

/// All of them, the commonest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Strata {
    pub(super) list: Vec<Stratum>,
    /// All failures of the window, those of no stratum included.
    pub(super) failures: u64,
    runs: u64,
}

/// An earlier version that failed less in some way than the present one does.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Better<'a> {
    pub(super) past: &'a Past,
    /// The stratum, as a place in the list.
    pub(super) stratum: usize,
    /// The share of its runs that failed so.
    pub(super) then: f64,
    /// The same now.
    pub(super) now: f64,
}

impl Strata {
    /// Those of the window of `request`.
    pub(super) fn of(request: &Request) -> Self {
        let window = &request.window;
        let now = window.signatures.iter().map(|(text, count)| (text, *count));
        // Together, so that one fault has one template in all versions.
        let past = request.history.iter().flat_map(|past| &past.failures);
        let past = past.map(|(text, _)| (text.as_str(), 0));
        let known = |text: &str| window.signatures.get(text).is_some();
        let clusters = mine(now.chain(past.filter(|(text, _)| !known(text))));
        let living = clusters.into_iter().filter(|cluster| cluster.count > 0).take(MAX_STRATA);
        let list = living.enumerate().map(|(index, cluster)| Stratum {
            label: format!("F{}", index + 1),
            failures: cluster.count,
            cluster,
        });
        let (failures, runs) = (window.counts.failure, window.counts.known());
        Self { list: list.collect(), failures, runs }
    }

    /// The place of the stratum called `label`.
    pub(super) fn place(&self, label: &str) -> Option<usize> {
        self.list.iter().position(|stratum| stratum.label == label)
    }

    /// The label of the stratum whose error `edit` states.
    pub(super) fn stated_in(&self, edit: &Edit) -> Option<String> {
        let Edit::AddBullet { text } = edit else { return None };
        let states = |stratum: &&Stratum| {
            let error = stratum.cluster.template.split_once(": ").map(|(_, error)| error);
            error.and_then(statement).is_some_and(|said| text.contains(&said))
        };
        self.list.iter().find(states).map(|stratum| stratum.label.clone())
    }

    /// The place of the stratum that `signature` belongs to.
    pub(super) fn of_signature(&self, signature: &str) -> Option<usize> {
        self.list.iter().position(|stratum| stratum.cluster.has(signature))
    }

    /// The share of all failures that are in the stratum at `place`, 0 to 1.
    pub(super) fn share(&self, place: usize) -> f64 {
        let count = self.list.get(place).map_or(0, |stratum| stratum.failures);
        if self.failures == 0 { 0.0 } else { (real(count) / real(self.failures)).min(1.0) }
    }

    /// Versions on the front: each beats the present one in some way to fail, and no other version is at
    /// least as good in all of them. One entry for a version: where it gains most.
    pub(super) fn front<'a>(&self, request: &'a Request) -> Vec<Better<'a>> {
        let now = self.rates(self.runs, |stratum| stratum.failures);
        let past = request.history.iter().filter(|past| past.number != request.parent);
        let rated: Vec<_> = past
            .filter(|past| past.held.known() >= MIN_RUNS)
            .map(|past| (past, self.rates(past.held.known(), |stratum| failed_so(past, stratum))))
            .collect();
        let beaten = |rates: &[f64]| {
            rated.iter().any(|(_, other)| {
                let mut pairs = other.iter().zip(rates);
                other.as_slice() != rates && pairs.all(|(theirs, ours)| theirs <= ours)
            })
        };
        let front = rated.iter().filter(|(_, rates)| !beaten(rates));
        let mut better: Vec<_> = front
            .filter_map(|(past, rates)| {
                let gains = rates.iter().zip(&now).enumerate();
                let best = gains.max_by(|(_, a), (_, b)| (a.1 - a.0).total_cmp(&(b.1 - b.0)));
                let (stratum, (then, now)) = best?;
                let (past, then, now) = (*past, *then, *now);
                let better = now - then >= MIN_GAIN && self.surely(past, stratum);
                better.then_some(Better { past, stratum, then, now })
            })
            .collect();
        better.sort_by(|a, b| (b.now - b.then).total_cmp(&(a.now - a.then)));
        better
    }

    /// Whether `past` failed less so than the present version by more than chance.
    fn surely(&self, past: &Past, stratum: usize) -> bool {
        let Some(stratum) = self.list.get(stratum) else { return false };
        let split = |failure: u64, runs: u64| {
            let failure = failure.min(runs);
            Split { success: runs - failure, failure }
        };
        let then = split(failed_so(past, stratum), past.held.known());
        let now = split(stratum.failures, self.runs);
        let all = Counts {
            success: then.success + now.success,
            failure: then.failure + now.failure,
            ..Counts::default()
        };
        let contrast = Contrast::of(then, all);
        contrast.is_some_and(|contrast| contrast.p_value(Toward::Success) <= LEVEL)
    }

    /// By stratum, the share of `runs` runs that failed so.
    fn rates(&self, runs: u64, failures: impl Fn(&Stratum) -> u64) -> Vec<f64> {
        let rate = |stratum: &Stratum| {
            let common = real(stratum.failures) / real(self.runs.max(1));
            (real(failures(stratum)) + PRIOR_RUNS * common) / (real(runs) + PRIOR_RUNS)
        };
        self.list.iter().map(rate).collect()
    }
}

fn failed_so(past: &Past, stratum: &Stratum) -> u64 {
    let own = past.failures.iter().filter(|(text, _)| stratum.cluster.has(text));
    own.map(|(_, count)| count).sum()
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::VersionNumber;
    use crate::fold::Counts;
    use crate::optimize::fixture::request;

    fn past(number: u32, failure: u64, failures: &[(&str, u64)]) -> Past {
        let failures = failures.iter().map(|(text, count)| ((*text).to_owned(), *count)).collect();
        let held = Counts { success: 100 - failure, failure, ..Counts::default() };
        Past { number: VersionNumber(number), held, failures, ..request().history.remove(0) }
    }

    #[test]
    fn the_ways_to_fail_are_counted_in_this_window_and_named_by_size() {
        let strata = Strata::of(&request());
        let shown: Vec<_> = strata.list.iter().map(|s| (s.label.as_str(), s.failures)).collect();
        assert_eq!(shown, [("F1", 12)]);
        assert!((strata.share(0) - 1.0).abs() < 1e-9);
        assert_eq!(strata.of_signature("bad_tool: connection refused"), Some(0));
        assert_eq!((strata.place("F1"), strata.place("F2")), (Some(0), None));
    }

    #[test]
    fn a_version_that_failed_less_in_some_way_is_on_the_front() {
        let refused = "bad_tool: connection refused";
        let mut request = request();
        request.history = vec![
            past(1, 90, &[(refused, 2), ("odd", 88)]),
            past(4, 60, &[(refused, 40)]),
            past(5, 60, &[(refused, 41)]),
            past(6, 5, &[(refused, 5)]),
        ];
        request.history[3].held = Counts { success: 4, failure: 5, ..Counts::default() };
        let strata = Strata::of(&request);
        let front: Vec<_> = strata.front(&request).iter().map(|b| b.past.number.0).collect();
        assert_eq!(front, [1], "4 and 5 are beaten by 1 in the only way there is, 6 has few runs");
        let better = &strata.front(&request)[0];
        assert!(better.then < 0.1 && better.now > 0.4, "{better:?}");
    }
}
