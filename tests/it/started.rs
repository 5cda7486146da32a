//! Runs that are announced when they begin: what is read, what is refused, and where they arrive.

use serde_json::{Value, json};
use whetstone::app::read_event;
use whetstone::consume::{EmbeddedLog, Topic};
use whetstone::decode::{Announcement, Reason, Report, limits};
use whetstone::govern::{Event, EventBody};

use crate::decode::{decode_text, native, one, report};
use crate::log_conformance::read;
use crate::server::Place;

pub(crate) fn start() -> Value {
    json!({"event": "started", "agent": "helper", "trace_id": "r1", "session": "s1", "version": 3,
        "start": 1_770_000_000.5})
}

fn with(field: &str, value: Value) -> Value {
    let mut record = start();
    record[field] = value;
    record
}

fn announced(record: &Value) -> Announcement {
    let Report::Started(announcement) = report(&record.to_string()) else {
        panic!("{record} is no start")
    };
    announcement
}

#[test]
fn a_start_is_read_in_all_spellings_of_time() {
    let read = announced(&start());
    assert_eq!((read.agent.as_str(), read.trace_id.as_str()), ("helper", "r1"));
    assert_eq!(read.session.as_deref(), Some("s1"));
    assert_eq!(read.version.map(|version| version.0), Some(3));
    assert_eq!(read.start.as_millis(), 1_770_000_000_500);
    assert_eq!(announced(&with("start", json!("2026-02-02T02:40:00.5Z"))), read);
    let mut millis = with("start_ms", json!(1_770_000_000_500_i64));
    millis.as_object_mut().unwrap().remove("start");
    assert_eq!(announced(&millis), read);
    let escaped = start().to_string().replace("started", "st\\u0061rted");
    assert_eq!(report(&escaped), Report::Started(read));

    let bare = json!({"event": "started", "agent": "a", "trace_id": "t", "start": 1_770_000_000});
    let read = announced(&bare);
    assert_eq!((read.session, read.version), (None, None));
    assert_eq!(announced(&with("version", json!(0))).version, None, "versions count from 1");
    assert_eq!(announced(&with("session", json!(""))).session, None);
    let long = announced(&with("session", json!("s".repeat(300)))).session.unwrap();
    assert!(long.len() <= limits::MAX_NAME_BYTES);
}

#[test]
fn a_record_without_an_event_or_with_its_end_is_a_run() {
    let expected = one(&native().to_string());
    for event in [json!("ended"), Value::Null] {
        let mut record = native();
        record["event"] = event;
        assert_eq!(one(&record.to_string()), expected);
    }
}

#[test]
fn each_bad_start_has_a_named_reason() {
    let check = |record: &Value, reason: Reason, hint: &str| {
        let reject = decode_text(&record.to_string())[0].result.clone().unwrap_err();
        assert_eq!(reject.reason, reason, "{record}: {reject}");
        assert!(reject.detail.contains(hint), "{record}: {reject}");
    };
    for event in [json!("paused"), json!("Started"), json!(""), json!(7), json!(true)] {
        check(&with("event", event.clone()), Reason::UnknownEvent, &event.to_string());
    }
    let started = json!({"started": null});
    check(&with("event", started), Reason::UnknownEvent, "say \"started\" for a run that begins");
    check(&with("event", json!("x".repeat(100_000))), Reason::UnknownEvent, "say \"started\"");
    check(&with("agent", Value::Null), Reason::MissingAgent, "--agent");
    check(&with("agent", json!("../../etc/passwd")), Reason::InvalidAgent, "etc/passwd");
    check(&with("trace_id", json!("")), Reason::InvalidTraceId, "");
    check(&with("trace_id", json!("x".repeat(129))), Reason::InvalidTraceId, "129");
    check(&with("trace_id", json!("a\nb")), Reason::InvalidTraceId, "printable");
    check(&with("start", json!(0)), Reason::TimeTooOld, "1970");
    check(&with("start", json!("2100-01-01T00:00:00Z")), Reason::TimeInFuture, "2100");
    check(&with("start", Value::Null), Reason::InvalidField, "start is missing");
    check(&with("start", json!("soon")), Reason::InvalidField, "start");
    check(&with("version", json!(-1)), Reason::InvalidField, "version");
    for (field, value) in
        [("end", json!(1_770_000_001)), ("end_ms", json!(1)), ("outcome", json!("success"))]
    {
        check(&with(field, value), Reason::InvalidField, "no end and no outcome");
    }
    let deep = start().to_string().replace("\"started\"", &"[".repeat(50_000));
    assert!(decode_text(&deep)[0].result.is_err());
    let closed = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let deep = start().to_string().replace("\"started\"", &closed);
    assert_eq!(decode_text(&deep)[0].result.clone().unwrap_err().reason, Reason::UnknownEvent);
}

