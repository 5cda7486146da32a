//! Outcomes that are said later, or before: to windows, counts and trials a run that is labelled is one that
//! came with its outcome.

use std::collections::BTreeMap;

use fastrand::Rng;
use proptest::prelude::*;
use whetstone::base::VersionNumber;
use whetstone::decode::{Outcome, Run};
use whetstone::fold::{Aggregate, Folded, Limits, RewardSpec, WindowKind, WindowSpec, Windows};
use whetstone::govern::{
    CommandKind, Decision, Effect, EventBody, FeedbackSpec, Label, LabelTally, Rollout, TrialView,
};

use crate::agent::{Bench, MINUTE, label, published, requests, run};
use crate::pieces::{Table, keys};
use crate::runs::any_run;
use crate::trial::{Live, SECOND, V1, V2, policy};

const OUTCOMES: [Outcome; 3] = [Outcome::Success, Outcome::Failure, Outcome::Aborted];
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn unknown(run: &Run) -> Run {
    Run { outcome: Outcome::Unknown, ..run.clone() }
}

/// An agent whose runs wait for their outcome, and that asks for nothing.
fn patient() -> Bench {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    bench.policy.min_traces = u64::MAX;
    bench
}

fn labels(bench: &Bench) -> LabelTally {
    bench.agent.tally().labels
}

fn decisions(effects: &[Effect]) -> Vec<&Decision> {
    let mut made = Vec::new();
    for effect in effects {
        if let Effect::Decision(decision) = effect {
            made.push(decision);
        }
    }
    made
}

/// The panes as they are stored.
fn panes(table: &Table) -> BTreeMap<String, Aggregate> {
    let pane =
        |(key, value): (&str, &[u8])| (key.to_owned(), rmp_serde::from_slice(value).unwrap());
    table.values("/pane/").into_iter().map(pane).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn to_a_pane_a_run_that_is_labelled_is_one_that_came_so(
        runs in prop::collection::vec((any_run(0..50_000), any::<bool>(), 0..3usize), 1..50),
        seed: u64,
    ) {
        let kind = WindowKind::Sliding { length: 20_000, slide: 5_000 };
        let spec = WindowSpec { kind, allowed_lateness: 100_000 };
        let (reward, limits) = (RewardSpec::default(), Limits { steps: Some(9), attempts: Some(3) });
        let version = VersionNumber(1);
        let (mut straight, mut late) = (Windows::default(), Windows::default());
        let mut open = Vec::new();
        for (run, labelled, outcome) in &runs {
            let run = if *labelled { Run { outcome: OUTCOMES[*outcome], ..run.clone() } } else { run.clone() };
            let add = (&reward, limits, *labelled);
            straight.fold(&spec, version, &run, add);
            let first = if *labelled { unknown(&run) } else { run.clone() };
            let Folded::Pane(pane) = late.fold(&spec, version, &first, add) else {
                panic!("nothing is late")
            };
            if *labelled {
                open.push((pane, run));
            }
        }
        Rng::with_seed(seed).shuffle(&mut open);
        for (pane, run) in &open {
            let folded = late.relabel(&spec, (version, *pane), run, (&reward, limits, true));
            prop_assert_eq!(folded, Folded::Pane(*pane));
        }
        prop_assert_eq!(late, straight);
    }

    /// Runs and what is said of them in any order, some of it twice, and restarts in between.
    #[test]
    fn in_whatever_order_runs_and_labels_come_all_is_as_if_the_runs_had_said_it(
        runs in prop::collection::vec((0..300i64, 0..3usize, any::<bool>()), 1..80),
        seed: u64,
        restarts: bool,
    ) {
        let mut rng = Rng::with_seed(seed);
        let (mut straight, mut late) = (patient(), patient());
        for bench in [&mut straight, &mut late] {
            bench.policy.windows.allowed_lateness = 24 * 60 * MINUTE;
        }
        let mut bodies = Vec::new();
        for (id, (minute, outcome, labelled)) in (0..).zip(&runs) {
            let run = Run { outcome: OUTCOMES[*outcome], ..run(*minute, id) };
            straight.apply(EventBody::Run(run.clone()));
            let first = if *labelled { unknown(&run) } else { run.clone() };
            let mut said = vec![EventBody::Run(first)];
            if *labelled {
                said.push(label(id, run.outcome));
            }
            for body in said {
                bodies.extend(std::iter::repeat_n(body, rng.usize(1..3)));
            }
        }
        rng.shuffle(&mut bodies);
        let mut table = Table::default();
        for body in bodies {
            late.apply(body);
            if restarts && rng.u8(..) < 50 {
                table.write(&mut late.agent);
                late.agent = table.read(published(&late.effects)).unwrap();
            }
        }
        let mut expected = Table::default();
        table.write(&mut late.agent);
        expected.write(&mut straight.agent);
        prop_assert_eq!(panes(&table), panes(&expected));
        let (view, expected) = (late.agent.view(), straight.agent.view());
        prop_assert_eq!(&view.recent, &expected.recent);
        prop_assert_eq!(&view.versions, &expected.versions);
        prop_assert_eq!((view.watermark, view.waiting), (expected.watermark, 0));
        let tally = labels(&late);
        let count = runs.iter().filter(|(_, _, labelled)| *labelled).count() as u64;
        prop_assert_eq!((tally.joined + tally.early, tally.labelled), (count, count));
        let refused = tally.conflicting + tally.already_known + tally.late;
        prop_assert_eq!((refused, tally.given_up, tally.after_window), (0, 0, 0));
        prop_assert_eq!(late.agent.tally().windowed, runs.len() as u64);
    }
}

