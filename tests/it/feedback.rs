//! Feedback through the real server and the command line: what becomes of it, and that nothing of it is lost
//! or counted twice.

use std::process::Output;
use std::time::Duration;

use fastrand::Rng;
use reqwest::Client;
use serde_json::{Value, json};
use whetstone::consume::{EmbeddedLog, Record, Topic};

use crate::broker::OnKafka;
use crate::killed::setting;
use crate::log_conformance::read;
use crate::server::{Place, Running};

const AGENT: &str = "sim-triage";
const VIEW: &str = "/api/agents/sim-triage";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// A run that does not say how it turned out.
fn run(id: &str) -> Value {
    let end = jiff::Timestamp::now().as_millisecond();
    json!({"agent": AGENT, "trace_id": id, "start_ms": end - 5000, "end_ms": end})
}

fn said(id: &str, success: bool) -> Value {
    json!({"agent": AGENT, "trace_id": id, "success": success})
}

async fn post(place: &Place, path: &str, body: &Value) -> Option<u16> {
    let client = Client::new();
    let request = client.post(place.url(path)).timeout(Duration::from_secs(20)).json(body);
    Some(request.send().await.ok()?.status().as_u16())
}

async fn metrics(place: &Place) -> String {
    reqwest::get(place.url("/metrics")).await.unwrap().text().await.unwrap()
}

fn counts(view: &Value) -> [&Value; 3] {
    let runs = &view["recent"]["runs"];
    [&runs["success"], &runs["failure"], &runs["unknown"]]
}

/// A server that knows the agent's version: what runs earlier belongs to none.
async fn started(place: &Place) -> Running {
    let server = place.start().await;
    place.until(VIEW, |view| view["active"] == 1).await;
    server
}

async fn said_before_and_after(place: &Place) {
    let _server = started(place).await;
    assert_eq!(post(place, "/api/feedback", &said("early", true)).await, Some(202));
    place.until(VIEW, |view| view["runs"]["labels"]["early"] == 1).await;
    let runs =
        json!([run("early"), run("late"), run("never"), run(&format!("{TRACE}-{:016x}", 1))]);
    assert_eq!(post(place, "/api/traces", &runs).await, Some(202));
    place.until(VIEW, |view| view["waiting"] == 3).await;
    let shown = place.command(&["status"]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Runs that wait for their outcome: 3 of sim-triage"), "{shown}");

    let feedback = json!([
        said("late", false),
        said("late", false),
        said("late", true),
        {"agent": AGENT, "trace_id": TRACE, "score": 0.8},
        {"agent": AGENT, "trace_id": "never", "outcome": "unknown"},
        {"trace_id": TRACE, "success": true},
        7,
    ]);
    assert_eq!(post(place, "/api/feedback", &feedback).await, Some(202));
    let view = place
        .until(VIEW, |view| {
            let labels = &view["runs"]["labels"];
            labels["conflicting"] == 1 && labels["labelled"] == 3
        })
        .await;
    assert_eq!((&view["runs"]["windowed"], &view["waiting"]), (&json!(4), &json!(1)));
    assert_eq!(counts(&view), [2, 1, 1]);
    assert_eq!(view["versions"][0]["runs"]["failure"], 1);
}

#[test]
fn feedback_joins_its_run_whichever_comes_first_and_is_counted_by_name() {
    block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        said_before_and_after(&place).await;
        let log = EmbeddedLog::open_read_only(&place.dir.path().join("data")).unwrap();
        let letters = read(&log, Topic::DeadLetters);
        let reasons: Vec<_> = letters
            .iter()
            .map(|letter| {
                assert_eq!(letter.header("whetstone-topic"), Some("agent-feedback"));
                letter.header("whetstone-reason").unwrap()
            })
            .collect();
        assert_eq!(reasons, ["invalid_field", "unknown_format"]);
        // What names no agent goes where the trace's spans meet: whose it is, is known there.
        let places = read(&log, Topic::TraceSpans);
        assert_eq!(places.iter().map(Record::key_text).collect::<Vec<_>>(), [TRACE]);
    });
}

