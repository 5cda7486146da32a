//! An agent's state in pieces: together they are the agent, and a step writes few of them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::decode::Run;
use whetstone::fold::{Points, WindowKind, WindowSpec};
use whetstone::govern::{
    Agent, AssembleError, Change, Content, EventBody, Piece, Pieces, Rollout, Version,
};
use whetstone::simulate::simulated_agents;

use crate::agent::{
    Bench, MINUTE, START, Step, body, impatient, name, play_under, published, requests, run, step,
};
use crate::fold::largest_run;

/// A compacted topic as a map: what is stored under each key.
#[derive(Default)]
pub(crate) struct Table(BTreeMap<String, Vec<u8>>);

impl Table {
    /// Writes what changed; says what size is now stored under which key, none for a key taken away.
    pub(crate) fn write(&mut self, agent: &mut Agent) -> BTreeMap<String, Option<usize>> {
        let name = agent.name().clone();
        let mut written = BTreeMap::new();
        for change in agent.take_changes() {
            let value = match &change {
                Change::Set(body) => rmp_serde::to_vec_named(body).unwrap(),
                Change::Gone(..) => Vec::new(),
            };
            let key = format!("{name}{}", change.piece());
            let size = (!value.is_empty()).then_some(value.len());
            assert_eq!(written.insert(key.clone(), size), None, "{key} is written once");
            if value.is_empty() {
                assert!(self.0.remove(&key).is_some(), "{key} was never stored");
            } else {
                self.0.insert(key, value);
            }
        }
        written
    }

    pub(crate) fn assemble(&self) -> Result<Agent, AssembleError> {
        let mut pieces = Pieces::default();
        for (key, value) in &self.0 {
            let piece: Piece = key.strip_prefix(name().as_str()).unwrap().parse().unwrap();
            pieces.read(piece, &mut rmp_serde::Deserializer::from_read_ref(value)).unwrap();
        }
        Agent::assemble(name(), pieces)
    }

    pub(crate) fn read(&self, versions: Vec<Version>) -> Result<Agent, AssembleError> {
        let agent = self.assemble()?;
        Ok(agent.restore(versions).expect("all versions are there"))
    }

    pub(crate) fn values(&self, part: &str) -> Vec<(&str, &[u8])> {
        let all = self.0.iter().filter(|(key, _)| key.contains(part));
        all.map(|(key, value)| (key.as_str(), value.as_slice())).collect()
    }

    fn keys(&self, part: &str) -> Vec<&str> {
        self.0.keys().map(String::as_str).filter(|key| key.contains(part)).collect()
    }
}

pub(crate) fn keys(written: &BTreeMap<String, Option<usize>>) -> Vec<&str> {
    written.keys().map(String::as_str).collect()
}

fn sliding(minutes: i64) -> WindowSpec {
    let kind = WindowKind::Sliding { length: 4 * minutes * MINUTE, slide: minutes * MINUTE };
    WindowSpec { kind, allowed_lateness: minutes * MINUTE }
}

