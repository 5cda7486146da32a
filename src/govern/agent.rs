//! The state machine of one agent. Windows, versions and requests meet here.

use std::borrow::Cow;

use super::head::{Applied, Head, Input, Tally};
use super::heard::Heard;
use super::labels::Arrival;
use super::ledger::Draft;
use super::seen::Seen;
use super::spending::Spending;
use super::trial::{Pending, Trial};
use super::trials::no_trial;
use super::waiting::{Unlabelled, Waiting};
use super::{
    Author, Command, CommandKind, Content, Decision, Effect, Event, EventBody, Fate, Half, Policy,
    Reason, Request, RequestId, State, Version, VersionRecord,
};
use crate::base::{AgentName, Day, EventTime, Tracked, VersionNumber};
use crate::decode::{Outcome, Run};
use crate::fold::{Folded, Windows};

/// One agent: everything that is known of it and everything that may be done to it. Stored in
/// pieces, see [`Agent::take_changes`].
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    pub(super) name: AgentName,
    pub(super) head: Tracked<Head>,
    pub(super) windows: Windows,
    pub(super) seen: Seen,
    /// Sessions, and runs that were announced.
    pub(super) sessions: Seen,
    pub(super) trial: Tracked<Option<Box<Trial>>>,
    pub(super) pending: Pending,
    pub(super) spending: Tracked<Spending>,
    /// Labels, whether their runs have come or not.
    pub(super) heard: Heard,
    /// Runs that wait for a label.
    pub(super) waiting: Waiting,
}

/// Who orders something, why and when.
#[derive(Clone, Copy)]
struct Order<'a> {
    by: &'a str,
    reason: &'a str,
    at: EventTime,
}

/// Stands for "no version": runs of an agent that the config repo does not know.
const UNVERSIONED: VersionNumber = VersionNumber(0);

impl Agent {
    /// An agent of which nothing is known yet.
    pub fn new(name: AgentName) -> Self {
        let (head, windows) = (Tracked::default(), Windows::default());
        let (seen, sessions) = (Seen::default(), Seen::default());
        let (trial, pending) = no_trial();
        let spending = Tracked::stored(Spending::default());
        let (heard, waiting) = (Heard::default(), Waiting::default());
        Self { name, head, windows, seen, sessions, trial, pending, spending, heard, waiting }
    }

    /// Gives an assembled agent its versions' contents back, from `prompt-versions`.
    ///
    /// # Errors
    /// The numbers of the versions whose content is missing.
    pub fn restore(
        mut self,
        versions: impl IntoIterator<Item = Version>,
    ) -> Result<Self, Vec<VersionNumber>> {
        self.head.unstored().ledger.restore(versions);
        let missing = self.head.ledger.missing();
        if missing.is_empty() { Ok(self) } else { Err(missing) }
    }

    /// An agent of which a config repo remembers the versions, where no log does.
    pub fn recalled(name: AgentName, records: impl IntoIterator<Item = VersionRecord>) -> Self {
        let mut agent = Self::new(name);
        for record in records {
            agent.head.recall(record);
        }
        agent
    }

    /// The agent's name.
    pub fn name(&self) -> &AgentName {
        &self.name
    }

    /// What became of its runs.
    pub fn tally(&self) -> Tally {
        self.head.tally
    }

    /// Notes that the event at `place` of `input` is to be applied now; false if it was before, and must not be
    /// again. Places rise, with gaps.
    pub fn comes(&mut self, input: Input, place: u64) -> bool {
        let comes = self.head.applied.of(input) <= place;
        if comes {
            self.head.applied.set(input, place.saturating_add(1));
        }
        comes
    }

    /// How far the agent is in its inputs.
    pub fn applied(&self) -> Applied {
        self.head.applied
    }

    /// Forgets how far the agent is in `input`: for one that lost its records and counts from 0 again.
    pub fn begin_anew(&mut self, input: Input) {
        self.head.applied.set(input, 0);
    }

    /// Takes one event and returns what must leave. The only way the agent changes.
    pub fn apply(&mut self, event: &Event, policy: &Policy) -> Vec<Effect> {
        let mut effects = self.let_go(policy, event.at);
        effects.extend(match &event.body {
            EventBody::Run(run) => self.on_run(run, policy, event.at),
            EventBody::Started(started) => self.on_started(started, policy, event.at),
            EventBody::Label(label) => self.on_label(label, policy, event.at),
            EventBody::Command(command) => self.on_command(command, policy, event.at),
            EventBody::Proposal(proposal) => self.on_proposal(proposal, policy, event.at),
        });
        effects
    }

