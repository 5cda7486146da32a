//! The offline gate with real commands and services: one suite for both, and what is of one kind alone.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot::{Receiver, channel};
use tokio::task::JoinSet;
use whetstone::base::{EventTime, ManualClock};
use whetstone::govern::{Answer, Proposal, apply_edits};
use whetstone::optimize::{Gate, Hook, LlmSettings, Optimizer, Patience, Program, Service};
use wiremock::matchers::{header, method};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::log_conformance::GENEROUS;
use crate::optimize::request;

const SECRET: &str = "s3cret-of-the-operator";

fn patience() -> Patience {
    Patience { timeout: GENEROUS, attempts: 2, first_pause: Duration::from_millis(1) }
}

fn short() -> Patience {
    Patience { timeout: Duration::from_secs(2), attempts: 1, ..patience() }
}

/// `sh` with `script`, told where `dir` is by its first argument.
fn sh(script: &str, dir: &TempDir) -> Program {
    let arguments = ["-c", script, "gate", &dir.path().display().to_string()].map(str::to_owned);
    let path = std::env::var("PATH").unwrap();
    let environment = [("PATH", path.as_str()), ("KEY", SECRET)];
    let environment = environment.map(|(name, value)| (name.to_owned(), SecretString::from(value)));
    Program::new("sh".to_owned(), arguments.to_vec(), BTreeMap::from(environment))
}

/// What the patterns propose for [`request`], and what a gate makes of it.
async fn judged(hook: impl Hook + 'static, patience: Patience) -> Proposal {
    let clock = Arc::new(ManualClock::at(EventTime::from_millis(0)));
    let settings = LlmSettings { enabled: false, ..LlmSettings::default() };
    let gate = Gate::new(hook, patience);
    Optimizer::new(settings, clock).with_gate(Some(gate)).propose(&request()).await
}

/// That the edits are withheld, and why.
fn withheld(proposal: &Proposal) -> String {
    assert!(proposal.gate.is_none());
    let problem = proposal.gate_problem.clone().unwrap();
    assert_eq!(proposal.prompt.answer, Answer::NoChange { reason: problem.clone() });
    assert!(proposal.config.answer.edits().is_empty());
    problem
}

/// What a hook does at one call.
#[derive(Clone, Copy)]
enum Does {
    Says(&'static str),
    Fails,
    Floods,
}

/// A hook that does one thing after another and notes what it was asked.
enum Stage {
    Command(TempDir),
    Url(MockServer),
}

impl Stage {
    async fn all() -> [Self; 2] {
        [Self::Command(TempDir::new().unwrap()), Self::Url(MockServer::start().await)]
    }

    async fn judged(&self, does: &[Does]) -> Proposal {
        match self {
            Self::Command(dir) => {
                for (call, does) in does.iter().enumerate() {
                    let script = match does {
                        Does::Says(text) => format!("cat <<'END'\n{text}\nEND\n"),
                        Does::Fails => "echo no problems found >&2; exit 3".to_owned(),
                        Does::Floods => "exec yes".to_owned(),
                    };
                    std::fs::write(dir.path().join(format!("do-{call}")), script).unwrap();
                }
                let script = "cd \"$1\"; n=$(ls | grep -c '^asked-'); cat > asked-$n; . ./do-$n";
                judged(sh(script, dir), patience()).await
            }
            Self::Url(server) => {
                for does in does {
                    let response = match does {
                        Does::Says(text) => ResponseTemplate::new(200).set_body_string(*text),
                        Does::Fails => ResponseTemplate::new(503),
                        Does::Floods => {
                            ResponseTemplate::new(200).set_body_string("y\n".repeat(600_000))
                        }
                    };
                    let mock = Mock::given(method("POST")).respond_with(response);
                    mock.up_to_n_times(1).mount(server).await;
                }
                judged(Service::new(&server.uri(), None), patience()).await
            }
        }
    }

    async fn asked(&self) -> Vec<Value> {
        match self {
            Self::Command(dir) => {
                let file = |call| std::fs::read(dir.path().join(format!("asked-{call}"))).ok();
                let files = (0..).map_while(file);
                files.map(|text| serde_json::from_slice(&text).unwrap()).collect()
            }
            Self::Url(server) => {
                let requests = server.received_requests().await.unwrap();
                requests.iter().map(|request| request.body_json().unwrap()).collect()
            }
        }
    }
}

#[tokio::test]
async fn a_verdict_joins_the_edits_it_is_about() {
    for stage in Stage::all().await {
        let says = r#"{"passed": true, "score": 0.82, "baseline_score": 0.78, "problems": 40,
                       "detail": "two are\u001b[31m\n slower\u202e", "cost": 3}"#;
        let proposal = stage.judged(&[Does::Says(says)]).await;
        let report = proposal.gate.clone().unwrap();
        assert!(report.passed && report.seconds > 0.0);
        assert_eq!(report.words(), "score 0.82 against 0.78 on 40 problems: two are [31m slower");

        let request = request();
        let edits = proposal.prompt.answer.edits();
        assert!(!edits.is_empty(), "the fixture has a finding with an edit");
        let edits = edits.iter().map(|proposed| &proposed.edit);
        let key = &request.policy.guidance_key;
        let candidate = apply_edits(&request.content, key, edits).unwrap();
        let asked = json!({
            "agent": request.id.agent,
            "request": request.id.to_string(),
            "parent": {"version": request.parent, "prompts": request.content.prompts,
                       "config": request.content.config},
            "candidate": {"prompts": candidate.prompts, "config": candidate.config},
        });
        assert_eq!(stage.asked().await, [asked]);
    }
}