#[test]
fn a_label_that_makes_a_window_worth_it_asks_for_an_optimization() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    for id in 0..10 {
        bench.apply(EventBody::Run(unknown(&run(0, id))));
    }
    assert_eq!(bench.agent.view().waiting, 10);
    for id in 0..9 {
        assert!(requests(&bench.apply(label(id, Outcome::Failure))).is_empty(), "{id}");
    }
    let request = requests(&bench.apply(label(9, Outcome::Success))).pop().expect("a request");
    assert_eq!((request.window.counts.success, request.window.counts.failure), (1, 9));
    assert_eq!((request.window.counts.unknown, bench.agent.view().waiting), (0, 0));
}

#[test]
fn the_watch_over_the_active_version_sees_labelled_runs() {
    let mut bench = patient();
    bench.policy.watch.baseline_runs = 50;
    bench.policy.watch.false_alarm_runs = 100;
    let mut alarms = 0;
    for id in 0..400 {
        bench.apply(EventBody::Run(unknown(&run(0, id))));
        let outcome = if id < 100 { Outcome::Success } else { Outcome::Failure };
        let effects = bench.apply(label(id, outcome));
        alarms += decisions(&effects).iter().filter(|made| made.decision == "drift").count();
    }
    assert!(alarms > 0);
}

#[test]
fn each_label_ends_in_one_place_by_name() {
    let mut bench = patient();
    bench.policy.feedback = FeedbackSpec { horizon: 1000, ..FeedbackSpec::default() };
    bench.apply(EventBody::Run(unknown(&run(0, 1))));
    bench.apply(label(1, Outcome::Success));
    bench.apply(label(2, Outcome::Failure));
    bench.apply(EventBody::Run(unknown(&run(0, 2))));
    bench.apply(label(2, Outcome::Failure));
    let refused = bench.apply(label(1, Outcome::Failure));
    let why = "eve says that t1 is failure; it was said to be success before, and that stands";
    assert_eq!(decisions(&refused)[0].decision, "label_refused");
    assert_eq!(decisions(&refused)[0].reason, why);
    // Its own outcome stands, whichever came first.
    bench.apply(EventBody::Run(run(0, 4)));
    bench.apply(label(4, Outcome::Failure));
    bench.apply(label(5, Outcome::Success));
    bench.apply(EventBody::Run(Run { outcome: Outcome::Failure, ..run(0, 5) }));
    // Nobody says anything of it in time.
    bench.apply(EventBody::Run(unknown(&run(0, 6))));
    bench.now += 1000;
    bench.apply(label(6, Outcome::Success));
    let expected = LabelTally {
        joined: 1,
        early: 2,
        duplicate: 1,
        conflicting: 1,
        already_known: 1,
        late: 1,
        unneeded: 1,
        labelled: 2,
        after_window: 0,
        given_up: 1,
    };
    assert_eq!(labels(&bench), expected);
    let counts = bench.agent.view().recent.runs;
    assert_eq!((counts.success, counts.failure, counts.unknown), (2, 2, 1));
    // It is told what became of them, and only where there is something to tell.
    let told = serde_json::to_value(bench.agent.view().runs).unwrap();
    assert_eq!(told["labels"]["labelled"], 2);
    assert!(serde_json::to_value(patient().agent.view().runs).unwrap().get("labels").is_none());
}

