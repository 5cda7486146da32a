//! The server's HTTP, and what becomes of bad input: each record in a window or a dead letter with its
//! reason, nothing in between.

use std::collections::BTreeMap;
use std::path::Path;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use whetstone::consume::{EmbeddedLog, Record, Topic};

use crate::log_conformance::read;
use crate::server::Place;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn run(id: &str) -> Value {
    json!({"agent": "sim-triage", "trace_id": id, "start": 1_770_000_000, "end": 1_770_000_009, "outcome": "success"})
}

fn with(id: &str, field: &str, value: Value) -> Value {
    let mut run = run(id);
    run[field] = value;
    run
}

async fn post(place: &Place, kind: &str, body: impl Into<reqwest::Body>) -> StatusCode {
    let request = Client::new().post(place.url("/api/traces")).header("Content-Type", kind);
    request.body(body).send().await.unwrap().status()
}

fn dead_letters(data: &Path) -> Vec<Record> {
    let log = EmbeddedLog::open_read_only(data).unwrap();
    read(&log, Topic::DeadLetters)
}

fn header<'a>(record: &'a Record, name: &str) -> &'a str {
    record.header(name).unwrap_or_default()
}

#[test]
fn every_bad_record_is_a_dead_letter_with_its_reason_and_its_neighbours_live() {
    runtime().block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let _server = place.start().await;
        let thoughts: Vec<_> =
            (0..10_000).map(|_| json!({"type": "thought", "text": "x"})).collect();
        // What is deep and unknown is skipped; the record fails for what it lacks.
        let deep = format!("{{\"agent\": \"a\", \"x\": {}{}}}", "[".repeat(9000), "]".repeat(9000));
        let mut lines: Vec<Vec<u8>> = [
            run("good-1"),
            with("bad", "agent", json!("../../etc/passwd")),
            with("bad", "agent", Value::Null),
            with("bad", "start", json!(0)),
            with("bad", "end", json!("2100-01-01T00:00:00Z")),
            with("bad", "end", json!(1_760_000_000)),
            with("bad", "retries", json!("many")),
            with("", "outcome", json!("failure")),
            with("long", "steps", json!(thoughts)),
            json!({"something": "else"}),
        ]
        .iter()
        .map(|value| value.to_string().into_bytes())
        .collect();
        lines.push(run("bad").to_string().replace("1770000009", "NaN").into_bytes());
        lines.push(b"{\"agent\": \"sim-triage\", ".to_vec());
        lines.push(deep.into_bytes());
        lines.push(b"{\"agent\": \"\xff\"}".to_vec());
        lines.push(run("good-1").to_string().into_bytes());
        lines.push(run("good-2").to_string().into_bytes());
        assert_eq!(post(&place, "application/x-ndjson", lines.join(&b'\n')).await, 202);

        let done = |view: &Value| view["runs"]["windowed"] == 3 && view["runs"]["duplicate"] == 1;
        place.until("/api/agents/sim-triage", done).await;

        let letters = dead_letters(&place.dir.path().join("data"));
        let mut reasons: BTreeMap<&str, u32> = BTreeMap::new();
        for letter in &letters {
            *reasons.entry(header(letter, "whetstone-reason")).or_default() += 1;
            assert_eq!(header(letter, "whetstone-topic"), "agent-traces");
            assert!(!header(letter, "whetstone-detail").is_empty());
            assert!(!letter.value.is_empty(), "the record as it came");
        }
        let expected = [
            ("end_before_start", 1),
            ("invalid_agent", 1),
            ("invalid_field", 2),
            ("invalid_trace_id", 1),
            ("invalid_utf8", 1),
            ("malformed_json", 2),
            ("missing_agent", 1),
            ("time_in_future", 1),
            ("time_too_old", 1),
            ("unknown_format", 1),
        ];
        assert_eq!(reasons, expected.into());

        let metrics = reqwest::get(place.url("/metrics")).await.unwrap().text().await.unwrap();
        for (reason, count) in expected {
            let line = format!("whetstone_dead_letters_total{{reason=\"{reason}\"}} {count}");
            assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
        }
        assert!(metrics.contains("whetstone_runs_refused_total{reason=\"duplicate\"} 1"));
    });
}

#[test]
fn requests_that_make_no_sense_are_refused_with_a_hint() {
    runtime().block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let _server = place.start().await;
        assert_eq!(post(&place, "text/plain", "{}").await, 415);
        assert_eq!(post(&place, "application/json", " ").await, 400);
        assert_eq!(post(&place, "application/json", "[1, 2").await, 400);
        assert_eq!(post(&place, "application/json", vec![b' '; 33 * 1024 * 1024]).await, 413);
        assert_eq!(post(&place, "application/json", "[]").await, 202);
        for path in ["/api/agents/nobody", "/api/agents/..%2F..%2Fetc", "/nothing"] {
            assert_eq!(reqwest::get(place.url(path)).await.unwrap().status(), 404, "{path}");
        }
        let missing: Value =
            reqwest::get(place.url("/api/agents/nobody")).await.unwrap().json().await.unwrap();
        assert!(missing["error"].as_str().unwrap().contains("GET /api/agents"), "{missing}");
        assert_eq!(reqwest::get(place.url("/healthz")).await.unwrap().status(), 200);
    });
}

#[test]
fn a_token_guards_what_changes_state() {
    runtime().block_on(async {
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), "open-sesame\n").unwrap();
        let file = format!("http.token_file={}", secret.path().display());
        let place = Place::new(&["llm.enabled=false", &file]);
        let _server = place.start().await;
        let send = |token: &'static str| {
            let request = Client::new().post(place.url("/api/traces")).json(&run("a"));
            let request = if token.is_empty() { request } else { request.bearer_auth(token) };
            async move { request.send().await.unwrap().status() }
        };
        assert_eq!(send("").await, 401);
        assert_eq!(send("open").await, 401);
        assert_eq!(send("open-sesame").await, 202);
        assert_eq!(reqwest::get(place.url("/api/agents")).await.unwrap().status(), 200);
        assert!(!place.server_log().contains("open-sesame"), "a secret is in no log");
    });
}
