//! What the agent does about trials: begins them, lets runs into them, carries their verdicts out.

use super::ledger::Draft;
use super::trial::{Note, Opening, Pending, Trial, TrialKind, Verdict};
use super::watch::{Learnt, Watch};
use super::{Agent, Author, Decision, DriftAction, Effect, Fate, Policy, Started, State};
use crate::base::{EventTime, Tracked, VersionNumber};
use crate::decode::Run;
use crate::fold::Reward;

impl Agent {
    /// Takes a machine-made version in for a trial. Where runs do not say what they ran, it would prove
    /// nothing: then it waits for a person.
    pub(super) fn introduce_for_trial(
        &mut self,
        draft: Draft,
        policy: &Policy,
        at: EventTime,
    ) -> Vec<Effect> {
        let Some(baseline) = self.head.ledger.active().map(|version| version.number) else {
            return Vec::new();
        };
        let why = draft.evidence.clone();
        let number = self.head.ledger.add(&self.name, draft, at);
        let held = self.windows.held(baseline);
        if held.attributed * 2 > held.counts.total() {
            let why = format!(
                "{why}; waits for approval: a trial cannot tell the versions apart, as {} of {} runs do \
                 not say which version they ran",
                held.attributed,
                held.counts.total()
            );
            return self.wait_for_approval(number, why, at);
        }
        let mut effects = self.end_holdback(at);
        let level = self.head.budget.begin(policy.trial.alpha);
        self.open_trial(&Opening {
            kind: TrialKind::Trial,
            candidate: number,
            baseline,
            share_bp: policy.trial.first_share_bp,
            spec: &policy.trial,
            reward: &policy.reward,
            slowest: self.slowest(baseline, policy),
            level,
            holdback_units: 0,
            // A run dated ahead must not put the beginning into the future.
            now: self.windows.watermark().map_or(at, |watermark| watermark.min(at)),
        });
        effects.extend(self.show_split(at));
        let why = format!(
            "{why}; on trial against {baseline}: candidate {} of this agent, to be proven with an e-value \
             of {:.1}",
            self.head.budget.tested,
            1.0 / level
        );
        effects.push(self.trial_decision("trial_started", number, why, at));
        effects
    }

    /// As slow as can be: twice what all but a few of the baseline's runs take, or the reward's target
    /// where none is known.
    fn slowest(&self, baseline: VersionNumber, policy: &Policy) -> i64 {
        let p95 = self.windows.held(baseline).latency.quantile(0.95);
        let millis = p95.map_or(policy.reward.latency_target * 1000.0, |p95| p95 * 2.0);
        #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
        let millis = millis.ceil() as i64;
        millis.max(1)
    }

    fn open_trial(&mut self, opening: &Opening<'_>) {
        *self.trial = Some(Box::new(Trial::open(opening)));
        self.pending.clear();
    }

    /// Puts the second version into the state that says who gets it, and tells subscribers.
    fn show_split(&mut self, at: EventTime) -> Vec<Effect> {
        let Some(trial) = self.trial.as_ref() else { return Vec::new() };
        let (second, split) = (trial.second(), trial.split.clone());
        let state = match trial.kind {
            TrialKind::Trial => State::Trial { split },
            TrialKind::Holdback => State::Holdback { split },
        };
        let mut effects = self.head.ledger.set(second, state, at);
        effects.extend(self.head.ledger.update(at));
        effects
    }

    /// Ends whatever is under way; what becomes of the versions is the caller's affair.
    pub(super) fn close_trial(&mut self) -> Option<Box<Trial>> {
        let trial = self.trial.is_some().then(|| self.trial.take()).flatten();
        self.pending.clear();
        trial
    }

    /// Ends a holdback, if one is under way, without word to subscribers.
    pub(super) fn end_holdback(&mut self, at: EventTime) -> Vec<Effect> {
        let holdback = self.trial.as_ref().filter(|trial| trial.kind == TrialKind::Holdback);
        let Some(held) = holdback.map(|trial| trial.second()) else { return Vec::new() };
        self.close_trial();
        self.head.ledger.set(held, State::Superseded, at)
    }