#[test]
fn what_becomes_of_feedback_can_be_measured() {
    block_on(async {
        let place = Place::new(&["llm.enabled=false", "feedback.horizon=1d"]);
        let _server = place.start().await;
        post(&place, "/api/feedback", &said("a", true)).await;
        place.until(VIEW, |view| view["runs"]["labels"]["early"] == 1).await;
        post(&place, "/api/traces", &json!([run("a"), run("b")])).await;
        place.until(VIEW, |view| view["waiting"] == 1).await;
        post(&place, "/api/feedback", &json!([said("b", true), said("b", true)])).await;
        place.until(VIEW, |view| view["runs"]["labels"]["duplicate"] == 1).await;
        // The view is what was committed, and metrics are counted right after.
        for line in [
            "whetstone_labels_total{result=\"early\"} 1\n",
            "whetstone_labels_total{result=\"joined\"} 1\n",
            "whetstone_labels_total{result=\"duplicate\"} 1\n",
            "whetstone_labels_total{result=\"late\"} 0\n",
            "whetstone_runs_labelled_total 2\n",
            "whetstone_runs_unlabelled_total{reason=\"given_up\"} 0\n",
        ] {
            let mut text = String::new();
            for _ in 0..500 {
                text = metrics(&place).await;
                if text.contains(line) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    });
}

#[test]
fn feedback_wants_the_token_and_json_as_traces_do() {
    block_on(async {
        let mut place = Place::new(&["llm.enabled=false"]);
        let file = place.dir.path().join("token");
        std::fs::write(&file, "open sesame, please").unwrap();
        place.settings.push(format!("http.token_file={}", file.display()));
        let _server = place.start().await;
        assert_eq!(post(&place, "/api/feedback", &said("a", true)).await, Some(401));
        let client = Client::new();
        let with = |kind: &'static str, body: &'static str| {
            let request = client.post(place.url("/api/feedback")).header("Content-Type", kind);
            request.bearer_auth("open sesame, please").body(body).send()
        };
        assert_eq!(with("text/csv", "a").await.unwrap().status(), 415);
        assert_eq!(with("application/json", "").await.unwrap().status(), 400);
        let answer = with("application/x-ndjson", "{}\n{}\n").await.unwrap();
        assert_eq!(answer.status(), 202);
        assert_eq!(answer.json::<Value>().await.unwrap(), json!({"accepted": 2}));
    });
}

#[test]
fn on_kafka_feedback_joins_its_run_too() {
    let Some(kafka) = OnKafka::new(3, module_path!()) else { return };
    block_on(async {
        let place = Place::on_kafka(&kafka, &["llm.enabled=false", "kafka.partitions=3"]);
        said_before_and_after(&place).await;
    });
}

/// Runs and what is said of them, in any order, to a server that is killed again and again.
#[test]
fn a_server_killed_at_any_moment_gives_each_run_its_outcome_once() {
    let kills = setting("WHETSTONE_TEST_KILLS", 12).div_ceil(2);
    let seed = setting("WHETSTONE_TEST_SEED", fastrand::u64(..));
    eprintln!("{kills} kills; replay with WHETSTONE_TEST_SEED={seed}");
    block_on(async {
        let place = Place::new(&["llm.enabled=false", "min_traces=1000000"]);
        let mut rng = Rng::with_seed(seed);
        let (mut number, mut killed, mut expected) = (0, 0, [0u64, 0]);
        let mut waiting: Vec<(&str, Value)> = Vec::new();
        drop(started(&place).await);
        while killed < kills {
            let server = place.start().await;
            let moment = Duration::from_millis(rng.u64(5..500));
            let killer = tokio::task::spawn_blocking(move || kill_after(server, moment));
            loop {
                if waiting.is_empty() {
                    (number, waiting) = more(number, &mut expected, &mut rng);
                }
                // What was not acknowledged is sent again after the restart.
                let (path, body) = waiting.last().unwrap();
                if post(&place, path, body).await != Some(202) {
                    break;
                }
                waiting.pop();
            }
            killer.await.unwrap();
            killed += 1;
        }
        let mut server = place.start().await;
        for (path, body) in waiting {
            assert_eq!(post(&place, path, &body).await, Some(202), "{}", place.server_log());
        }
        let settled = |view: &Value| {
            view["runs"]["windowed"] == number
                && view["runs"]["labels"]["labelled"] == number
                && view["waiting"] == 0
        };
        let view = place.until(VIEW, settled).await;
        assert_eq!(counts(&view), [expected[0], expected[1], 0], "{view:#}");
        let labels = &view["runs"]["labels"];
        let first = labels["joined"].as_u64().unwrap() + labels["early"].as_u64().unwrap();
        assert_eq!(first, number, "{view:#}");
        for refused in ["conflicting", "already_known", "late", "given_up", "unneeded"] {
            assert_eq!(labels[refused], 0, "{refused} {view:#}");
        }
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        eprintln!("{killed} kills, {number} runs, {labels}");
    });
}

/// Twenty more runs and their labels, in posts of any order; the labels are in some twice.
fn more(first: u64, expected: &mut [u64; 2], rng: &mut Rng) -> (u64, Vec<(&'static str, Value)>) {
    let mut posts = Vec::new();
    for number in first..first + 20 {
        let (id, success) = (format!("run-{number}"), rng.bool());
        expected[usize::from(!success)] += 1;
        posts.push(("/api/traces", run(&id)));
        posts.extend(std::iter::repeat_n(("/api/feedback", said(&id, success)), rng.usize(1..3)));
    }
    rng.shuffle(&mut posts);
    (first + 20, posts)
}

#[expect(clippy::disallowed_methods, reason = "the moment of the kill is the test's random input")]
fn kill_after(mut server: Running, moment: Duration) {
    std::thread::sleep(moment);
    server.kill();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What stands on agent-feedback: agent, id, outcome and who says so.
fn topic(place: &Place) -> Vec<String> {
    let log = EmbeddedLog::open_read_only(&place.dir.path().join("data")).unwrap();
    let records = read(&log, Topic::AgentFeedback);
    let line = |value: &[u8]| {
        let value: Value = serde_json::from_slice(value).unwrap();
        let part = |key: &str| value[key].as_str().unwrap_or("-").to_owned();
        ["agent", "trace_id", "outcome", "by"].map(part).join(" ")
    };
    records.iter().map(|record| line(&record.value)).collect()
}

fn send(place: &Place, file: &str, content: &[u8], arguments: &[&str]) -> Output {
    let path = place.dir.path().join(file);
    std::fs::write(&path, content).unwrap();
    let path = path.display().to_string();
    place.command(&[&["send", "--feedback", &path], arguments].concat()).output().unwrap()
}

const RESULTS: &str = "\u{feff}problem_id,attempt,Diagnosis.success,Diagnosis.judgment,TTL,Mitigation.success,TTM,timed_out\n\
    pod_failure,0,True,\"right, in\nall\",31.2,True,102.5,False\n\
    pod_failure,1,True,right,30.1,False,99.9,False\n\
    wrong_port,0,,,,,,True\n\
    wrong_port,1,False,wrong,12.0,maybe,40.0,False\n\
    \n\
    disk_full,0,True,right,9.5,1,88.0,False\n";

#[test]
fn the_columns_of_a_benchmark_become_feedback() {
    let place = Place::new(&["llm.enabled=false"]);
    let columns = ["--id", "{problem_id}-{attempt}", "--success", "Mitigation.success"];
    let agent = ["--agent", AGENT];
    let sent = send(&place, "results.csv", RESULTS.as_bytes(), &[&columns[..], &agent].concat());
    assert_eq!(text(&sent.stdout), "3 outcomes sent, 1 empty, 1 refused\n", "{sent:?}");
    assert!(sent.status.success());
    let errors = text(&sent.stderr);
    let place_of =
        "results.csv:6: column \"Mitigation.success\" holds \"maybe\": say true or false";
    assert!(errors.contains(place_of), "{errors}");
    let expected = [
        "sim-triage pod_failure-0 success results.csv",
        "sim-triage pod_failure-1 failure results.csv",
        "sim-triage disk_full-0 success results.csv",
    ];
    assert_eq!(topic(&place), expected);
}

#[test]
fn the_usual_columns_and_json_need_no_more_words() {
    let place = Place::new(&["llm.enabled=false"]);
    let table = "agent,trace_id,outcome\nsim-triage,r1,success\nsim-planner,r2,aborted\n";
    let sent = send(&place, "said.csv", table.as_bytes(), &["--json"]);
    let sent: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(sent, json!({"sent": 2, "empty": 0, "refused": 0}));
    let scores = "trace_id,score\nr3,0.7\nr4,0.9\n";
    let strict = ["--agent", "a", "--score", "score", "--threshold", "0.8"];
    send(&place, "scores.csv", scores.as_bytes(), &strict);
    let lines = [said("r5", true), json!({"trace_id": "r6", "success": false}), json!(7)];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let sent = send(&place, "said.jsonl", lines.as_bytes(), &["--agent", "a"]);
    assert_eq!(text(&sent.stdout), "2 outcomes sent, 1 refused\n");
    assert!(text(&sent.stderr).contains("said.jsonl:3: unknown_format"), "{sent:?}");
    let expected = [
        "sim-triage r1 success said.csv",
        "sim-planner r2 aborted said.csv",
        "a r3 failure scores.csv",
        "a r4 success scores.csv",
        "sim-triage r5 success feedback",
        "a r6 failure feedback",
    ];
    assert_eq!(topic(&place), expected);
}

#[test]
fn what_is_wrong_about_a_file_of_feedback_is_said_with_the_fix() {
    let place = Place::new(&["llm.enabled=false"]);
    let check = |content: &[u8], arguments: &[&str], code: i32, part: &str| {
        let sent = send(&place, "it.csv", content, arguments);
        let errors = text(&sent.stderr);
        assert_eq!(sent.status.code(), Some(code), "{sent:?}");
        assert!(errors.contains(part), "{part} is not in {errors}");
    };
    let usual = RESULTS.as_bytes();
    check(
        usual,
        &[],
        2,
        "it.csv: there is no column \"trace_id\": name the column with the run's id",
    );
    check(
        usual,
        &["--id", "problem_id"],
        2,
        "there is no column \"success\": name it with --success",
    );
    check(usual, &["--success", "a", "--score", "b"], 2, "cannot be used with");
    check(usual, &["--follow"], 2, "cannot be used with");
    check(b"trace_id,success\nr1,true\n", &[], 1, "it.csv:2: missing_agent");
    check(b"trace_id,success\nr1,true,false\n", &["--agent", "a"], 1, "it.csv:2: ");
    check(b"trace_id,success\nr\xff,true\n", &["--agent", "a"], 1, "it.csv:2: ");
    check(b"agent,trace_id,success\n../x,r1,true\n", &[], 1, "column \"agent\": agent name");
    check(b"", &[], 2, "there is no column \"trace_id\"");
    let long = format!("trace_id,success\n{},true\n", "x".repeat(200));
    check(long.as_bytes(), &["--agent", "a"], 1, "it.csv:2: invalid_trace_id");
    assert_eq!(topic(&place), [""; 0]);
    let misused = place.command(&["send", "--id", "x", "runs.jsonl"]).output().unwrap();
    assert_eq!(misused.status.code(), Some(2), "{misused:?}");
}

#[test]
fn feedback_is_sent_to_a_server_too() {
    block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let _server = started(&place).await;
        post(&place, "/api/traces", &json!([run("r1"), run("r2")])).await;
        let table = "trace_id,success\nr1,True\nr2,False\n";
        let url = place.url("");
        let sent = send(&place, "it.csv", table.as_bytes(), &["--agent", AGENT, "--url", &url]);
        assert_eq!(text(&sent.stdout), "2 outcomes sent, 0 refused\n", "{sent:?}");
        place.until(VIEW, |view| counts(view) == [1, 1, 0]).await;
    });
}
