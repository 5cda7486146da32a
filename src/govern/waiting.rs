//! Runs that wait for somebody to say how they turned out. Judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::base::{Digest, EventTime, Tracked, VersionNumber};
use crate::decode::{Outcome, Run};

/// The waiting runs of one agent, each stored by itself under a hash of its id.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    runs: BTreeMap<u64, Tracked<Unlabelled>>,
    /// Stored once, gone since.
    gone: BTreeSet<u64>,
    /// In the order in which they are let go.
    order: BTreeSet<(EventTime, u64)>,
    /// Those that are part of a trace, by a hash of its id.
    traces: BTreeSet<(u64, u64)>,
}

/// A run that waits, and where it was counted as one whose outcome is unknown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Unlabelled {
    /// The run, its outcome unknown.
    pub(super) run: Run,
    /// The outcome that it came with; it counts when the wait is over.
    pub(super) own: Outcome,
    /// The version it was booked to, and whether it did not name it itself.
    pub(super) version: VersionNumber,
    pub(super) attributed: bool,
    /// Its pane, if one took it.
    pub(super) pane: Option<i64>,
    /// The salt of the trial that took note of it.
    pub(super) trial: Option<String>,
    /// The last moment at which a label is heard.
    pub(super) until: EventTime,
}

/// What an id is known by.
pub(super) fn hash(id: &str) -> u64 {
    Digest::hash64(id.as_bytes())
}

impl Waiting {
    /// Runs as they were read from where they are stored.
    pub(super) fn stored(runs: BTreeMap<u64, Unlabelled>) -> Self {
        let mut waiting = Self::default();
        for (id, unlabelled) in runs {
            waiting.index(id, &unlabelled);
            waiting.runs.insert(id, Tracked::stored(unlabelled));
        }
        waiting
    }

    /// The runs to be stored, and as `None` those to be taken out of the store; takes that for done from
    /// here on.
    pub(super) fn take_changes(&mut self) -> impl Iterator<Item = (u64, Option<&Unlabelled>)> {
        // One that came back is not gone.
        let Self { runs, gone, .. } = self;
        let mut gone = std::mem::take(gone);
        gone.retain(|id| !runs.contains_key(id));
        let changed = runs.iter_mut();
        let changed = changed.filter_map(|(id, run)| Some((*id, Some(run.take_change()?))));
        gone.into_iter().map(|id| (id, None)).chain(changed)
    }

    pub(super) fn len(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        !self.runs.is_empty() && self.runs.contains_key(&hash(id))
    }

    /// The runs that a label of `id` is about: the one of that id, and those of the trace of that id.
    pub(super) fn meant_by(&self, id: &str) -> Vec<u64> {
        let id = hash(id);
        let own = self.runs.contains_key(&id).then_some(id);
        let part = self.traces.range((id, u64::MIN)..=(id, u64::MAX)).map(|(_, run)| *run);
        own.into_iter().chain(part).collect()
    }

    pub(super) fn insert(&mut self, unlabelled: Unlabelled) {
        let id = hash(&unlabelled.run.trace_id);
        self.index(id, &unlabelled);
        self.runs.insert(id, Tracked::new(unlabelled));
    }

    fn index(&mut self, id: u64, Unlabelled { run, until, .. }: &Unlabelled) {
        self.order.insert((*until, id));
        if let Some(trace) = Run::trace_of(&run.trace_id) {
            self.traces.insert((hash(trace), id));
        }
    }

    pub(super) fn take(&mut self, id: u64) -> Option<Unlabelled> {
        let unlabelled = self.runs.remove(&id)?;
        if unlabelled.is_stored() {
            self.gone.insert(id);
        }
        let unlabelled = Unlabelled::clone(&unlabelled);
        self.order.remove(&(unlabelled.until, id));
        if let Some(trace) = Run::trace_of(&unlabelled.run.trace_id) {
            self.traces.remove(&(hash(trace), id));
        }
        Some(unlabelled)
    }