#[test]
fn a_label_counts_up_to_the_last_moment_of_its_horizon_and_not_after() {
    for (late, from_run) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut bench = patient();
        bench.policy.feedback.horizon = 5000;
        let (first, second) = (EventBody::Run(unknown(&run(0, 1))), label(1, Outcome::Success));
        let (first, second) = if from_run { (first, second) } else { (second, first) };
        bench.apply(first);
        bench.now += 4999 + i64::from(late);
        bench.apply(second);
        assert_eq!(bench.agent.view().recent.runs.success, u64::from(!late), "{late} {from_run}");
        assert_eq!(labels(&bench).labelled, u64::from(!late));
    }
}

#[test]
fn a_label_of_a_trace_is_one_of_each_of_its_runs() {
    let mut bench = patient();
    let part = |span: u64| {
        let trace_id = format!("{TRACE}-{span:016x}");
        EventBody::Run(Run { trace_id, ..unknown(&run(0, span)) })
    };
    let say = |trace_id: String, outcome| {
        EventBody::Label(Label { trace_id, outcome, by: "eve".to_owned() })
    };
    bench.apply(say(format!("{TRACE}-{:016x}", 4), Outcome::Failure));
    bench.apply(part(1));
    bench.apply(part(2));
    // A restart in between is no matter.
    let mut table = Table::default();
    table.write(&mut bench.agent);
    bench.agent = table.read(published(&bench.effects)).unwrap();
    bench.apply(say(TRACE.to_owned(), Outcome::Success));
    assert_eq!((labels(&bench).joined, labels(&bench).labelled), (1, 2));
    bench.apply(part(3));
    bench.apply(part(4));
    let counts = bench.agent.view().recent.runs;
    assert_eq!((counts.success, counts.failure, counts.unknown), (3, 1, 0), "its own goes before");
}

#[test]
fn a_window_that_has_closed_takes_no_outcome_and_the_version_does() {
    let mut bench = patient();
    bench.apply(EventBody::Run(unknown(&run(0, 3))));
    bench.runs(3000..3001);
    bench.apply(label(3, Outcome::Failure));
    assert_eq!((labels(&bench).joined, labels(&bench).after_window), (1, 1));
    let view = bench.agent.view();
    assert_eq!((view.recent.runs.total(), view.recent.runs.failure), (1, 1), "the later one's");
    let runs = view.versions[0].runs;
    assert_eq!((runs.success, runs.failure, runs.unknown), (0, 2, 0));
}

#[test]
fn where_runs_are_counted_a_labelled_run_is_in_the_group_of_its_label() {
    let mut bench = patient();
    let kind = WindowKind::Count { runs: 3 };
    bench.policy.windows = WindowSpec { kind, allowed_lateness: 0 };
    for id in 0..12 {
        bench.apply(EventBody::Run(unknown(&run(0, id))));
    }
    let mut table = Table::default();
    for id in 0..5 {
        bench.apply(label(id, Outcome::Success));
    }
    table.write(&mut bench.agent);
    let held: Vec<_> = panes(&table).into_values().collect();
    let found = held.iter().map(|pane| (pane.counts.success, pane.counts.unknown, pane.attributed));
    assert_eq!(found.collect::<Vec<_>>(), [(3, 7, 10), (2, 0, 2)]);
    for id in 5..12 {
        bench.apply(label(id, Outcome::Success));
    }
    table.write(&mut bench.agent);
    let counts: Vec<_> = panes(&table).into_values().map(|pane| pane.counts).collect();
    assert!(counts.iter().all(|counts| (counts.success, counts.unknown) == (3, 0)), "{counts:?}");
    assert_eq!(bench.agent.view().versions[0].runs.success, 12);
    assert_eq!(labels(&bench).after_window, 0);
}

