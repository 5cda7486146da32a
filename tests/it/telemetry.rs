//! Spans of the server's own work, as a receiver of OTLP gets them: all kinds of them, joined up, and nothing in
//! them that is not to leave.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::Value;
use whetstone::config::Config;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::model_down::model;
use crate::server::Place;
use crate::slow_model::send_runs;

const TOKEN: &str = "a-token-of-a-receiver";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

async fn receiver() -> MockServer {
    let receiver = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/v1/traces"))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .respond_with(ResponseTemplate::new(200))
        .mount(&receiver)
        .await;
    receiver
}

async fn received(receiver: &MockServer) -> Vec<ExportTraceServiceRequest> {
    let requests = receiver.received_requests().await.unwrap();
    let read = |request: wiremock::Request| {
        ExportTraceServiceRequest::decode(request.body.as_slice()).unwrap()
    };
    requests.into_iter().map(read).collect()
}

fn spans(messages: &[ExportTraceServiceRequest]) -> Vec<Span> {
    let resources = messages.iter().flat_map(|message| &message.resource_spans);
    let scopes = resources.flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: Option<&Any>| match value {
        Some(Any::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    let value = |any: &opentelemetry_proto::tonic::common::v1::KeyValue| {
        text(any.value.as_ref().and_then(|value| value.value.as_ref()))
    };
    span.attributes.iter().map(|one| (one.key.as_str(), value(one))).collect()
}

#[test]
fn spans_of_every_kind_arrive_and_hold_nothing_of_runs_and_prompts() {
    runtime().block_on(async {
        let (receiver, model) = (receiver().await, model(Duration::ZERO).await);
        let mut place = Place::new(&[
            "rollout=immediate",
            "min_traces=60",
            "cooldown=1d",
            "repo.poll_interval=1s",
            "llm.model=test-model",
            "llm.attempts=1",
            "proposals.critique=false",
            "proposals.candidates=1",
        ]);
        let gate = place.dir.path().join("gate.sh");
        std::fs::write(&gate, "cat > /dev/null; echo '{\"passed\": true}'").unwrap();
        let token = place.dir.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        place.settings.extend([
            format!("llm.endpoint={}/v1/", model.uri()),
            format!("gate.command=sh {}", gate.display()),
            format!("telemetry.endpoint={}/v1/traces", receiver.uri()),
            format!("telemetry.token_file={}", token.display()),
        ]);
        let mut server = place.start().await;
        send_runs(&place).await;
        let done = |view: &Value| view["active"] == 2 && view["optimizing"].is_null();
        place.until("/api/agents/sim-triage", done).await;
        let version = place.repo().join("versions/sim-triage_v2.yaml");
        place.until_file(&version, |text| !text.is_empty()).await;
        // What is left is sent as it ends.
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        let messages = received(&receiver).await;
        let spans = spans(&messages);
        check(&spans, &place);
        let told = format!("{messages:?}");
        for secret in [TOKEN, "Look at get_traces", "get_logs", "runs with it succeed"] {
            assert!(!told.contains(secret), "{secret:?} leaves");
        }
        assert!(!place.server_log().contains(TOKEN));
    });
}

fn check(spans: &[Span], place: &Place) {
    let of = |name: &'static str| spans.iter().filter(move |span| span.name == name);
    for name in ["step", "commit", "propose", "model", "gate", "project"] {
        assert!(of(name).count() > 0, "no {name} in {spans:#?}\n{}", place.server_log());
    }
    for role in ["decode", "assemble", "aggregate", "optimize", "publish"] {
        // Nothing comes for those who put spans together.
        let wanted = role != "assemble";
        let steps = of("step").any(|span| attributes(span)["role"] == role);
        assert_eq!(steps, wanted, "{role}");
    }
    let steps: Vec<_> = of("step").map(|span| &span.span_id).collect();
    assert!(of("commit").all(|span| steps.contains(&&span.parent_span_id)));
    let proposals: Vec<_> = of("propose").map(|span| &span.span_id).collect();
    assert!(of("model").chain(of("gate")).all(|span| proposals.contains(&&span.parent_span_id)));
    assert!(of("step").any(|span| attributes(span)["result"] == "committed"));
    assert!(
        spans.iter().all(|span| span.events.is_empty()),
        "lines of the log may quote from runs"
    );
}

#[test]
fn without_an_endpoint_there_is_nothing_and_one_that_cannot_be_is_refused() {
    let load = |settings: &[&str]| {
        let settings: Vec<_> = settings.iter().map(|text| (*text).to_owned()).collect();
        Config::load(None, [], &settings)
    };
    assert!(load(&[]).unwrap().telemetry.is_none());
    let telemetry = load(&["telemetry.endpoint=http://127.0.0.1:4318/v1/traces"]).unwrap();
    let telemetry = telemetry.telemetry.unwrap();
    assert_eq!(telemetry.endpoint, "http://127.0.0.1:4318/v1/traces");
    assert!(telemetry.token.is_none() && (telemetry.share - 1.0).abs() < f64::EPSILON);
    for (setting, problem) in [
        (
            "telemetry.endpoint=127.0.0.1:4318",
            "takes a URL such as http://127.0.0.1:4318/v1/traces",
        ),
        (
            "telemetry.endpoint=http://ada:secret@localhost/v1/traces",
            "holds a name or a password: set telemetry.token_env or telemetry.token_file instead",
        ),
        ("telemetry.share=1.5", "must be from 0 to 1"),
    ] {
        let said = load(&[setting]).unwrap_err().to_string();
        assert!(said.contains(problem) && !said.contains("secret@"), "{said}");
    }
}
