//! A log that was lost: the config repo remembers what there was.

use serde_json::Value;
use whetstone::consume::{EmbeddedLog, Log as _, Share, Topic};
use whetstone::govern::{Content, State, VersionRecord};
use whetstone::publish::{ConfigRepo, RepoOptions};

use crate::publish::{project_all, record};
use crate::publish_trial::{holdback, trial};
use crate::server::Place;

const TRIAL_FILE: &str = "configs/sim-triage_agent_trial.yaml";

/// Puts the agent's versions into the repo as a log that is gone left them: the content of the configs
/// and one learned from it, whichever `states` say.
fn left_behind(place: &Place, states: &[(u32, State)]) {
    let repo = ConfigRepo::open(RepoOptions::new(place.repo())).unwrap();
    let agent = "sim-triage".parse().unwrap();
    let one = repo.read(&agent).unwrap().unwrap();
    let mut two = one.clone();
    two.prompts.get_mut("system").unwrap().push_str("Hurry.\n");
    let content = |number: u32| -> Content { if number == 1 { one.clone() } else { two.clone() } };
    let record = |(revision, (number, state)): (u64, &(u32, State))| {
        let mut record = record(*number, content(*number), state.clone(), revision);
        record.version.agent = agent.clone();
        record
    };
    project_all(&repo, &(1..).zip(states).map(record).collect::<Vec<_>>());
}

fn trial_file(place: &Place) -> Value {
    let text = std::fs::read_to_string(place.repo().join(TRIAL_FILE)).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// A repo made from what the log knows of the agent now.
fn rebuilt(place: &Place) -> (tempfile::TempDir, ConfigRepo) {
    let folder = tempfile::tempdir().unwrap();
    let repo = ConfigRepo::init(RepoOptions::new(folder.path().join("repo"))).unwrap();
    let log = EmbeddedLog::open_read_only(&place.dir.path().join("data")).unwrap();
    for record in log.table(Topic::PromptVersions, Share::All).unwrap() {
        let record: VersionRecord = serde_json::from_slice(&record.value).unwrap();
        if record.version.agent.as_str() == "sim-triage" {
            repo.project(&record).unwrap();
        }
    }
    (folder, repo)
}

/// Waits until `subject` is among those of the commits after `head`.
async fn committed(place: &Place, head: &str, subject: &str) {
    let since = format!("{}..", head.trim());
    for _ in 0..1500 {
        if place.git(&["log", "--format=%s", &since]).contains(subject) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no commit says {subject:?}: {}", place.server_log());
}

#[test]
fn what_was_out_when_the_log_was_lost_is_out_no_longer() {
    let on_trial = vec![(1, State::Active), (2, trial("trial-v2", 1_000))];
    let held_back = [&on_trial[..], &[(1, holdback(500)), (2, State::Active)]].concat();
    let cases = [
        (on_trial, ["v1 active", "v2 rejected"], 1, "sim-triage v2: rejected: its trial ended"),
        (held_back, ["v1 superseded", "v2 active"], 2, "sim-triage v1: no longer held back"),
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for (states, expected, active, subject) in cases {
        let place = Place::new(&["llm.enabled=false", "repo.poll_interval=1s"]);
        left_behind(&place, &states);
        assert_ne!(trial_file(&place)["version"], Value::Null);
        let head = place.git(&["rev-parse", "HEAD"]);
        runtime.block_on(async {
            let mut server = place.start().await;
            let versions = "/api/agents/sim-triage/versions";
            let found = place
                .until(versions, |v| v["items"].as_array().is_some_and(|v| v.len() == 2))
                .await;
            assert_eq!(states_of(&found), expected);
            committed(&place, &head, subject).await;
            let file = trial_file(&place);
            assert_eq!((&file["version"], &file["share_bp"]), (&Value::Null, &0.into()));
            assert_eq!(file["active"], active);
            // The log alone gives the same.
            let (_folder, rebuilt) = rebuilt(&place);
            let agent = "sim-triage".parse().unwrap();
            let repo = ConfigRepo::open(RepoOptions::new(place.repo())).unwrap();
            assert_eq!(rebuilt.read(&agent).unwrap(), repo.read(&agent).unwrap());
            assert_eq!(rebuilt.published(&agent).unwrap().unwrap().beside.version(), None);
            // What comes next goes on from there.
            let prompts = place.repo().join("configs/sim-triage_agent_prompts.yaml");
            let text = std::fs::read_to_string(&prompts).unwrap();
            std::fs::write(&prompts, text.replace("Work step by step", "Work with care")).unwrap();
            committed(&place, &head, "sim-triage v3").await;
            assert_eq!(trial_file(&place)["active"], 3);
            assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        });
    }
}

#[test]
fn a_batch_ends_a_trial_that_no_log_knows_of() {
    let place = Place::new(&["llm.enabled=false"]);
    left_behind(&place, &[(1, State::Active), (2, trial("trial-v2", 1_000))]);
    let run = r#"{"agent": "sim-triage", "trace_id": "1", "start": 1770000000, "end": 1770000001}"#;
    let file = place.dir.path().join("runs.jsonl");
    std::fs::write(&file, run).unwrap();
    for _ in 0..2 {
        let arguments = ["optimize", "--traces", file.to_str().unwrap()];
        let output = place.command(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(trial_file(&place)["version"], Value::Null);
        let subjects = place.git(&["log", "--format=%s"]);
        assert_eq!(subjects.matches("rejected: its trial ended").count(), 1, "{subjects}");
    }
}

fn states_of(versions: &Value) -> Vec<String> {
    let state = |version: &Value| format!("v{} {}", version["version"], version["state"]);
    versions["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(state)
        .map(|text| text.replace('"', ""))
        .collect()
}

#[test]
fn a_lost_log_goes_on_from_the_repo() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = Place::new(&["llm.enabled=false", "repo.poll_interval=1s"]);
        let versions = "/api/agents/sim-triage/versions";
        let prompts = place.repo().join("configs/sim-triage_agent_prompts.yaml");
        let edit = |from: &str, to: &str| {
            let text = std::fs::read_to_string(&prompts).unwrap();
            assert!(text.contains(from), "{text}");
            std::fs::write(&prompts, text.replace(from, to)).unwrap();
        };

        let mut server = place.start().await;
        place.until(versions, |v| v["items"].as_array().is_some_and(|v| v.len() == 1)).await;
        edit("Work step by step", "Work with care");
        place.until(versions, |v| v["items"].as_array().is_some_and(|v| v.len() == 2)).await;
        // Published is what the next log can recall.
        while !place.git(&["log", "-1", "--format=%s"]).contains("v2") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());

        std::fs::remove_dir_all(place.dir.path().join("data")).unwrap();
        let head = place.git(&["rev-parse", "HEAD"]);
        let mut server = place.start().await;
        let found =
            place.until(versions, |v| v["items"].as_array().is_some_and(|v| v.len() == 2)).await;
        assert_eq!(states_of(&found), ["v1 superseded", "v2 active"]);
        assert_eq!(place.git(&["rev-parse", "HEAD"]), head, "nothing is published again");

        edit("Work with care", "Work with great care");
        let found =
            place.until(versions, |v| v["items"].as_array().is_some_and(|v| v.len() == 3)).await;
        assert_eq!(states_of(&found), ["v1 superseded", "v2 superseded", "v3 active"]);
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        assert_eq!(place.git(&["status", "--porcelain"]), "");
    });
}