    fn on_run(&mut self, run: &Run, policy: &Policy, at: EventTime) -> Vec<Effect> {
        // One that waits is known for longer than the ids of those that came after it.
        if self.waiting.contains(&run.trace_id) || !self.seen.insert(&run.trace_id) {
            self.head.tally.duplicate += 1;
            return Vec::new();
        }
        let booked = run.version.or_else(|| self.head.ledger.active_at(run.start));
        let version = booked.unwrap_or(UNVERSIONED);
        let held = self.head.ledger.get(version).is_some();
        if !held && run.version.is_some() {
            self.head.tally.unknown_version += 1;
            return Vec::new();
        }
        let attributed = run.version.is_none() && held;
        let Arrival { outcome, until } = self.arrival(run, &policy.feedback, at);
        let own = run.outcome;
        let run = if outcome == own {
            Cow::Borrowed(run)
        } else {
            Cow::Owned(Run { outcome, ..run.clone() })
        };
        // Whether it broke is no matter of opinion: it may be told by what the run says itself.
        let broken = run.is_broken() || (until.is_some() && own == Outcome::Aborted);
        let (trial, mut effects) = self.try_run(&run, broken, policy, at);
        let (pane, made) = self.fold_run(&run, (version, attributed), policy, at);
        effects.extend(made);
        if let Some(until) = until.filter(|_| pane.is_some() || trial.is_some()) {
            let run = run.into_owned();
            self.waiting.insert(Unlabelled { run, own, version, attributed, pane, trial, until });
            effects.extend(self.let_go(policy, at));
        }
        effects
    }

    /// Adds a run to its window, and says to which pane of it.
    fn fold_run(
        &mut self,
        run: &Run,
        (version, attributed): (VersionNumber, bool),
        policy: &Policy,
        at: EventTime,
    ) -> (Option<i64>, Vec<Effect>) {
        let add = (&policy.reward, self.limits(version, policy), attributed);
        let Folded::Pane(pane) = self.windows.fold(&policy.windows, version, run, add) else {
            self.head.tally.late += 1;
            return (None, Vec::new());
        };
        self.head.tally.windowed += 1;
        self.head.tally.attributed += u64::from(attributed);
        let reward = policy.reward.reward(run).unwrap_or_default();
        self.head.ledger.count(version, run.outcome, reward);
        let effects = if self.head.ledger.active().is_some() {
            self.learn(run, (version, true), policy, at)
        } else if self.head.tally.windowed == 1 {
            let missing = "no config files in the repo: runs are counted, nothing is optimized";
            vec![self.decision("not_in_repo", None, missing, at)]
        } else {
            Vec::new()
        };
        (Some(pane), effects)
    }

    /// Lets a run of `version` have its say: on what is active, and, if its window has `held` it, on whether
    /// that deserves an optimization.
    pub(super) fn learn(
        &mut self,
        run: &Run,
        (version, held): (VersionNumber, bool),
        policy: &Policy,
        at: EventTime,
    ) -> Vec<Effect> {
        let active = self.head.ledger.active().is_some_and(|active| active.number == version);
        let Some(reward) = policy.reward.reward(run).filter(|_| active) else {
            return Vec::new();
        };
        let effects = self.keep_watch(version, reward, policy, at);
        if !effects.is_empty() || !held {
            return effects;
        }
        self.head.fresh += 1;
        let due = self
            .windows
            .watermark()
            .zip(self.head.last_request)
            .is_none_or(|(now, last)| now.millis_since(last) >= policy.cooldown);
        if self.head.paused || !due || self.head.fresh < policy.min_traces {
            return Vec::new();
        }
        self.ask(policy, run.end, at).unwrap_or_default()
    }

