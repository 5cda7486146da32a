//! Agents traced with OpenTelemetry's own SDK and with OpenInference, driven against a whole server: what they
//! did, as they tell it themselves, against what became of their spans, field by field.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use whetstone::app::read_event;
use whetstone::base::SystemClock;
use whetstone::consume::{EmbeddedLog, Log, Start, Topic};
use whetstone::decode::otlp::{Batch, Role, Span};
use whetstone::decode::{Outcome, Run};
use whetstone::govern::{Event, EventBody};

use crate::broker::OnKafka;
use crate::log_conformance::read;
use crate::python::python;
use crate::readme::block;
use crate::server::Place;

/// What the agents did.
#[derive(Debug, Deserialize)]
struct Told {
    runs: Vec<ToldRun>,
    tools: Vec<Value>,
    calls: Vec<Value>,
    /// What the SDK had to complain about.
    complaints: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct ToldRun {
    agent: String,
    trace: String,
    span: String,
    session: String,
    outcome: Outcome,
    task: Option<String>,
    version: Option<u32>,
    retries: u32,
    /// In order: the name, and whether it went well.
    tools: Vec<(String, bool)>,
    /// Of the calls that went well.
    models: Vec<String>,
    input: u64,
    output: u64,
    cost: Option<f64>,
}

impl ToldRun {
    fn id(&self) -> String {
        format!("{}-{}", self.trace, self.span)
    }

    fn expected(&self) -> Value {
        let mut tools: Vec<(&str, u32, u32)> = Vec::new();
        for (name, ok) in &self.tools {
            let at = tools.iter().position(|(known, ..)| known == name).unwrap_or(tools.len());
            if at == tools.len() {
                tools.push((name, 0, 0));
            }
            tools[at].1 += 1;
            tools[at].2 += u32::from(!ok);
        }
        let micros = self.cost.map(micros);
        json!({
            "agent": self.agent, "session": self.session, "outcome": self.outcome,
            "version": self.version, "retries": self.retries, "rounds": self.models.len(),
            "input": self.input, "output": self.output, "cost_micros": micros, "tools": tools,
            "task": self.task.is_some(),
        })
    }

