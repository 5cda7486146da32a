//! Whatever runs and broken records say: no answer and no event tells a secret.

use reqwest::Client;
use serde_json::{Value, json};
use whetstone::serve::paths;

use crate::api_updates::Stream;
use crate::server::Place;
use crate::subscribe::adopted;

/// Each stands in a place of its own, so that the one that is told says which.
const SECRETS: [&str; 6] = [
    "ghp_0123456789abcdefghijABCDEFGHIJ012340",
    "ghp_0123456789abcdefghijABCDEFGHIJ012341",
    "ghp_0123456789abcdefghijABCDEFGHIJ012342",
    "ghp_0123456789abcdefghijABCDEFGHIJ012343",
    "ghp_0123456789abcdefghijABCDEFGHIJ012344",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
];

fn run(id: &str, outcome: &str) -> Value {
    let [error, arguments, thought, ..] = SECRETS;
    json!({"agent": "sim-triage", "trace_id": id, "start": 1_770_000_000, "end": 1_770_000_009,
    "outcome": outcome, "steps": [
        {"type": "tool", "name": "fetch", "ok": false, "error": format!("denied to {error}"),
            "arguments": json!({"token": arguments}).to_string()},
        {"type": "thought", "text": format!("the key is {thought}, I think")},
    ]})
}

/// Every path that can be looked at.
fn looked_at() -> Vec<String> {
    let document: Value = serde_yaml::from_str(include_str!("../../configs/openapi.yaml")).unwrap();
    let reads = |path: &&str| document["paths"][*path]["get"].is_object();
    let unending = |path: &&str| *path != "/api/updates";
    let paths = paths().into_iter().filter(reads).filter(unending);
    let named = |path: &str| path.replace("{agent}", "sim-triage").replace("{version}", "1");
    paths.map(named).collect()
}

#[test]
fn no_answer_and_no_event_tells_a_secret() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let place = Place::new(&["llm.enabled=false", "repo.poll_interval=1s"]);
        let _server = place.start().await;
        adopted(&place).await;
        let topics = "?topics=agents,prompt-updates,decisions";
        let mut stream = Stream::at(&place.url(""), topics, "").await;
        stream.next().await.unwrap();
        let [.., cut, odd, broken] = SECRETS;
        let bodies = [
            run("one", "failure").to_string(),
            run("two", "success").to_string(),
            json!({"agent": format!("token {cut}"), "trace_id": "three"}).to_string(),
            json!({"something": odd}).to_string(),
            format!("{{\"authorization\": \"{broken}"),
        ];
        let post = Client::new().post(place.url("/api/traces"));
        let post = post.header("Content-Type", "application/x-ndjson").body(bodies.join("\n"));
        assert_eq!(post.send().await.unwrap().status(), 202);
        let count = |found: &Value, least: usize| {
            found["items"].as_array().is_some_and(|items| items.len() >= least)
        };
        let telling =
            place.until("/api/agents/sim-triage/exemplars", |found| count(found, 2)).await;
        place.until("/api/dead-letters", |found| count(found, 3)).await;
        assert!(telling.to_string().contains("fetch"), "it does tell: {telling}");
        let pause = Client::new().post(place.url("/api/agents/sim-triage/pause"));
        let by = json!({"by": "the end"});
        assert_eq!(pause.json(&by).send().await.unwrap().status(), 202);

        let paths = looked_at();
        assert!(paths.len() > 12, "{paths:?}");
        for path in paths {
            let query = if path.ends_with("/prompt") { "?unit=one" } else { "" };
            let url = place.url(&format!("{path}{query}"));
            let said = reqwest::get(url).await.unwrap().text().await.unwrap();
            assert!(!said.contains("ghp_"), "{path} tells {said}");
        }
        loop {
            let event = stream.next().await.unwrap();
            assert!(!event.data.to_string().contains("ghp_"), "{event:?}");
            if event.data["decision"] == "paused" {
                break;
            }
        }
        assert!(!place.server_log().contains("ghp_"), "{}", place.server_log());
    });
}
