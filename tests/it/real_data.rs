//! Real traces of other projects, where they lie beside the checkout: `../shared/data`, or the folder
//! that `WHETSTONE_SHARED_DATA` names. Elsewhere these tests say that they skip.

use std::collections::BTreeMap;
use std::path::PathBuf;

use whetstone::base::EventTime;
use whetstone::decode::{Options, Outcome, Run, Trace, decode, limits};

/// The folder with the data; says so where there is none.
pub(crate) fn data() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data");
    let folder = std::env::var("WHETSTONE_SHARED_DATA").unwrap_or_else(|_| beside.to_owned());
    let folder = PathBuf::from(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no shared data in {}", folder.display());
    None
}

pub(crate) fn read(file: &str) -> Option<Vec<Trace>> {
    let bytes = std::fs::read(data()?.join(file)).unwrap();
    let options = Options {
        agent: file.starts_with("tau-").then(|| "airline".parse().unwrap()),
        max_record_bytes: usize::MAX,
        ..Options::arrived(EventTime::from_millis(1_795_000_000_000))
    };
    let decoded = decode(&bytes, &options);
    Some(decoded.into_iter().map(|decoded| decoded.result.unwrap().into_run().unwrap()).collect())
}

fn count(traces: &[Trace], what: impl Fn(&Trace) -> bool) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for trace in traces.iter().filter(|trace| what(trace)) {
        *counts.entry(trace.agent.to_string()).or_default() += 1;
    }
    counts
}

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[test]
fn the_originals_records_are_read_whole() {
    let Some(traces) = read("stratus/traces.jsonl") else { return };
    let all = [("diagnosis", 208), ("localization", 143), ("mitigation", 142), ("rollback", 142)];
    assert_eq!(count(&traces, |_| true), counts(&all));
    let check = |outcome: Outcome, expected: &[(&str, usize)]| {
        assert_eq!(count(&traces, |t| t.outcome == outcome), counts(expected), "{outcome:?}");
    };
    check(Outcome::Success, &[("diagnosis", 40), ("localization", 10), ("mitigation", 22)]);
    check(Outcome::Failure, &[("diagnosis", 12), ("localization", 5), ("mitigation", 12)]);
    check(
        Outcome::Aborted,
        &[("diagnosis", 94), ("localization", 66), ("mitigation", 65), ("rollback", 65)],
    );
    check(
        Outcome::Unknown,
        &[("diagnosis", 62), ("localization", 62), ("mitigation", 43), ("rollback", 77)],
    );
}

#[test]
fn the_originals_calls_belong_to_the_record_that_holds_them() {
    let Some(traces) = read("stratus/traces.jsonl") else { return };
    let mut calls = BTreeMap::new();
    for trace in &traces {
        let (all, failed) = calls.entry(trace.agent.as_str()).or_insert((0, 0));
        *all += trace.tool_calls().count();
        *failed += trace.tool_calls().filter(|call| !call.ok).count();
    }
    let expected = [
        ("diagnosis", (1011, 639)),
        ("localization", (76, 7)),
        ("mitigation", (107, 11)),
        ("rollback", (0, 0)),
    ];
    assert_eq!(calls, BTreeMap::from(expected), "24 of them are flagged as successes");
    let longest = traces.iter().map(Trace::latency).fold(0.0, f64::max);
    assert!((longest - 13_365.5).abs() < 1.0, "seconds, not milliseconds: {longest}");
}

#[test]
fn a_trajectory_file_holds_a_run_of_each_agent() {
    let file = "stratus/trajectories/0704_1458_service_port_conflict_hotel_reservation_stratus_agent_trajectory.jsonl";
    let Some(traces) = read(file) else { return };
    let read: Vec<_> = traces
        .iter()
        .map(|trace| {
            let calls = trace.tool_calls().count();
            let failed = trace.tool_calls().filter(|call| !call.ok).count();
            (trace.agent.as_str(), trace.rounds, trace.retries, calls, failed, trace.outcome)
        })
        .collect();
    let expected = [
        ("diagnosis", Some(11), 0, 18, 1, Outcome::Unknown),
        ("mitigation", Some(6), 1, 12, 0, Outcome::Unknown),
    ];
    assert_eq!(read, expected);
    assert_eq!(traces[0].start.to_string(), "2026-07-04T15:07:13Z");
}

/// Runs, successes, tool calls, failed ones, and tokens of a file.
type Sums = (usize, usize, usize, usize, u64);

#[test]
fn chat_benchmarks_keep_their_rewards_calls_and_tokens() {
    let check = |file: &str, expected: Sums| {
        let Some(traces) = read(file) else { return };
        let calls = || traces.iter().flat_map(Trace::tool_calls);
        let sums = (
            traces.len(),
            traces.iter().filter(|trace| trace.outcome == Outcome::Success).count(),
            calls().count(),
            calls().filter(|call| !call.ok).count(),
            traces.iter().map(|trace| trace.tokens.total()).sum(),
        );
        assert_eq!(sums, expected, "{file}");
    };
    check("tau-bench/airline.json", (150, 63, 862, 54, 0));
    check("tau2-bench/airline-a.json", (20, 10, 148, 1, 1_011_434));
    check("tau2-bench/airline-b.json", (20, 13, 147, 1, 1_294_389));
    check("tau2-bench/retail-a.json", (40, 34, 299, 12, 2_456_051));
    check("tau2-bench/retail-b.json", (40, 34, 292, 23, 2_765_191));
}

#[test]
fn real_runs_have_small_digests() {
    for file in ["stratus/traces.jsonl", "tau-bench/airline.json", "tau2-bench/retail-a.json"] {
        let Some(traces) = read(file) else { return };
        for trace in traces {
            let run = Run::digest(&trace);
            assert!(run.excerpt.len() <= limits::MAX_EXCERPT_BYTES);
            assert!(serde_json::to_vec(&run).unwrap().len() < 8_000, "{}", run.trace_id);
        }
    }
}