#[test]
fn where_too_many_wait_the_oldest_are_let_go() {
    let mut bench = patient();
    bench.policy.feedback.max_waiting = 3;
    for id in 0..5 {
        bench.apply(EventBody::Run(unknown(&run(0, id))));
    }
    assert_eq!((bench.agent.view().waiting, labels(&bench).given_up), (3, 2));
    bench.apply(label(1, Outcome::Success));
    bench.apply(label(2, Outcome::Success));
    assert_eq!((labels(&bench).late, labels(&bench).joined), (1, 1));
    bench.policy.feedback.max_waiting = 0;
    bench.apply(EventBody::Run(unknown(&run(0, 9))));
    assert_eq!(bench.agent.view().waiting, 0);
}

#[test]
fn a_run_that_waits_is_sent_again_in_vain_however_many_came_since() {
    let mut bench = patient();
    bench.policy.feedback.max_waiting = 10_000;
    for id in 0..5000 {
        bench.apply(EventBody::Run(unknown(&run(0, id))));
    }
    bench.apply(EventBody::Run(run(0, 0)));
    assert_eq!((bench.agent.tally().duplicate, bench.agent.view().waiting), (1, 5000));
}

#[test]
fn where_the_policy_says_so_a_label_overrules_what_the_run_says() {
    let mut bench = patient();
    bench.policy.feedback.wait = 1000;
    let failed = |id| EventBody::Run(Run { outcome: Outcome::Failure, ..run(0, id) });
    bench.apply(failed(1));
    bench.apply(failed(2));
    bench.apply(label(3, Outcome::Success));
    bench.apply(failed(3));
    let counts = |bench: &Bench| {
        let runs = bench.agent.view().recent.runs;
        (runs.success, runs.failure, runs.unknown)
    };
    assert_eq!(counts(&bench), (1, 0, 2), "they wait");
    bench.apply(label(1, Outcome::Success));
    assert_eq!(counts(&bench), (2, 0, 1));
    bench.now += 996;
    bench.order(CommandKind::Resume);
    assert_eq!(counts(&bench), (2, 0, 1));
    bench.order(CommandKind::Resume);
    assert_eq!(counts(&bench), (2, 1, 0), "its own counts when the wait is over");
    bench.apply(label(2, Outcome::Success));
    assert_eq!((labels(&bench).already_known, labels(&bench).given_up), (1, 0));
    assert_eq!((labels(&bench).labelled, counts(&bench)), (2, (2, 1, 0)));
}

#[test]
fn a_label_writes_little_and_takes_its_run_out_of_the_store() {
    let mut bench = patient();
    let mut table = Table::default();
    for id in 0..300 {
        bench.apply(EventBody::Run(unknown(&run(0, id))));
    }
    table.write(&mut bench.agent);
    assert_eq!(table.values("/waiting/").len(), 300);
    for id in 0..299 {
        bench.apply(label(id, Outcome::Success));
    }
    table.write(&mut bench.agent);
    bench.apply(label(299, Outcome::Success));
    let written = table.write(&mut bench.agent);
    println!("one more label writes {written:?}");
    let kinds: Vec<_> = keys(&written).iter().map(|key| key.split('/').nth(1)).collect();
    assert_eq!(kinds, [None, Some("heard"), Some("pane"), Some("waiting")]);
    let gone = written.iter().find(|(key, _)| key.contains("/waiting/"));
    assert_eq!(gone.unwrap().1, &None);
    assert_eq!(table.values("/waiting/").len(), 0);
    bench.apply(EventBody::Run(unknown(&run(0, 300))));
    let written = table.write(&mut bench.agent);
    let waiting = written.iter().filter(|(key, _)| key.contains("/waiting/"));
    assert_eq!(waiting.count(), 1, "{written:?}");
    assert!(!keys(&written).iter().any(|key| key.contains("/heard/")), "{written:?}");
}

/// A trial of runs whose outcome comes with them or is said after them, before their deadline.
fn tried(labelled: bool, seed: u64) -> (TrialView, LabelTally) {
    let mut live = Live::on_trial(policy());
    let mut rng = Rng::with_seed(seed);
    let mut said = Vec::new();
    for number in 0..60u8 {
        let mut run = live.next(0.5, 0.9);
        run.session = (number % 4 == 0).then(|| format!("session-{}", number / 8));
        let version = live.version_for(run.session.as_deref().unwrap_or(&run.trace_id));
        run.version = Some(version);
        if !labelled {
            live.apply(EventBody::Run(run));
            continue;
        }
        let of = Label { trace_id: run.trace_id.clone(), outcome: run.outcome, by: String::new() };
        live.apply(EventBody::Run(unknown(&run)));
        said.push(EventBody::Label(of));
        while said.len() > 20 || (rng.bool() && !said.is_empty()) {
            let body = said.swap_remove(rng.usize(..said.len()));
            live.apply(body);
        }
    }
    for body in said {
        live.apply(body);
    }
    live.settle();
    let tally = live.agent.tally().labels;
    (live.trial(), tally)
}