    /// Asks for an optimization of the window at `end`, if it holds enough and nothing is under way.
    fn ask(
        &mut self,
        policy: &Policy,
        end: EventTime,
        at: EventTime,
    ) -> Result<Vec<Effect>, String> {
        let Some(active) = self.head.ledger.active().cloned() else {
            return Err("the agent has no version yet".to_owned());
        };
        if let Some(open) = &self.head.asked {
            return Err(format!("request {open} is not answered yet"));
        }
        if let Some(candidate) = self.head.ledger.candidate() {
            return Err(format!("candidate {candidate} is not decided yet"));
        }
        let counts = self.windows.counts(&policy.windows, active.number, end);
        if counts.known() < policy.min_traces {
            return Err(format!(
                "the window holds {} runs with known outcome, {} are needed ({} aborted, {} unlabelled)",
                counts.known(),
                policy.min_traces,
                counts.aborted,
                counts.unknown
            ));
        }
        self.head.requests += 1;
        let id = RequestId { agent: self.name.clone(), number: self.head.requests };
        self.head.asked = Some(id.clone());
        self.head.last_request = self.windows.watermark();
        self.head.fresh = 0;
        Ok(vec![Effect::Request(Box::new(Request {
            id,
            parent: active.number,
            content: active.content.clone(),
            window: self.windows.window(&policy.windows, active.number, end),
            policy: policy.clone(),
            history: self.history(&policy.guidance_key),
            bullets: self.bullets(&active.content, &policy.guidance_key),
            retired: self.retired(&active.content, &policy.guidance_key),
            at,
            spent: self.spending.on(Day::of(at)),
        }))])
    }

    /// Makes `number` active and rejects the candidates that were made from another version.
    pub(super) fn activate(
        &mut self,
        number: VersionNumber,
        old: State,
        at: EventTime,
    ) -> Vec<Effect> {
        let mut effects = self.end_holdback(at);
        self.close_trial();
        let waiting = self.head.ledger.candidates().into_iter();
        for stale in waiting.filter(|waiting| *waiting != number) {
            let reason = format!("its baseline changed: {number} became active");
            let state = State::Rejected { reason: reason.clone() };
            effects.extend(self.head.ledger.set(stale, state, at));
            effects.push(self.decision("rejected", Some(stale), reason, at));
        }
        effects.extend(self.head.ledger.activate(number, old, at));
        self.head.fresh = 0;
        effects
    }

    fn on_command(&mut self, command: &Command, policy: &Policy, at: EventTime) -> Vec<Effect> {
        let by = command.by.as_str();
        let order = |reason| Order { by, reason, at };
        let result = match &command.kind {
            CommandKind::Approve { version } => self.approve(*version, order("")),
            CommandKind::Reject { version, reason } => self.reject(*version, order(reason)),
            CommandKind::Rollback { to, only, reason } => match only {
                None => self.roll_back(*to, order(reason)),
                Some(half) => self.roll_back_half(*to, *half, order(reason)),
            },
            CommandKind::Pause | CommandKind::Resume => {
                self.head.paused = command.kind == CommandKind::Pause;
                let name = if self.head.paused { "paused" } else { "resumed" };
                Ok(vec![self.decision(name, None, format!("by {by}"), at)])
            }
            CommandKind::Optimize => {
                self.ask(policy, self.windows.watermark().unwrap_or_default(), at)
            }
            CommandKind::Recall { records } => self.recall(records, at),
            CommandKind::Adopt { content, source } => Ok(self.adopt(content, source, by, at)),
        };
        result.unwrap_or_else(|why| vec![self.decision("command_refused", None, why, at)])
    }

    fn recall(&mut self, records: &[VersionRecord], at: EventTime) -> Result<Vec<Effect>, String> {
        if self.head.ledger.iter().next().is_some() {
            return Err("the log remembers the agent's versions itself".to_owned());
        }
        for record in records {
            self.head.recall(record.clone());
        }
        let mut effects: Vec<_> =
            records.iter().map(|record| Effect::Version(Box::new(record.clone()))).collect();
        effects.extend(self.head.ledger.update(at));
        let why = format!("{} versions from the config repo", records.len());
        effects.push(self.decision("recalled", None, why, at));
        Ok(effects)
    }

    fn waiting(&self, number: VersionNumber) -> Result<(), String> {
        match self.head.ledger.get(number) {
            Some((_, entry)) if entry.state.is_undecided() => Ok(()),
            Some((_, entry)) => Err(format!("{number} is {}, not a candidate", entry.state.name())),
            None => Err(format!("there is no {number}")),
        }
    }

    fn approve(&mut self, number: VersionNumber, order: Order<'_>) -> Result<Vec<Effect>, String> {
        let Order { by, at, .. } = order;
        self.waiting(number)?;
        self.head.ledger.judge(number, Fate::Vouched, Some(&format!("approved by {by}")));
        let mut effects = self.activate(number, State::Superseded, at);
        effects.push(self.decision("approved", Some(number), format!("by {by}"), at));
        Ok(effects)
    }

