//! A model that takes its time, on Kafka: a call longer than the poll interval costs the member nothing
//! and is made once; a crash in the middle leads to one more call and to one version.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use whetstone::app::read_event;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::consume::Topic;
use whetstone::decode::Trace;
use whetstone::govern::{Content, EventBody};
use whetstone::simulate::simulated_agents;
use wiremock::MockServer;

use crate::broker::OnKafka;
use crate::log_conformance::read;
use crate::model_down::model;
use crate::server::Place;

/// Longer than the poll interval below.
const CALL: Duration = Duration::from_secs(7);
const POLL_INTERVAL: &str = "kafka.properties.max.poll.interval.ms=4000";

fn place(on_kafka: &OnKafka, model: &MockServer) -> Place {
    Place::on_kafka(
        on_kafka,
        &[
            "rollout=immediate",
            "min_traces=60",
            "cooldown=1d",
            "repo.poll_interval=1s",
            "llm.model=test-model",
            &format!("llm.endpoint={}/v1/", model.uri()),
            "llm.attempts=1",
            "proposals.critique=false",
            "proposals.candidates=1",
            POLL_INTERVAL,
            "kafka.properties.session.timeout.ms=3000",
        ],
    )
}

/// Enough runs of one agent for one request.
pub(crate) async fn send_runs(place: &Place) {
    let baseline = |views: &Value| {
        let active = |view: &Value| !view["active"].is_null();
        views["items"].as_array().is_some_and(|views| views.len() == 5 && views.iter().all(active))
    };
    place.until("/api/agents", baseline).await;
    let agents = simulated_agents();
    let agent = agents.iter().find(|agent| agent.name.as_str() == "sim-triage").unwrap();
    let mut rng = fastrand::Rng::with_seed(3);
    let now = EventTime::from_millis(jiff::Timestamp::now().as_millisecond());
    let content = (VersionNumber(1), &Content::default());
    // A few more than it takes: some are aborted.
    let runs = (1..=75).map(|id| Trace { version: None, ..agent.run(id, content, now, &mut rng) });
    let runs: Vec<_> = runs.collect();
    let sent = reqwest::Client::new().post(place.url("/api/traces")).json(&runs).send().await;
    assert_eq!(sent.unwrap().status(), 202);
}

async fn until_second_version(place: &Place) {
    let done = |view: &Value| view["active"] == 2 && view["optimizing"].is_null();
    let view = place.until("/api/agents/sim-triage", done).await;
    let numbers: Vec<_> =
        view["versions"].as_array().unwrap().iter().map(|v| &v["version"]).collect();
    assert_eq!(numbers, [1, 2], "{view:#}");
}

/// How often each distinct question was asked.
async fn calls(model: &MockServer) -> BTreeMap<Vec<u8>, usize> {
    let mut calls = BTreeMap::new();
    for request in model.received_requests().await.unwrap() {
        *calls.entry(request.body).or_default() += 1;
    }
    calls
}

fn proposals(on_kafka: &OnKafka) -> usize {
    let events = read(&on_kafka.log(), Topic::AgentEvents);
    let bodies = events.iter().map(|record| read_event(record).unwrap().body);
    bodies.filter(|body| matches!(body, EventBody::Proposal(_))).count()
}

/// What an operator watches of the log is there.
async fn check_metrics(place: &Place) {
    let metrics = reqwest::get(place.url("/metrics")).await.unwrap().text().await.unwrap();
    let value = |line: &str| {
        let found = metrics.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        found.unwrap_or_else(|| panic!("no {line} in\n{metrics}")).parse::<f64>().unwrap()
    };
    for role in ["decode", "aggregate", "optimize"] {
        assert!(value(&format!("whetstone_records_total{{role=\"{role}\"}}")) > 0.0);
        assert!(value(&format!("whetstone_record_bytes_total{{role=\"{role}\"}}")) > 0.0);
        assert!(value(&format!("whetstone_outputs_total{{role=\"{role}\"}}")) > 0.0);
        assert!(value(&format!("whetstone_output_bytes_total{{role=\"{role}\"}}")) > 0.0);
        let steps = "whetstone_steps_total{result=\"committed\"";
        assert!(value(&format!("{steps},role=\"{role}\"}}")) > 0.0);
        let changes = "whetstone_rebalances_total{change=\"assigned\"";
        assert!(value(&format!("{changes},role=\"{role}\"}}")) > 0.0);
    }
    for partition in 0..3 {
        let lag = format!("whetstone_lag_records{{partition=\"{partition}\",role=\"aggregate\"");
        assert!(value(&format!("{lag},topic=\"agent-events\"}}")) <= 1.0, "a marker at most");
    }
    assert!(value("whetstone_commit_duration_seconds_count{role=\"aggregate\"}") > 0.0);
    assert!(value("whetstone_restore_duration_seconds_count") > 0.0);
}

#[test]
fn a_call_longer_than_the_poll_interval_is_made_once_and_costs_no_partition() {
    let Some(on_kafka) = OnKafka::new(3, module_path!()) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let model = model(CALL).await;
        let place = place(&on_kafka, &model);
        let mut server = place.start().await;
        send_runs(&place).await;
        until_second_version(&place).await;
        let calls = calls(&model).await;
        assert!(
            !calls.is_empty() && calls.values().all(|times| *times == 1),
            "{:?}",
            calls.values()
        );
        assert_eq!(proposals(&on_kafka), 1);
        let log = place.server_log();
        assert!(!log.contains("starts again") && !log.contains("handed"), "{log}");
        check_metrics(&place).await;
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
    });
}

#[test]
fn a_crash_in_mid_call_leads_to_one_more_call_and_to_one_version() {
    let Some(on_kafka) = OnKafka::new(3, module_path!()) else { return };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let model = model(CALL).await;
        let place = place(&on_kafka, &model);
        let mut first = place.start().await;
        send_runs(&place).await;
        while calls(&model).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        first.kill();
        let mut second = place.start().await;
        until_second_version(&place).await;
        let calls = calls(&model).await;
        let again = calls.values().filter(|times| **times == 2).count();
        assert_eq!(again, 1, "the call under way, and no other: {:?}", calls.values());
        assert_eq!(proposals(&on_kafka), 1);
        assert_eq!(second.stop(), Some(0), "{}", place.server_log());
    });
}
