//! The agent's state machine, driven by events alone.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use whetstone::base::{AgentName, EventTime, VersionNumber};
use whetstone::decode::{Outcome, Run, Tokens};
use whetstone::fold::WindowSpec;
use whetstone::govern::{
    Agent, Answer, Author, Command, CommandKind, Content, Edit, Effect, Event, EventBody,
    FeedbackSpec, GateReport, Half, Label, LlmReport, Part, Policy, Proposal, Proposed, Request,
    Rollout, Spend, SpendView, State, Version, VersionRecord,
};

use crate::pieces::Table;

pub(crate) const START: i64 = 1_700_000_000_000;
pub(crate) const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;

pub(crate) fn name() -> AgentName {
    "mitigation".parse().unwrap()
}

fn policy(rollout: Rollout) -> Policy {
    Policy { rollout, min_traces: 10, ..Policy::default() }
}

fn content(text: &str) -> Content {
    Content {
        prompts: BTreeMap::from([("system".to_owned(), format!("{text}\n"))]),
        config: BTreeMap::from([("max_step".to_owned(), json!(20))]),
    }
}

pub(crate) fn run(minute: i64, id: u64) -> Run {
    let end = EventTime::from_millis(START + minute * MINUTE);
    Run {
        agent: name(),
        trace_id: format!("t{id}"),
        session: None,
        version: None,
        start: end.plus_millis(-10_000),
        end,
        outcome: if id.is_multiple_of(3) { Outcome::Failure } else { Outcome::Success },
        attempts: 3,
        rounds: 3,
        retries: 0,
        tokens: Tokens::default(),
        cost_micros: None,
        tools: Vec::new(),
        transitions: Vec::new(),
        longest_repeat: 1,
        repeated_tool: None,
        reasoning: std::collections::BTreeSet::new(),
        signature: None,
        excerpt: String::new(),
    }
}

/// What somebody says of the run of that number.
pub(crate) fn label(id: u64, outcome: Outcome) -> EventBody {
    EventBody::Label(Label { trace_id: format!("t{id}"), outcome, by: "eve".to_owned() })
}

/// Feedback that is waited for so briefly, and by so few, that a random history has every case.
pub(crate) fn impatient(wait: i64) -> FeedbackSpec {
    FeedbackSpec { horizon: 70, wait, max_waiting: 12 }
}

/// An agent and everything that came out of it.
pub(crate) struct Bench {
    pub(crate) agent: Agent,
    pub(crate) policy: Policy,
    pub(crate) now: i64,
    pub(crate) effects: Vec<Effect>,
}

impl Bench {
    pub(crate) fn new(rollout: Rollout) -> Self {
        let agent = Agent::new(name());
        Self { agent, policy: policy(rollout), now: START, effects: Vec::new() }
    }

    pub(crate) fn with_baseline(rollout: Rollout) -> Self {
        let mut bench = Self::new(rollout);
        bench.adopt("Be careful.");
        bench
    }

    pub(crate) fn apply(&mut self, body: EventBody) -> Vec<Effect> {
        self.now += 1;
        let event = Event { agent: name(), at: EventTime::from_millis(self.now), body };
        let effects = self.agent.apply(&event, &self.policy);
        self.effects.extend(effects.clone());
        effects
    }

    pub(crate) fn order(&mut self, kind: CommandKind) -> Vec<Effect> {
        self.apply(EventBody::Command(Command { agent: name(), by: "ada".to_owned(), kind }))
    }

    pub(crate) fn adopt(&mut self, text: &str) -> Vec<Effect> {
        self.order(CommandKind::Adopt { content: content(text), source: "commit abc".to_owned() })
    }

    pub(crate) fn runs(&mut self, minutes: std::ops::Range<i64>) -> Vec<Effect> {
        let bodies = minutes.map(|m| EventBody::Run(run(m, m.unsigned_abs())));
        bodies.flat_map(|body| self.apply(body)).collect()
    }

    fn propose(&mut self, request: &Request, edit: Edit) -> Vec<Effect> {
        self.apply(answer(proposal(request, vec![edit])))
    }

    fn states(&self) -> Vec<String> {
        self.agent.view().versions.iter().map(|v| format!("{} {}", v.version, v.state)).collect()
    }
}

