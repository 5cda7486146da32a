//! Folding: exact in any order, bounded whatever comes in, and no run lost or counted twice.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::decode::{Outcome, Reasoning, Run, Tokens, ToolUse, Transition, limits};
use whetstone::fold::{
    Aggregate, ChangedPane, Folded, Limits, Points, RewardSpec, Split, WindowKind, WindowSpec,
    Windows,
};

use crate::runs::{any_run, run};

/// A run, its version and two delays in milliseconds, and a choice between the two.
type Delayed = (Run, u32, i64, i64);
type Jitter = fn(&Delayed) -> i64;

const V1: VersionNumber = VersionNumber(1);

fn add(run: &Run) -> Aggregate {
    all(std::slice::from_ref(run))
}

fn all(runs: &[Run]) -> Aggregate {
    let limits = Limits { steps: Some(20), attempts: Some(3) };
    let mut aggregate = Aggregate::default();
    for run in runs {
        aggregate.add(run, &RewardSpec::default(), limits, run.rounds % 2 == 0);
    }
    aggregate
}

fn merged(parts: &[&Aggregate]) -> Aggregate {
    let mut aggregate = Aggregate::default();
    for part in parts {
        aggregate.merge(part);
    }
    aggregate
}

fn fold(windows: &mut Windows, spec: &WindowSpec, version: VersionNumber, run: &Run) -> Folded {
    windows.fold(spec, version, run, (&RewardSpec::default(), Limits::default(), false))
}

/// Windows as they are stored: panes by version and start, and what is left of earlier ones.
#[derive(Debug, Default, PartialEq)]
struct Table {
    panes: BTreeMap<(VersionNumber, i64), Vec<u8>>,
    points: Option<Vec<u8>>,
}

/// Writes what changed; says what was written and what taken out.
fn store(table: &mut Table, windows: &mut Windows) -> (Vec<i64>, Vec<i64>) {
    let (mut written, mut gone) = (Vec::new(), Vec::new());
    let (panes, points) = windows.take_changes();
    if let Some(points) = points {
        table.points = Some(rmp_serde::to_vec_named(points).unwrap());
    }
    for ChangedPane { version, start, aggregate } in panes {
        match aggregate {
            Some(aggregate) => {
                written.push(start);
                table.panes.insert((version, start), serde_json::to_vec(aggregate).unwrap());
            }
            None => {
                gone.push(start);
                assert!(
                    table.panes.remove(&(version, start)).is_some(),
                    "{start} was never stored"
                );
            }
        }
    }
    (written, gone)
}

fn read(table: &Table, watermark: Option<EventTime>) -> Windows {
    let pane = |pane: &Vec<u8>| serde_json::from_slice(pane).unwrap();
    let panes = table.panes.iter().map(|((version, start), bytes)| (*version, *start, pane(bytes)));
    let points: Option<Points> =
        table.points.as_ref().map(|bytes| rmp_serde::from_slice(bytes).unwrap());
    Windows::stored(watermark, panes, points.unwrap_or_default())
}

/// Runs with a known outcome over points and panes held.
fn known(windows: &Windows) -> u64 {
    windows.past().iter().map(|point| point.runs().known()).sum()
}

fn any_spec() -> impl Strategy<Value = WindowSpec> {
    let tumbling = (1i64..2_000).prop_map(|length| WindowKind::Tumbling { length });
    let sliding = (1i64..500, 1i64..20)
        .prop_map(|(slide, panes)| WindowKind::Sliding { length: slide * panes, slide });
    (prop_oneof![tumbling, sliding], 0i64..3_000)
        .prop_map(|(kind, allowed_lateness)| WindowSpec { kind, allowed_lateness })
}

