//! A few runs of a window in their own words, for people and for the optimizer. All of it is hostile text.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{Bounded, Reward};
use crate::base::Digest;
use crate::decode::Run;

/// Exemplars kept of each kind.
const MAX_EXEMPLARS: usize = 3;
/// Ways to fail of which an exemplar is kept.
const MAX_WAYS: usize = 8;

/// A few telling runs: the failures that took longest, one of each of a few ways to fail, the successes
/// that earned most. Ties are broken by a hash of the trace id, so that the choice depends on the runs
/// alone.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Exemplars {
    /// The worst failures, the worst first.
    pub worst: Vec<Exemplar>,
    /// The best successes, the best first.
    pub best: Vec<Exemplar>,
    /// The worst failure with each error signature.
    #[serde(default)]
    pub of_signature: Bounded<Option<Exemplar>, MAX_WAYS>,
}

/// One telling run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exemplar {
    /// How telling: higher comes first.
    pub rank: (i64, u64),
    /// The run's id.
    pub trace_id: String,
    /// Seconds it took.
    pub latency: f64,
    /// Tool calls it made.
    pub attempts: u32,
    /// The error it ended with, as windows count it: hostile text.
    #[serde(default)]
    pub signature: Option<String>,
    /// Task, last steps and result in a few lines: hostile text.
    pub excerpt: String,
}

impl Exemplars {
    pub(super) fn add(&mut self, run: &Run, reward: Reward, success: bool) {
        let millis = run.end.millis_since(run.start);
        let (list, score) =
            if success { (&mut self.best, reward.total()) } else { (&mut self.worst, millis) };
        // A cheap look first: most runs are not telling, and hashes take their time.
        let full = list.len() == MAX_EXEMPLARS;
        let told = !(full && list.last().is_some_and(|last| last.rank.0 > score));
        let failed = run.signature.as_deref().filter(|_| !success);
        if !told && failed.is_none() {
            return;
        }
        let rank = (score, Digest::hash64(run.trace_id.as_bytes()));
        if told {
            list.push(Exemplar::of(run, rank));
            keep_top(list);
        }
        if let Some(signature) = failed
            && let Some(kept) = self.of_signature.entry(signature)
            && kept.as_ref().is_none_or(|kept| kept.rank <= rank)
        {
            keep_worse(kept, &Exemplar::of(run, rank));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.worst.extend_from_slice(&other.worst);
        keep_top(&mut self.worst);
        self.best.extend_from_slice(&other.best);
        keep_top(&mut self.best);
        self.of_signature.merge(&other.of_signature, |ours, theirs| {
            if let Some(theirs) = theirs {
                keep_worse(ours, theirs);
            }
        });
    }
}

impl Exemplar {
    fn of(run: &Run, rank: (i64, u64)) -> Self {
        Self {
            rank,
            trace_id: run.trace_id.clone(),
            latency: run.latency(),
            attempts: run.attempts,
            signature: run.signature.clone(),
            excerpt: run.excerpt.clone(),
        }
    }

    /// Which of two comes first, by everything an exemplar holds: a trace may come twice under one id,
    /// and which of the two is kept must not depend on which came first.
    fn order(&self, other: &Self) -> Ordering {
        (other.rank.cmp(&self.rank))
            .then_with(|| self.trace_id.cmp(&other.trace_id))
            .then_with(|| self.latency.total_cmp(&other.latency))
            .then_with(|| self.attempts.cmp(&other.attempts))
            .then_with(|| self.signature.cmp(&other.signature))
            .then_with(|| self.excerpt.cmp(&other.excerpt))
    }
}

fn keep_worse(kept: &mut Option<Exemplar>, other: &Exemplar) {
    if kept.as_ref().is_none_or(|kept| other.order(kept) == Ordering::Less) {
        *kept = Some(other.clone());
    }
}

fn keep_top(list: &mut Vec<Exemplar>) {
    list.sort_by(Exemplar::order);
    list.truncate(MAX_EXEMPLARS);
}