#[test]
fn the_schema_says_of_a_start_what_the_decoder_takes() {
    let schema: Value =
        serde_json::from_str(include_str!("../../configs/trace.schema.json")).unwrap();
    let written = serde_json::to_value(announced(&start())).unwrap();
    for key in written.as_object().unwrap().keys() {
        assert!(schema["properties"][key]["description"].is_string(), "{key} is not described");
    }
    assert_eq!(schema["if"]["properties"]["event"]["const"], written["event"]);
    for (absent, rule) in schema["then"]["properties"].as_object().unwrap() {
        assert_eq!(rule["type"], "null");
        let mut record = written.clone();
        record[absent] = Value::Null;
        announced(&record);
        record[absent] = if absent == "outcome" { json!("failure") } else { json!(1_770_000_001) };
        assert!(decode_text(&record.to_string())[0].result.is_err(), "{absent}");
    }
    for event in schema["properties"]["event"]["enum"].as_array().unwrap() {
        let mut record = if event == "started" { start() } else { native() };
        record["event"] = event.clone();
        report(&record.to_string());
    }
}

fn events(place: &Place) -> Vec<Event> {
    let log = EmbeddedLog::open_read_only(&place.dir.path().join("data")).unwrap();
    let records = read(&log, Topic::AgentEvents);
    records.iter().map(|record| read_event(record).unwrap()).collect()
}

#[test]
fn a_start_is_an_event_of_its_agent_counted_and_beside_its_run() {
    let starts = [with("agent", json!("sim-triage")), with("event", json!("paused"))];
    let mut run = native();
    run["agent"] = json!("sim-triage");
    let lines = [&starts[0], &run, &starts[1]].map(ToString::to_string).join("\n");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let _server = place.start().await;
        let request = reqwest::Client::new()
            .post(place.url("/api/traces"))
            .header("Content-Type", "application/x-ndjson");
        assert_eq!(request.body(lines).send().await.unwrap().status(), 202);
        place.until("/api/agents/sim-triage", |view| view["runs"]["windowed"] == 1).await;

        let events = events(&place);
        let started = events.iter().find_map(|event| match &event.body {
            EventBody::Started(started) => Some((&event.agent, started)),
            _ => None,
        });
        let (agent, started) = started.unwrap();
        assert_eq!((agent.as_str(), started.trace_id.as_str()), ("sim-triage", "r1"));
        assert_eq!(started.session.as_deref(), Some("s1"));
        assert_eq!(started.version.map(|version| version.0), Some(3));
        assert_eq!(started.start.as_millis(), 1_770_000_000_500);

        let metrics = reqwest::get(place.url("/metrics")).await.unwrap().text().await.unwrap();
        for line in [
            "whetstone_runs_started_total 1\n",
            "whetstone_runs_total{outcome=\"success\"} 1\n",
            "whetstone_dead_letters_total{reason=\"unknown_event\"} 1\n",
        ] {
            assert!(metrics.contains(line), "{line} is not in\n{metrics}");
        }
    });
}

#[test]
fn send_passes_starts_on_and_optimize_says_that_it_ignores_them() {
    let place = Place::new(&["llm.enabled=false"]);
    let file = place.dir.path().join("runs.jsonl");
    let lines = [start(), native(), with("event", json!("paused"))].map(|line| line.to_string());
    std::fs::write(&file, lines.join("\n")).unwrap();
    let file = file.display().to_string();

    let sent = place.command(&["send", &file]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&sent.stdout), "1 runs and 1 starts sent, 1 refused\n");
    let json = place.command(&["send", &file, "--json"]).output().unwrap();
    let counts: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(counts, json!({"sent": 1, "started": 1, "refused": 1}));
    let log = EmbeddedLog::open_read_only(&place.dir.path().join("data")).unwrap();
    let records = read(&log, Topic::AgentTraces);
    let passed =
        |record: &whetstone::consume::Record| report(std::str::from_utf8(&record.value).unwrap());
    let expected = [report(&start().to_string()), report(&native().to_string())];
    assert_eq!(records.iter().map(passed).collect::<Vec<_>>(), [&expected[..], &expected].concat());

    let repo = place.repo().display().to_string();
    let cycle = ["optimize", "--traces", &file, "--repo", &repo, "--llm", "off"];
    let output = place.command(&cycle).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("1 starts of runs are ignored"), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 runs analysed"), "{output:?}");
}
