//! What dashboards and clients that speak nothing but HTTP can see and order, and who may.

use std::sync::Arc;

use reqwest::{Client, Method, Response, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use whetstone::base::{Metrics, SystemClock};
use whetstone::consume::{EmbeddedLog, Topic};
use whetstone::serve::{Exposure, MAX_ORDER_BYTES, Server, serve};

use crate::log_conformance::read;
use crate::server::Place;
use crate::subscribe::{adopted, edit};

const AGENT: &str = "/api/agents/sim-triage";
const SETTINGS: [&str; 2] = ["llm.enabled=false", "repo.poll_interval=1s"];

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

async fn get(place: &Place, path: &str) -> Value {
    let response = reqwest::get(place.url(path)).await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response.json().await.unwrap()
}

async fn refused(place: &Place, path: &str, status: u16, part: &str) {
    let response = reqwest::get(place.url(path)).await.unwrap();
    says(response, path, status, part).await;
}

async fn says(response: Response, what: &str, status: u16, part: &str) {
    assert_eq!(response.status(), status, "{what}");
    let said: Value = response.json().await.unwrap();
    assert!(said["error"].as_str().unwrap().contains(part), "{what}: {said}");
}

/// Gives an order to the triage agent.
async fn order(place: &Place, what: &str, body: Value) -> Response {
    Client::new().post(place.url(&format!("{AGENT}/{what}"))).json(&body).send().await.unwrap()
}

/// The decisions about the triage agent by name, the newest first.
fn names(decisions: &Value) -> Vec<&str> {
    let items = decisions["items"].as_array().unwrap();
    items.iter().map(|item| item["decision"].as_str().unwrap()).collect()
}

#[test]
fn versions_are_shown_with_all_they_hold_and_what_changed_between_them() {
    runtime().block_on(async {
        let place = Place::new(&SETTINGS);
        let _server = place.start().await;
        adopted(&place).await;
        edit(&place, "at once when you are done", 2).await;
        let versions = get(&place, &format!("{AGENT}/versions")).await;
        let items = versions["items"].as_array().unwrap();
        let states: Vec<_> = items.iter().map(|item| (&item["version"], &item["state"])).collect();
        assert_eq!(states, [(&json!(1), &json!("superseded")), (&json!(2), &json!("active"))]);
        let second = get(&place, &format!("{AGENT}/versions/v2")).await;
        assert_eq!(second, items[1]);
        let system = second["content"]["prompts"]["system"].as_str().unwrap();
        assert!(system.contains("at once when you are done"), "{second:#}");

        let diff = get(&place, &format!("{AGENT}/diff")).await;
        assert_eq!((&diff["from"], &diff["to"]), (&json!(1), &json!(2)));
        let lines = diff["prompts"][0]["lines"].as_array().unwrap();
        let inserted = lines.iter().find(|line| line["change"] == "insert").unwrap();
        let parts = inserted["parts"].as_array().unwrap();
        let words: String = (parts.iter().filter(|part| part["changed"] == true))
            .map(|part| part["text"].as_str().unwrap())
            .collect();
        assert_eq!(words.trim(), "at once");
        assert_eq!(get(&place, &format!("{AGENT}/diff?from=2&to=2")).await["prompts"], json!([]));

        let list = get(&place, "/api/agents?limit=2").await;
        assert_eq!((&list["total"], &list["next"]), (&json!(5), &json!("sim-repair")));
        let rest = get(&place, "/api/agents?limit=3&after=sim-repair").await;
        assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next"]), (3, &Value::Null));
        let triage = &rest["items"][2];
        assert_eq!(triage["versions"], 2);
        assert_eq!((&triage["trial"], &triage["trend"]), (&Value::Null, &json!([])));

        assert_eq!(get(&place, &format!("{AGENT}/trials")).await["current"], Value::Null);
        assert_eq!(get(&place, &format!("{AGENT}/spending")).await, json!({"items": []}));
        for (path, status, part) in [
            ("/api/agents/nobody/versions", 404, "GET /api/agents"),
            ("/api/agents/sim-triage/versions/9", 404, "has no v9"),
            ("/api/agents/sim-triage/versions/newest", 400, "3 or v3"),
            ("/api/agents/sim-triage/diff?from=1&to=9", 404, "has no v9"),
            ("/api/agents/sim-triage/diff?to=1", 404, "name two"),
            ("/api/agents/sim-triage/diff?form=1", 400, "unknown field"),
            ("/api/agents?limit=0", 400, "1 to 500"),
            ("/api/agents?limit=501", 400, "1 to 500"),
            ("/api/agents?after=..%2F..", 400, "not allowed"),
            ("/api/agents/%ff", 400, "UTF-8"),
            ("/api/decisions?before=yesterday", 400, "before takes"),
            ("/api/updates?topics=agent-state", 400, "topics takes"),
            ("/api/nothing", 404, "openapi"),
        ] {
            refused(&place, path, status, part).await;
        }
    });
}

#[test]
fn orders_are_records_that_the_agents_obey() {
    runtime().block_on(async {
        let place = Place::new(&SETTINGS);
        let _server = place.start().await;
        adopted(&place).await;
        edit(&place, "at once when you are done", 2).await;
        let taken = order(&place, "rollback", json!({"reason": "slower", "by": "grace"})).await;
        assert_eq!(taken.status(), 202);
        let ordered = json!({"ordered": {"agent": "sim-triage", "by": "grace", "command": "rollback",
            "to": null, "only": null, "reason": "slower"}});
        assert_eq!(taken.json::<Value>().await.unwrap(), ordered);
        place.until(AGENT, |view| view["active"] == 1).await;
        assert_eq!(order(&place, "pause", json!({})).await.status(), 202);
        place.until(AGENT, |view| view["paused"] == true).await;
        assert_eq!(order(&place, "resume", json!({})).await.status(), 202);
        place.until(AGENT, |view| view["paused"] == false).await;
        // What makes no sense to the state machine is refused by a decision.
        assert_eq!(order(&place, "promote", json!({"version": 9})).await.status(), 202);
        let path = "/api/decisions?agent=sim-triage";
        let all = place.until(path, |found| names(found)[0] == "command_refused").await;
        assert_eq!(names(&all)[..4], ["command_refused", "resumed", "paused", "rolled_back"]);

        // Page by page it is the same.
        let (mut paged, mut next) = (Vec::new(), String::new());
        loop {
            let page = get(&place, &format!("{path}&limit=2{next}")).await;
            paged.extend(page["items"].as_array().unwrap().clone());
            let Some(before) = page["next"].as_str() else { break };
            next = format!("&before={before}");
        }
        assert_eq!(json!(paged), all["items"]);

        let log = EmbeddedLog::open_read_only(&place.dir.path().join("data")).unwrap();
        let before = read(&log, Topic::PromptCommands).len();
        for (what, body, part) in [
            ("approve", json!({}), "missing field `version`"),
            ("approve", json!({"version": 0}), "counted from 1"),
            ("approve", json!({"version": null}), "not null"),
            ("approve", json!({"version": 1.5}), "counted from 1"),
            ("approve", json!({"version": "2"}), "invalid type"),
            ("reject", json!({"version": 1, "reason": "a\nb"}), "in one line"),
            ("reject", json!({"version": 1, "reason": "x".repeat(1001)}), "1000 characters"),
            ("rollback", json!({"only": "half"}), "unknown variant"),
            ("pause", json!({"until": "tomorrow"}), "unknown field"),
            ("pause", json!({"by": ""}), "1 to 128 bytes"),
        ] {
            says(order(&place, what, body).await, what, 400, part).await;
        }
        let large = json!({"by": "x".repeat(MAX_ORDER_BYTES)});
        says(order(&place, "pause", large).await, "large", 413, "too large").await;
        let nobody = Client::new().post(place.url("/api/agents/nobody/pause")).json(&json!({}));
        says(nobody.send().await.unwrap(), "nobody", 404, "no agent").await;
        assert_eq!(read(&log, Topic::PromptCommands).len(), before, "nothing was ordered");
    });
}

#[test]
fn dead_letters_are_shown_page_by_page_and_without_secrets() {
    runtime().block_on(async {
        let place = Place::new(&SETTINGS);
        let _server = place.start().await;
        let secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
        let bad = ["{".to_owned(), format!("{{\"token\": \"{secret}\"}}"), "[[".to_owned()];
        for body in bad {
            let post = Client::new().post(place.url("/api/traces"));
            let post = post.header("Content-Type", "application/x-ndjson").body(body);
            post.send().await.unwrap();
        }
        let found = place
            .until("/api/dead-letters", |found| {
                found["items"].as_array().is_some_and(|items| items.len() == 2)
            })
            .await;
        assert!(!found.to_string().contains("ghp_"), "{found}");
        let newest = &found["items"][0];
        assert_eq!(
            (&newest["reason"], &newest["topic"]),
            (&json!("unknown_format"), &json!("agent-traces"))
        );
        assert!(newest["preview"].as_str().unwrap().contains("[redacted]"), "{newest}");
        let page = get(&place, "/api/dead-letters?limit=1").await;
        assert_eq!(page["items"][0], *newest);
        let before = page["next"].as_str().unwrap();
        let rest = get(&place, &format!("/api/dead-letters?before={before}")).await;
        assert_eq!((&rest["items"][0], &rest["next"]), (&found["items"][1], &Value::Null));
        let malformed = get(&place, "/api/dead-letters?reason=malformed_json").await;
        assert_eq!(malformed["items"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn no_page_from_elsewhere_changes_or_reads_anything() {
    runtime().block_on(async {
        let place = Place::new(&SETTINGS);
        let _server = place.start().await;
        adopted(&place).await;
        let send = async |method: Method, headers: &[(&str, &str)]| {
            let path = if method == Method::POST { format!("{AGENT}/pause") } else { AGENT.into() };
            let request = Client::new().request(method, place.url(&path)).body("{}");
            let add = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
                request.header(*name, *value)
            };
            headers.iter().fold(request, add).send().await.unwrap().status()
        };
        let json = ("content-type", "application/json");
        let own = place.url("");
        for (headers, status) in [
            (vec![json], 202),
            (vec![json, ("origin", own.as_str()), ("sec-fetch-site", "same-origin")], 202),
            (vec![json, ("origin", "https://evil.example")], 403),
            (vec![json, ("sec-fetch-site", "cross-site")], 403),
            (vec![json, ("host", "evil.example")], 403),
            (vec![("content-type", "text/plain")], 415),
            (vec![], 415),
        ] {
            assert_eq!(send(Method::POST, &headers).await, status, "{headers:?}");
        }
        assert_eq!(send(Method::GET, &[("host", "evil.example")]).await, 403);
        assert_eq!(send(Method::GET, &[("sec-fetch-site", "cross-site")]).await, 200);

        let response = Client::new().delete(place.url(AGENT)).send().await.unwrap();
        assert_eq!(response.headers()["allow"], "GET,HEAD");
        says(response, "DELETE", 405, "openapi").await;
        let response = reqwest::get(place.url("/api/agents")).await.unwrap();
        let headers = response.headers();
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    });
}

#[test]
fn where_other_machines_reach_it_the_token_is_wanted_for_reading_too() {
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(dir.path(), Arc::new(SystemClock)).unwrap());
        let check = async |exposure: Exposure, asked: &[(&str, &str, u16)]| {
            let server = Server {
                token: Some(SecretString::from("open-sesame")),
                read_token: Some(SecretString::from("look-only")),
                exposure,
                ..Server::new(log.clone(), Metrics::new().unwrap())
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let ask = async {
                for (path, token, status) in asked {
                    let request = Client::new().get(format!("{url}{path}")).bearer_auth(token);
                    let response = request.send().await.unwrap();
                    assert_eq!(response.status(), *status, "{path} {exposure:?}");
                    let order = format!("{url}{AGENT}/pause");
                    let order = Client::new().post(order).bearer_auth(token).json(&json!({}));
                    let expected = match *token {
                        // Nobody is there who could be paused.
                        "open-sesame" => 503,
                        "look-only" => 403,
                        _ => 401,
                    };
                    assert_eq!(order.send().await.unwrap().status(), expected, "{token}");
                    if response.status() == StatusCode::UNAUTHORIZED {
                        assert_eq!(response.headers()["www-authenticate"], "Bearer");
                        says(response, path, 401, "Authorization: Bearer").await;
                    }
                }
            };
            tokio::select! {
                ended = serve(server, listener, CancellationToken::new()) => panic!("{ended:?}"),
                () = ask => {}
            }
        };
        let asked = [
            ("/api/openapi.json", "", 401),
            ("/api/agents", "open", 401),
            ("/api/nothing", "open", 401),
            ("/metrics", "", 401),
            ("/healthz", "", 200),
            ("/api/openapi.json", "open-sesame", 200),
            ("/metrics", "open-sesame", 200),
            ("/metrics", "look-only", 200),
            ("/api/openapi.json", "look-only", 200),
        ];
        check(Exposure::Network, &asked).await;
        check(Exposure::Loopback, &[("/api/openapi.json", "", 200), ("/metrics", "", 200)]).await;
    });
}
