//! What counts in a trial, for which arm and when: units, deadlines, sessions, floods, replays.

use std::collections::BTreeMap;

use fastrand::Rng;
use proptest::prelude::*;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::decode::{Outcome, Run};
use whetstone::govern::{Agent, CommandKind, EventBody, Started};

use crate::agent::name;
use crate::pieces::Table;
use crate::trial::{Live, MINUTE, SECOND, V1, V2, policy};

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