fn pane_length(spec: &WindowSpec) -> i64 {
    match spec.kind {
        WindowKind::Tumbling { length } => length,
        WindowKind::Sliding { slide, .. } => slide,
        WindowKind::Count { .. } => unreachable!("not drawn"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merging_is_associative_and_commutative_and_starts_from_nothing(
        a in vec(any_run(0..10_000), 0..25),
        b in vec(any_run(0..10_000), 0..25),
        c in vec(any_run(0..10_000), 0..25),
    ) {
        let whole = all(&[a.clone(), b.clone(), c.clone()].concat());
        let (a, b, c) = (all(&a), all(&b), all(&c));
        prop_assert_eq!(&merged(&[&merged(&[&a, &b]), &c]), &whole);
        prop_assert_eq!(&merged(&[&a, &merged(&[&b, &c])]), &whole);
        prop_assert_eq!(&merged(&[&c, &b, &a]), &whole);
        prop_assert_eq!(&merged(&[&Aggregate::default(), &a, &Aggregate::default()]), &a);
    }

    #[test]
    fn one_by_one_is_the_same_as_all_at_once_in_any_order(
        runs in vec(any_run(0..10_000), 0..60).prop_flat_map(|runs| (Just(runs.clone()), Just(runs).prop_shuffle()))
    ) {
        let (runs, shuffled) = runs;
        let parts: Vec<_> = shuffled.iter().map(add).collect();
        let merged = merged(&parts.iter().collect::<Vec<_>>());
        prop_assert_eq!(&merged, &all(&runs));
        prop_assert_eq!(&all(&shuffled), &all(&runs));
    }

    #[test]
    fn the_order_of_runs_within_the_lateness_does_not_matter(
        spec in any_spec(),
        runs in vec((any_run(0..20_000), 1u32..4, 0i64..3_000, 0i64..3_000), 1..60),
    ) {
        // A run comes at most `allowed_lateness` after one that ended later.
        let lateness = spec.allowed_lateness.max(1);
        let fold_by = |jitter: Jitter| {
            let mut runs = runs.clone();
            runs.sort_by_key(|run| run.0.end.as_millis() + jitter(run) % lateness);
            let mut windows = Windows::default();
            let late = runs.iter().filter(|(run, version, ..)| {
                fold(&mut windows, &spec, VersionNumber(*version), run) == Folded::Late
            });
            (late.count(), windows)
        };
        let (first, second) = (fold_by(|run| run.2), fold_by(|run| run.3));
        prop_assert_eq!(first.0, 0);
        // Equal as JSON would be too much to ask: a sketch's bins lie as they came.
        prop_assert_eq!(first, second);
    }

    #[test]
    fn a_run_is_late_exactly_when_its_pane_has_closed(
        spec in any_spec(),
        runs in vec(any_run(-5_000..50_000), 1..60),
    ) {
        let mut windows = Windows::default();
        let mut latest = i64::MIN;
        for run in &runs {
            let end = run.end.as_millis();
            let length = pane_length(&spec);
            let pane_end = (end + 1..).find(|millis| millis % length == 0).unwrap();
            let closed = latest >= pane_end + spec.allowed_lateness;
            let folded = fold(&mut windows, &spec, V1, run);
            prop_assert_eq!(folded == Folded::Late, closed);
            latest = latest.max(end);
            prop_assert_eq!(windows.watermark(), Some(EventTime::from_millis(latest)));
        }
    }

    #[test]
    fn every_run_is_in_one_pane_or_late(
        spec in any_spec(),
        runs in vec((any_run(0..100_000), 1u32..5), 0..60),
    ) {
        // Nothing expires within a lateness as long as this.
        let spec = WindowSpec { allowed_lateness: 200_000, ..spec };
        let mut windows = Windows::default();
        let mut folded = 0;
        for (run, version) in &runs {
            let pane = fold(&mut windows, &spec, VersionNumber(*version), run) != Folded::Late;
            folded += u64::from(pane);
            let held: u64 = (1..5).map(|v| windows.held(VersionNumber(v)).counts.total()).sum();
            prop_assert_eq!(held, folded);
            prop_assert!(windows.panes() <= 256);
            let window = windows.window(&spec, VersionNumber(*version), run.end);
            prop_assert_eq!(
                windows.counts(&spec, VersionNumber(*version), run.end), window.counts
            );
        }
    }

    #[test]
    fn every_known_run_is_in_a_pane_or_a_point_until_points_are_dropped(
        spec in prop_oneof![
            any_spec(),
            (1u64..5).prop_map(|runs| WindowSpec {
                kind: WindowKind::Count { runs },
                allowed_lateness: 0,
            }),
            // More panes than are kept.
            Just(WindowSpec { kind: WindowKind::Tumbling { length: 1 }, allowed_lateness: 90_000 }),
        ],
        runs in vec((any_run(0..100_000), 1u32..5), 0..300),
    ) {
        let mut windows = Windows::default();
        let (mut windowed, mut most_points) = (0, 0);
        for (run, version) in &runs {
            let known_run = matches!(run.outcome, Outcome::Success | Outcome::Failure);
            let before = windows.past().len();
            let folded = fold(&mut windows, &spec, VersionNumber(*version), run);
            windowed += u64::from(known_run && folded != Folded::Late);
            prop_assert!(windows.past().len() <= before + 1);
            let points = windows.past().len() - windows.panes();
            most_points = most_points.max(points);
            prop_assert!(points <= Points::MOST);
            prop_assert!(known(&windows) <= windowed);
            if most_points < Points::MOST {
                prop_assert_eq!(known(&windows), windowed);
            }
        }
        let past = windows.past();
        let order = past.iter().map(|point| (point.from(), point.version()));
        prop_assert!(order.is_sorted());
    }

    #[test]
    fn a_replay_gives_the_same_state_from_any_point(
        spec in any_spec(),
        runs in vec(any_run(0..20_000), 1..40),
        cut in 0usize..40,
    ) {
        let mut straight = Windows::default();
        let mut stored = Windows::default();
        let mut table = Table::default();
        for (index, run) in runs.iter().enumerate() {
            if index % 3 == 0 || index == cut {
                store(&mut table, &mut stored);
            }
            if index == cut {
                stored = read(&table, stored.watermark());
            }
            let folded = fold(&mut straight, &spec, V1, run);
            prop_assert_eq!(fold(&mut stored, &spec, V1, run), folded);
        }
        store(&mut table, &mut stored);
        let mut whole = Table::default();
        store(&mut whole, &mut straight);
        prop_assert_eq!(table, whole, "to the byte");
        prop_assert_eq!(straight, stored);
    }

    #[test]
    fn no_spec_and_no_time_makes_a_fold_panic(
        length in any::<i64>(),
        slide in any::<i64>(),
        allowed_lateness in any::<i64>(),
        ends in vec(any::<i64>(), 1..10),
    ) {
        let kinds = [
            WindowKind::Tumbling { length },
            WindowKind::Sliding { length, slide },
            WindowKind::Count { runs: length.unsigned_abs() },
        ];
        for kind in kinds {
            let spec = WindowSpec { kind, allowed_lateness };
            let mut windows = Windows::default();
            for end in &ends {
                let mut run = run(1, 0, Outcome::Success);
                run.end = EventTime::from_millis(*end);
                fold(&mut windows, &spec, V1, &run);
                windows.window(&spec, V1, run.end);
            }
        }
    }

    #[test]
    fn a_reward_is_a_share_and_no_failure_earns_one(
        weights in (0.001f64..100.0, -100.0f64..=0.0, -100.0f64..=0.0, -100.0f64..=0.0),
        targets in (0.1f64..1e6, 0.1f64..1e6, 0.1f64..1e6),
        slow in any_run(0..10_000),
        fast in any_run(0..10_000),
    ) {
        let spec = RewardSpec {
            success_weight: weights.0,
            latency_weight: weights.1,
            attempts_weight: weights.2,
            tokens_weight: weights.3,
            latency_target: targets.0,
            attempts_target: targets.1,
            tokens_target: targets.2,
        };
        prop_assert_eq!(spec.problem(), None);
        let earned = |outcome, run: &Run| {
            let run = Run { outcome, ..run.clone() };
            spec.reward(&run).unwrap().mean(1).unwrap()
        };
        let success = earned(Outcome::Success, &slow);
        prop_assert!((0.0..=1.0).contains(&success), "{success}");
        prop_assert!(earned(Outcome::Failure, &fast) <= success);
        let known = matches!(fast.outcome, Outcome::Success | Outcome::Failure);
        prop_assert_eq!(spec.reward(&fast).is_some(), known);
    }
}

#[test]
fn a_perfect_run_earns_no_more_than_everything() {
    let mut run = run(1, 1000, Outcome::Success);
    run.start = run.end;
    let mean = RewardSpec::default().reward(&run).unwrap().mean(1).unwrap();
    assert!((0.999_99..=1.0).contains(&mean), "{mean}");
}

#[test]
fn windows_hold_the_runs_they_should() {
    let check = |kind, lateness, ends: &[i64], at: i64, expected: u64| {
        let spec = WindowSpec { kind, allowed_lateness: lateness };
        assert_eq!(spec.problem(), None);
        let mut windows = Windows::default();
        for (id, end) in (1..).zip(ends) {
            fold(&mut windows, &spec, V1, &run(id, *end, Outcome::Success));
        }
        let counts = windows.counts(&spec, V1, EventTime::from_millis(at));
        assert_eq!(counts.success, expected, "{kind:?} {ends:?} at {at}");
    };
    let tumbling = WindowKind::Tumbling { length: 100 };
    check(tumbling, 0, &[0, 50, 99], 99, 3);
    check(tumbling, 0, &[0, 50, 100], 100, 1);
    // Closed, dropped, and its late run refused.
    check(tumbling, 0, &[50, 100, 60], 60, 0);
    check(tumbling, 1, &[50, 100, 60], 60, 2);
    check(tumbling, 50, &[50, 149, 60], 60, 2);
    check(tumbling, 50, &[50, 150, 60], 60, 0);
    check(tumbling, 0, &[-1, -100], -50, 2);

    let sliding = WindowKind::Sliding { length: 300, slide: 100 };
    check(sliding, 0, &[0, 100, 200, 299], 299, 4);
    check(sliding, 0, &[0, 100, 200, 300], 300, 3);
    check(sliding, 0, &[0, 1000], 1000, 1);
    // Late, but within the lateness and the window.
    check(sliding, 100, &[250, 300, 210], 300, 3);
    check(sliding, 0, &[250, 300, 210], 300, 2);

    let count = WindowKind::Count { runs: 3 };
    check(count, 0, &[5, 4], 0, 2);
    check(count, 0, &[5, 4, 3], 0, 3);
    check(count, 0, &[5, 4, 3, 2], 0, 1);
    check(count, 0, &[5; 300], 0, 3);
}

#[test]
fn an_impossible_window_is_named() {
    let check = |kind, allowed_lateness, part: &str| {
        let problem = WindowSpec { kind, allowed_lateness }.problem().unwrap_or_default();
        assert!(problem.contains(part) && problem.is_empty() == part.is_empty(), "{problem}");
    };
    check(WindowKind::Sliding { length: 300, slide: 100 }, 100, "");
    check(WindowKind::Sliding { length: 250, slide: 100 }, 0, "whole number of slides");
    check(WindowKind::Sliding { length: 0, slide: 100 }, 0, "above 0");
    check(WindowKind::Sliding { length: 100, slide: 0 }, 0, "above 0");
    check(WindowKind::Sliding { length: 100_000, slide: 100 }, 0, "1000 slides");
    check(WindowKind::Tumbling { length: -1 }, 0, "above 0");
    check(WindowKind::Tumbling { length: 1 }, -1, "allowed_lateness");
    check(WindowKind::Tumbling { length: 1 }, i64::MAX, "at most 254");
    check(WindowKind::Count { runs: 0 }, 0, "runs");
}

#[test]
fn panes_of_an_earlier_spec_expire_like_any_other() {
    let by = |slide| WindowSpec {
        kind: WindowKind::Sliding { length: 400, slide },
        allowed_lateness: 0,
    };
    let mut windows = Windows::default();
    for end in (0..1000).step_by(50) {
        fold(&mut windows, &by(50), V1, &run(1, 10_000 + end, Outcome::Success));
    }
    fold(&mut windows, &by(200), V1, &run(2, 11_000, Outcome::Success));
    let window = windows.window(&by(200), V1, EventTime::from_millis(11_000));
    assert_eq!(window.counts.success, 5, "those from 10 800 on");
    fold(&mut windows, &by(200), V1, &run(3, 12_000, Outcome::Success));
    assert_eq!(windows.held(V1).counts.success, 1);
}

#[test]
fn the_newest_of_many_versions_keeps_its_count_window() {
    let spec = WindowSpec { kind: WindowKind::Count { runs: 2 }, allowed_lateness: 0 };
    let mut windows = Windows::default();
    for version in 1..=400u32 {
        for _ in 0..4 {
            let run = run(1, i64::from(version), Outcome::Success);
            assert_ne!(fold(&mut windows, &spec, VersionNumber(version), &run), Folded::Late);
        }
        let end = EventTime::from_millis(i64::from(version));
        assert_eq!(windows.counts(&spec, VersionNumber(version), end).success, 2);
    }
    assert_eq!(windows.panes(), 256);
}

#[test]
fn a_run_that_finds_no_room_is_late() {
    let spec = WindowSpec { kind: WindowKind::Tumbling { length: 1 }, allowed_lateness: 1000 };
    let mut windows = Windows::default();
    for end in 700..1000 {
        fold(&mut windows, &spec, V1, &run(1, end, Outcome::Success));
    }
    assert_eq!(windows.panes(), 256);
    let past = windows.past();
    assert_eq!(past.len(), 300, "those that made room are points");
    assert_eq!(fold(&mut windows, &spec, V1, &run(1, 600, Outcome::Success)), Folded::Late);
    assert_eq!(windows.past(), past, "it is counted as late, and nowhere else");
    assert_eq!(fold(&mut windows, &spec, V1, &run(1, 990, Outcome::Success)), Folded::Pane(990));
}

#[test]
fn a_pane_that_makes_room_is_taken_out_of_the_store() {
    let spec = WindowSpec { kind: WindowKind::Tumbling { length: 1 }, allowed_lateness: 1000 };
    let (mut windows, mut table) = (Windows::default(), Table::default());
    let mut add = |end| {
        fold(&mut windows, &spec, V1, &run(1, end, Outcome::Success));
        store(&mut table, &mut windows)
    };
    for end in 0..256 {
        assert_eq!(add(end), (vec![end], vec![]));
    }
    assert_eq!(add(300), (vec![300], vec![0]));
    assert_eq!(add(300), (vec![300], vec![]));
    assert_eq!(add(0), (vec![], vec![]), "never stored, and not to be taken out again");
    assert_eq!(windows, read(&table, windows.watermark()));
}

#[test]
fn panes_that_are_dropped_leave_points_and_late_runs_none() {
    let spec = WindowSpec { kind: WindowKind::Tumbling { length: 100 }, allowed_lateness: 0 };
    let mut windows = Windows::default();
    let mut add = |version, end, outcome| {
        fold(&mut windows, &spec, VersionNumber(version), &run(1, end, outcome));
        let told = |point: &whetstone::fold::Point| {
            let (from, to) = (point.from().as_millis(), point.to().as_millis());
            (point.version().0, from, to, point.runs().total(), point.runs().known())
        };
        windows.past().iter().map(told).collect::<Vec<_>>()
    };
    add(1, 10, Outcome::Success);
    add(2, 5, Outcome::Unknown);
    assert_eq!(add(1, 90, Outcome::Failure), [(2, 5, 5, 1, 0), (1, 10, 90, 2, 2)]);
    let past = [(2, 5, 5, 1, 0), (1, 10, 90, 2, 2), (1, 100, 100, 1, 1)];
    assert_eq!(add(1, 100, Outcome::Success), past);
    assert_eq!(add(1, 99, Outcome::Success), past, "late");
    let shared: Vec<_> = windows.past().iter().map(|point| point.pane()).collect();
    assert_eq!(shared, [0, 0, 100]);
}

#[test]
fn a_run_that_is_known_too_late_for_its_pane_moves_no_point() {
    let spec = WindowSpec { kind: WindowKind::Count { runs: 1 }, allowed_lateness: 0 };
    let mut windows = Windows::default();
    let waits = run(1, 7, Outcome::Unknown);
    let Folded::Pane(pane) = fold(&mut windows, &spec, V1, &waits) else { panic!("late") };
    for id in 2..6 {
        fold(&mut windows, &spec, V1, &run(id, 8, Outcome::Success));
    }
    let before = windows.past();
    assert_eq!((before[0].runs().unknown, known(&windows)), (1, 4));
    let add = (&RewardSpec::default(), Limits::default(), false);
    let labelled = Run { outcome: Outcome::Success, ..waits };
    windows.relabel(&spec, (V1, pane), &labelled, add);
    assert_eq!(known(&windows), 5, "it counts in the pane that is being filled");
    let moved = windows.past().into_iter().filter(|point| point.runs().unknown > 0);
    assert_eq!(moved.collect::<Vec<_>>(), [before[0]]);
}

#[test]
fn a_pane_that_comes_back_before_it_was_taken_out_is_written_instead() {
    let add = |windows: &mut Windows, end, allowed_lateness| {
        let spec = WindowSpec { kind: WindowKind::Tumbling { length: 100 }, allowed_lateness };
        fold(windows, &spec, V1, &run(1, end, Outcome::Success));
    };
    let (mut windows, mut table) = (Windows::default(), Table::default());
    add(&mut windows, 0, 0);
    add(&mut windows, 100, 0);
    add(&mut windows, 0, 500);
    assert_eq!(store(&mut table, &mut windows), (vec![0, 100], vec![]));
    add(&mut windows, 200, 0);
    add(&mut windows, 0, 500);
    assert_eq!(store(&mut table, &mut windows), (vec![0, 200], vec![100]));
    add(&mut windows, 300, 0);
    add(&mut windows, 0, 500);
    add(&mut windows, 300, 0);
    assert_eq!(store(&mut table, &mut windows), (vec![300], vec![0, 200]));
    assert_eq!(windows, read(&table, windows.watermark()));
}

#[test]
fn limits_are_met_at_the_last_round_and_the_last_try() {
    let check = |rounds, retries, at_step: u64, at_retry: u64| {
        let mut run = run(1, 0, Outcome::Failure);
        (run.rounds, run.retries) = (rounds, retries);
        let limits = Limits { steps: Some(20), attempts: Some(3) };
        let mut aggregate = Aggregate::default();
        aggregate.add(&run, &RewardSpec::default(), limits, false);
        let split = |failure| Split { success: 0, failure };
        assert_eq!(aggregate.at_step_limit, split(at_step), "{rounds} rounds");
        assert_eq!(aggregate.at_retry_limit, split(at_retry), "{retries} retries");
    };
    check(19, 1, 0, 0);
    check(20, 2, 1, 1);
    check(u32::MAX, u32::MAX, 1, 1);
}

/// The largest run there can be, full of characters that take six bytes in JSON.
pub(crate) fn largest_run(seed: u64) -> Run {
    let text = |salt: u64, length: usize| {
        let mut text = format!("{seed}-{salt}-");
        text.push_str(&"\u{1}".repeat(length.saturating_sub(text.len())));
        text
    };
    let mut run = run(seed, i64::try_from(seed).unwrap() * 1_000, Outcome::Failure);
    if seed.is_multiple_of(2) {
        run.outcome = Outcome::Success;
    }
    run.trace_id = text(0, limits::MAX_NAME_BYTES);
    run.start = EventTime::from_millis(-(1i64 << (seed % 60)));
    run.attempts = u32::MAX >> (seed % 32);
    run.rounds = run.attempts;
    run.retries = run.attempts;
    run.tokens = Tokens { input: u64::MAX, output: u64::MAX };
    let tool = |salt| ToolUse {
        name: text(salt, limits::MAX_NAME_BYTES),
        calls: u32::MAX,
        errors: u32::MAX,
        millis: u64::MAX,
    };
    run.tools = (0..).take(limits::MAX_TOOLS).map(tool).collect();
    let step = |index: u16| Transition { from: index % 32, to: index / 2, count: u32::MAX };
    run.transitions = (0..).take(limits::MAX_TRANSITIONS).map(step).collect();
    run.longest_repeat = u32::MAX;
    run.repeated_tool = Some(u16::try_from(seed % 32).unwrap());
    run.reasoning = [Reasoning::Plan, Reasoning::Verify].into();
    run.signature = Some(text(1, limits::MAX_SIGNATURE_BYTES));
    run.excerpt = text(2, limits::MAX_EXCERPT_BYTES);
    run
}

#[test]
fn an_aggregate_stays_below_half_a_megabyte_whatever_comes_in() {
    let runs: Vec<_> = (0..150).map(largest_run).collect();
    let bytes = serde_json::to_vec(&all(&runs)).unwrap().len();
    println!("an aggregate of the largest runs takes {bytes} bytes of JSON");
    assert!(bytes < 512 * 1024, "{bytes}");
    assert!(all(&runs).tools.overflowed());
}
