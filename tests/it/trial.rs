//! Trials in the agent's state machine, driven by events alone.

use std::collections::BTreeMap;

use fastrand::Rng;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::decode::{Outcome, Run, ToolUse};
use whetstone::govern::{
    Agent, Answer, Author, Change, Command, CommandKind, Content, CourseView, Decision,
    DriftAction, Edit, Effect, Event, EventBody, LlmReport, Part, Piece, Pieces, Policy,
    PromptUpdate, Proposal, Proposed, Rollout, State, TrialKind, TrialView, bucket,
};

use crate::agent::{name, requests, run};
use crate::pieces::Table;

const START: i64 = 1_700_000_000_000;
pub(crate) const SECOND: i64 = 1000;
pub(crate) const MINUTE: i64 = 60 * SECOND;
pub(crate) const V1: VersionNumber = VersionNumber(1);
pub(crate) const V2: VersionNumber = VersionNumber(2);

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

pub(crate) fn policy() -> Policy {
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
    pub(crate) fn on_trial(policy: Policy) -> Self {
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

    pub(crate) fn order(&mut self, kind: CommandKind) -> Vec<Effect> {
        self.apply(EventBody::Command(Command { agent: name(), by: "ada".to_owned(), kind }))
    }

    pub(crate) fn adopt(&mut self, text: &str) {
        let prompts = BTreeMap::from([("system".to_owned(), text.to_owned())]);
        let content = Content { prompts, ..Content::default() };
        self.order(CommandKind::Adopt { content, source: "commit abc".to_owned() });
    }

    /// Has a change proposed, another one each time.
    pub(crate) fn propose(&mut self) {
        self.policy.min_traces = 1;
        let request = requests(&self.order(CommandKind::Optimize)).pop().expect("a request");
        self.policy.min_traces = u64::MAX;
        let part = |answer| Part { author: Author::Patterns, answer, refused: Vec::new() };
        let edit = Edit::AddBullet { text: format!("Check the events of {}.", self.number) };
        let edits = vec![Proposed { edit, why: "12 of 14 failures".to_owned() }];
        self.apply(EventBody::Proposal(Box::new(Proposal {
            request: request.id,
            parent: request.parent,
            prompt: part(Answer::Edits { edits }),
            config: part(Answer::NoChange { reason: "none".to_owned() }),
            llm: LlmReport::default(),
            findings: Vec::new(),
            considered: Vec::new(),
            gate: None,
            gate_problem: None,
        })));
    }

    pub(crate) fn version_for(&self, unit: &str) -> VersionNumber {
        self.update.as_ref().unwrap().version_for(unit).number
    }

    /// The next unit's id.
    pub(crate) fn unit(&mut self) -> String {
        self.number += 1;
        format!("run-{}", self.number)
    }

    /// A run of a new unit under the version it is given, a minute long, ending now.
    pub(crate) fn next(&mut self, baseline: f64, other: f64) -> Run {
        self.now += 10 * SECOND;
        let unit = self.unit();
        let version = self.version_for(&unit);
        let rate = if version == V1 { baseline } else { other };
        let outcome = if self.rng.f64() < rate { Outcome::Success } else { Outcome::Failure };
        self.run(&unit, version, outcome)
    }

    pub(crate) fn run(&self, unit: &str, version: VersionNumber, outcome: Outcome) -> Run {
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

    pub(crate) fn step(&mut self, baseline: f64, other: f64) -> Vec<Effect> {
        let run = self.next(baseline, other);
        self.apply(EventBody::Run(run))
    }

    /// Runs until a decision of this name, or fails after `most`.
    pub(crate) fn until(&mut self, decision: &str, most: usize, rates: (f64, f64)) -> Decision {
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

    pub(crate) fn trial(&self) -> TrialView {
        *self.agent.view().trial.expect("a trial")
    }

    pub(crate) fn states(&self) -> Vec<String> {
        self.agent.view().versions.iter().map(|v| format!("{} {}", v.version, v.state)).collect()
    }

    /// A unit that the split gives to the candidate, or not.
    pub(crate) fn unit_of(&mut self, candidate: bool) -> String {
        loop {
            let unit = self.unit();
            if (self.version_for(&unit) != V1) == candidate {
                return unit;
            }
        }
    }

    /// Lets enough time pass, and a run of no version that counts, for all deadlines to be over.
    pub(crate) fn settle(&mut self) {
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
fn a_trial_tells_how_it_came_to_where_it_stands() {
    let mut policy = policy();
    policy.trial.max_units = 4000;
    let mut live = Live::on_trial(policy);
    assert_eq!(live.trial().course, []);
    let (mut noted, mut table) = (Vec::new(), Table::default());
    while let Some(trial) = live.agent.view().trial {
        let course = &trial.course;
        let ahead = course.iter().zip(&noted).take_while(|(now, then)| now == then).count();
        assert!(noted.len() <= ahead + 1, "what was noted stays: only the present goes");
        assert!(course.is_sorted_by_key(|mark| (mark.at, mark.units)), "{course:?}");
        assert_eq!(course.is_empty(), trial.blocks == 0);
        if let Some(last) = course.last() {
            let reward = &trial.metrics[0];
            assert_eq!((last.at, last.units), (trial.now, trial.candidate_arm.units));
            let near = |one: f64, other: f64| (one - other).abs() <= 1e-3 * other.abs().max(0.1);
            assert!(near(last.effect, reward.effect.unwrap()), "{last:?} {reward:?}");
            assert!(near(last.low, reward.low) && near(last.high, reward.high));
            assert!(near(last.e_value, trial.gain.e_value), "{last:?} {:?}", trial.gain);
        }
        noted.clone_from(course);
        for _ in 0..20 {
            live.step(0.7, 0.7);
        }
        // A restart forgets none of it.
        table.write(&mut live.agent);
        assert_eq!(table.assemble().unwrap().view().trial, live.agent.view().trial);
    }
    let made = live.decisions.iter().filter_map(|decision| decision.trial.as_ref());
    let most = made.clone().map(|trial| trial.course.len()).max().unwrap();
    let largest = live.decisions.iter().map(|made| serde_json::to_vec(made).unwrap().len()).max();
    println!("{most} marks, the largest decision takes {largest:?} bytes");
    assert!((20..=64).contains(&most), "{most}");
    assert!(largest.unwrap() < 8 * 1024, "{largest:?}");
    let row = serde_json::to_value(noted[0]).unwrap();
    assert_eq!(row.as_array().unwrap().len(), 6, "{row}");
    assert_eq!(serde_json::from_value::<CourseView>(row).unwrap(), noted[0]);
}

#[test]
fn a_trial_of_an_earlier_build_has_no_course_until_its_next_block() {
    let mut live = Live::on_trial(policy());
    while live.trial().blocks < 3 {
        live.step(0.7, 0.7);
    }
    let (trial, mut pieces) = (live.trial(), Pieces::default());
    for change in live.agent.take_changes() {
        let (piece, Change::Set(body)) = (change.piece(), &change) else { continue };
        let mut body = serde_json::to_value(body).unwrap();
        if piece == Piece::Trial {
            body.as_object_mut().unwrap().remove("course").expect("it is there now");
        }
        pieces.read(piece, body).unwrap();
    }
    let earlier = Agent::assemble(name(), pieces).unwrap().view().trial.unwrap();
    assert_eq!(earlier.course, trial.course.last().copied().into_iter().collect::<Vec<_>>());
    assert_eq!(TrialView { course: trial.course.clone(), ..*earlier }, trial);
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