fn proposal(request: &Request, edits: Vec<Edit>) -> Proposal {
    let none = Answer::NoChange { reason: "nothing to gain".to_owned() };
    let why = "12 of 14 failures".to_owned();
    let proposed: Vec<_> =
        edits.into_iter().map(|edit| Proposed { edit, why: why.clone() }).collect();
    let answer = if proposed.is_empty() { none.clone() } else { Answer::Edits { edits: proposed } };
    Proposal {
        request: request.id.clone(),
        parent: request.parent,
        prompt: Part { author: Author::Patterns, answer, refused: Vec::new() },
        config: Part { author: Author::Patterns, answer: none, refused: Vec::new() },
        llm: used(request),
        findings: Vec::new(),
        considered: Vec::new(),
        gate: None,
        gate_problem: None,
    }
}

fn answer(proposal: Proposal) -> EventBody {
    EventBody::Proposal(Box::new(proposal))
}

/// What the model cost for `request`: more from request to request, and nothing for some.
fn used(request: &Request) -> LlmReport {
    let number = request.id.number;
    let mut report =
        LlmReport { calls: u32::try_from(number % 3).unwrap(), ..LlmReport::default() };
    report.book(number % 3 * 100, number, number.is_multiple_of(2).then_some(7 * number));
    report
}

fn bullet(text: &str) -> Edit {
    Edit::AddBullet { text: text.to_owned() }
}

pub(crate) fn requests(effects: &[Effect]) -> Vec<Request> {
    let request = |effect: &Effect| match effect {
        Effect::Request(request) => Some(Request::clone(request)),
        _ => None,
    };
    effects.iter().filter_map(request).collect()
}

fn decisions(effects: &[Effect]) -> Vec<String> {
    let decision = |effect: &Effect| match effect {
        Effect::Decision(decision) => Some(format!("{}: {}", decision.decision, decision.reason)),
        _ => None,
    };
    effects.iter().filter_map(decision).collect()
}

fn one_request(effects: &[Effect]) -> Request {
    let requests = requests(effects);
    assert_eq!(requests.len(), 1, "{effects:#?}");
    requests.into_iter().next().unwrap()
}

fn gated(request: &Request, passed: bool) -> EventBody {
    let gate = GateReport {
        passed,
        score: Some(0.3),
        baseline_score: Some(0.775),
        problems: Some(40),
        detail: "12 of 40 solved\n".to_owned(),
        seconds: 7.5,
    };
    let proposal = proposal(request, vec![bullet("Look twice.")]);
    answer(Proposal { gate: Some(gate), ..proposal })
}

#[test]
fn what_a_proposal_cost_is_booked_on_its_day_whatever_becomes_of_it() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    let request = one_request(&bench.runs(0..20));
    assert_eq!(request.spent, Spend::default());
    bench.now = 20_000 * DAY - 10;
    let stale = Request { parent: VersionNumber(9), ..request.clone() };
    let refused = bench.propose(&stale, bullet("Look first."));
    assert!(decisions(&refused)[0].contains("no longer active"), "{refused:?}");
    let again = bench.propose(&request, bullet("Look first."));
    assert!(decisions(&again)[0].contains("is not open"), "{again:?}");
    let one = Spend { calls: 1, input_tokens: 100, output_tokens: 1, ..Spend::default() };
    let one = Spend { unpriced_tokens: 101, ..one };
    let view = |bench: &Bench| bench.agent.view().spending;
    let days = [SpendView { day: "2024-10-03".to_owned(), spend: one.plus(one) }];
    assert_eq!(view(&bench), days);

    let request = one_request(&bench.order(CommandKind::Optimize));
    assert_eq!(request.spent, one.plus(one), "on the day on which is asked");
    bench.now = 20_000 * DAY;
    bench.propose(&request, bullet("Look first."));
    let two = Spend {
        calls: 2,
        input_tokens: 200,
        output_tokens: 2,
        cost_micros: 14,
        ..Spend::default()
    };
    assert_eq!(view(&bench)[0], days[0]);
    assert_eq!(view(&bench)[1], SpendView { day: "2024-10-04".to_owned(), spend: two });

    let mut table = Table::default();
    table.write(&mut bench.agent);
    let restored = table.read(published(&bench.effects)).unwrap();
    assert_eq!(restored.view().spending, view(&bench));
}

