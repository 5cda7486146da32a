//! Trials in the agent's state machine, driven by events alone.

use std::collections::BTreeMap;

use fastrand::Rng;
use proptest::prelude::*;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::decode::{Outcome, Run, ToolUse};
use whetstone::govern::{
    Agent, Answer, Author, Command, CommandKind, Content, Decision, DriftAction, Edit, Effect,
    Event, EventBody, LlmReport, Part, Policy, PromptUpdate, Proposal, Proposed, Rollout, Started,
    State, TrialKind, TrialView, bucket,
};

use crate::agent::{name, requests, run};
use crate::pieces::Table;

const START: i64 = 1_700_000_000_000;
const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const V1: VersionNumber = VersionNumber(1);
const V2: VersionNumber = VersionNumber(2);

/// An agent whose runs follow what it publishes, at one run every ten seconds.
pub(crate) struct Live {
    pub(crate) agent: Agent,
    pub(crate) policy: Policy,
    pub(crate) now: i64,
    pub(crate) number: u64,
    pub(crate) update: Option<PromptUpdate>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) events: Vec<Event>,
    pub(crate) effects: Vec<Effect>,
    rng: Rng,
}

fn policy() -> Policy {
    let mut policy = Policy { rollout: Rollout::Trial, min_traces: u64::MAX, ..Policy::default() };
    policy.trial.deadline = 10 * MINUTE;
    policy.trial.patience = 30 * MINUTE;
    policy.watch.holdback_bp = 0;
    policy
}

impl Live {
    /// An agent with a baseline that runs, and nothing on trial.
    pub(crate) fn new(policy: Policy) -> Self {
        let mut live = Self {
            agent: Agent::new(name()),
            policy,
            now: START,
            number: 0,
            update: None,
            decisions: Vec::new(),
            events: Vec::new(),
            effects: Vec::new(),
            rng: Rng::with_seed(1),
        };
        live.adopt("Be careful.\n");
        for _ in 0..30 {
            live.step(0.7, 0.7);
        }
        live
    }

    /// The same with a candidate, v2, on trial.
    fn on_trial(policy: Policy) -> Self {
        let mut live = Self::new(policy);
        live.propose();
        live
    }

    pub(crate) fn apply(&mut self, body: EventBody) -> Vec<Effect> {
        let event = Event { agent: name(), at: EventTime::from_millis(self.now), body };
        let effects = self.agent.apply(&event, &self.policy);
        self.events.push(event);
        for effect in &effects {
            match effect {
                Effect::Update(update) => self.update = Some(PromptUpdate::clone(update)),
                Effect::Decision(decision) => self.decisions.push(decision.clone()),
                Effect::Request(_) | Effect::Version(_) => {}
            }
        }
        self.effects.extend(effects.clone());
        effects
    }

    fn order(&mut self, kind: CommandKind) -> Vec<Effect> {
        self.apply(EventBody::Command(Command { agent: name(), by: "ada".to_owned(), kind }))
    }

    fn adopt(&mut self, text: &str) {
        let prompts = BTreeMap::from([("system".to_owned(), text.to_owned())]);
        let content = Content { prompts, ..Content::default() };
        self.order(CommandKind::Adopt { content, source: "commit abc".to_owned() });
    }

    /// Has a change proposed, another one each time.
    fn propose(&mut self) {
        self.policy.min_traces = 1;
        let request = requests(&self.order(CommandKind::Optimize)).pop().expect("a request");
        self.policy.min_traces = u64::MAX;
        let part = |answer| Part { author: Author::Patterns, answer, refused: Vec::new() };
        let edit = Edit::AddBullet { text: format!("Check the events of {}.", self.number) };
        let edits = vec![Proposed { edit, why: "12 of 14 failures".to_owned() }];
        self.apply(EventBody::Proposal(Proposal {
            request: request.id,
            parent: request.parent,
            prompt: part(Answer::Edits { edits }),
            config: part(Answer::NoChange { reason: "none".to_owned() }),
            llm: LlmReport::default(),
            findings: Vec::new(),
            gate: None,
            gate_problem: None,
        }));
    }

    fn version_for(&self, unit: &str) -> VersionNumber {
        self.update.as_ref().unwrap().version_for(unit).number
    }

    /// The next unit's id.
    fn unit(&mut self) -> String {
        self.number += 1;
        format!("run-{}", self.number)
    }

