//! What the model costs, as operators see it: the commands, the views and the metrics, and a server that is
//! killed between an answer and its commit.

use std::time::Duration;

use serde_json::{Value, json};
use wiremock::MockServer;

use crate::model_down::{model, traces};
use crate::optimize::{CONFIG, PROMPTS, bullet, no_change, says, when};
use crate::server::Place;
use crate::slow_model::send_runs;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn asking(model: &MockServer, more: &[&str]) -> Place {
    let endpoint = format!("llm.endpoint={}/v1/", model.uri());
    let frugal = ["proposals.critique=false", "proposals.candidates=1"];
    let model = ["llm.model=test-model", &endpoint, "llm.attempts=1"];
    Place::new(&[&model[..], &frugal[..], more].concat())
}

fn ok(place: &Place, arguments: &[&str]) -> String {
    let output = place.command(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn json(place: &Place, arguments: &[&str]) -> Value {
    serde_json::from_str(&ok(place, &[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn a_dry_run_shows_the_calls_and_does_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let model = runtime.block_on(model(Duration::ZERO));
    let place = asking(&model, &["llm.price.input=0.3", "llm.price.output=2.5"]);
    let file = traces(&place);
    let dry = ["optimize", "--traces", &file, "--dry-run"];
    let before = (place.git(&["rev-parse", "HEAD"]), place.git(&["status", "--porcelain"]));

    let shown = ok(&place, &dry);
    assert!(shown.starts_with("dry run: 2 calls for 1 agents, at most "), "{shown}");
    for part in [
        "\nsim-triage, prompts\n",
        "\nsim-triage, config\n",
        "  model     test-model at http://127.0.0.1",
        "  asks for  temperature 0.7, max_tokens 8000, format json_schema\n",
        "  budget    0 tokens (of 1000000) and 0.0000 USD (no limit) are spent today; at most 12 calls",
        "--- system\nYou improve the prompts of an AI agent",
        "--- user\n## ",
        "--- schema\n{",
    ] {
        assert!(shown.contains(part), "no {part:?} in {shown}");
    }
    let endpoint = format!("llm.endpoint={}/v1/", model.uri());
    let all = json(&Place::new(&["llm.model=test-model", &endpoint]), &dry);
    let calls = all["sim-triage"]["calls"].as_array().unwrap();
    let purposes: Vec<_> = calls.iter().map(|call| call["purpose"].as_str().unwrap()).collect();
    assert_eq!(purposes, ["causes", "prompts", "prompts, one edit", "config"]);
    let shown = json(&place, &dry);
    let call = &shown["sim-triage"]["calls"][0];
    assert_eq!((&call["purpose"], &call["objection"]), (&json!("prompts"), &Value::Null));
    assert!(call["estimate"]["cost_micros"].as_u64() > Some(20_000), "{call:#}");
    let poor = [&dry[..], &["--set", "llm_budget.tokens_per_day=100"]].concat();
    assert!(ok(&place, &poor).contains("not made  the day's budget of 100 tokens is used up"));
    let off = [&dry[..], &["--llm", "off"]].concat();
    assert!(ok(&place, &off).contains("no model is asked: it is switched off"));

    assert_eq!(runtime.block_on(model.received_requests()).unwrap().len(), 0);
    let after = (place.git(&["rev-parse", "HEAD"]), place.git(&["status", "--porcelain"]));
    assert_eq!(after, before);
    assert!(!place.dir.path().join("data").exists());
}

#[test]
fn calls_are_listed_and_each_is_shown_whole() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let model = runtime.block_on(model(Duration::ZERO));
    let place = asking(&model, &["llm.price.input=0.3", "llm.price.output=2.5"]);
    assert!(ok(&place, &["calls"]).starts_with("No calls in "));
    assert_eq!(json(&place, &["calls"]), json!([]));
    let cycle = ["optimize", "--traces", &traces(&place)];
    let report = json(&place, &cycle);
    let llm = &report["agents"]["sim-triage"]["llm"];
    // Two halves; the mock's edits are no answer for the config.
    assert_eq!((&llm["calls"], &llm["cost_micros"]), (&json!(2), &json!(2 * (3 + 13))), "{llm:#}");

    let listed = ok(&place, &["calls"]);
    let lines: Vec<_> = listed.lines().collect();
    assert!(lines[0].starts_with("TIME") && lines.len() == 3, "{listed}");
    assert!(lines[1].contains("sim-triage#1") && lines[1].contains("10 + 5  0.0001"), "{listed}");
    let all = json(&place, &["calls"]);
    let hash = all[0]["hash"].as_str().unwrap();
    let short = hash.get(..12).unwrap();
    assert!(lines[1].ends_with(short), "{listed}");
    assert_eq!(all[0]["answer"]["input_tokens"], 10);
    assert_eq!(json(&place, &["calls", "--agent", "sim-scout"]), json!([]));
    assert_eq!(json(&place, &["calls", "--day", "2001-01-31"]), json!([]));

    let whole = ok(&place, &["calls", short]);
    for part in [
        "sim-triage, prompts for sim-triage#1\n",
        &format!("  hash      {hash}\n"),
        "  used      10 tokens read, 5 written, 0.0001 USD\n",
        "--- system\nYou improve the prompts",
        "--- answer\n{\"edits\":",
    ] {
        assert!(whole.contains(part), "no {part:?} in {whole}");
    }
    let check = |arguments: &[&str], code: i32, says: &str| {
        let output = place.command(arguments).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(says), "{said}");
    };
    let help = ok(&place, &["calls", "--help"]);
    assert!(help.contains("Examples:\n  whetstone calls\n"), "{help}");
    check(&["calls", "00000000"], 1, "`whetstone calls` lists those in");
    check(&["calls", "--day", "today"], 2, "write it as 2026-01-31");

    // A batch has no ledger but the log, and keeps to it.
    place.git(&["reset", "--quiet", "--hard", "HEAD~1"]);
    let again = [&cycle[..], &["--set", "llm_budget.tokens_per_day=20"]].concat();
    let report = json(&place, &again);
    let fallback = report["agents"]["sim-triage"]["llm"]["fallback"].as_str().unwrap();
    assert!(fallback.contains("20 tokens is used up: 30 are spent"), "{fallback}");
}

/// How often each half was asked about.
async fn asked(model: &MockServer) -> [usize; 2] {
    let requests = model.received_requests().await.unwrap();
    let bodies: Vec<_> = requests.iter().map(|request| text(&request.body)).collect();
    [PROMPTS, CONFIG].map(|half| bodies.iter().filter(|body| body.contains(half)).count())
}

#[test]
fn a_server_that_is_killed_after_an_answer_does_not_pay_for_it_twice() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let model = MockServer::start().await;
        when(&model, PROMPTS, says(bullet("Look at get_traces first.")), 9).await;
        when(&model, CONFIG, no_change().set_delay(Duration::from_secs(60)), 1).await;
        when(&model, CONFIG, no_change(), 9).await;
        let settings =
            ["rollout=immediate", "min_traces=60", "cooldown=1d", "llm_budget.calls_per_request=5"];
        let priced = ["llm.price.input=1", "llm.price.output=1", "repo.poll_interval=1s"];
        let place = asking(&model, &[&settings[..], &priced[..]].concat());
        let mut server = place.start().await;
        send_runs(&place).await;
        while asked(&model).await != [1, 1] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.kill();
        let mut server = place.start().await;
        let view = place.until("/api/agents/sim-triage", |view| view["active"] == 2).await;
        assert_eq!(asked(&model).await, [1, 2], "the answer is taken from the log");

        let spending = &view["spending"][0];
        assert_eq!(
            (&spending["calls"], &spending["cached"]),
            (&json!(3), &json!(1)),
            "{spending:#}"
        );
        let tokens = |spending: &Value| {
            spending["input_tokens"].as_u64().unwrap() + spending["output_tokens"].as_u64().unwrap()
        };
        // Two answers of 110, and the estimate of the call that has none.
        assert!(tokens(spending) > 2 * 110 + 8_000, "{spending:#}");
        assert_eq!(spending["cost_micros"].as_u64(), Some(tokens(spending)));

        let metrics = reqwest::get(place.url("/metrics")).await.unwrap().text().await.unwrap();
        for line in [
            "whetstone_llm_calls_total{result=\"answered\"} 1\n",
            "whetstone_llm_calls_total{result=\"cached\"} 1\n",
            "whetstone_llm_calls_total{result=\"interrupted\"} 2\n",
            "whetstone_llm_calls_total{result=\"over_budget\"} 0\n",
            "whetstone_llm_resting 0\n",
            "whetstone_llm_cost_usd_total 0.0",
        ] {
            assert!(metrics.contains(line), "{line} is not in\n{metrics}");
        }
        let status = ok(&place, &["status"]);
        assert!(status.contains("model: 3 calls, "), "{status}");
        let status = ok(&place, &["status", "sim-triage"]);
        assert!(
            status.contains("CACHED") && status.contains(spending["day"].as_str().unwrap()),
            "{status}"
        );
        let shown = json(&place, &["status", "sim-triage"]);
        assert_eq!(&shown[0]["spending"][0], spending);
        let listed = ok(&place, &["calls"]);
        assert_eq!(listed.matches(" open ").count(), 1, "{listed}");

        // The ledger outlives a restart, even where the log of calls is lost.
        assert_eq!(server.stop(), Some(0));
        std::fs::remove_dir_all(place.dir.path().join("data/llm-calls")).unwrap();
        let mut server = place.start().await;
        let view = place.until("/api/agents/sim-triage", |view| view["active"] == 2).await;
        assert_eq!(&view["spending"][0], spending);
        assert_eq!(server.stop(), Some(0));
    });
}
