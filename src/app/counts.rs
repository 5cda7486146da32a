//! What the aggregate role did, for those who count. Counted only when it is stored: what comes to nothing is done
//! again, and would be counted twice.

use std::collections::BTreeMap;

use super::decode::Kind;
use crate::base::Metrics;
use crate::decode::Outcome;
use crate::govern::Tally;

/// What came of events.
#[derive(Default)]
pub(super) struct Counts {
    tally: Tally,
    /// Of traces that were read without a way through `agent-events`, runs and what else there was.
    runs: BTreeMap<Outcome, u64>,
    others: Vec<Kind>,
    /// Of those, that were not where their agent is.
    passed_on: u64,
}

impl Counts {
    /// Takes what an event made of an agent's tally.
    pub(super) fn note(&mut self, before: Tally, after: Tally) {
        let Tally { duplicate, late, unknown_version, labels, .. } = &mut self.tally;
        *duplicate += after.duplicate - before.duplicate;
        *late += after.late - before.late;
        *unknown_version += after.unknown_version - before.unknown_version;
        labels.add(after.labels.since(before.labels));
    }

    /// Takes what a trace was read as.
    pub(super) fn read(&mut self, kind: Kind) {
        match kind {
            Kind::Run(outcome) => *self.runs.entry(outcome).or_default() += 1,
            other => self.others.push(other),
        }
    }

    /// Takes what was passed on of a trace.
    pub(super) fn pass_on(&mut self, kind: Kind) {
        self.passed_on += u64::from(!matches!(kind, Kind::Letter(_)));
        self.read(kind);
    }

    /// Adds all of `other`.
    pub(super) fn add(&mut self, other: Self) {
        self.note(Tally::default(), other.tally);
        for (outcome, runs) in other.runs {
            *self.runs.entry(outcome).or_default() += runs;
        }
        self.others.extend(other.others);
        self.passed_on += other.passed_on;
    }

    pub(super) fn show(&self, metrics: &Metrics) {
        let Tally { duplicate, late, unknown_version, labels, .. } = self.tally;
        for (outcome, runs) in &self.runs {
            metrics.runs.with_label_values(&[outcome.name()]).inc_by(*runs);
        }
        self.others.iter().for_each(|kind| kind.count(metrics));
        metrics.traces_passed_on.inc_by(self.passed_on);
        let refused =
            [("duplicate", duplicate), ("late", late), ("unknown_version", unknown_version)];
        for (reason, count) in refused {
            metrics.runs_refused.with_label_values(&[reason]).inc_by(count);
        }
        for (result, count) in labels.results() {
            metrics.labels.with_label_values(&[result]).inc_by(count);
        }
        metrics.runs_labelled.inc_by(labels.labelled);
        let unlabelled = [("after_window", labels.after_window), ("given_up", labels.given_up)];
        for (reason, count) in unlabelled {
            metrics.runs_unlabelled.with_label_values(&[reason]).inc_by(count);
        }
    }
}
