//! The dashboard, used in a real browser as a person would. `tests/browser/dashboard.py` clicks and looks;
//! here is what it looks at. Its pictures are in `target/pictures`.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::lines::Lines;
use crate::live_trial::{Caller, SETTINGS};
use crate::python::{python, skip};
use crate::server::Place;
use crate::subscribe::adopted;

/// The names that browsers of its kind have.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn browser(wanted_by: &str) -> Option<&'static str> {
    let there = |name: &&str| Command::new(name).arg("--version").output().is_ok();
    let found = BROWSERS.into_iter().find(there);
    if found.is_none() {
        skip(wanted_by, "no Chromium");
    }
    found
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pictures")
}

/// A scenario in the browser, which goes on by itself; none where there is no browser. It ends within a minute
/// of whatever does not come about.
fn looking(place: &Place, scenario: &str) -> Option<Lines> {
    let python = python(scenario)?;
    let browser = browser(scenario)?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/dashboard.py");
    let mut command = Command::new(python);
    command.arg(script).arg(scenario).arg(place.url("")).arg(pictures()).arg(browser);
    Some(Lines::of(command))
}

/// Waits until the scenario has seen all that it wanted to.
fn seen(place: &Place, scenario: &str, mut lines: Lines) {
    let said: Vec<_> = std::iter::from_fn(|| lines.next_if_any()).collect();
    println!("{scenario}: {}", said.join("\n"));
    if let Err(problem) = lines.end() {
        panic!("{scenario}: {}\n{problem}\n{}", said.join("\n"), place.server_log());
    }
}