    /// Lets a run into the trial, if one is under way; the trial's salt, if it takes note of the run.
    /// `broken` says whether it broke.
    pub(super) fn try_run(
        &mut self,
        run: &Run,
        broken: bool,
        policy: &Policy,
        at: EventTime,
    ) -> (Option<String>, Vec<Effect>) {
        let unit = run.session.as_deref().unwrap_or(&run.trace_id);
        // A run that was announced has been noted then.
        let known = match &run.session {
            Some(session) => !self.sessions.insert(session),
            None => self.sessions.contains(unit),
        };
        if self.trial.is_none() {
            return (None, Vec::new());
        }
        let Self { name, trial, pending, .. } = self;
        let note = Note { agent: name, unit, known, broken, at };
        let noted = trial
            .as_mut()
            .and_then(|trial| trial.run(pending, run, note).then(|| trial.split.salt.clone()));
        (noted, self.judge(policy, at))
    }

    pub(super) fn on_started(
        &mut self,
        started: &Started,
        policy: &Policy,
        at: EventTime,
    ) -> Vec<Effect> {
        // The run itself may have overtaken its announcement.
        let over = self.seen.contains(&started.trace_id);
        if !self.seen.insert(&format!("started/{}", started.trace_id)) {
            self.head.tally.duplicate_starts += 1;
            return Vec::new();
        }
        self.head.tally.started += 1;
        if over && started.session.is_none() {
            return Vec::new();
        }
        let unit = started.session.as_deref().unwrap_or(&started.trace_id);
        let known = !self.sessions.insert(unit);
        if self.trial.is_none() {
            return Vec::new();
        }
        let Self { name, trial, pending, .. } = self;
        if let Some(trial) = trial.as_mut() {
            trial.started(pending, started, Note { agent: name, unit, known, broken: false, at });
        }
        self.judge(policy, at)
    }

    fn judge(&mut self, policy: &Policy, at: EventTime) -> Vec<Effect> {
        let mut effects = Vec::new();
        loop {
            let Self { trial, pending, .. } = self;
            let Some(verdict) = trial.as_mut().and_then(|trial| trial.verdict(pending)) else {
                return effects;
            };
            effects.extend(self.carry_out(verdict, policy, at));
        }
    }

    fn carry_out(&mut self, verdict: Verdict, policy: &Policy, at: EventTime) -> Vec<Effect> {
        let Some((kind, candidate, held)) =
            self.trial.as_ref().map(|trial| (trial.kind, trial.candidate, trial.second()))
        else {
            return Vec::new();
        };
        // The numbers as they stand, before anything is closed.
        let decided =
            |agent: &Self, name: &str, why: &str| agent.trial_decision(name, candidate, why, at);
        match verdict {
            Verdict::Ramp => {
                if let Some(trial) = self.trial.as_mut() {
                    trial.ramp();
                }
                let mut effects = self.show_split(at);
                effects.push(decided(self, "trial_ramped", "no harm so far: its share is raised"));
                effects
            }
            Verdict::Promote(why) => {
                let decision = decided(self, "promoted", &why);
                self.head.ledger.judge(candidate, Fate::Proven, Some(&why));
                let mut effects = self.promote(candidate, policy, at);
                effects.push(decision);
                effects
            }
            Verdict::RollBack(why) if kind == TrialKind::Holdback => {
                let why = format!("harm shown after its promotion: {why}");
                let decision = decided(self, "rolled_back", &why);
                self.head.ledger.judge(candidate, Fate::Harmful, None);
                self.close_trial();
                let mut effects = self.activate(held, State::RolledBack { reason: why }, at);
                effects.push(decision);
                effects
            }
            Verdict::RollBack(why) => {
                let decision = decided(self, "rolled_back", &why);
                self.head.ledger.judge(candidate, Fate::Harmful, None);
                self.drop_candidate(candidate, State::RolledBack { reason: why }, decision, at)
            }
            Verdict::Futile(why) => {
                let decision = decided(self, "futile", &why);
                self.head.ledger.judge(candidate, Fate::NoGain, None);
                self.drop_candidate(candidate, State::Rejected { reason: why }, decision, at)
            }
            Verdict::Stop(why) => {
                let why = format!("trial stopped: {why}");
                let decision = decided(self, "trial_stopped", &why);
                self.drop_candidate(candidate, State::Rejected { reason: why }, decision, at)
            }
            Verdict::EndHoldback(why) => {
                let decision = decided(self, "holdback_ended", &why);
                let mut effects = self.end_holdback(at);
                effects.extend(self.head.ledger.update(at));
                effects.push(decision);
                effects
            }
        }
    }