    /// Takes the next run to be let go: one whose time is over at `now`, or, where more than `most` wait,
    /// the one whose time is over first.
    pub(super) fn take_due(&mut self, now: EventTime, most: usize) -> Option<Unlabelled> {
        let (until, id) = *self.order.first()?;
        if until < now || self.len() > most { self.take(id) } else { None }
    }
}

impl PartialEq for Waiting {
    /// Equal in what they hold, whatever of it is stored.
    fn eq(&self, other: &Self) -> bool {
        let Self { runs, gone: _, order: _, traces: _ } = self;
        *runs == other.runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unlabelled(id: &str, until: i64) -> Unlabelled {
        let until = EventTime::from_millis(until);
        let run = Run::empty("a".parse().unwrap(), id.to_owned(), until);
        let (own, version) = (Outcome::Unknown, VersionNumber(1));
        Unlabelled { run, own, version, attributed: false, pane: None, trial: None, until }
    }

    fn taken(waiting: &mut Waiting) -> Vec<(u64, bool)> {
        let mut changes: Vec<_> =
            waiting.take_changes().map(|(id, run)| (id, run.is_some())).collect();
        changes.sort_unstable();
        changes
    }

    #[test]
    fn a_label_means_its_run_or_those_of_its_trace() {
        let trace = "0123456789abcdef0123456789abcdef";
        let part = |n: u8| format!("{trace}-{n:016x}");
        let mut waiting = Waiting::default();
        for id in ["r1", "r2", trace, &part(1), &part(2)] {
            waiting.insert(unlabelled(id, 1));
        }
        let check = |waiting: &Waiting, id: &str, expected: &[&str]| {
            let expected: BTreeSet<_> = expected.iter().map(|id| hash(id)).collect();
            assert_eq!(BTreeSet::from_iter(waiting.meant_by(id)), expected, "{id}");
        };
        check(&waiting, "r1", &["r1"]);
        check(&waiting, "r3", &[]);
        check(&waiting, &part(1), &[&part(1)]);
        check(&waiting, trace, &[trace, &part(1), &part(2)]);
        waiting.take(hash(&part(2))).unwrap();
        check(&waiting, trace, &[trace, &part(1)]);
    }

    #[test]
    fn runs_leave_in_the_order_in_which_their_time_is_over() {
        let mut waiting = Waiting::default();
        for (id, until) in [("a", 30), ("b", 10), ("c", 20), ("d", 40)] {
            waiting.insert(unlabelled(id, until));
        }
        let mut due = |now, most| {
            let now = EventTime::from_millis(now);
            waiting.take_due(now, most).map(|unlabelled| unlabelled.run.trace_id)
        };
        assert_eq!(due(10, 4), None, "up to the last moment");
        assert_eq!(due(11, 4).as_deref(), Some("b"));
        assert_eq!(due(11, 4), None);
        assert_eq!(due(11, 2).as_deref(), Some("c"), "there is room for two");
        assert_eq!(due(11, 2), None);
    }

    #[test]
    fn a_run_is_stored_once_and_taken_out_once() {
        let mut waiting = Waiting::default();
        let (a, b) = (hash("a"), hash("b"));
        waiting.insert(unlabelled("a", 1));
        waiting.insert(unlabelled("b", 1));
        waiting.take(b);
        assert_eq!(taken(&mut waiting), [(a, true)], "what was never stored is not taken out");
        assert_eq!(taken(&mut waiting), []);
        waiting.take(a);
        waiting.insert(unlabelled("a", 2));
        assert_eq!(taken(&mut waiting), [(a, true)], "it came back");
        waiting.take(a);
        assert_eq!(taken(&mut waiting), [(a, false)]);
        assert_eq!(taken(&mut waiting), []);
        assert_eq!((waiting.order.len(), waiting.traces.len()), (0, 0));
    }
}