    /// A run of a new unit under the version it is given, a minute long, ending now.
    fn next(&mut self, baseline: f64, other: f64) -> Run {
        self.now += 10 * SECOND;
        let unit = self.unit();
        let version = self.version_for(&unit);
        let rate = if version == V1 { baseline } else { other };
        let outcome = if self.rng.f64() < rate { Outcome::Success } else { Outcome::Failure };
        self.run(&unit, version, outcome)
    }

    fn run(&self, unit: &str, version: VersionNumber, outcome: Outcome) -> Run {
        let end = EventTime::from_millis(self.now);
        Run {
            trace_id: unit.to_owned(),
            version: Some(version),
            start: end.plus_millis(-MINUTE),
            end,
            outcome,
            ..run(0, 0)
        }
    }

    fn step(&mut self, baseline: f64, other: f64) -> Vec<Effect> {
        let run = self.next(baseline, other);
        self.apply(EventBody::Run(run))
    }

    /// Runs until a decision of this name, or fails after `most`.
    fn until(&mut self, decision: &str, most: usize, rates: (f64, f64)) -> Decision {
        let before = self.decisions.len();
        for _ in 0..most {
            self.step(rates.0, rates.1);
            if let Some(found) = self.decisions.iter().skip(before).find(|d| d.decision == decision)
            {
                return found.clone();
            }
        }
        let made: Vec<_> = self.decisions.iter().map(|d| (&d.decision, &d.reason)).collect();
        panic!("no {decision} in {most} runs: {made:#?} {:#?}", self.agent.view().trial);
    }

    fn trial(&self) -> TrialView {
        *self.agent.view().trial.expect("a trial")
    }

    fn states(&self) -> Vec<String> {
        self.agent.view().versions.iter().map(|v| format!("{} {}", v.version, v.state)).collect()
    }

    /// A unit that the split gives to the candidate, or not.
    fn unit_of(&mut self, candidate: bool) -> String {
        loop {
            let unit = self.unit();
            if (self.version_for(&unit) != V1) == candidate {
                return unit;
            }
        }
    }

    /// Lets enough time pass, and a run of no version that counts, for all deadlines to be over.
    fn settle(&mut self) {
        self.now += 20 * MINUTE;
        let unit = self.unit();
        let run = Run { outcome: Outcome::Aborted, ..self.run(&unit, V1, Outcome::Aborted) };
        self.apply(EventBody::Run(run));
    }
}

#[test]
fn a_better_candidate_is_promoted_and_the_numbers_are_told() {
    let mut live = Live::on_trial(policy());
    assert_eq!(live.states(), ["v1 active", "v2 trial"]);
    let update = live.update.clone().unwrap();
    let split = update.split.unwrap();
    assert_eq!((split.split.salt.as_str(), split.split.share_bp), ("trial-v2", 1000));
    assert_eq!((update.candidate, split.version.number), (Some(V2), V2));

    live.until("trial_ramped", 2000, (0.5, 0.9));
    assert_eq!(live.update.as_ref().unwrap().split.as_ref().unwrap().split.share_bp, 5000);
    let promoted = live.until("promoted", 2000, (0.5, 0.9));
    assert_eq!(live.states(), ["v1 superseded", "v2 active"]);
    let update = live.update.clone().unwrap();
    assert_eq!((update.active.number, update.candidate, update.split), (V2, None, None));
    let trial = promoted.trial.expect("its numbers");
    assert!(trial.gain.reached && trial.gain.e_value >= trial.gain.bar, "{trial:#?}");
    assert!(trial.metrics.iter().all(|m| m.no_worse.is_none_or(|guard| guard.reached)));
    let reward = &trial.metrics[0];
    assert!(reward.low > 0.0 && reward.low < 0.4 && reward.high > 0.3, "{reward:#?}");
    assert!(promoted.reason.contains("units of v2 against"), "{}", promoted.reason);
    assert!(live.agent.view().trial.is_none());
}

#[test]
fn a_worse_candidate_is_rolled_back_on_few_units() {
    let mut live = Live::on_trial(policy());
    let decision = live.until("rolled_back", 3000, (0.9, 0.4));
    assert_eq!(live.states(), ["v1 active", "v2 rolled_back"]);
    let trial = decision.trial.unwrap();
    assert!(trial.candidate_arm.units < 50, "{trial:#?}");
    assert!(trial.harm.reached && (trial.harm.bar - 10.0).abs() < 1e-9);
    let update = live.update.clone().unwrap();
    assert_eq!((update.active.number, update.candidate, update.split), (V1, None, None));
}

