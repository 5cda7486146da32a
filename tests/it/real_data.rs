//! Real traces of other projects, where they lie beside the checkout: `../shared/data`, or the folder
//! that `WHETSTONE_TEST_DATA` names. Elsewhere these tests say that they skip.

use std::collections::BTreeMap;
use std::path::PathBuf;

use whetstone::base::EventTime;
use whetstone::decode::{Options, Outcome, Trace, decode};

/// The folder with the data; says so where there is none.
pub(crate) fn data() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data");
    let folder = std::env::var("WHETSTONE_TEST_DATA").unwrap_or_else(|_| beside.to_owned());
    let folder = PathBuf::from(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: no real data in {}", folder.display());
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
    Some(decoded.into_iter().map(|decoded| decoded.result.unwrap()).collect())
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
    let aborted = [("diagnosis", 94), ("localization", 66), ("mitigation", 65), ("rollback", 65)];
    assert_eq!(count(&traces, |t| t.outcome == Outcome::Aborted), counts(&aborted));
    let success = [("diagnosis", 40), ("localization", 10), ("mitigation", 34), ("rollback", 10)];
    assert_eq!(count(&traces, |t| t.outcome == Outcome::Success), counts(&success));
    let calls = traces.iter().map(|trace| trace.tool_calls().count()).sum::<usize>();
    assert_eq!(calls, 1194, "each call is booked to the record that holds it");
}

#[test]
fn a_trajectory_file_holds_a_run_of_each_agent() {
    let file = "stratus/trajectories/0704_1458_service_port_conflict_hotel_reservation_stratus_agent_trajectory.jsonl";
    let Some(traces) = read(file) else { return };
    assert_eq!(count(&traces, |_| true), counts(&[("diagnosis", 1), ("mitigation", 1)]));
    assert!(traces.iter().all(|trace| trace.tool_calls().count() > 0));
}

#[test]
fn chat_benchmarks_keep_their_rewards() {
    let check = |file: &str, runs: usize, successes: usize| {
        let Some(traces) = read(file) else { return };
        assert_eq!(traces.len(), runs, "{file}");
        let good = traces.iter().filter(|trace| trace.outcome == Outcome::Success).count();
        assert_eq!(good, successes, "{file}");
        assert!(traces.iter().any(|trace| trace.tool_calls().count() > 3), "{file}");
    };
    check("tau-bench/airline.json", 150, 63);
    check("tau2-bench/airline-a.json", 20, 10);
    check("tau2-bench/airline-b.json", 20, 13);
    check("tau2-bench/retail-a.json", 40, 34);
    check("tau2-bench/retail-b.json", 40, 34);
}
