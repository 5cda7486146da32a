//! What the server says of itself, held against what it does.

use std::path::Path;
use std::process::Command;

use reqwest::Client;
use serde_json::{Value, json};
use whetstone::consume::{EmbeddedLog, Topic};

use crate::log_conformance::read;
use crate::python::python;
use crate::server::{Place, Running};
use crate::subscribe::{adopted, edit};

/// A server with something of everything that it shows.
async fn furnished(place: &Place) -> Running {
    let server = place.start().await;
    adopted(place).await;
    edit(place, "at once when you are done", 2).await;
    let run = json!({"agent": "sim-triage", "trace_id": "one", "start": 1_770_000_000,
        "end": 1_770_000_009, "outcome": "failure", "version": 2});
    let records = json!([run, {"agent": "../.."}]);
    Client::new().post(place.url("/api/traces")).json(&records).send().await.unwrap();
    let bad = |letters: &Value| letters["items"].as_array().is_some_and(|all| !all.is_empty());
    place.until("/api/dead-letters", bad).await;
    let told = |runs: &Value| runs["items"].as_array().is_some_and(|all| !all.is_empty());
    place.until("/api/agents/sim-triage/exemplars", told).await;
    server
}

fn ends_well(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn the_document_says_what_the_server_does() {
    let Some(python) = python("the document held against the server") else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let place = Place::new(&["llm.enabled=false", "repo.poll_interval=1s"]);
        let _server = furnished(&place).await;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api/check.py");
        ends_well(Command::new(python).arg(script).arg(place.url("")));
    });
}

#[test]
fn nothing_that_can_be_asked_breaks_the_server() {
    let Some(python) = python("schemathesis against the server") else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let place = Place::new(&["llm.enabled=false", "repo.poll_interval=1s"]);
        let _server = furnished(&place).await;
        let mut schemathesis = Command::new(python.with_file_name("schemathesis"));
        schemathesis.current_dir(place.dir.path()).args(["run", &place.url("/api/openapi.json")]);
        // It reads an answer to its end, and updates have none.
        schemathesis.args(["--exclude-operation-id", "subscribe", "--no-color", "--no-shrink"]);
        schemathesis.args(["--generation-deterministic"]);
        // The document cannot count bytes, so it allows less than the server takes.
        schemathesis.args(["--exclude-checks", "negative_data_rejection"]);
        schemathesis.args(["--max-time", "60", "--request-timeout", "30"]);
        ends_well(&mut schemathesis);
        assert!(!place.server_log().contains("panicked"), "{}", place.server_log());
    });
}

/// What the topics' document says of `topic`.
fn described(document: &Value, topic: Topic) -> Option<(bool, bool)> {
    let channel = document["channels"].get(topic.name())?;
    let mark = |name: &str| channel[name] == true;
    Some((mark("x-internal"), mark("x-compacted")))
}

#[test]
fn the_topics_document_has_every_topic_as_it_is() {
    let text = include_str!("../../configs/asyncapi.yaml");
    let document: Value = serde_yaml::from_str(text).unwrap();
    for topic in Topic::ALL {
        let (internal, compacted) =
            described(&document, topic).unwrap_or_else(|| panic!("{topic}"));
        assert_eq!(compacted, topic.compacted(), "{topic}");
        let operations = document["operations"].as_object().unwrap().values();
        let channel = format!("#/channels/{topic}");
        let told = operations.filter(|one| one["channel"]["$ref"] == channel.as_str()).count();
        assert_eq!(told, usize::from(!internal), "{topic}");
    }
    assert_eq!(document["channels"].as_object().unwrap().len(), Topic::ALL.len());
}

#[test]
fn records_are_what_the_topics_document_says() {
    let Some(python) = python("records held against the topics' document") else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let place = Place::new(&["llm.enabled=false", "repo.poll_interval=1s"]);
        let server = furnished(&place).await;
        let orders = [
            ("rollback", json!({"reason": "a test"})),
            ("pause", json!({})),
            ("reject", json!({"version": 9, "by": "a test"})),
        ];
        for (what, body) in orders {
            let url = place.url(&format!("/api/agents/sim-triage/{what}"));
            assert_eq!(Client::new().post(url).json(&body).send().await.unwrap().status(), 202);
        }
        let label = json!({"agent": "sim-triage", "trace_id": "one", "outcome": "success"});
        Client::new().post(place.url("/api/feedback")).json(&label).send().await.unwrap();
        place.until("/api/agents/sim-triage", |view| view["paused"] == true).await;
        drop(server);
        let log = EmbeddedLog::open_read_only(&place.dir.path().join("data")).unwrap();
        let topics = [
            Topic::AgentTraces,
            Topic::AgentFeedback,
            Topic::PromptCommands,
            Topic::PromptUpdates,
            Topic::PromptVersions,
            Topic::Decisions,
        ];
        let records = tempfile::NamedTempFile::new().unwrap();
        let mut lines = String::new();
        for topic in topics {
            for record in read(&log, topic) {
                let value: Value = serde_json::from_slice(&record.value).unwrap();
                // It is one that is refused.
                if value["agent"] != "../.." {
                    lines += &format!("{}\n", json!({"topic": topic.name(), "value": value}));
                }
            }
        }
        std::fs::write(records.path(), lines).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut check = Command::new(python);
        check.arg(root.join("tests/api/topics.py")).arg(root.join("configs"));
        let output = check.stdin(records.reopen().unwrap()).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let mut names = topics.map(Topic::name);
        names.sort_unstable();
        assert_eq!(said.trim(), names.join(" "));
    });
}