/// Windows over a few hours of runs that keep all of them, some, or hardly any.
fn any_windows() -> impl Strategy<Value = WindowSpec> {
    let tumbling = WindowKind::Tumbling { length: 7 * MINUTE };
    prop_oneof![
        Just(WindowSpec { allowed_lateness: 24 * 60 * MINUTE, ..sliding(60) }),
        Just(sliding(60)),
        Just(sliding(10)),
        Just(sliding(1)),
        Just(WindowSpec { kind: tumbling, allowed_lateness: 0 }),
        // More panes than are kept.
        Just(WindowSpec { allowed_lateness: 24 * 60 * MINUTE, ..sliding(1) }),
        Just(WindowSpec { kind: WindowKind::Count { runs: 3 }, allowed_lateness: 0 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_stored_is_the_live_agent_after_every_batch(
        steps in prop::collection::vec(step(), 0..300),
        batches in prop::collection::vec((1..40usize, any::<bool>()), 1..8),
        windows in any_windows(),
        manual: bool,
        wait in prop_oneof![Just(0i64), Just(30)],
    ) {
        let rollout = if manual { Rollout::Manual } else { Rollout::Immediate };
        let feedback = impatient(wait);
        let (straight, effects) = play_under(&steps, rollout, (windows, feedback.clone()));

        let mut bench = Bench::with_baseline(rollout);
        (bench.policy.windows, bench.policy.feedback) = (windows, feedback);
        let mut table = Table::default();
        let (mut asked, mut answered) = (Vec::new(), Vec::new());
        let mut rest: &[Step] = &steps;
        for (size, restart) in batches.iter().cycle() {
            let (batch, later) = rest.split_at((*size).min(rest.len()));
            for step in batch {
                let Some(body) = body(step, &mut asked, &answered) else { continue };
                let new = requests(&bench.apply(body));
                answered.extend(new.clone());
                asked.extend(new);
            }
            table.write(&mut bench.agent);
            prop_assert!(bench.agent.take_changes().is_empty(), "nothing changed since");
            let mut again = table.read(published(&bench.effects)).unwrap();
            prop_assert_eq!(&again, &bench.agent);
            prop_assert!(again.take_changes().is_empty(), "all of it is stored");
            if *restart {
                bench.agent = again;
            }
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&bench.effects, &effects);
        prop_assert_eq!(bench.agent.view(), straight.view());
        prop_assert_eq!(bench.agent, straight);
    }
}

#[test]
fn one_more_run_writes_the_head_a_segment_and_a_pane() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    let mut table = Table::default();
    bench.runs(0..400);
    let all = table.write(&mut bench.agent);
    assert_eq!(table.keys("/seen/"), ["mitigation/seen/0", "mitigation/seen/1"]);
    assert_eq!(all.len(), 1 + 2 + 7, "{all:?}");

    bench.runs(400..401);
    let one = table.write(&mut bench.agent);
    let pane =
        format!("mitigation/pane/v1/{}", (START + 400 * MINUTE) / (60 * MINUTE) * (60 * MINUTE));
    assert_eq!(keys(&one), ["mitigation", &pane, "mitigation/seen/1"]);
    println!("one more run writes {one:?}");
    assert!(one.values().flatten().sum::<usize>() < 8 * 1024, "{one:?}");
}

#[test]
fn what_changes_nothing_writes_nothing_and_a_duplicate_only_the_head() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    let mut table = Table::default();
    bench.runs(0..5);
    table.write(&mut bench.agent);
    assert_eq!(keys(&table.write(&mut bench.agent)), [""; 0]);
    bench.adopt("Be careful.");
    assert_eq!(keys(&table.write(&mut bench.agent)), [""; 0], "it runs that already");
    bench.runs(0..5);
    assert_eq!(keys(&table.write(&mut bench.agent)), ["mitigation"]);
    bench.adopt("Be bold.");
    assert_eq!(keys(&table.write(&mut bench.agent)), ["mitigation"]);
}

#[test]
fn a_new_agent_is_stored_though_nothing_is_known_of_it() {
    let mut table = Table::default();
    let mut agent = Agent::new(name());
    assert_eq!(keys(&table.write(&mut agent)), ["mitigation"]);
    assert_eq!(table.assemble(), Ok(agent));
}

#[test]
fn a_pane_that_expires_takes_its_key_away() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    bench.policy.windows = sliding(10);
    let mut table = Table::default();
    bench.runs(0..30);
    table.write(&mut bench.agent);
    let before: Vec<_> = table.keys("/pane/").iter().map(|key| (*key).to_owned()).collect();
    assert_eq!(before.len(), 4, "{before:?}");
    bench.runs(1000..1001);
    let written = table.write(&mut bench.agent);
    let gone = written.iter().filter(|(_, size)| size.is_none()).map(|(key, _)| key);
    assert_eq!(gone.collect::<Vec<_>>(), before.iter().collect::<Vec<_>>());
    assert_eq!(table.keys("/pane/").len(), 1);
    assert!(written["mitigation/past"].is_some(), "{written:?}");

    // Ten hours that come and go in one batch leave nothing behind.
    bench.runs(2000..2600);
    let written = table.write(&mut bench.agent);
    assert_eq!(written.values().filter(|size| size.is_none()).count(), 1, "{written:?}");
    assert_eq!(table.read(published(&bench.effects)), Ok(bench.agent));
}

#[test]
fn what_is_left_of_panes_is_written_when_one_goes_and_state_without_it_is_read() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    bench.policy.windows = WindowSpec { kind: WindowKind::Count { runs: 3 }, allowed_lateness: 0 };
    let mut table = Table::default();
    let mut written = Vec::new();
    for minute in 0..12 {
        bench.runs(minute..minute + 1);
        let past = table.write(&mut bench.agent).remove("mitigation/past");
        written.extend(past.flatten().map(|size| (minute, size)));
    }
    // With the first run of the third pane the first one goes.
    assert_eq!(written.iter().map(|(minute, _)| *minute).collect::<Vec<_>>(), [6, 9]);
    bench.runs(12..400);
    let size = table.write(&mut bench.agent)["mitigation/past"].unwrap();
    println!("64 points take {size} bytes");
    assert!(size < 64 * 56, "{size}");
    let past = bench.agent.view().past;
    assert_eq!(past.len(), Points::MOST + 2);
    assert!(past.iter().is_sorted_by_key(|point| (point.from, point.version)));
    assert_eq!(table.read(published(&bench.effects)).unwrap().view().past, past);

    table.0.remove("mitigation/past").unwrap();
    let mut earlier = table.read(published(&bench.effects)).unwrap();
    assert_eq!(earlier.view().past, past[Points::MOST..]);
    assert!(earlier.take_changes().is_empty());
}