#[test]
fn without_a_difference_nothing_ships() {
    let mut policy = policy();
    policy.trial.max_units = 100;
    let mut live = Live::on_trial(policy);
    let decision = live.until("futile", 3000, (0.7, 0.7));
    assert_eq!(live.states(), ["v1 active", "v2 rejected"]);
    assert!(decision.reason.starts_with("inconclusive, after 100 units of v2"), "{decision:?}");
    let mut hasty = Live::on_trial(Policy {
        trial: whetstone::govern::TrialSpec {
            max_duration: 60 * MINUTE,
            ..live.policy.trial.clone()
        },
        ..live.policy.clone()
    });
    let decision = hasty.until("futile", 1000, (0.7, 0.7));
    assert!(decision.reason.starts_with("inconclusive, its time is up"), "{decision:?}");
}

#[test]
fn a_faster_way_to_fail_is_no_gain_and_slowness_is_harm() {
    let mut live = Live::on_trial(policy());
    for _ in 0..6000 {
        let mut run = live.next(0.8, 0.8);
        if run.version == Some(V2) {
            run.start = run.end.plus_millis(-4 * MINUTE);
        }
        live.apply(EventBody::Run(run));
        if live.agent.view().trial.is_none() {
            break;
        }
    }
    let last = live.decisions.last().unwrap();
    assert_eq!(last.decision, "rolled_back");
    assert!(last.reason.starts_with("quickness "), "{}", last.reason);
}

#[test]
fn what_was_announced_and_never_ended_fails_at_its_deadline() {
    let mut live = Live::on_trial(policy());
    let start = EventTime::from_millis(live.now + SECOND);
    live.now += 2 * SECOND;
    for candidate in [true, true, false, false, false, false] {
        let unit = live.unit_of(candidate);
        let version = Some(live.version_for(&unit));
        let started = Started { trace_id: unit, session: None, version, start };
        live.apply(EventBody::Started(started.clone()));
        live.apply(EventBody::Started(started));
    }
    assert_eq!(live.trial().pending, 6, "an announcement counts once");
    assert_eq!((live.agent.tally().started, live.agent.tally().duplicate_starts), (6, 6));
    let units: Vec<String> = (1..=6)
        .map(|back| live.events[live.events.len() - 2 * back].clone())
        .map(|event| match event.body {
            EventBody::Started(started) => started.trace_id,
            body => panic!("{body:?}"),
        })
        .collect();
    live.settle();
    let trial = live.trial();
    assert_eq!((trial.candidate_arm.units, trial.blocks), (2, 1), "{trial:#?}");
    assert_eq!(trial.candidate_arm.success, Some(0.0));
    // They end after all: too late, and not a second time.
    for unit in units {
        let version = live.version_for(&unit);
        let run = Run { start, ..live.run(&unit, version, Outcome::Success) };
        live.apply(EventBody::Run(run));
    }
    live.settle();
    assert_eq!(live.trial().candidate_arm, trial.candidate_arm);
}

#[test]
fn a_run_that_overtakes_its_announcement_counts_once() {
    let mut live = Live::on_trial(policy());
    live.now += 2 * MINUTE;
    let unit = live.unit_of(true);
    let run = live.run(&unit, V2, Outcome::Success);
    let start = run.start;
    live.apply(EventBody::Run(run.clone()));
    let started = Started { trace_id: unit, session: None, version: Some(V2), start };
    live.apply(EventBody::Started(started));
    live.apply(EventBody::Run(run));
    live.settle();
    let arm = live.trial().candidate_arm;
    assert_eq!((arm.units, arm.success), (1, Some(1.0)));
}

#[test]
fn runs_longer_than_the_deadline_are_failures_announced_or_not() {
    let mut live = Live::on_trial(policy());
    live.now += 60 * MINUTE;
    let unit = live.unit_of(true);
    let mut run = live.run(&unit, V2, Outcome::Success);
    run.start = run.end.plus_millis(-11 * MINUTE);
    live.apply(EventBody::Run(run));
    let arm = live.trial().candidate_arm;
    assert_eq!((arm.units, arm.success), (1, Some(0.0)));
}

#[test]
fn a_result_that_comes_after_its_turn_is_left_out_and_said() {
    let mut live = Live::on_trial(policy());
    live.now += 60 * MINUTE;
    live.settle();
    let unit = live.unit_of(true);
    let mut late = live.run(&unit, V2, Outcome::Success);
    late.end = late.end.plus_millis(-15 * MINUTE);
    late.start = late.end.plus_millis(-MINUTE);
    live.apply(EventBody::Run(late));
    let trial = live.trial();
    assert_eq!((trial.excluded.late, trial.candidate_arm.units), (1, 0));
}

