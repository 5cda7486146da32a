//! What the agent does about proposals: checks them anew, takes them in as versions, or says why not.

use super::guard::check_author;
use super::ledger::Draft;
use super::{
    Agent, Considered, Effect, End, Fate, GateReport, Policy, Proposal, Rollout, Spend, State,
    apply_edits, check, check_reason,
};
use crate::base::{Day, EventTime, VersionNumber};
use crate::fold::Aggregate;

/// The most candidates of one proposal that are told of; an optimizer of ours has at most a handful.
const MAX_CONSIDERED: usize = 32;

impl Agent {
    pub(super) fn on_proposal(
        &mut self,
        proposal: &Proposal,
        policy: &Policy,
        at: EventTime,
    ) -> Vec<Effect> {
        // Whatever becomes of the proposal, the money is spent.
        let spend = Spend::of(&proposal.llm);
        if !spend.is_nothing() {
            self.spending.book(Day::of(at), spend);
        }
        if self.head.asked.as_ref() != Some(&proposal.request) {
            let why = format!("{} is not open: answered before, or never asked", proposal.request);
            return vec![self.decision("proposal_refused", None, why, at)];
        }
        self.head.asked = None;
        let mut effects = self.considered(proposal, at);
        effects.extend(match self.draft(proposal, policy) {
            Ok(draft) => match &proposal.gate {
                Some(gate) if !gate.passed => self.turn_away(draft, gate, at),
                Some(gate) => {
                    let evidence = format!("{}; gate: {}", draft.evidence, gate.words());
                    self.introduce(Draft { evidence, ..draft }, policy, at)
                }
                None => self.introduce(draft, policy, at),
            },
            Err((decision, why)) => vec![self.decision(decision, None, why, at)],
        });
        effects
    }

    /// What became of the candidates that are not the proposal: each ends by name, with its numbers.
    fn considered(&self, proposal: &Proposal, at: EventTime) -> Vec<Effect> {
        let ended = proposal.considered.iter().filter(|one| one.end != End::Chosen);
        let decision = |one: &Considered| {
            let name = format!("candidate_{}", one.end.name());
            self.decision(&name, None, one.words(), at)
        };
        ended.take(MAX_CONSIDERED).map(decision).collect()
    }

    /// Keeps a version that the gate did not pass, so that it is seen and not tried again.
    fn turn_away(&mut self, draft: Draft, gate: &GateReport, at: EventTime) -> Vec<Effect> {
        let reason = format!("the gate: {}", gate.words());
        let number = self.head.ledger.add(&self.name, draft, at);
        let state = State::Rejected { reason: reason.clone() };
        self.head.ledger.judge(number, Fate::Refused, None);
        let mut effects = self.head.ledger.set(number, state, at);
        effects.push(self.decision("rejected", Some(number), reason, at));
        effects
    }

    /// The version that `proposal` asks for, or the decision not to make it and why.
    fn draft(&self, proposal: &Proposal, policy: &Policy) -> Result<Draft, (&'static str, String)> {
        let refused = |why: String| ("proposal_refused", why);
        let parent = self.head.ledger.active().filter(|active| active.number == proposal.parent);
        let Some(parent) = parent else {
            let why = format!("made from {}, which is no longer active", proposal.parent);
            return Err(refused(why));
        };
        if self.head.paused {
            return Err(refused("the agent is paused".to_owned()));
        }
        let proposed: Vec<_> =
            proposal.prompt.answer.edits().iter().chain(proposal.config.answer.edits()).collect();
        if proposed.is_empty() {
            return Err(("no_change", no_change(proposal)));
        }
        let authors = [&proposal.prompt, &proposal.config].map(|part| check_author(&part.author));
        let reasons = proposed.iter().map(|proposed| check_reason(&proposed.why));
        authors
            .into_iter()
            .chain(reasons)
            .collect::<Result<(), _>>()
            .map_err(|problem| refused(problem.to_string()))?;
        let edits = proposed.iter().map(|proposed| &proposed.edit);
        let content = apply_edits(&parent.content, &policy.guidance_key, edits)
            .map_err(|problem| refused(problem.to_string()))?;
        let tried = self.head.ledger.tried();
        check(&parent.content, &content, &policy.guard, &policy.guidance_key, &tried).map_err(
            |violations| {
                let texts: Vec<_> = violations.iter().map(ToString::to_string).collect();
                refused(texts.join("; "))
            },
        )?;
        self.check_unproven(&parent.content, &content, policy).map_err(refused)?;
        let by_prompt = !proposal.prompt.answer.edits().is_empty();
        let part = if by_prompt { &proposal.prompt } else { &proposal.config };
        let window = self.windows.held(parent.number);
        Ok(Draft {
            parent: Some(parent.number),
            content,
            author: part.author.clone(),
            reasons: proposed.iter().map(|proposed| proposed.reason(&parent.content)).collect(),
            evidence: evidence(parent.number, &window),
        })
    }

    /// Takes a machine-made version in, as the rollout says.
    fn introduce(&mut self, draft: Draft, policy: &Policy, at: EventTime) -> Vec<Effect> {
        let why = draft.evidence.clone();
        match policy.rollout {
            Rollout::Trial => self.introduce_for_trial(draft, policy, at),
            Rollout::Immediate => {
                let number = self.head.ledger.add(&self.name, draft, at);
                let mut effects = self.activate(number, State::Superseded, at);
                effects.push(self.decision("activated", Some(number), why, at));
                effects
            }
            Rollout::Manual => {
                let number = self.head.ledger.add(&self.name, draft, at);
                self.wait_for_approval(number, format!("{why}; waits for approval"), at)
            }
        }
    }

    pub(super) fn wait_for_approval(
        &mut self,
        number: VersionNumber,
        why: String,
        at: EventTime,
    ) -> Vec<Effect> {
        let mut effects = self.head.ledger.set(number, State::Candidate, at);
        effects.extend(self.head.ledger.update(at));
        effects.push(self.decision("candidate", Some(number), why, at));
        effects
    }
}

fn evidence(number: VersionNumber, window: &Aggregate) -> String {
    let percent =
        |share: Option<f64>| share.map_or("?".to_owned(), |s| format!("{:.1} %", s * 100.0));
    format!(
        "{} runs of {number} with known outcome, {} successful, mean reward {}",
        window.counts.known(),
        percent(window.counts.success_rate()),
        window.mean_reward().map_or("?".to_owned(), |reward| format!("{reward:.3}")),
    )
}

fn no_change(proposal: &Proposal) -> String {
    let parts = [("prompts", &proposal.prompt), ("config", &proposal.config)];
    let reasons = parts.iter().filter_map(|(name, part)| match &part.answer {
        super::Answer::NoChange { reason } => Some(format!("{name}: {reason}")),
        super::Answer::Edits { .. } => None,
    });
    reasons.collect::<Vec<_>>().join("; ")
}
