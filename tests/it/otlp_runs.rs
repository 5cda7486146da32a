//! Spans as a Collector writes them, through a whole server: what is told of them, once, whatever fails in
//! between.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use whetstone::app::read_event;
use whetstone::base::SystemClock;
use whetstone::consume::{EmbeddedLog, Log, NewRecord, Record, Topic};
use whetstone::decode::{Outcome, Run};
use whetstone::govern::{Event, EventBody};

use crate::broker::OnKafka;
use crate::log_conformance::read;
use crate::server::Place;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn attributes(pairs: &Value) -> Value {
    let pair = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => json!({ "stringValue": text }),
            // As the format has it: in quotes.
            number => json!({ "intValue": number.to_string() }),
        };
        json!({ "key": key, "value": value })
    };
    pairs.as_object().unwrap().iter().map(pair).collect()
}

/// A span that ended a little ago.
fn span(trace: &str, id: u8, parent: u8, of: &Value) -> Value {
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap() * 1_000_000;
    let (start, end) = (now - 2_000_000_000 + u64::from(id) * 1_000_000, now - 1_000_000_000);
    let mut span = json!({
        "traceId": trace, "spanId": format!("{id:016x}"), "name": "a span",
        "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
        "attributes": attributes(of), "status": { "code": 1 },
    });
    if parent > 0 {
        span["parentSpanId"] = json!(format!("{parent:016x}"));
    }
    span
}

fn message(spans: &[Value]) -> Vec<u8> {
    json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string().into_bytes()
}

fn record(spans: &[Value]) -> NewRecord {
    NewRecord::new(Topic::OtlpSpans, "", message(spans))
}

fn evaluation(label: &str) -> NewRecord {
    let of = json!({ "gen_ai.evaluation.name": "correct", "gen_ai.evaluation.score.label": label });
    let message = json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": [{
        "traceId": TRACE, "spanId": format!("{:016x}", 2), "eventName": "gen_ai.evaluation.result",
        "attributes": attributes(&of),
    }] }] }] });
    NewRecord::new(Topic::OtlpLogs, "", message.to_string())
}

fn agent(name: &str) -> Value {
    json!({ "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": name })
}

fn calls() -> [Value; 3] {
    let tool = |name| json!({ "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name });
    let chat = json!({ "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 12 });
    [
        span(TRACE, 3, 2, &tool("search")),
        span(TRACE, 4, 2, &chat),
        span(TRACE, 5, 2, &tool("answer")),
    ]
}

fn runs(records: &[Record]) -> Vec<Run> {
    let run = |record: &Record| {
        let event: Event = read_event(record).unwrap();
        if let EventBody::Run(run) = event.body { Some(run) } else { None }
    };
    records.iter().filter_map(run).collect()
}

fn has_agent(agents: &Value, name: &str) -> bool {
    agents["items"].as_array().into_iter().flatten().any(|agent| agent["agent"] == name)
}

/// The spans of one run in several records, and a kill between each two of them.
async fn killed_in_between(place: &Place, log: &dyn Log) {
    let mut running = place.start().await;
    let [search, chat, answer] = calls();
    let root = span(TRACE, 1, 0, &json!({ "http.route": "/ask" }));
    let outer = span(TRACE, 2, 1, &agent("support"));
    let orphan = span("0af7651916cd43dd8448eb211c80319c", 7, 6, &json!({}));
    let steps = [
        vec![record(&[answer.clone(), orphan])],
        vec![record(std::slice::from_ref(&search)), record(&[chat, search])],
        vec![record(&[outer, root, answer])],
    ];
    for records in steps {
        log.append(records).unwrap();
        running.kill();
        running = place.start().await;
    }
    place.until("/api/agents", |agents| has_agent(agents, "support")).await;
    let runs = runs(&read(log, Topic::AgentEvents));
    let [run] = runs.as_slice() else { panic!("{runs:?}") };
    let tools: Vec<_> = run.tools.iter().map(|tool| (tool.name.as_str(), tool.calls)).collect();
    assert_eq!(tools, [("search", 1), ("answer", 1)]);
    assert_eq!((run.tokens.input, run.tokens.output, run.rounds), (30, 12, 1));
    assert_eq!(run.outcome, Outcome::Success, "its span says so");
    assert_eq!(run.trace_id, format!("{TRACE}-{:016x}", 2));
    assert_eq!(run.session.as_deref(), Some(TRACE));

    // An evaluation that comes when the run is told, and a second run behind it.
    log.append(vec![evaluation("fail")]).unwrap();
    let other = "1af7651916cd43dd8448eb211c80319c";
    log.append(vec![record(&[span(other, 1, 0, &agent("second"))])]).unwrap();
    place.until("/api/agents", |agents| has_agent(agents, "second")).await;
    let events = read(log, Topic::AgentEvents);
    let labels = events.iter().filter(|record| {
        let event: Event = read_event(record).unwrap();
        matches!(event.body, EventBody::Label(label) if label.outcome == Outcome::Failure
            && label.trace_id == format!("{TRACE}-{:016x}", 2))
    });
    assert_eq!(labels.count(), 1);

    // Feedback that names the trace and nobody else finds its way too.
    let feedback = json!({ "trace_id": other, "success": false, "by": "ada" });
    log.append(vec![NewRecord::new(Topic::AgentFeedback, "", feedback.to_string())]).unwrap();
    place.until("/api/agents/second", |view| view["runs"]["labels"]["already_known"] == 1).await;
    assert_eq!(read(log, Topic::DeadLetters).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_told_once_though_the_server_is_killed_between_its_spans() {
    let place = Place::new(&["otel.grace=2s", "llm.enabled=false"]);
    let data = place.dir.path().join("data");
    let log = EmbeddedLog::open(Path::new(&data), Arc::new(SystemClock)).unwrap();
    killed_in_between(&place, &log).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_on_kafka_where_a_traces_records_have_no_key() {
    let Some(kafka) = OnKafka::new(3, "spans by way of Kafka") else { return };
    let place = Place::on_kafka(&kafka, &["otel.grace=2s", "llm.enabled=false"]);
    killed_in_between(&place, &kafka.log()).await;
}