#[test]
fn a_session_is_one_unit_and_is_excluded_if_it_saw_both_versions() {
    let mut live = Live::on_trial(policy());
    live.now += 2 * MINUTE;
    let in_session = |live: &mut Live, session: &str, version, outcome| {
        let unit = live.unit();
        let run = Run { session: Some(session.to_owned()), ..live.run(&unit, version, outcome) };
        live.apply(EventBody::Run(run));
    };
    let (two, mixed) = (live.unit_of(true), live.unit_of(true));
    in_session(&mut live, &two, V2, Outcome::Success);
    in_session(&mut live, &two, V2, Outcome::Failure);
    in_session(&mut live, &mixed, V2, Outcome::Success);
    in_session(&mut live, &mixed, V1, Outcome::Success);
    live.settle();
    let trial = live.trial();
    assert_eq!((trial.candidate_arm.units, trial.candidate_arm.success), (1, Some(0.5)));
    assert_eq!(trial.excluded.mixed, 1);
    // It goes on after its deadline: it has had its say.
    in_session(&mut live, &two, V2, Outcome::Success);
    live.settle();
    let trial = live.trial();
    assert_eq!((trial.candidate_arm.units, trial.excluded.continued), (1, 1));
}

#[test]
fn a_session_that_was_under_way_before_takes_no_part() {
    let mut live = Live::new(policy());
    let run = Run { session: Some("long".to_owned()), ..live.run("a", V1, Outcome::Success) };
    live.apply(EventBody::Run(run));
    live.propose();
    live.now += 2 * MINUTE;
    let version = live.version_for("long");
    let run = Run { session: Some("long".to_owned()), ..live.run("b", version, Outcome::Success) };
    live.apply(EventBody::Run(run));
    assert_eq!((live.trial().pending, live.trial().excluded.continued), (0, 1));
}

#[test]
fn a_unit_counts_for_the_arm_of_its_lot_whatever_it_ran() {
    let mut live = Live::on_trial(policy());
    live.now += 2 * MINUTE;
    let report = |live: &mut Live, candidate: bool, version: Option<VersionNumber>, outcome| {
        live.now += SECOND;
        let unit = live.unit_of(candidate);
        let run = Run { version, ..live.run(&unit, V1, outcome) };
        live.apply(EventBody::Run(run));
    };
    report(&mut live, false, Some(V1), Outcome::Success);
    report(&mut live, true, Some(V1), Outcome::Success);
    // Only from here on is it known that agents follow.
    report(&mut live, true, Some(V2), Outcome::Success);
    report(&mut live, true, Some(V1), Outcome::Failure);
    report(&mut live, true, None, Outcome::Failure);
    report(&mut live, false, Some(V2), Outcome::Success);
    report(&mut live, false, Some(V1), Outcome::Success);
    live.settle();
    let trial = live.trial();
    assert_eq!((trial.candidate_arm.units, trial.baseline_arm.units), (3, 2));
    let rate = trial.candidate_arm.success.unwrap();
    assert!((rate - 1.0 / 3.0).abs() < 1e-5, "{rate}");
    assert_eq!((trial.excluded.early, trial.strayed), (2, 3));
}

/// One service has the easy tasks and does not follow, another the hard ones and does: judged by what
/// they ran, any candidate would be harm.
#[test]
fn agents_that_do_not_follow_turn_nothing_round() {
    let mut policy = policy();
    policy.trial.max_units = 1500;
    let mut live = Live::on_trial(policy);
    let mut rng = Rng::with_seed(11);
    while live.agent.view().trial.is_some() {
        let easy = rng.f64() < 0.4;
        let rate = if easy { 1.0 } else { 0.5 };
        let run = live.next(rate, rate);
        let version = if easy { Some(V1) } else { run.version };
        live.apply(EventBody::Run(Run { version, ..run }));
    }
    assert_eq!(live.decisions.last().unwrap().decision, "futile", "{:?}", live.decisions.last());
}

#[test]
fn a_trial_that_the_agents_do_not_follow_is_given_up() {
    let mut live = Live::on_trial(policy());
    let mut stopped = None;
    for _ in 0..1000 {
        let run = Run { version: Some(V1), ..live.next(0.7, 0.7) };
        live.apply(EventBody::Run(run));
        stopped = live.decisions.iter().find(|d| d.decision == "trial_stopped").cloned();
        if stopped.is_some() {
            break;
        }
    }
    let why = stopped.expect("it is given up").reason;
    assert!(why.contains("0 of 20 units that should have taken v2 did"), "{why}");
    assert_eq!(live.states(), ["v1 active", "v2 rejected"]);
}

