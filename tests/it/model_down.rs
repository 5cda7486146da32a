//! The whole command with a model that answers, and with one that is not there: exit 0 either way, and
//! the reason where people look.

use std::time::Duration;

use serde_json::{Value, json};
use whetstone::base::{EventTime, VersionNumber};
use whetstone::govern::Content;
use whetstone::simulate::simulated_agents;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::server::Place;

/// A file with runs of the simulated triage agent, of which half would have needed another tool.
pub(crate) fn traces(place: &Place) -> String {
    let agents = simulated_agents();
    let agent = agents.iter().find(|agent| agent.name.as_str() == "sim-triage").unwrap();
    let mut rng = fastrand::Rng::with_seed(3);
    let content = (VersionNumber(1), &Content::default());
    let start = |id: u64| EventTime::from_millis(1_770_000_000_000 + 60_000 * id.cast_signed());
    let lines = (1..=120)
        .map(|id| serde_json::to_string(&agent.run(id, content, start(id), &mut rng)).unwrap());
    let file = place.dir.path().join("runs.jsonl");
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    file.display().to_string()
}

/// A model that proposes one bullet, each time after `delay`.
pub(crate) async fn model(delay: Duration) -> MockServer {
    let server = MockServer::start().await;
    let edits = json!({"edits": [{"op": "add_bullet", "text": "Look at get_traces before you submit.", "why": "runs with it succeed more often"}], "no_change_reason": null});
    let answer = json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "test-model",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": edits.to_string()}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    });
    Mock::given(method("POST"))
        .and(path("/v1/chat/completions"))
        .respond_with(ResponseTemplate::new(200).set_body_json(answer).set_delay(delay))
        .mount(&server)
        .await;
    server
}

/// `whetstone optimize` with the model at `endpoint`; its report.
fn optimize(place: &Place, endpoint: &str) -> Value {
    let file = traces(place);
    let endpoint = format!("llm.endpoint={endpoint}");
    let output = place
        .command(&["optimize", "--traces", &file, "--json", "--llm", "test-model"])
        .args(["--set", &endpoint, "--set", "llm.attempts=1", "--set", "llm.timeout=20s"])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_model_that_is_not_there_costs_nothing_but_a_remark() {
    let place = Place::new(&[]);
    let report = optimize(&place, "http://127.0.0.1:9/v1/");
    let agent = &report["agents"]["sim-triage"];
    assert_eq!(report["llm_optimizations"], 0);
    assert!(agent["llm"]["fallback"].is_string(), "{agent:#}");
    assert_eq!(agent["author"], "patterns");
    assert_eq!(agent["version"], 2);
}

#[test]
fn a_models_edit_becomes_a_version_with_its_name() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(model(Duration::ZERO));
    let place = Place::new(&[]);
    let report = optimize(&place, &format!("{}/v1/", server.uri()));
    let agent = &report["agents"]["sim-triage"];
    assert_eq!(agent["author"], "llm (test-model)", "{agent:#}");
    let file = place.repo().join("configs/sim-triage_agent_prompts.yaml");
    let prompts = std::fs::read_to_string(file).unwrap();
    assert!(prompts.contains("[w1] Look at get_traces before you submit."), "{prompts}");
    assert!(place.git(&["log", "-1", "--format=%B"]).contains("By llm (test-model)."));
}