#[test]
fn what_the_gate_does_not_pass_is_rejected_with_its_numbers_and_not_tried_again() {
    for rollout in [Rollout::Immediate, Rollout::Manual, Rollout::Trial] {
        let mut bench = Bench::with_baseline(rollout);
        let request = one_request(&bench.runs(0..10));
        let effects = bench.apply(gated(&request, false));
        let why = "the gate: score 0.3 against 0.775 on 40 problems: 12 of 40 solved";
        assert_eq!(decisions(&effects), [format!("rejected: {why}")]);
        assert_eq!(bench.states(), ["v1 active", "v2 rejected"]);
        let known = effects.iter().any(|effect| {
            matches!(effect, Effect::Version(record)
                if record.state == State::Rejected { reason: why.to_owned() })
        });
        assert!(known, "{effects:#?}");

        let request = one_request(&bench.runs(69..80));
        let again = bench.propose(&request, bullet("Look twice."));
        assert!(decisions(&again)[0].starts_with("proposal_refused"), "{again:#?}");
        assert_eq!(bench.states(), ["v1 active", "v2 rejected"]);
    }
}

#[test]
fn what_the_gate_passes_carries_its_numbers() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    let request = one_request(&bench.runs(0..10));
    let effects = bench.apply(gated(&request, true));
    let gate = "; gate: score 0.3 against 0.775 on 40 problems: 12 of 40 solved";
    assert!(decisions(&effects)[0].ends_with(gate), "{effects:#?}");
    assert_eq!(bench.states(), ["v1 superseded", "v2 active"]);
}

#[test]
fn a_full_window_asks_once_until_it_is_answered() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    assert!(requests(&bench.runs(0..9)).is_empty());
    let request = one_request(&bench.runs(9..30));
    assert_eq!(request.parent, VersionNumber(1));
    assert_eq!(request.window.counts.known(), 10);
    assert_eq!(request.id.to_string(), "mitigation#1");
}

#[test]
fn the_next_request_waits_for_cooldown_and_fresh_runs() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    let request = one_request(&bench.runs(0..10));
    let none = bench.apply(answer(proposal(&request, Vec::new())));
    assert_eq!(decisions(&none), ["no_change: prompts: nothing to gain; config: nothing to gain"]);
    assert!(requests(&bench.runs(10..69)).is_empty(), "the cooldown is an hour");
    assert_eq!(requests(&bench.runs(69..80)).len(), 1);
}

#[test]
fn aborted_and_unlabelled_runs_are_no_evidence() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    for (id, outcome) in (0..40).zip([Outcome::Aborted, Outcome::Unknown].into_iter().cycle()) {
        let effects = bench.apply(EventBody::Run(Run { outcome, ..run(id, id.unsigned_abs()) }));
        assert!(requests(&effects).is_empty());
    }
    let view = bench.agent.view();
    assert_eq!((view.recent.runs.aborted, view.recent.runs.unknown), (20, 20));
    assert_eq!(view.recent.success_rate, None);
}

#[test]
fn an_answer_that_comes_twice_makes_one_version() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    let request = one_request(&bench.runs(0..10));
    bench.propose(&request, bullet("Check the events."));
    let again = bench.propose(&request, bullet("Check the events."));
    assert_eq!(
        decisions(&again),
        ["proposal_refused: mitigation#1 is not open: answered before, or never asked"]
    );
    assert_eq!(bench.states(), ["v1 superseded", "v2 active"]);
}

#[test]
fn an_answer_to_a_state_that_has_moved_on_is_refused_by_name() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    let request = one_request(&bench.runs(0..10));
    bench.adopt("Be bold.");
    let late = bench.propose(&request, bullet("Check the events."));
    assert_eq!(decisions(&late), ["proposal_refused: made from v1, which is no longer active"]);
    assert_eq!(bench.states(), ["v1 superseded", "v2 active"]);
}

#[test]
fn the_machine_guards_itself_whatever_the_optimizer_checked() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    let request = one_request(&bench.runs(0..10));
    let set = Edit::SetConfig { key: "max_step".to_owned(), value: json!(500) };
    let refused = bench.propose(&request, set);
    assert_eq!(
        decisions(&refused),
        ["proposal_refused: config key \"max_step\": 500 is outside 5 to 60"]
    );
    assert_eq!(bench.states(), ["v1 active"]);
}