#[test]
fn where_runs_do_not_say_their_version_a_person_decides() {
    let mut live = Live::new(policy());
    for _ in 0..100 {
        let run = Run { version: None, ..live.next(0.7, 0.7) };
        live.apply(EventBody::Run(run));
    }
    live.propose();
    assert_eq!(live.states(), ["v1 active", "v2 candidate"]);
    let why = &live.decisions.last().unwrap().reason;
    assert!(why.contains("do not say which version they ran"), "{why}");
}

#[test]
fn candidates_runs_that_are_lost_are_noticed() {
    let mut live = Live::on_trial(policy());
    let mut stopped = None;
    for _ in 0..3000 {
        let run = live.next(0.7, 0.7);
        // Two of three of the candidate's crash before they report.
        if run.version == Some(V2) && !live.number.is_multiple_of(3) {
            continue;
        }
        live.apply(EventBody::Run(run));
        stopped = live.decisions.iter().find(|d| d.decision == "trial_stopped").cloned();
        if stopped.is_some() {
            break;
        }
    }
    let why = stopped.expect("it is noticed").reason;
    assert!(why.contains("sample ratio mismatch"), "{why}");
}

#[test]
fn a_burst_of_errors_ends_a_trial_at_once() {
    let mut live = Live::on_trial(policy());
    let broken = |run: Run| {
        let tools = vec![ToolUse { name: "get".to_owned(), calls: 3, errors: 3, millis: 0 }];
        Run { tools, outcome: Outcome::Failure, ..run }
    };
    let mut others = 0;
    for _ in 0..400 {
        let run = live.next(0.7, 0.7);
        let run = if run.version == Some(V2) { broken(run) } else { run };
        others += u32::from(run.version == Some(V2));
        live.apply(EventBody::Run(run));
        if live.agent.view().trial.is_none() {
            break;
        }
    }
    let last = live.decisions.last().unwrap();
    assert_eq!((last.decision.as_str(), others), ("rolled_back", 5));
    assert!(last.reason.starts_with("the last 5 runs of v2 broke"), "{}", last.reason);

    // Where everything breaks, it is not the candidate's doing.
    let mut live = Live::on_trial(policy());
    for _ in 0..200 {
        let run = broken(live.next(0.7, 0.7));
        live.apply(EventBody::Run(run));
    }
    assert!(live.agent.view().trial.is_some(), "{:?}", live.decisions.last());

    // Nor where everything begins to break.
    let mut policy = policy();
    policy.trial.first_share_bp = 5000;
    let mut live = Live::on_trial(policy);
    for _ in 0..150 {
        live.step(0.7, 0.7);
    }
    for _ in 0..100 {
        let run = broken(live.next(0.7, 0.7));
        live.apply(EventBody::Run(run));
    }
    assert!(live.agent.view().trial.is_some(), "{:?}", live.decisions.last());
}

#[test]
fn each_further_candidate_has_to_prove_more() {
    let mut policy = policy();
    policy.trial.max_units = 20;
    let mut live = Live::on_trial(policy);
    let bar = |live: &Live| live.trial().gain.bar;
    let first = bar(&live);
    assert!((first - 20.0 / 0.607_927).abs() < 1e-3, "{first}");
    live.until("futile", 2000, (0.7, 0.7));
    live.propose();
    assert!((bar(&live) - 4.0 * first).abs() < 1e-6, "the second at a quarter of the level");
    live.order(CommandKind::Reject { version: VersionNumber(3), reason: "no".to_owned() });
    // A restart forgets none of it.
    let mut table = Table::default();
    table.write(&mut live.agent);
    live.agent = table.read(crate::agent::published(&live.effects)).unwrap();
    live.step(0.7, 0.7);
    live.propose();
    assert!((bar(&live) - 9.0 * first).abs() < 1e-6);

    let mut lucky = Live::on_trial(self::policy());
    lucky.until("promoted", 3000, (0.4, 0.9));
    lucky.propose();
    assert!((bar(&lucky) - 2.0 * first).abs() < 1e-6, "a promotion earns room for the next");
}