#[test]
fn a_point_has_the_figures_that_its_pane_had() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    bench.policy.windows = WindowSpec { kind: WindowKind::Count { runs: 50 }, allowed_lateness: 0 };
    bench.runs(0..50);
    let figures = bench.agent.view().recent;
    let held = bench.agent.view().past;
    bench.runs(50..101);
    let past = bench.agent.view().past;
    assert_eq!((held.len(), past.len()), (1, 3));
    assert_eq!(past[0], held[0], "dropped or not");
    let near = |point: Option<f32>, figure: Option<f64>| {
        assert!((f64::from(point.unwrap()) - figure.unwrap()).abs() < 1e-5, "{point:?} {figure:?}");
    };
    assert_eq!(past[0].runs, figures.runs);
    near(past[0].success_rate, figures.success_rate);
    near(past[0].mean_reward, figures.mean_reward);
    near(past[0].latency_p50, figures.latency_p50);
    near(past[0].latency_p95, figures.latency_p95);
    near(past[0].attempts_p50, figures.attempts_p50);
    let row = serde_json::to_value(&past[0]).unwrap();
    assert_eq!((&row["version"], &row["from"]), (&1.into(), &START.into()));
    assert_eq!(row["to"], START + 49 * MINUTE);
    assert_eq!(row["runs"]["success"], figures.runs.success);
    assert_eq!(row.as_object().unwrap().len(), 9, "{row}");
}

#[test]
fn more_ids_than_are_remembered_stay_in_sixteen_segments() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    let mut table = Table::default();
    let mut ids = 0..5000u64;
    while !ids.is_empty() {
        for id in ids.by_ref().take(700) {
            bench.apply(EventBody::Run(run(0, id)));
        }
        let written = table.write(&mut bench.agent);
        assert!(written.len() <= 2 + 4, "{written:?}");
        bench.agent = table.read(published(&bench.effects)).unwrap();
    }
    assert_eq!(table.keys("/seen/").len(), 16);
    bench.apply(EventBody::Run(run(0, 4999)));
    bench.apply(EventBody::Run(run(0, 5000 - 4096)));
    assert_eq!(bench.agent.tally().duplicate, 2);
    bench.apply(EventBody::Run(run(0, 5000 - 4097)));
    assert_eq!(bench.agent.tally().duplicate, 2, "forgotten");
}

#[test]
fn lost_pieces_are_noticed() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    let mut table = Table::default();
    bench.runs(0..300);
    table.write(&mut bench.agent);
    let without = |key: &str| {
        let mut table = Table(table.0.clone());
        table.0.remove(key).unwrap();
        table.assemble().unwrap_err()
    };
    assert_eq!(without("mitigation"), AssembleError::NoHead);
    let lost = AssembleError::Segment { segment: 1, held: 0, expected: 44 };
    assert_eq!(without("mitigation/seen/1"), lost);
}

#[test]
fn the_largest_piece_of_a_hostile_agent_stays_below_a_megabyte() {
    let mut bench = Bench::new(Rollout::Manual);
    let mut table = Table::default();
    for seed in 0..150 {
        bench.apply(EventBody::Run(largest_run(seed)));
    }
    let written = table.write(&mut bench.agent);
    let (key, largest) = written.iter().max_by_key(|(_, size)| **size).unwrap();
    println!("the largest piece, {key}, takes {largest:?} bytes of {}", written.len());
    assert!(largest.unwrap() < 1_000_000);
    assert!(largest.unwrap() > 80_000, "runs were not hostile enough: {written:?}");
    assert_eq!(table.assemble(), Ok(bench.agent));
}

#[test]
fn a_simulated_agent_has_small_pieces_however_long_its_window() {
    let content = Content::default();
    for agent in simulated_agents() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut bench = Bench::with_baseline(Rollout::Manual);
        let mut table = Table::default();
        let mut last = BTreeMap::new();
        for id in 0..400 {
            let at = EventTime::from_millis(START + 3 * MINUTE * i64::try_from(id).unwrap());
            let trace = agent.run(id, (VersionNumber(1), &content), at, &mut rng);
            bench.apply(EventBody::Run(Run::digest(&trace)));
            last = table.write(&mut bench.agent);
            assert!(last.len() <= 3, "{last:?}");
        }
        let whole: usize = table.0.values().map(Vec::len).sum();
        let step: usize = last.values().flatten().sum();
        let pane = table.keys("/pane/").iter().map(|key| table.0[*key].len()).max();
        println!("{step} bytes of {whole} in {} pieces, {last:?}, pane {pane:?}", table.0.len());
        assert_eq!(bench.agent.tally().windowed, 400);
        assert!(step * 5 < whole && step < 32 * 1024, "{step} of {whole}");
    }
}

#[test]
fn a_head_grows_by_little_with_each_version() {
    let mut bench = Bench::with_baseline(Rollout::Manual);
    let mut table = Table::default();
    let mut head = |bench: &mut Bench| table.write(&mut bench.agent)["mitigation"].unwrap();
    let first = head(&mut bench);
    for edit in 0..200 {
        bench.adopt(&format!("Be {edit}."));
    }
    let last = head(&mut bench);
    println!("a head takes {first} bytes with a version, {last} with 201");
    assert!(last - first < 200 * 150, "{last}");
}
