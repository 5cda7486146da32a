//! The command line as people and scripts meet it: exit codes, JSON, and a version's whole way through
//! a running server.

use std::process::Output;

use serde_json::{Value, json as value};
use whetstone::base::{EventTime, VersionNumber};
use whetstone::govern::Content;
use whetstone::simulate::simulated_agents;

use crate::broker::OnKafka;
use crate::server::{Place, whetstone};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn ok(place: &Place, arguments: &[&str]) -> String {
    let output: Output = place.command(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    let printed = ok(place, &[arguments, &["--json"]].concat());
    serde_json::from_str(&printed).unwrap_or_else(|problem| panic!("{problem}: {printed}"))
}

/// Writes runs of the triage agent that happen now, under whatever is active, and sends them.
fn send(place: &Place, ids: std::ops::Range<u64>) {
    let agents = simulated_agents();
    let agent = agents.iter().find(|agent| agent.name.as_str() == "sim-triage").unwrap();
    let mut rng = fastrand::Rng::with_seed(ids.start);
    let start = EventTime::from_millis(jiff::Timestamp::now().as_millisecond());
    let content = (VersionNumber(1), &Content::default());
    let lines = ids.map(|id| {
        let mut trace = agent.run(id, content, start, &mut rng);
        trace.version = None;
        serde_json::to_string(&trace).unwrap()
    });
    let file = place.dir.path().join("runs.jsonl");
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    ok(place, &["send", &file.display().to_string()]);
}

#[test]
fn exit_codes_tell_wrong_use_from_failure() {
    let place = Place::new(&[]);
    let check = |arguments: &[&str], code: i32, says: &str| {
        let output = place.command(arguments).output().unwrap();
        let said = text(&output.stderr) + &text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{arguments:?} says nothing of {says:?}: {said}");
    };
    check(&["--help"], 0, "Examples:");
    check(&["rollback", "--help"], 0, "whetstone rollback mitigation v2");
    check(&["frobnicate"], 2, "unrecognized subcommand");
    check(&["status", "--set", "min_trace=3"], 2, "did you mean min_traces");
    check(&["optimize", "--traces", "/nowhere.jsonl"], 2, "cannot read /nowhere.jsonl");
    check(&["optimize", "--traces", "x", "--format", "xml"], 2, "stratus-record");
    check(&["check"], 0, "5 agents: sim-oracle, sim-repair, sim-research, sim-scout, sim-triage");
    check(&["check", "--set", "gate.command=cat -"], 0, "tried by the command \"cat\"");
    check(&["check", "--set", "gate.command=/nowhere/x"], 2, "\"/nowhere/x\" is no program");
    check(
        &["check", "--set", "gate.url=http://localhost:1/?k=v"],
        0,
        "tried by http://localhost:1/\n",
    );
    check(&["check", "--set", "gate.url=localhost"], 2, "gate.url takes a URL");
    check(&["status", "nobody"], 1, "no agent nobody");
    check(&["show", "nobody"], 1, "whetstone versions nobody");
    let bad = place.dir.path().join("bad.yaml");
    std::fs::write(&bad, "min_traces: 5\nwindos: {}\n").unwrap();
    let output = whetstone().args(["check", "--config"]).arg(&bad).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("bad.yaml:2"), "{}", text(&output.stderr));
}

#[test]
fn check_names_the_topics_that_are_missing_and_makes_them() {
    let Some(kafka) = OnKafka::without_topics(1, "`whetstone check` on Kafka") else { return };
    let place = Place::on_kafka(&kafka, &["llm.enabled=false", "kafka.partitions=1"]);
    let check = |arguments: &[&str], code: i32, says: &str| {
        let output = place.command(&[&["check"], arguments].concat()).output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        let says = says.replace('*', &kafka.settings.prefix);
        assert!(said.contains(&says), "{arguments:?} says nothing of {says:?}: {said}");
    };
    check(
        &[],
        2,
        "*prompt-updates: does not exist: create it with `whetstone check --create-topics`",
    );
    check(&["--create-topics"], 0, "created *agent-traces, *agent-feedback");
    check(&[], 0, "all there, with the settings they need");
}