#[test]
fn people_overrule_a_trial() {
    let mut live = Live::on_trial(policy());
    live.order(CommandKind::Approve { version: V2 });
    assert_eq!(live.states(), ["v1 superseded", "v2 active"]);
    assert!(live.agent.view().trial.is_none() && live.update.clone().unwrap().split.is_none());

    let mut live = Live::on_trial(policy());
    live.order(CommandKind::Reject { version: V2, reason: "no".to_owned() });
    assert_eq!(live.states(), ["v1 active", "v2 rejected"]);
    assert!(live.agent.view().trial.is_none() && live.update.clone().unwrap().split.is_none());

    let mut live = Live::on_trial(policy());
    live.adopt("Be bold.\n");
    assert_eq!(live.states(), ["v1 superseded", "v2 rejected", "v3 active"]);
    assert!(live.agent.view().trial.is_none() && live.update.clone().unwrap().split.is_none());
}

#[test]
fn the_version_before_is_held_back_and_let_go() {
    let mut policy = policy();
    (policy.watch.holdback_bp, policy.watch.holdback_units) = (2000, 30);
    let mut live = Live::on_trial(policy);
    live.until("promoted", 3000, (0.5, 0.9));
    assert_eq!(live.states(), ["v1 holdback", "v2 active"]);
    let split = live.update.clone().unwrap().split.unwrap();
    assert_eq!((split.split.salt.as_str(), split.split.share_bp), ("holdback-v1-v2", 2000));
    assert_eq!((split.version.number, live.trial().kind), (V1, TrialKind::Holdback));
    live.until("holdback_ended", 1000, (0.5, 0.9));
    assert_eq!(live.states(), ["v1 superseded", "v2 active"]);
    assert!(live.update.clone().unwrap().split.is_none());
}

#[test]
fn harm_that_shows_after_the_promotion_is_rolled_back() {
    let mut policy = policy();
    (policy.watch.holdback_bp, policy.watch.holdback_units) = (2000, 300);
    let mut live = Live::on_trial(policy);
    live.until("promoted", 3000, (0.5, 0.9));
    let decision = live.until("rolled_back", 2000, (0.8, 0.4));
    assert_eq!(live.states(), ["v1 active", "v2 rolled_back"]);
    assert!(decision.reason.starts_with("harm shown after its promotion"), "{decision:?}");
    assert!(live.update.clone().unwrap().split.is_none());
    assert_eq!(live.update.clone().unwrap().active.number, V1);
}

#[test]
fn a_new_trial_ends_a_holdback() {
    let mut policy = policy();
    policy.watch.holdback_bp = 2000;
    let mut live = Live::on_trial(policy);
    live.until("promoted", 3000, (0.5, 0.9));
    live.propose();
    assert_eq!(live.states(), ["v1 superseded", "v2 active", "v3 trial"]);
    let split = live.update.clone().unwrap().split.unwrap();
    assert_eq!((split.version.number, split.split.salt.as_str()), (VersionNumber(3), "trial-v3"));
}

#[test]
fn a_lasting_fall_of_the_reward_raises_an_alarm_once_or_rolls_back() {
    let mut live = Live::new(policy());
    for _ in 0..300 {
        live.step(0.9, 0.9);
    }
    let decision = live.until("drift", 300, (0.4, 0.4));
    assert!(decision.reason.starts_with("v1 no longer earns what it did"), "{decision:?}");
    for _ in 0..1000 {
        live.step(0.4, 0.4);
    }
    assert_eq!(live.decisions.iter().filter(|d| d.decision == "drift").count(), 1);

    let mut policy = policy();
    policy.watch.on_drift = DriftAction::Rollback;
    let mut live = Live::on_trial(policy);
    live.until("promoted", 3000, (0.5, 0.95));
    for _ in 0..300 {
        live.step(0.5, 0.95);
    }
    let decision = live.until("rolled_back", 300, (0.5, 0.5));
    assert!(decision.reason.starts_with("v2 no longer earns"), "{decision:?}");
    assert_eq!(live.states(), ["v1 active", "v2 rolled_back"]);
}

#[test]
fn a_run_dated_ahead_hurries_no_deadline() {
    let mut live = Live::on_trial(policy());
    live.now += 2 * MINUTE;
    let unit = live.unit_of(true);
    let run = live.run(&unit, V2, Outcome::Success);
    live.apply(EventBody::Run(run));
    let unit = live.unit();
    let mut ahead = live.run(&unit, V1, Outcome::Success);
    ahead.end = ahead.end.plus_millis(20 * 60 * MINUTE);
    live.apply(EventBody::Run(ahead));
    assert_eq!(live.trial().candidate_arm.units, 0);
    assert!(live.trial().pending >= 1);
    // Nor does it keep a trial from beginning.
    let mut live = Live::new(policy());
    let mut ahead = live.next(0.7, 0.7);
    ahead.end = ahead.end.plus_millis(20 * 60 * MINUTE);
    live.apply(EventBody::Run(ahead));
    live.propose();
    live.until("promoted", 3000, (0.4, 0.9));
}

