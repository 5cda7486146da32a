//! What the agent does about labels: gives runs their outcome when it is said later, or before, or not.
//!
//! ```text
//!  run, outcome unknown ─▶ counted as unknown ─▶ waits ── label ─▶ counted with its outcome instead
//!  label ─▶ heard ── its run comes ─▶ counted with that outcome  └─ horizon passed ─▶ given up
//! ```
//!
//! Time is that of arrival. The first label of an id stands; a run that said its outcome itself keeps it,
//! unless the policy has it wait for a label that knows better.

use super::heard::Word;
use super::trial::Trial;
use super::waiting::{Unlabelled, hash};
use super::{Agent, Effect, FeedbackSpec, Label, Policy};
use crate::base::{EventTime, VersionNumber};
use crate::decode::{Outcome, Run};
use crate::fold::{Folded, Limits};

/// What a run counts as when it comes.
pub(super) struct Arrival {
    pub(super) outcome: Outcome,
    /// Until when it waits for a label, if it does.
    pub(super) until: Option<EventTime>,
}

impl Agent {
    /// What `run` counts as for now, by what it says itself and what was said of it.
    pub(super) fn arrival(&mut self, run: &Run, spec: &FeedbackSpec, at: EventTime) -> Arrival {
        let known = run.outcome != Outcome::Unknown;
        let said = self.said_of(run, spec, at);
        let tally = &mut self.head.tally.labels;
        match said {
            Some(_) if known && spec.wait == 0 => tally.unneeded += 1,
            Some(outcome) => {
                tally.labelled += 1;
                return Arrival { outcome, until: None };
            }
            None => {}
        }
        let wait = if known { spec.wait } else { spec.horizon };
        if wait == 0 || spec.max_waiting == 0 {
            return Arrival { outcome: run.outcome, until: None };
        }
        Arrival { outcome: Outcome::Unknown, until: Some(at.plus_millis(wait)) }
    }

    /// The outcome that a label of the run itself gave, or else one of its trace.
    fn said_of(&self, run: &Run, spec: &FeedbackSpec, at: EventTime) -> Option<Outcome> {
        let ids = [Some(run.trace_id.as_str()), Run::trace_of(&run.trace_id)];
        let mut words = ids.into_iter().flatten();
        words.find_map(|id| match self.heard.get(hash(id), at, spec.horizon)? {
            Word::Label(outcome) => Some(outcome),
            Word::GivenUp => None,
        })
    }

    pub(super) fn on_label(
        &mut self,
        label: &Label,
        policy: &Policy,
        at: EventTime,
    ) -> Vec<Effect> {
        let Label { trace_id, outcome, .. } = label;
        if *outcome == Outcome::Unknown {
            return Vec::new();
        }
        let (id, horizon) = (hash(trace_id), policy.feedback.horizon);
        let tally = &mut self.head.tally.labels;
        match self.heard.get(id, at, horizon) {
            Some(Word::Label(said)) if said == *outcome => {
                tally.duplicate += 1;
                return Vec::new();
            }
            Some(Word::Label(said)) => {
                tally.conflicting += 1;
                return vec![self.conflict(label, said, at)];
            }
            Some(Word::GivenUp) => {
                tally.late += 1;
                return Vec::new();
            }
            None => {}
        }
        let meant = self.waiting.meant_by(trace_id);
        if meant.is_empty() && self.seen.contains(trace_id) {
            tally.already_known += 1;
            return Vec::new();
        }
        self.heard.note(id, Word::Label(*outcome), at, horizon);
        if meant.is_empty() {
            tally.early += 1;
            return Vec::new();
        }
        tally.joined += 1;
        tally.labelled += meant.len() as u64;
        let runs: Vec<_> = meant.into_iter().filter_map(|id| self.waiting.take(id)).collect();
        runs.into_iter().flat_map(|run| self.settle(run, *outcome, policy, at)).collect()
    }

    fn conflict(&self, label: &Label, said: Outcome, at: EventTime) -> Effect {
        let Label { trace_id, outcome, by } = label;
        let why = format!(
            "{by} says that {trace_id} is {}; it was said to be {} before, and that stands",
            outcome.name(),
            said.name()
        );
        self.decision("label_refused", None, why, at)
    }

    /// Lets go of the runs that have waited long enough, or are too many.
    pub(super) fn let_go(&mut self, policy: &Policy, at: EventTime) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(run) = self.waiting.take_due(at, policy.feedback.max_waiting) {
            if run.own == Outcome::Unknown {
                let id = hash(&run.run.trace_id);
                self.heard.note(id, Word::GivenUp, at, policy.feedback.horizon);
                self.head.tally.labels.given_up += 1;
            } else {
                let own = run.own;
                effects.extend(self.settle(run, own, policy, at));
            }
        }
        effects
    }

    /// Counts a run that waited as if it had come with `outcome`, as far as that is still possible.
    fn settle(
        &mut self,
        unlabelled: Unlabelled,
        outcome: Outcome,
        policy: &Policy,
        at: EventTime,
    ) -> Vec<Effect> {
        let Unlabelled { run, version, attributed, pane, trial: salt, .. } = unlabelled;
        let run = Run { outcome, ..run };
        self.tell_trial(&run, salt.as_deref());
        let Some(pane) = pane else { return Vec::new() };
        let add = (&policy.reward, self.limits(version, policy), attributed);
        let place = (version, pane);
        let held = self.windows.relabel(&policy.windows, place, &run, add) != Folded::Late;
        self.head.tally.labels.after_window += u64::from(!held);
        let reward = policy.reward.reward(&run).unwrap_or_default();
        self.head.ledger.relabel(version, outcome, reward);
        self.learn(&run, (version, held), policy, at)
    }

    /// Tells the trial that took note of `run`, if it is still under way.
    fn tell_trial(&mut self, run: &Run, salt: Option<&str>) {
        // Looking is no change, and what has not changed is not stored again.
        let same = |trial: &Trial| Some(trial.split.salt.as_str()) == salt;
        if !self.trial.as_deref().is_some_and(same) {
            return;
        }
        let Self { name, trial, pending, .. } = self;
        if let Some(trial) = trial.as_mut() {
            trial.label(pending, run, name);
        }
    }

    /// The limits that runs under `version` have.
    pub(super) fn limits(&self, version: VersionNumber, policy: &Policy) -> Limits {
        let held = self.head.ledger.get(version);
        held.map_or(Limits::default(), |(version, _)| policy.limits(&version.content))
    }
}