#[test]
fn what_was_rolled_back_is_not_tried_again() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    let request = one_request(&bench.runs(0..10));
    bench.propose(&request, bullet("Guess."));
    bench.order(CommandKind::Rollback { to: None, only: None, reason: "worse".to_owned() });
    assert_eq!(bench.states(), ["v1 active", "v2 rolled_back"]);
    let request = one_request(&bench.runs(100..140));
    let refused = bench.propose(&request, bullet("Guess."));
    assert!(decisions(&refused)[0].contains("was tried before"), "{refused:?}");
}

#[test]
fn a_person_approves_or_rejects_in_manual_rollout() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    let request = one_request(&bench.runs(0..10));
    bench.propose(&request, bullet("Check the events."));
    assert_eq!(bench.states(), ["v1 active", "v2 candidate"]);
    assert!(requests(&bench.runs(100..150)).is_empty(), "one candidate at a time");

    bench.order(CommandKind::Reject { version: VersionNumber(2), reason: "no".to_owned() });
    assert_eq!(bench.states(), ["v1 active", "v2 rejected"]);
    let late = bench.order(CommandKind::Approve { version: VersionNumber(2) });
    assert_eq!(decisions(&late), ["command_refused: v2 is rejected, not a candidate"]);

    let request = one_request(&bench.runs(200..220));
    bench.propose(&request, bullet("Read the logs."));
    let effects = bench.order(CommandKind::Approve { version: VersionNumber(3) });
    assert_eq!(bench.states(), ["v1 superseded", "v2 rejected", "v3 active"]);
    let updated = effects.iter().any(|effect| {
        matches!(effect, Effect::Update(update) if update.active.number == VersionNumber(3))
    });
    assert!(updated, "subscribers are told");
}

#[test]
fn an_edit_by_a_person_wins_over_a_waiting_candidate() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    let request = one_request(&bench.runs(0..10));
    bench.propose(&request, bullet("Check the events."));
    bench.adopt("Be bold.");
    assert_eq!(bench.states(), ["v1 superseded", "v2 rejected", "v3 active"]);
    assert!(bench.adopt("Be bold.").is_empty(), "the same edit again changes nothing");
}

#[test]
fn rollback_goes_to_any_version_that_was_active_and_to_no_other() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    bench.adopt("Be bold.");
    bench.adopt("Be quick.");
    let back = |to| CommandKind::Rollback {
        to: Some(VersionNumber(to)),
        only: None,
        reason: "worse".to_owned(),
    };
    bench.order(back(1));
    assert_eq!(bench.states(), ["v1 active", "v2 superseded", "v3 rolled_back"]);
    assert_eq!(decisions(&bench.order(back(1))), ["command_refused: v1 is active already"]);
    assert_eq!(decisions(&bench.order(back(9))), ["command_refused: there is no v9"]);
    bench.order(back(3));
    assert_eq!(bench.states(), ["v1 rolled_back", "v2 superseded", "v3 active"]);
}

#[test]
fn prompts_and_config_roll_back_apart() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    let request = one_request(&bench.runs(0..10));
    let set = Edit::SetConfig { key: "max_step".to_owned(), value: json!(25) };
    let both = proposal(&request, vec![bullet("Check the events."), set]);
    bench.apply(answer(both));
    bench.order(CommandKind::Rollback {
        to: None,
        only: Some(Half::Config),
        reason: "too long".to_owned(),
    });
    assert_eq!(bench.states(), ["v1 superseded", "v2 rolled_back", "v3 active"]);
    let active = bench.effects.iter().rev().find_map(|effect| match effect {
        Effect::Update(update) => Some(update.active.content.clone()),
        _ => None,
    });
    let active = active.unwrap();
    assert_eq!(active.config["max_step"], json!(20));
    assert!(active.prompts["system"].contains("[w1] Check the events."));
}

#[test]
fn an_agent_that_the_repo_does_not_know_is_reported_not_invented() {
    let mut bench = Bench::new(Rollout::Immediate);
    let effects = bench.runs(0..30);
    assert_eq!(decisions(&effects).len(), 1);
    assert!(decisions(&effects)[0].starts_with("not_in_repo"));
    assert_eq!(bench.agent.view().active, None);
    assert_eq!(bench.agent.view().recent.runs.known(), 30);
}

