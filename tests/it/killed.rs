//! `kill -9` at random moments while traces are posted: nothing acknowledged is lost or counted twice,
//! no version is lost or published twice.
//!
//! `WHETSTONE_TEST_KILLS` says how often (12 if not set), `WHETSTONE_TEST_SEED` replays a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::decode::Trace;
use whetstone::govern::Content;
use whetstone::simulate::{SimulatedAgent, simulated_agents};

use crate::server::{Place, Running};

const BATCH: u64 = 24;

pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs that happen now, under whatever is active: they name no version.
fn batch(agents: &[SimulatedAgent], first: u64, rng: &mut Rng) -> Vec<Trace> {
    let content = Content::default();
    let now = EventTime::from_millis(jiff::Timestamp::now().as_millisecond());
    (first..first + BATCH)
        .zip(agents.iter().cycle())
        .map(|(id, agent)| {
            let trace = agent.run(id, (VersionNumber(1), &content), now, rng);
            Trace { version: None, ..trace }
        })
        .collect()
}

async fn posted(place: &Place, traces: &[Trace]) -> bool {
    let client = reqwest::Client::new();
    let sent = client
        .post(place.url("/api/traces"))
        .timeout(Duration::from_secs(20))
        .json(traces)
        .send()
        .await;
    sent.is_ok_and(|response| response.status() == 202)
}

#[test]
fn a_server_killed_at_any_moment_loses_and_repeats_nothing() {
    let kills = setting("WHETSTONE_TEST_KILLS", 12);
    let seed = setting("WHETSTONE_TEST_SEED", fastrand::u64(..));
    eprintln!("{kills} kills; replay with WHETSTONE_TEST_SEED={seed}");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(kill_and_check(kills, seed));
}

async fn kill_and_check(kills: u64, seed: u64) {
    let place = Place::new(&[
        "rollout=immediate",
        "llm.enabled=false",
        "min_traces=60",
        "cooldown=0s",
        "repo.poll_interval=1s",
    ]);
    let agents = simulated_agents();
    let mut rng = Rng::with_seed(seed);
    let (mut next, mut acknowledged, mut killed) = (0, 0, 0);
    let mut waiting: Option<Vec<Trace>> = None;
    while killed < kills {
        let server = place.start().await;
        let moment = Duration::from_millis(rng.u64(5..500));
        let killer = tokio::task::spawn_blocking(move || kill_after(server, moment));
        // Posted until the kill: a batch that was not acknowledged is sent again after the restart.
        loop {
            let traces = waiting.take().unwrap_or_else(|| {
                next += BATCH;
                batch(&agents, next, &mut rng)
            });
            if posted(&place, &traces).await {
                acknowledged += BATCH;
            } else {
                waiting = Some(traces);
                break;
            }
        }
        killer.await.unwrap();
        killed += 1;
    }
    let mut server = place.start().await;
    if let Some(traces) = waiting {
        assert!(posted(&place, &traces).await, "{}", place.server_log());
        acknowledged += BATCH;
    }
    let counted = |views: &Value| {
        let runs = |view: &Value| view["runs"]["windowed"].as_u64().unwrap();
        items(views).map(runs).sum::<u64>()
    };
    let settled = |views: &Value| {
        let idle = |view: &Value| view["optimizing"].is_null();
        counted(views) >= acknowledged && items(views).all(idle)
    };
    let views = place.until("/api/agents", settled).await;
    assert_eq!(counted(&views), acknowledged, "each acknowledged run once: {views:#}");

    let versions = check_versions(&place, &views).await;
    wait_for_repo(&place, &versions).await;
    check_repo(&place, &versions);
    assert_eq!(server.stop(), Some(0), "{}", place.server_log());
    eprintln!("{killed} kills, {acknowledged} runs acknowledged, {} versions", versions.len());
}

#[expect(clippy::disallowed_methods, reason = "the moment of the kill is the test's random input")]
fn kill_after(mut server: Running, moment: Duration) {
    std::thread::sleep(moment);
    server.kill();
}

fn items(views: &Value) -> impl Iterator<Item = &Value> {
    views["items"].as_array().into_iter().flatten()
}

/// Numbers without a gap, one active; the versions by agent and number.
async fn check_versions(place: &Place, views: &Value) -> BTreeSet<(String, u64)> {
    let mut all = BTreeSet::new();
    for view in items(views) {
        let agent = view["agent"].as_str().unwrap();
        let versions =
            place.until(&format!("/api/agents/{agent}/versions"), Value::is_object).await;
        let versions = versions["items"].as_array().unwrap();
        let numbers: Vec<_> = versions.iter().map(|v| v["version"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "{agent}");
        let active = versions.iter().filter(|version| version["state"] == "active").count();
        assert_eq!(active, 1, "{agent}");
        all.extend(numbers.into_iter().map(|number| (agent.to_owned(), number)));
    }
    all
}

fn version_files(place: &Place) -> BTreeSet<(String, u64)> {
    let listed = place.git(&["ls-tree", "--name-only", "HEAD", "versions/"]);
    let parse = |line: &str| {
        let stem = line.strip_prefix("versions/")?.strip_suffix(".yaml")?;
        let (agent, number) = stem.rsplit_once("_v")?;
        Some((agent.to_owned(), number.parse().ok()?))
    };
    listed.lines().filter_map(parse).collect()
}

async fn wait_for_repo(place: &Place, versions: &BTreeSet<(String, u64)>) {
    for _ in 0..500 {
        if version_files(place).len() >= versions.len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn check_repo(place: &Place, versions: &BTreeSet<(String, u64)>) {
    assert_eq!(&version_files(place), versions, "the repo holds what the log holds");
    let format = "--format=%(trailers:key=Whetstone-Agent,valueonly,separator=)/\
                  %(trailers:key=Whetstone-Revision,valueonly,separator=)";
    let mut commits: BTreeMap<String, u32> = BTreeMap::new();
    for line in place.git(&["log", format]).lines().filter(|line| *line != "/") {
        *commits.entry(line.to_owned()).or_default() += 1;
    }
    assert!(commits.values().all(|count| *count == 1), "one commit a revision: {commits:?}");
    assert_eq!(place.git(&["status", "--porcelain"]), "");
}