fn look(place: &Place, scenario: &str) {
    if let Some(lines) = looking(place, scenario) {
        seen(place, scenario, lines);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[test]
fn people_approve_take_back_reject_and_pause_by_hand() {
    let mut settings: Vec<_> = SETTINGS.to_vec();
    settings.push("rollout=manual");
    let place = Place::new(&settings);
    runtime().block_on(async {
        let _server = place.start().await;
        adopted(&place).await;
        for agent in ["sim-triage", "sim-repair"] {
            let mut caller = Caller::of(&place, agent);
            caller.until(|view| view["candidate"] == 2).await;
        }
        look(&place, "orders");
        let view = place.until("/api/agents/sim-triage", |view| view["active"] == 1).await;
        assert_eq!(view["versions"][1]["state"], "rolled_back", "{view:#}");
    });
}

#[test]
fn people_watch_a_trial_close_in_until_it_is_decided() {
    let place = Place::new(&SETTINGS);
    runtime().block_on(async {
        let _server = place.start().await;
        adopted(&place).await;
        let mut caller = Caller::of(&place, "sim-triage");
        caller.until(|view| !view["trial"].is_null()).await;
        let Some(lines) = looking(&place, "trial") else { return };
        // More runs each time that it has seen what came of the last.
        while let Some(line) = lines.next_if_any() {
            println!("{line}");
            if line.starts_with("points") {
                caller.runs(15).await;
            }
        }
        seen(&place, "trial", lines);
    });
}

#[test]
fn nothing_is_shown_without_the_token() {
    let mut place = Place::new(&["llm.enabled=false", "http.token_env=WHETSTONE_DASHBOARD_TEST"]);
    let environment = [("WHETSTONE_DASHBOARD_TEST", "let-me-in")];
    runtime().block_on(async {
        // On this machine alone, who reads needs none.
        let mut server = place.start_with(&environment).await;
        adopted(&place).await;
        look(&place, "asked");
        server.stop();
        let port = place.url("").rsplit(':').next().unwrap().to_owned();
        place.settings.push(format!("http.listen=0.0.0.0:{port}"));
        let _server = place.start_with(&environment).await;
        look(&place, "token");
    });
}

#[test]
fn what_agents_write_is_shown_as_text_and_without_secrets() {
    let place = Place::new(&["llm.enabled=false"]);
    runtime().block_on(async {
        let _server = place.start().await;
        adopted(&place).await;
        let key = ["AKIA", "IOSFODNN7", "EXAMPLE"].concat();
        let markup = "<img src=x onerror=\"document.title='onerror-ran'\">";
        let runs: Vec<_> = (0..6)
            .map(|run| {
                let result = format!("{markup} key {key} </pre><script>alert(1)</script>");
                json!({"agent": "sim-triage", "trace_id": format!("hostile-{run}"), "version": 1,
                    "start": 1_770_000_000 + run, "end": 1_770_000_040 + run, "outcome": "failure", "task": markup, "result": result,
                    "steps": [{"type": "tool", "name": markup, "ok": false, "error": result, "arguments": markup}]})
            })
            .collect();
        assert_eq!(post(&place, "application/json", json!(runs).to_string()).await, 202);
        let broken = format!("{{\"agent\": \"<script>alert('{key}')</script>\n");
        assert_eq!(post(&place, "application/x-ndjson", broken).await, 202);
        let taken = |view: &Value| view["runs"]["windowed"] == 6;
        place.until("/api/agents/sim-triage", taken).await;
        look(&place, "hostile");
    });
}

async fn post(place: &Place, media_type: &str, body: String) -> StatusCode {
    let request = Client::new().post(place.url("/api/traces")).body(body);
    request.header("content-type", media_type).send().await.unwrap().status()
}

#[test]
fn three_agents_look_well_in_both_themes() {
    let place = Place::new(&SETTINGS);
    let rest = ["sim-oracle", "sim-research"].into_iter();
    let files = rest.flat_map(|name| {
        ["prompts", "config"].map(|kind| format!("configs/{name}_agent_{kind}.yaml"))
    });
    let files: Vec<_> = files.collect();
    place.git(
        &[&["rm", "--quiet"][..], &files.iter().map(String::as_str).collect::<Vec<_>>()].concat(),
    );
    place.commit("Fewer agents");
    runtime().block_on(async {
        let _server = place.start().await;
        let three = |list: &Value| {
            list["total"] == 3
                && list["items"].as_array().unwrap().iter().all(|agent| agent["active"] == 1)
        };
        place.until("/api/agents", three).await;
        for agent in ["sim-repair", "sim-scout", "sim-triage"] {
            let mut caller = Caller::of(&place, agent);
            caller.runs(50).await;
        }
        let mut caller = Caller::of(&place, "sim-triage");
        caller.until(|view| !view["trial"].is_null()).await;
        caller.runs(60).await;
        look(&place, "looks-3");
    });
}

/// So many agents that no page could hold them all.
#[test]
fn three_thousand_agents_are_found_sorted_and_scrolled_through() {
    let place = Place::new(&["llm.enabled=false", "windows.length=6h"]);
    let names: Vec<_> = (0..3000).map(|number| format!("fleet-{number:04}")).collect();
    for name in &names {
        let file = |kind: &str| place.repo().join(format!("configs/{name}_agent_{kind}.yaml"));
        std::fs::write(file("prompts"), format!("system: You are {name}, a simulated agent.\n"))
            .unwrap();
        std::fs::write(file("config"), "max_step: 20\n").unwrap();
    }
    place.commit("A fleet");
    runtime().block_on(async {
        let _server = place.start().await;
        let last = "/api/agents?limit=500&after=fleet-2499";
        let each = |list: &Value, is: fn(&Value) -> bool| {
            list["items"].as_array().is_some_and(|items| items.len() == 500 && items.iter().all(is))
        };
        place.until(last, |list| each(list, |agent| agent["active"] == 1)).await;
        let mut rng = fastrand::Rng::with_seed(11);
        for hour in 0..12 {
            let runs: Vec<_> = names.iter().map(|name| fleet_run(name, hour, &mut rng)).collect();
            assert_eq!(post(&place, "application/json", json!(runs).to_string()).await, 202);
        }
        place.until(last, |list| each(list, |agent| agent["runs"]["windowed"] == 12)).await;
        Caller::of(&place, "sim-triage").runs(50).await;
        look(&place, "many");
        look(&place, "looks-3000");
    });
}

fn fleet_run(name: &str, hour: i64, rng: &mut fastrand::Rng) -> Value {
    let start = 1_770_000_000 + hour * 3600 + rng.i64(0..3000);
    let outcome = if rng.f64() < 0.7 { "success" } else { "failure" };
    let step = |ok: bool| json!({"type": "tool", "name": "look_up", "ok": ok, "duration": 1.0});
    let steps: Vec<_> = (0..rng.u8(1..9)).map(|_| step(rng.f64() < 0.9)).collect();
    json!({"agent": name, "trace_id": format!("{name}-{hour}"), "version": 1, "start": start, "end": start + rng.i64(5..90),
        "outcome": outcome, "steps": steps})
}