#[test]
fn a_run_that_names_no_version_belongs_to_the_one_active_when_it_started() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    bench.now = START + 30 * MINUTE;
    bench.adopt("Be bold.");
    bench.runs(0..40);
    let runs: Vec<_> = bench.agent.view().versions.iter().map(|v| v.runs.known()).collect();
    assert_eq!(runs, [31, 9]);
    assert_eq!(bench.agent.tally().attributed, 40);
}

#[test]
fn each_run_is_counted_once_and_in_one_place() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    bench.runs(0..5);
    bench.runs(0..5);
    bench.runs(3000..3001);
    bench.apply(EventBody::Run(run(10, 777)));
    let version = Some(VersionNumber(8));
    bench.apply(EventBody::Run(Run { version, ..run(3001, 778) }));
    let tally = bench.agent.tally();
    assert_eq!((tally.windowed, tally.duplicate), (6, 5));
    assert_eq!((tally.late, tally.unknown_version), (1, 1));
}

#[test]
fn a_paused_agent_asks_only_when_told_to() {
    let mut bench = Bench::with_baseline(Rollout::Immediate);
    bench.order(CommandKind::Pause);
    assert!(requests(&bench.runs(0..50)).is_empty());
    assert_eq!(requests(&bench.order(CommandKind::Optimize)).len(), 1);
    let again = bench.order(CommandKind::Optimize);
    assert_eq!(decisions(&again), ["command_refused: request mitigation#1 is not answered yet"]);
}

/// A step of a random history; what it means depends on the state it meets.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Run { minute: i64, id: u64, outcome: u8, version: Option<u32> },
    Answer { edit: u8 },
    AnswerAgain,
    Order { kind: u8, version: u32 },
    Adopt { text: u8 },
    Label { id: u64, outcome: u8 },
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let version = prop::option::weighted(0.3, 0..6u32);
    prop_oneof![
        20 => (0..300i64, 0..400u64, 0..4u8, version)
            .prop_map(|(minute, id, outcome, version)| Step::Run { minute, id, outcome, version }),
        4 => (0..5u8).prop_map(|edit| Step::Answer { edit }),
        1 => Just(Step::AnswerAgain),
        2 => (0..6u8, 0..6u32).prop_map(|(kind, version)| Step::Order { kind, version }),
        1 => (0..4u8).prop_map(|text| Step::Adopt { text }),
        6 => (0..400u64, 0..3u8).prop_map(|(id, outcome)| Step::Label { id, outcome }),
    ]
}

pub(crate) fn body(
    step: &Step,
    asked: &mut Vec<Request>,
    answered: &[Request],
) -> Option<EventBody> {
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Aborted, Outcome::Unknown];
    Some(match step {
        Step::Label { id, outcome } => label(*id, outcomes[usize::from(*outcome)]),
        Step::Run { minute, id, outcome, version } => {
            let outcome = outcomes[usize::from(*outcome)];
            EventBody::Run(Run {
                outcome,
                version: version.map(VersionNumber),
                ..run(*minute, *id)
            })
        }
        Step::Answer { edit } => {
            let edits = match edit {
                0 => Vec::new(),
                1 => vec![Edit::SetConfig { key: "max_step".to_owned(), value: json!(25) }],
                2 => vec![Edit::RemoveBullet { id: "w1".to_owned() }],
                n => vec![bullet(&format!("Advice {n}."))],
            };
            answer(proposal(&asked.pop()?, edits))
        }
        Step::AnswerAgain => answer(proposal(answered.last()?, vec![bullet("Twice.")])),
        Step::Order { kind, version } => {
            let version = VersionNumber(*version);
            let reason = "because".to_owned();
            let kind = match kind {
                0 => CommandKind::Approve { version },
                1 => CommandKind::Reject { version, reason },
                2 => CommandKind::Rollback { to: Some(version), only: None, reason },
                3 => CommandKind::Rollback { to: None, only: Some(Half::Prompts), reason },
                4 => CommandKind::Pause,
                _ => CommandKind::Resume,
            };
            EventBody::Command(Command { agent: name(), by: "ada".to_owned(), kind })
        }
        Step::Adopt { text } => {
            let (content, source) = (content(&format!("Baseline {text}")), "commit".to_owned());
            let kind = CommandKind::Adopt { content, source };
            EventBody::Command(Command { agent: name(), by: "ada".to_owned(), kind })
        }
    })
}