#[test]
fn a_version_is_proposed_approved_seen_rolled_back_and_outdone_by_a_person() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = Place::new(&[
            "llm.enabled=false",
            "rollout=manual",
            "min_traces=80",
            "repo.poll_interval=1s",
        ]);
        let mut server = place.start().await;
        let agent = "/api/agents/sim-triage";
        place.until(agent, |view| view["active"] == 1).await;
        send(&place, 1..120);
        place.until(agent, |view| view["candidate"] == 2).await;
        let status = ok(&place, &["status", "sim-triage"]);
        assert!(status.contains("v2 waits for approval"), "{status}");
        let prompts = place.repo().join("configs/sim-triage_agent_prompts.yaml");
        assert!(!std::fs::read_to_string(&prompts).unwrap().contains("Learned guidance"));

        let approved = json(&place, &["approve", "sim-triage", "v2"]);
        assert_eq!(approved["decision"], "approved");
        let diff = ok(&place, &["diff", "sim-triage"]);
        assert!(diff.contains("+- [w1] Use `get_traces`"), "{diff}");
        let shown = json(&place, &["show", "sim-triage"]);
        assert_eq!(shown["version"]["author"]["kind"], "patterns");
        let watched = ok(&place, &["watch", "--once", "--json"]);
        assert_eq!(watched.lines().count(), 5, "an update an agent: {watched}");
        while !std::fs::read_to_string(&prompts).unwrap().contains("[w1] Use `get_traces`") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }

        let again = place.command(&["approve", "sim-triage", "v2"]).output().unwrap();
        assert_eq!(again.status.code(), Some(1));
        assert!(text(&again.stderr).contains("v2 is active, not a candidate"));

        ok(&place, &["rollback", "sim-triage", "--reason", "a test"]);
        let versions = json(&place, &["versions", "sim-triage"]);
        assert_eq!(versions[1]["state"], "rolled_back");
        assert_eq!(versions[1]["state_reason"], "by ada: a test");
        while std::fs::read_to_string(&prompts).unwrap().contains("Learned guidance") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(json(&place, &["pause", "sim-triage"])["decision"], "paused");
        assert_eq!(json(&place, &["resume", "sim-triage"])["decision"], "resumed");

        let file = std::fs::read_to_string(&prompts).unwrap();
        std::fs::write(&prompts, file.replace("Work step by step", "Take care")).unwrap();
        let who = ["-c", "user.name=grace", "-c", "user.email=grace@localhost"];
        place.git(&[&who[..], &["commit", "--quiet", "--all", "--message", "Care"]].concat());
        let view = place.until(agent, |view| view["active"] == 3).await;
        assert_eq!(view["versions"][2]["author"], "human (grace)");
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        let log = place.git(&["log", "--format=%s"]);
        assert!(log.lines().next().unwrap().starts_with("sim-triage v3"), "{log}");
    });
}

#[test]
fn one_cycle_over_a_file_reports_what_the_original_did_and_commits_once() {
    let place = Place::new(&["llm.enabled=false"]);
    let agents = simulated_agents();
    let mut rng = fastrand::Rng::with_seed(5);
    let content = (VersionNumber(1), &Content::default());
    let mut lines = Vec::new();
    for (id, agent) in (1..=480_u64).zip(agents.iter().cycle()) {
        let start = EventTime::from_millis(1_770_000_000_000 + 60_000 * id.cast_signed());
        let mut trace = agent.run(id, content, start, &mut rng);
        trace.version = None;
        lines.push(serde_json::to_string(&trace).unwrap());
    }
    let file = place.dir.path().join("runs.jsonl");
    let file = file.display().to_string();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let before = place.git(&["show", "HEAD:configs/sim-repair_agent_prompts.yaml"]);

    let report = json(&place, &["optimize", "--traces", &file]);
    assert_eq!(report["status"], "completed");
    assert_eq!((&report["cycle"], &report["traces_analyzed"]), (&1.into(), &480.into()));
    assert!(report["patterns_identified"].as_u64().unwrap() > 4);
    assert_eq!(report["llm_optimizations"], 0);
    assert!(report["updates_applied"].as_u64().unwrap() >= 2, "{report:#}");
    let after = place.git(&["show", "HEAD:configs/sim-repair_agent_prompts.yaml"]);
    assert!(before.lines().all(|line| after.lines().any(|kept| kept == line)), "{after}");
    assert_eq!(place.git(&["status", "--porcelain"]), "");

    let head = place.git(&["rev-parse", "HEAD"]);
    let again = json(&place, &["optimize", "--traces", &file]);
    assert_eq!(again["updates_applied"], 0, "those runs were under v1: {again:#}");
    assert_eq!(place.git(&["rev-parse", "HEAD"]), head);

    std::fs::write(&file, lines[..8].join("\n")).unwrap();
    let few = json(&place, &["optimize", "--traces", &file]);
    assert_eq!(few["status"], "insufficient_traces");
}

#[test]
fn the_demo_is_labelled_and_shows_a_promotion_and_a_rollback() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().display().to_string();
    let demo = |rounds: &str| {
        let arguments = ["demo", "--once", "--rounds", rounds, "--json", "--dir", &dir];
        let output = whetstone().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let first = demo("20");
    assert_eq!(first["simulated"], true);
    let versions = |name: &str| {
        let agents = first["agents"].as_array().unwrap();
        let agent = agents.iter().find(|agent| agent["agent"] == name).unwrap();
        agent["versions"].as_array().unwrap().clone()
    };
    let rate = |version: &Value| version["success_rate"].as_f64().unwrap();
    let triage = versions("sim-triage");
    assert_eq!(
        (&triage[0]["state"], &triage[1]["state"]),
        (&value!("superseded"), &value!("active"))
    );
    assert!(rate(&triage[1]) > rate(&triage[0]) + 0.1, "{triage:#?}");
    let scout = versions("sim-scout");
    assert_eq!(
        (&scout[0]["state"], &scout[1]["state"]),
        (&value!("active"), &value!("rolled_back"))
    );
    assert!(rate(&scout[1]) < rate(&scout[0]) - 0.1, "{scout:#?}");
    let why = scout[1]["state_reason"].as_str().unwrap();
    assert!(why.contains("e-value of harm"), "{why}");
    let runs = |views: &Value| views["agents"][0]["runs"]["windowed"].as_u64().unwrap();
    assert_eq!(runs(&demo("2")), runs(&first) * 11 / 10, "it goes on where it stood");
}