#[test]
fn a_trial_sees_a_run_that_is_labelled_in_time_as_one_that_came_so() {
    for seed in 0..20 {
        let (expected, _) = tried(false, seed);
        let (found, tally) = tried(true, seed);
        assert_eq!(found, expected);
        assert_eq!((tally.labelled, found.late_labels), (60, 0));
        assert!(found.candidate_arm.units + found.baseline_arm.units > 30, "{found:#?}");
    }
}

#[test]
fn what_is_said_after_the_deadline_is_too_late_for_the_trial_and_not_for_the_window() {
    let mut live = Live::on_trial(policy());
    live.now += 2 * MINUTE;
    let say = |live: &mut Live, unit: &str| {
        let of = Label { trace_id: unit.to_owned(), outcome: Outcome::Success, by: String::new() };
        live.apply(EventBody::Label(of));
    };
    let (known, in_time, late) = (live.unit_of(true), live.unit_of(true), live.unit_of(true));
    for (unit, outcome) in
        [(&known, Outcome::Success), (&in_time, Outcome::Unknown), (&late, Outcome::Unknown)]
    {
        live.now += SECOND;
        let run = live.run(unit, V2, outcome);
        live.apply(EventBody::Run(run));
    }
    say(&mut live, &in_time);
    live.settle();
    say(&mut live, &late);
    let trial = live.trial();
    assert_eq!((trial.candidate_arm.units, trial.candidate_arm.unsound), (2, 1));
    assert_eq!(trial.late_labels, 1);
    let tally = live.agent.tally().labels;
    assert_eq!((tally.labelled, tally.after_window), (2, 0));
    let v2 = live.agent.view().versions.pop().unwrap();
    assert_eq!((v2.version, v2.runs.success, v2.runs.unknown), (V2, 3, 0));
}

#[test]
fn a_label_says_nothing_to_a_trial_that_its_run_took_no_part_in() {
    let mut live = Live::new(policy());
    let unit = live.unit();
    let run = live.run(&unit, V1, Outcome::Unknown);
    live.apply(EventBody::Run(run));
    live.propose();
    live.now += MINUTE;
    let label = Label { trace_id: unit, outcome: Outcome::Success, by: String::new() };
    live.apply(EventBody::Label(label));
    live.settle();
    let trial = live.trial();
    let counted = (trial.candidate_arm.units, trial.baseline_arm.units, trial.late_labels);
    assert_eq!(counted, (0, 0, 0));
}

#[test]
fn runs_that_only_wait_to_be_overruled_break_as_they_say() {
    let mut live = Live::on_trial(policy());
    live.policy.feedback.wait = 60 * MINUTE;
    live.now += 2 * MINUTE;
    for _ in 0..40 {
        live.now += SECOND;
        let unit = live.unit_of(false);
        let run = live.run(&unit, V1, Outcome::Success);
        live.apply(EventBody::Run(run));
    }
    for _ in 0..5 {
        live.now += SECOND;
        let unit = live.unit_of(true);
        let run = live.run(&unit, V2, Outcome::Aborted);
        live.apply(EventBody::Run(run));
    }
    assert_eq!(live.decisions.last().unwrap().decision, "rolled_back", "{:#?}", live.decisions);
}

#[test]
fn an_agent_that_nobody_knows_keeps_what_is_said_of_its_runs() {
    let mut bench = Bench::new(Rollout::Manual);
    bench.apply(label(1, Outcome::Success));
    bench.apply(EventBody::Run(unknown(&run(0, 1))));
    bench.apply(EventBody::Run(unknown(&run(0, 2))));
    let effects = bench.apply(label(2, Outcome::Failure));
    assert!(effects.is_empty(), "{effects:?}");
    let counts = bench.agent.view().recent.runs;
    assert_eq!((counts.success, counts.failure, counts.unknown), (1, 1, 0));
}