/// Plays `steps` from the start; a restart from stored state at `restart`.
fn play(steps: &[Step], rollout: Rollout, restart: Option<usize>) -> (Agent, Vec<Effect>) {
    let mut bench = Bench::with_baseline(rollout);
    bench.policy.feedback = impatient(if steps.len().is_multiple_of(2) { 0 } else { 30 });
    play_on(bench, steps, restart)
}

/// Plays `steps` from the start over other windows.
pub(crate) fn play_under(
    steps: &[Step],
    rollout: Rollout,
    (windows, feedback): (WindowSpec, FeedbackSpec),
) -> (Agent, Vec<Effect>) {
    let mut bench = Bench::with_baseline(rollout);
    (bench.policy.windows, bench.policy.feedback) = (windows, feedback);
    play_on(bench, steps, None)
}

fn play_on(mut bench: Bench, steps: &[Step], restart: Option<usize>) -> (Agent, Vec<Effect>) {
    let (mut asked, mut answered) = (Vec::new(), Vec::new());
    for (index, step) in steps.iter().enumerate() {
        if restart == Some(index) {
            let mut table = Table::default();
            table.write(&mut bench.agent);
            bench.agent = table.read(published(&bench.effects)).unwrap();
        }
        let Some(body) = body(step, &mut asked, &answered) else { continue };
        let effects = bench.apply(body);
        let new = requests(&effects);
        answered.extend(new.clone());
        asked.extend(new);
    }
    (bench.agent, bench.effects)
}

/// What stands on prompt-versions after `effects`.
pub(crate) fn published(effects: &[Effect]) -> Vec<Version> {
    let version = |effect: &Effect| match effect {
        Effect::Version(record) => Some(record.version.clone()),
        _ => None,
    };
    effects.iter().filter_map(version).collect()
}

fn records(effects: &[Effect]) -> Vec<VersionRecord> {
    let record = |effect: &Effect| match effect {
        Effect::Version(record) => Some(VersionRecord::clone(record)),
        _ => None,
    };
    effects.iter().filter_map(record).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_replay_gives_the_same_state_and_the_same_effects(
        steps in prop::collection::vec(step(), 0..200),
        manual: bool,
        cut in 0..200usize,
    ) {
        let rollout = if manual { Rollout::Manual } else { Rollout::Immediate };
        let (agent, effects) = play(&steps, rollout, None);
        let (restarted, same_effects) = play(&steps, rollout, Some(cut));
        prop_assert_eq!(&effects, &same_effects);
        prop_assert_eq!(agent.view(), restarted.view());
        prop_assert_eq!(agent, restarted);
    }

    #[test]
    fn versions_have_no_gaps_and_one_is_active(
        steps in prop::collection::vec(step(), 0..200),
        manual: bool,
    ) {
        let rollout = if manual { Rollout::Manual } else { Rollout::Immediate };
        let (agent, effects) = play(&steps, rollout, None);
        let records = records(&effects);
        let revisions: Vec<_> = records.iter().map(|record| record.revision).collect();
        prop_assert_eq!(revisions, (1..=records.len() as u64).collect::<Vec<_>>());

        let view = agent.view();
        let numbers: Vec<_> = view.versions.iter().map(|version| version.version.0).collect();
        prop_assert_eq!(&numbers, &(1..=u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
        let active = view.versions.iter().filter(|version| version.state == "active").count();
        prop_assert_eq!(active, 1);

        let mut latest = BTreeMap::new();
        for record in records {
            latest.insert(record.version.number, record.state);
        }
        let told: Vec<_> = latest.values().map(State::name).collect();
        let held: Vec<_> = view.versions.iter().map(|version| version.state.as_str()).collect();
        prop_assert_eq!(told, held, "what was published is what is held");
    }

    #[test]
    fn no_run_is_lost_or_counted_twice(steps in prop::collection::vec(step(), 0..200)) {
        let (agent, _) = play(&steps, Rollout::Immediate, None);
        let runs = steps.iter().filter(|step| matches!(step, Step::Run { .. })).count() as u64;
        let tally = agent.tally();
        prop_assert_eq!(
            tally.windowed + tally.duplicate + tally.late + tally.unknown_version,
            runs
        );
    }
}