#[test]
fn a_flood_is_thinned_and_what_is_stored_stays_small() {
    let mut live = Live::on_trial(policy());
    let mut table = Table::default();
    table.write(&mut live.agent);
    let mut largest = 0;
    for batch in 0..40 {
        for _ in 0..250 {
            live.now += 1;
            let unit = live.unit();
            let version = live.version_for(&unit);
            let mut run = live.run(&unit, version, Outcome::Success);
            run.start = run.end.plus_millis(-1);
            if batch % 2 == 0 {
                let start = run.start;
                let started = Started {
                    trace_id: unit.clone(),
                    session: None,
                    version: Some(version),
                    start,
                };
                live.apply(EventBody::Started(started));
            }
            live.apply(EventBody::Run(run));
        }
        let written = table.write(&mut live.agent);
        let bytes = |part: &str| sizes(&written, part).iter().sum::<usize>();
        largest = largest.max(bytes("/pending/") + bytes("/trial"));
    }
    let trial = live.trial();
    println!("10000 runs wait: {} kept, one in {}, {largest} bytes", trial.pending, trial.one_in);
    assert!(trial.pending <= 1024 && trial.pending > 256, "{}", trial.pending);
    assert_eq!(trial.one_in, 16);
    assert!(largest < 64 * 1024, "{largest}");
    live.settle();
    let trial = live.trial();
    let counted = trial.candidate_arm.units + trial.baseline_arm.units;
    assert!(counted > 256, "{counted}");
    let share = u32::try_from(trial.candidate_arm.units * 1000 / counted).unwrap();
    assert!(share.abs_diff(100) < 40, "the candidate's share stays: {share}");
    assert!((trial.share - 0.5).abs() < 1e-9, "it was raised when all of them had begun");
}

#[test]
fn a_run_of_a_trial_writes_a_little() {
    let mut live = Live::on_trial(policy());
    let mut table = Table::default();
    for _ in 0..600 {
        live.step(0.7, 0.7);
    }
    table.write(&mut live.agent);
    live.step(0.7, 0.7);
    let written = table.write(&mut live.agent);
    println!("one more run of a trial writes {written:?}");
    let of = |part: &str| sizes(&written, part);
    assert!(of("/trial").iter().sum::<usize>() < 6 * 1024, "{written:?}");
    assert!(of("/pending/").len() <= 2 && of("/pending/").iter().sum::<usize>() < 4096);
    assert_eq!(of("/session/").len(), 0, "there are no sessions");
}

/// What was written under keys with `part` in them.
fn sizes(written: &BTreeMap<String, Option<usize>>, part: &str) -> Vec<usize> {
    written.iter().filter(|(key, _)| key.contains(part)).filter_map(|(_, size)| *size).collect()
}

/// What happens to a unit.
#[derive(Clone, Debug)]
enum Happening {
    Runs { outcome: u8, session: Option<u8>, wrong: bool, silent: bool, minutes: u8 },
    Starts { session: Option<u8> },
    Again,
    Nothing { minutes: u8 },
}

fn happening() -> impl Strategy<Value = Happening> {
    let session = || prop::option::weighted(0.2, 0..20u8);
    prop_oneof![
        30 => (0..6u8, session(), prop::bool::weighted(0.05), prop::bool::weighted(0.05), 0..12u8)
            .prop_map(|(outcome, session, wrong, silent, minutes)| {
                Happening::Runs { outcome, session, wrong, silent, minutes }
            }),
        5 => session().prop_map(|session| Happening::Starts { session }),
        3 => Just(Happening::Again),
        2 => (0..30u8).prop_map(|minutes| Happening::Nothing { minutes }),
    ]
}