    fn drop_candidate(
        &mut self,
        candidate: VersionNumber,
        state: State,
        decision: Effect,
        at: EventTime,
    ) -> Vec<Effect> {
        self.close_trial();
        let mut effects = self.head.ledger.set(candidate, state, at);
        effects.extend(self.head.ledger.update(at));
        effects.push(decision);
        effects
    }

    /// Makes the candidate active and, where the policy wants it, holds the version before back on a few
    /// units.
    fn promote(&mut self, candidate: VersionNumber, policy: &Policy, at: EventTime) -> Vec<Effect> {
        let Some(trial) = self.close_trial() else { return Vec::new() };
        self.head.budget.promoted += 1;
        let (runs, sum, squares) = trial.earned();
        let learnt = Learnt { runs, sum, squares };
        self.head.watch = Watch::of_promoted(candidate, &policy.reward, learnt, &policy.watch);
        let before = trial.baseline;
        let holdback_bp = policy.watch.holdback_bp;
        if holdback_bp == 0 {
            return self.activate(candidate, State::Superseded, at);
        }
        let opening = Opening {
            kind: TrialKind::Holdback,
            candidate,
            baseline: before,
            share_bp: holdback_bp,
            spec: &policy.trial,
            reward: &policy.reward,
            slowest: self.slowest(before, policy),
            level: policy.trial.alpha,
            holdback_units: policy.watch.holdback_units,
            now: trial.now(),
        };
        let split = Trial::open(&opening).split;
        let effects = self.activate(candidate, State::Holdback { split }, at);
        self.open_trial(&opening);
        effects
    }

    /// Notes what a run of the active version earned; acts where that has fallen for good.
    pub(super) fn keep_watch(
        &mut self,
        active: VersionNumber,
        reward: Reward,
        policy: &Policy,
        at: EventTime,
    ) -> Vec<Effect> {
        let Some(why) = self.head.watch.add(active, reward, (&policy.reward, &policy.watch)) else {
            return Vec::new();
        };
        let human = |author: &Author| matches!(author, Author::Human { .. });
        let machine = self.head.ledger.active().is_some_and(|version| !human(&version.author));
        let previous = self.head.ledger.previous();
        match (policy.watch.on_drift, previous) {
            (DriftAction::Rollback, Some(previous)) if machine => {
                self.head.ledger.judge(active, Fate::Refused, None);
                let mut effects =
                    self.activate(previous, State::RolledBack { reason: why.clone() }, at);
                effects.push(self.decision("rolled_back", Some(active), why, at));
                effects
            }
            _ => vec![self.decision("drift", Some(active), why, at)],
        }
    }

    /// A decision with the numbers of the trial under way.
    fn trial_decision(
        &self,
        name: &str,
        version: VersionNumber,
        why: impl Into<String>,
        at: EventTime,
    ) -> Effect {
        let trial = self.trial.as_ref().map(|trial| Box::new(trial.view(&self.pending)));
        let (agent, decision, reason) = (self.name.clone(), name.to_owned(), why.into());
        Effect::Decision(Decision { agent, decision, version: Some(version), reason, trial, at })
    }
}

/// No trial, and nothing to be stored of it.
pub(super) fn no_trial() -> (Tracked<Option<Box<Trial>>>, Pending) {
    (Tracked::stored(None), Pending::default())
}