    /// What became of it, in the same form. A verdict may come after the run.
    fn found(&self, run: &Run, label: Option<Outcome>) -> Value {
        let tools = run.tools.iter().map(|tool| (&tool.name, tool.calls, tool.errors));
        let shows = |task: &String| run.excerpt.contains(task.as_str());
        json!({
            "agent": run.agent, "session": run.session, "outcome": label.unwrap_or(run.outcome),
            "version": run.version, "retries": run.retries, "rounds": run.rounds,
            "input": run.tokens.input, "output": run.tokens.output,
            "cost_micros": run.cost_micros, "tools": tools.collect::<Vec<_>>(),
            "task": self.task.as_ref().is_some_and(shows),
        })
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small amounts")]
fn micros(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}

/// The agents, traced as the arguments say.
fn agents(python: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Told {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/otel/agents.py");
    let mut command = Command::new(python);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command.arg(script).args(arguments).envs(environment.iter().copied());
    let output = command.env("NO_PROXY", "127.0.0.1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Told = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told.complaints, [""; 0]);
    told
}

/// What the log tells of the runs once all of `told` are there.
fn runs(log: &dyn Log, told: &Told) -> (BTreeMap<String, Run>, BTreeMap<String, Outcome>) {
    let (mut runs, mut labels) = (BTreeMap::new(), BTreeMap::new());
    let mut follower = log.follow(Topic::AgentEvents, Start::Earliest).unwrap();
    let begun = Instant::now();
    let is_there = |run: &ToldRun, runs: &BTreeMap<String, Run>, labels: &BTreeMap<_, _>| {
        let id = run.id();
        let known = |run: &Run| run.outcome != Outcome::Unknown || labels.contains_key(&id);
        runs.get(&id).is_some_and(known)
    };
    while !told.runs.iter().all(|run| is_there(run, &runs, &labels)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{runs:#?}\n{labels:#?}");
        for record in follower.poll(1000, Duration::from_secs(1)).unwrap() {
            let event: Event = read_event(&record).unwrap();
            match event.body {
                EventBody::Run(run) => {
                    let twice = runs.insert(run.trace_id.clone(), run);
                    assert!(twice.is_none(), "{twice:?}");
                }
                EventBody::Label(label) => {
                    labels.insert(label.trace_id, label.outcome);
                }
                EventBody::Started(_) | EventBody::Command(_) | EventBody::Proposal(_) => {}
            }
        }
    }
    (runs, labels)
}

/// All spans that were kept, by trace and id.
fn spans(log: &dyn Log) -> BTreeMap<(String, String), Span> {
    let batch = |value: &[u8]| serde_json::from_slice::<Batch>(value).unwrap();
    let batches = read(log, Topic::TraceSpans).into_iter().map(|record| batch(&record.value));
    let of = |batch: Batch| {
        let trace = batch.trace.to_string();
        batch.spans.into_iter().map(move |span| ((trace.clone(), span.id.to_string()), span))
    };
    batches.flat_map(of).collect()
}

fn same(log: &dyn Log, told: &Told) {
    let (runs, labels) = runs(log, told);
    for run in &told.runs {
        let label = labels.get(&run.id()).copied();
        assert_eq!(run.found(&runs[&run.id()], label), run.expected(), "{run:#?}");
    }
    assert_eq!(runs.len(), told.runs.len());

    let spans = spans(log);
    let span = |told: &Value| {
        let id = |name: &str| told[name].as_str().unwrap().to_owned();
        &spans[&(id("trace"), id("span"))]
    };
    for tool in &told.tools {
        let span = span(tool);
        let Role::Tool(facts) = &span.role else { panic!("{tool}: {span:?}") };
        let found = (&json!(facts.name), facts.arguments.clone(), &json!(span.error));
        let expected = (&tool["name"], Some(tool["arguments"].to_string()), &tool["error"]);
        assert_eq!(found, expected);
        assert_eq!(span.failed(), !tool["error"].is_null(), "{tool}");
    }
    let facts = |span: &Span| match &span.role {
        Role::Llm(facts) => Some(facts.clone()),
        Role::Agent(_) | Role::Tool(_) | Role::Other => None,
    };
    for call in &told.calls {
        let facts = facts(span(call)).unwrap_or_else(|| panic!("no call of a model: {call}"));
        let cost = call["cost"].as_f64().map(micros);
        assert_eq!(json!(facts.model), call["model"]);
        assert_eq!(json!(facts.usage.tokens.input), call["input"]);
        assert_eq!(json!(facts.usage.tokens.output), call["output"]);
        assert_eq!(facts.usage.cost_micros, cost, "{call}");
    }
    for run in &told.runs {
        let of_trace = spans.iter().filter(|((trace, _), _)| *trace == run.trace);
        let used: Vec<_> = of_trace.filter_map(|(_, span)| facts(span)?.model).collect();
        assert!(run.models.iter().all(|model| used.contains(model)), "{used:?} {run:?}");
    }
    assert_eq!(read(log, Topic::DeadLetters).len(), 0);
}

const SETTINGS: [&str; 3] =
    ["llm.enabled=false", "otel.grace=2s", "otel.outcome.aborted_errors=provider_down"];

async fn metrics(place: &Place) -> String {
    reqwest::get(place.url("/metrics")).await.unwrap().text().await.unwrap()
}

fn embedded(place: &Place) -> EmbeddedLog {
    EmbeddedLog::open(&place.dir.path().join("data"), Arc::new(SystemClock)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sdk_that_is_told_the_address_needs_nothing_else() {
    let Some(python) = python("agents traced over HTTP") else { return };
    let example = block("sh", "OTEL_EXPORTER_OTLP_ENDPOINT").trim_start_matches("sh").trim();
    let (variable, address) = example.strip_prefix("export ").unwrap().split_once('=').unwrap();
    assert_eq!(address, "http://127.0.0.1:8087");
    let place = Place::new(&SETTINGS);
    let _server = place.start().await;
    let told = agents(python, &["http"], &[(variable, &place.url(""))]);
    same(&embedded(&place), &told);
    let metrics = metrics(&place).await;
    assert!(metrics.contains("whetstone_otlp_items_total{result=\"refused\",signal=\"traces\"} 0"));
    assert!(metrics.contains("whetstone_otlp_items_total{result=\"kept\",signal=\"logs\"} 1"));
    assert!(metrics.contains("whetstone_otlp_items_total{result=\"ignored\",signal=\"logs\"} 1"));
    assert!(metrics.contains("{result=\"ignored\",signal=\"metrics\"} 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_compressed_and_with_a_token_also_over_grpc() {
    let Some(python) = python("agents traced over gRPC") else { return };
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "open-sesame").unwrap();
    let file = format!("http.token_file={}", secret.path().display());
    for protocol in ["grpc", "http"] {
        let place = Place::new(&[&SETTINGS[..], &[&file]].concat());
        let _server = place.start().await;
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", place.url("")),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20open-sesame".to_owned()),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip".to_owned()),
        ];
        let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
        let told = agents(python, &[protocol], &environment);
        same(&embedded(&place), &told);
        assert!(metrics(&place).await.contains("{result=\"ignored\",signal=\"metrics\"} 1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_by_way_of_a_collector_and_kafka_whatever_its_keys() {
    let Some(python) = python("agents traced by way of Kafka") else { return };
    for keys in ["unkeyed", "by-trace"] {
        let Some(kafka) = OnKafka::new(3, "agents traced by way of Kafka") else { return };
        let place = Place::on_kafka(&kafka, &SETTINGS);
        let _server = place.start().await;
        let whetstone::consume::KafkaSettings { brokers, otlp_spans, otlp_logs, .. } =
            &kafka.settings;
        let told = agents(python, &["kafka", brokers, otlp_spans, otlp_logs, keys], &[]);
        same(&kafka.log(), &told);
    }
}