#[tokio::test]
async fn a_bad_verdict_is_a_verdict() {
    for stage in Stage::all().await {
        let proposal = stage.judged(&[Does::Says(r#"{"passed": false, "problems": 4}"#)]).await;
        assert_eq!(proposal.gate.clone().unwrap().words(), "on 4 problems");
        assert!(!proposal.gate.unwrap().passed && proposal.gate_problem.is_none());
        assert!(!proposal.prompt.answer.edits().is_empty(), "the machine is to see what failed");
    }
}

#[tokio::test]
async fn what_is_no_verdict_is_asked_again() {
    for first in [Does::Says("passed"), Does::Says("{}"), Does::Says(""), Does::Fails] {
        for stage in Stage::all().await {
            let proposal = stage.judged(&[first, Does::Says(r#"{"passed": true}"#)]).await;
            assert_eq!(proposal.gate.unwrap().words(), "passed");
            assert_eq!(stage.asked().await.len(), 2);
        }
    }
}

#[tokio::test]
async fn without_a_verdict_nothing_ships() {
    let mut said = Vec::new();
    let twice = |does| [does, does];
    let texts =
        [r#"{"passed": null}"#, r#"{"passed": true, "score": 1e999}"#, r#"{"passed": "yes"}"#];
    for text in texts {
        for stage in Stage::all().await {
            let reason = withheld(&stage.judged(&twice(Does::Says(text))).await);
            assert!(reason.contains("is no verdict"), "{text}: {reason}");
            assert_eq!(stage.asked().await.len(), 2);
        }
    }
    for does in [Does::Fails, Does::Floods] {
        for stage in Stage::all().await {
            said.push(withheld(&stage.judged(&twice(does)).await));
        }
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    the gate could not be asked: it exited with 3: it must exit with 0 and a verdict
    the gate could not be asked: it answered 503 Service Unavailable: it must answer 200 and a verdict
    the gate could not be asked: its answer is longer than 1048576 bytes: keep it to the verdict
    the gate could not be asked: its answer is longer than 1048576 bytes: keep it to the verdict
    ");
}

#[tokio::test]
async fn who_is_not_there_is_no_verdict() {
    let missing = Program::new("/nowhere/gate".to_owned(), Vec::new(), BTreeMap::new());
    assert!(missing.problem().unwrap().contains("correct gate.command"));
    let reason = withheld(&judged(missing, patience()).await);
    assert!(reason.contains("\"/nowhere/gate\" cannot be started"), "{reason}");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/?key={SECRET}", taken.local_addr().unwrap());
    drop(taken);
    let service = Service::new(&url, None);
    assert!(!service.name().contains(SECRET));
    let reason = withheld(&judged(service, patience()).await);
    assert_eq!(
        reason,
        "the gate could not be asked: it cannot be reached: see that it runs at gate.url"
    );
}

/// A pipe in `dir` that scripts hold open as long as one of their processes lives. Says when the first
/// line has come, and when all of them are gone. The thread is no task, so that a test that has waited
/// in vain can end.
fn held(dir: &TempDir) -> (Receiver<()>, Receiver<()>) {
    let pipe: PathBuf = dir.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let ((starts, started), (ends, ended)) = (channel(), channel());
    std::thread::spawn(move || {
        let mut reader = BufReader::new(std::fs::File::open(pipe).unwrap());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        starts.send(()).unwrap();
        reader.read_to_end(&mut Vec::new()).unwrap();
        // Who has waited in vain is gone.
        ends.send(()).unwrap_or_default();
    });
    (started, ended)
}

async fn soon(event: Receiver<()>) {
    tokio::time::timeout(GENEROUS, event).await.unwrap().unwrap();
}

/// A shell with a child of its own, both of which would stay for long.
const STAYS: &str = "exec 3> \"$1/pipe\"; (sleep 1000) & echo started >&3; wait";

#[tokio::test]
async fn a_command_that_takes_too_long_is_ended_with_its_children() {
    let dir = TempDir::new().unwrap();
    let (started, ended) = held(&dir);
    let reason = withheld(&judged(sh(STAYS, &dir), short()).await);
    assert!(reason.contains("it took longer than 2s"), "{reason}");
    soon(started).await;
    soon(ended).await;
}

#[tokio::test]
async fn a_command_nobody_waits_for_is_ended_with_its_children() {
    let dir = TempDir::new().unwrap();
    let (started, ended) = held(&dir);
    let hook = sh(STAYS, &dir);
    let mut calls = JoinSet::new();
    calls.spawn(judged(hook, patience()));
    soon(started).await;
    drop(calls);
    soon(ended).await;
}

#[tokio::test]
async fn what_a_command_leaves_behind_is_ended() {
    let dir = TempDir::new().unwrap();
    let (started, ended) = held(&dir);
    let script = "exec 3> \"$1/pipe\"; (sleep 1000) & echo started >&3; echo '{\"passed\": true}'";
    let patience = Patience { attempts: 1, ..patience() };
    assert!(judged(sh(script, &dir), patience).await.gate.unwrap().passed);
    soon(started).await;
    soon(ended).await;
}

#[tokio::test]
async fn a_command_gets_no_variable_but_those_named() {
    let dir = TempDir::new().unwrap();
    assert!(std::env::var("CARGO_MANIFEST_DIR").is_ok());
    let script =
        r#"printf '{"passed": true, "detail": "%s"}' "${CARGO_MANIFEST_DIR:-none} ${#KEY}""#;
    let report = judged(sh(script, &dir), patience()).await.gate.unwrap();
    assert_eq!(report.detail, format!("none {}", SECRET.len()));
}

#[tokio::test]
async fn a_service_gets_the_token_and_no_redirect_carries_it_on() {
    let (server, other) = (MockServer::start().await, MockServer::start().await);
    let token = || Some(SecretString::from(SECRET));
    let answer = ResponseTemplate::new(200).set_body_string(r#"{"passed": true}"#);
    let bearer = header("authorization", format!("Bearer {SECRET}").as_str());
    Mock::given(bearer).respond_with(answer).up_to_n_times(1).mount(&server).await;
    assert!(judged(Service::new(&server.uri(), token()), patience()).await.gate.unwrap().passed);

    let away = ResponseTemplate::new(307).insert_header("location", other.uri().as_str());
    Mock::given(method("POST")).respond_with(away).mount(&server).await;
    let reason = withheld(&judged(Service::new(&server.uri(), token()), patience()).await);
    assert!(reason.contains("it answered 307"), "{reason}");
    assert!(other.received_requests().await.unwrap().is_empty());
    assert_eq!(server.received_requests().await.unwrap().len(), 2, "it does not pass by itself");
}

#[tokio::test]
async fn plain_numbers_stay_and_what_looks_like_a_key_goes() {
    let script = r#"echo '{"passed": true, "detail": "4 of 40, key AKIAABCDEFGHIJKLMNOP"}'"#;
    let arguments = ["-c", script].map(str::to_owned).to_vec();
    let workers = ("WORKERS".to_owned(), SecretString::from("4"));
    let hook = Program::new("/bin/sh".to_owned(), arguments, BTreeMap::from([workers]));
    let report = judged(hook, patience()).await.gate.unwrap();
    assert_eq!(report.detail, "4 of 40, key [redacted]");
}

#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_gets_into_a_log_or_a_report() {
    let (dir, server) = (TempDir::new().unwrap(), MockServer::start().await);
    let logged = Logged::default();
    let writer = logged.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
    let subscriber = subscriber.with_writer(move || writer.clone()).finish();
    // With one subscriber in the process, tracing asks the thread that first comes to a line, which may be
    // another test's, whether anybody wants it, and keeps to the answer. With two it asks them.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let guard = tracing::subscriber::set_default(subscriber);

    let fails = "echo begins >&2; echo \"bad key $KEY\" >&2; exit 1";
    // Another thread comes first, as another test's may.
    let elsewhere = sh(fails, &dir);
    let first =
        move || tokio::runtime::Runtime::new().unwrap().block_on(judged(elsewhere, patience()));
    std::thread::spawn(first).join().unwrap();
    let mut proposals = vec![judged(sh(fails, &dir), patience()).await];
    let tells = r#"printf '{"passed": false, "detail": "key %s"}' "$KEY""#;
    proposals.push(judged(sh(tells, &dir), patience()).await);
    let echo = format!(r#"{{"passed": false, "detail": "token {SECRET}"}}"#);
    let echo = ResponseTemplate::new(200).set_body_string(echo);
    Mock::given(method("POST")).respond_with(echo).up_to_n_times(1).mount(&server).await;
    for _ in 0..2 {
        let service = Service::new(&server.uri(), Some(SecretString::from(SECRET)));
        proposals.push(judged(service, patience()).await);
    }
    drop(guard);

    let log = String::from_utf8(logged.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("begins bad key [hidden]"), "the last words are logged: {log}");
    assert!(log.contains("it answered 404"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
    let details: Vec<_> =
        proposals.iter().flat_map(|proposal| &proposal.gate).map(|gate| &gate.detail).collect();
    assert_eq!(details, ["key [hidden]", "token [hidden]"]);
    assert!(!serde_json::to_string(&proposals).unwrap().contains(SECRET));
}