/// Plays `happenings` on an agent with a candidate that does a little better.
fn play(live: &mut Live, happenings: &[Happening]) {
    let mut last: Option<EventBody> = None;
    for happening in happenings {
        live.now += 7 * SECOND;
        let unit = live.unit();
        let session = |number: &Option<u8>| number.map(|number| format!("session-{number}"));
        let body = match happening {
            Happening::Runs { outcome, session: number, wrong, silent, minutes } => {
                let session = session(number);
                let mut version = live.version_for(session.as_deref().unwrap_or(&unit));
                if *wrong {
                    version = V1;
                }
                let outcome = match (outcome, version == V1) {
                    (0, _) => Outcome::Unknown,
                    (1, true) | (2, _) => Outcome::Failure,
                    (3, true) => Outcome::Aborted,
                    _ => Outcome::Success,
                };
                let mut run = live.run(&unit, version, outcome);
                run.start = run.end.plus_millis(-i64::from(*minutes) * MINUTE);
                run.session = session;
                run.version = run.version.filter(|_| !silent);
                EventBody::Run(run)
            }
            Happening::Starts { session: number } => {
                let session = session(number);
                let version = Some(live.version_for(session.as_deref().unwrap_or(&unit)));
                let start = EventTime::from_millis(live.now);
                EventBody::Started(Started { trace_id: unit, session, version, start })
            }
            Happening::Again => match &last {
                Some(body) => body.clone(),
                None => continue,
            },
            Happening::Nothing { minutes } => {
                live.now += i64::from(*minutes) * MINUTE;
                continue;
            }
        };
        last = Some(body.clone());
        live.apply(body);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens, and wherever the agent is restarted from what is stored: the same events give
    /// the same state and the same effects, bit for bit.
    #[test]
    fn a_replay_with_restarts_gives_the_same_trial(
        happenings in prop::collection::vec(happening(), 50..600),
        batches in prop::collection::vec(1..60usize, 1..8),
    ) {
        let mut live = Live::on_trial(policy());
        play(&mut live, &happenings);

        let mut again = Agent::new(name());
        let (mut effects, mut table) = (Vec::new(), Table::default());
        let mut sizes = batches.iter().cycle();
        let mut left = 0;
        let mut replayed = live.policy.clone();
        for event in &live.events {
            if left == 0 {
                left = *sizes.next().unwrap();
                table.write(&mut again);
                again = table.read(crate::agent::published(&effects)).unwrap();
            }
            left -= 1;
            let optimizes = matches!(&event.body,
                EventBody::Command(command) if command.kind == CommandKind::Optimize);
            replayed.min_traces = if optimizes { 1 } else { u64::MAX };
            effects.extend(again.apply(event, &replayed));
        }
        prop_assert_eq!(&effects, &live.effects);
        prop_assert_eq!(again.view(), live.agent.view());
        prop_assert_eq!(again, live.agent);
    }

    /// As long as all results are there before the first is due, their order of arrival says nothing.
    #[test]
    fn the_order_of_arrival_says_nothing(seed: u64, count in 20..200u64) {
        let evidence = |shuffle: bool| {
            let mut live = Live::on_trial(policy());
            live.now += 2 * MINUTE;
            let mut rng = Rng::with_seed(seed);
            let begin = live.now;
            let mut bodies: Vec<EventBody> = (0..count)
                .map(|_| {
                    let unit = live.unit();
                    let version = live.version_for(&unit);
                    let success = rng.f64() < 0.6;
                    let outcome = if success { Outcome::Success } else { Outcome::Failure };
                    let start = EventTime::from_millis(begin + rng.i64(0..2 * MINUTE));
                    let end = start.plus_millis(rng.i64(1..2 * MINUTE));
                    EventBody::Run(Run { start, end, ..live.run(&unit, version, outcome) })
                })
                .collect();
            if shuffle {
                rng.shuffle(&mut bodies);
            }
            live.now += 5 * MINUTE;
            for body in bodies {
                live.apply(body);
            }
            live.settle();
            let mut trial = live.agent.view().trial.map(|trial| *trial);
            // Where a run stands in the stream of breakages is no evidence.
            if let Some(trial) = &mut trial {
                trial.forecast.expected_at = None;
            }
            trial
        };
        prop_assert_eq!(evidence(false), evidence(true));
    }
}

#[test]
fn every_version_in_trial_is_told_in_its_record_with_its_split() {
    let mut live = Live::on_trial(policy());
    live.until("trial_ramped", 2000, (0.7, 0.7));
    let shares: Vec<_> = live
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Version(record) => match &record.state {
                State::Trial { split } => Some((record.version.number, split.share_bp)),
                _ => None,
            },
            _ => None,
        })
        .collect();
    assert_eq!(shares, [(V2, 1000), (V2, 5000)]);
    let unit = "run-7";
    let lot = bucket("trial-v2", &name(), unit);
    assert_eq!(live.version_for(unit) == V2, lot < 5000);
}