    fn reject(&mut self, number: VersionNumber, order: Order<'_>) -> Result<Vec<Effect>, String> {
        let Order { by, reason, at } = order;
        self.waiting(number)?;
        let reason = format!("by {by}: {reason}");
        self.end_trial_of(number);
        self.head.ledger.judge(number, Fate::Refused, None);
        let mut effects =
            self.head.ledger.set(number, State::Rejected { reason: reason.clone() }, at);
        effects.extend(self.head.ledger.update(at));
        effects.push(self.decision("rejected", Some(number), reason, at));
        Ok(effects)
    }

    /// The version to go back to: `to`, or the one active before. It must have been active once.
    fn earlier(&self, to: Option<VersionNumber>) -> Result<std::sync::Arc<Version>, String> {
        let Some(number) = to.or_else(|| self.head.ledger.previous()) else {
            return Err("there is no earlier version to go back to".to_owned());
        };
        match self.head.ledger.get(number) {
            Some((version, entry)) => match entry.state {
                State::Superseded | State::Holdback { .. } | State::RolledBack { .. } => {
                    Ok(version.clone())
                }
                State::Active => Err(format!("{number} is active already")),
                State::Candidate | State::Trial { .. } | State::Rejected { .. } => {
                    Err(format!("{number} is {} and was never active", entry.state.name()))
                }
            },
            None => Err(format!("there is no {number}")),
        }
    }

    fn roll_back(
        &mut self,
        to: Option<VersionNumber>,
        order: Order<'_>,
    ) -> Result<Vec<Effect>, String> {
        let Order { by, reason, at } = order;
        let target = self.earlier(to)?.number;
        let reason = format!("by {by}: {reason}");
        if let Some(taken_back) = self.head.ledger.active().map(|active| active.number) {
            self.head.ledger.judge(taken_back, Fate::Refused, None);
        }
        let mut effects = self.activate(target, State::RolledBack { reason: reason.clone() }, at);
        effects.push(self.decision("rolled_back", Some(target), reason, at));
        Ok(effects)
    }

    fn roll_back_half(
        &mut self,
        to: Option<VersionNumber>,
        half: Half,
        order: Order<'_>,
    ) -> Result<Vec<Effect>, String> {
        let Order { by, reason, at } = order;
        let target = self.earlier(to)?;
        let Some(active) = self.head.ledger.active().cloned() else {
            return Err("the agent has no version yet".to_owned());
        };
        let mut content = active.content.clone();
        let name = match half {
            Half::Prompts => {
                content.prompts.clone_from(&target.content.prompts);
                "prompts"
            }
            Half::Config => {
                content.config.clone_from(&target.content.config);
                "config"
            }
        };
        if content == active.content {
            return Err(format!("{}'s {name} are what runs already", target.number));
        }
        let change = format!("take the {name} of {} again", target.number);
        let draft = Draft {
            parent: Some(active.number),
            content,
            author: Author::Human { name: by.to_owned() },
            reasons: vec![Reason { change, why: reason.to_owned() }],
            evidence: String::new(),
        };
        let number = self.head.ledger.add(&self.name, draft, at);
        let reason = format!("{name} alone, by {by}: {reason}");
        let mut effects = self.activate(number, State::RolledBack { reason: reason.clone() }, at);
        effects.push(self.decision("rolled_back", Some(number), reason, at));
        Ok(effects)
    }

    fn adopt(&mut self, content: &Content, source: &str, by: &str, at: EventTime) -> Vec<Effect> {
        let active = self.head.ledger.active().cloned();
        if active.as_ref().is_some_and(|active| active.content == *content) {
            return Vec::new();
        }
        let change = if active.is_some() { "edit in the config repo" } else { "baseline" };
        let draft = Draft {
            parent: active.map(|active| active.number),
            content: content.clone(),
            author: Author::Human { name: by.to_owned() },
            reasons: vec![Reason { change: change.to_owned(), why: source.to_owned() }],
            evidence: String::new(),
        };
        let number = self.head.ledger.add(&self.name, draft, at);
        let mut effects = self.activate(number, State::Superseded, at);
        effects.push(self.decision("adopted", Some(number), format!("{change}: {source}"), at));
        effects
    }

    fn end_trial_of(&mut self, number: VersionNumber) {
        if self.trial.as_ref().is_some_and(|trial| trial.candidate == number) {
            self.close_trial();
        }
    }

    pub(super) fn decision(
        &self,
        decision: &str,
        version: Option<VersionNumber>,
        reason: impl Into<String>,
        at: EventTime,
    ) -> Effect {
        let (decision, reason) = (decision.to_owned(), reason.into());
        let agent = self.name.clone();
        Effect::Decision(Decision { agent, decision, version, reason, trial: None, at })
    }
}
