//! What README shows, run as it stands there.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use whetstone::consume::{Log as _, NewRecord, Topic};

use crate::broker::OnKafka;
use crate::lines::Lines;
use crate::python::python;
use crate::server::Place;
use crate::subscribe::{adopted, edit};

const README: &str = include_str!("../../README.md");

/// The first fenced block of `language` that holds `part`.
fn block(language: &str, part: &str) -> &'static str {
    let mut blocks = README.split("```");
    blocks
        .find_map(|block| block.strip_prefix(language).filter(|block| block.contains(part)))
        .unwrap_or_else(|| panic!("README has no {language} block with {part:?}"))
}

#[test]
fn the_example_of_a_gate_tells_better_from_worse() {
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::write(dir.path().join("gate.py"), block("python", "def solved")).unwrap();
    let problems = "{\"needs\": \"twice\"}\n{\"needs\": \"Look\"}\n";
    std::fs::write(dir.path().join("problems.jsonl"), problems).unwrap();
    let asked: Value = serde_json::from_str(block("json", "candidate").trim_start_matches("json"))
        .unwrap_or_else(|problem| panic!("the example of a question is no JSON: {problem}"));
    let check = |candidate: &str, expected: Value| {
        let mut asked = asked.clone();
        asked["parent"]["prompts"]["system"] = "Look.".into();
        asked["candidate"]["prompts"]["system"] = candidate.into();
        let mut command = Command::new("python3");
        command.args(["gate.py", "problems.jsonl"]).current_dir(dir.path());
        let Ok(mut child) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
            eprintln!("skipped: no python3");
            return;
        };
        serde_json::to_writer(child.stdin.take().unwrap(), &asked).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap(), expected);
    };
    let verdict = |passed: bool, score: f64| json!({"passed": passed, "score": score, "baseline_score": 0.5, "problems": 2});
    check("Look twice.", verdict(true, 1.0));
    check("Be quick.", verdict(false, 0.0));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

#[test]
fn the_curl_example_is_taken_and_counted() {
    let example = block("sh", "curl -H");
    let body = example.split('\'').find(|part| part.contains("trace_id")).unwrap().to_owned();
    runtime().block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let _server = place.start().await;
        let sent = reqwest::Client::new()
            .post(place.url("/api/traces"))
            .header("Content-Type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(sent.status(), 202);
        let path = "/api/agents/mitigation";
        place.until(path, |view| view["runs"]["windowed"] == 1).await;
    });
}

#[test]
fn the_python_example_reports_a_run() {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: no python3");
        return;
    }
    runtime().block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let _server = place.start().await;
        place.until("/api/agents/sim-triage", |view| view["active"] == 1).await;
        let code = block("python", "def report").replace("http://127.0.0.1:8087", &place.url(""));
        let call = "report('sim-triage', 'run-1', time.time() - 3, 'success',\n       \
                    [dict(type='tool', name='get_logs', ok=True, duration=0.4)])\n";
        let program = format!("{code}\n{call}");
        let output = Command::new("python3").args(["-c", &program]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let path = "/api/agents/sim-triage";
        let view = place.until(path, |view| view["runs"]["windowed"] == 1).await;
        assert_eq!(view["recent"]["tools"][0][0], "get_logs");
    });
}

#[test]
fn the_python_subscriber_prints_what_is_current_and_then_what_comes() {
    const TEST: &str = "README's subscriber in Python";
    let (Some(python), Some(kafka)) = (python(TEST), OnKafka::new(3, TEST)) else { return };
    let place = Place::on_kafka(&kafka, &["llm.enabled=false", "repo.poll_interval=1s"]);
    let mut code = block("python", "confluent_kafka").to_owned();
    for (shown, own) in [
        ("127.0.0.1:9092", kafka.settings.brokers.clone()),
        ("prompt-updates", format!("{}prompt-updates", kafka.settings.prefix)),
    ] {
        assert_eq!(code.matches(shown).count(), 1, "{shown} in {code}");
        code = code.replace(shown, &own);
    }
    runtime().block_on(async {
        let _server = place.start().await;
        adopted(&place).await;
        edit(&place, "at once when you are done", 2).await;
        let mut command = Command::new(python);
        command.args(["-u", "-c", &code]);
        let subscriber = Lines::of(command);
        let next = || {
            let line = subscriber.next();
            let (words, prompts) = line.split_once('{').unwrap_or_else(|| panic!("{line:?}"));
            let prompts: Value = serde_json::from_str(&format!("{{{prompts}")).unwrap();
            (words.trim().to_owned(), prompts["system"].as_str().unwrap().to_owned())
        };
        let mut current = [next(), next(), next(), next()];
        current.sort();
        let words = current.each_ref().map(|(words, _)| words.as_str());
        assert_eq!(words, ["sim-oracle v1", "sim-repair v1", "sim-research v1", "sim-triage v2"]);
        assert!(current[3].1.contains("submit at once when you are done"), "{current:?}");

        edit(&place, "tomorrow", 3).await;
        let (words, system) = next();
        assert_eq!(words, "sim-triage v3");
        assert!(system.contains("submit at once tomorrow"), "{system}");
        let gone = NewRecord::tombstone(Topic::PromptUpdates, "sim-oracle");
        kafka.log().append(vec![gone]).unwrap();
        assert_eq!(subscriber.next(), "sim-oracle is gone");
        assert_eq!(subscriber.rest(), [""; 0]);
    });
}

#[test]
fn the_python_subscriber_says_what_is_wrong() {
    const TEST: &str = "errors of README's subscriber in Python";
    let (Some(python), Some(kafka)) = (python(TEST), OnKafka::without_topics(1, TEST)) else {
        return;
    };
    let code = block("python", "confluent_kafka");
    let code = code.replace("127.0.0.1:9092", &kafka.settings.brokers);
    let code = code.replace("prompt-updates", &format!("{}prompt-updates", kafka.settings.prefix));
    let output = Command::new(python).args(["-c", &code]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("Unknown topic"), "{said}");
}

#[test]
fn every_command_it_names_exists() {
    let help = crate::server::whetstone().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for line in README.lines().filter(|line| line.starts_with("whetstone ")) {
        let command = line.split_whitespace().nth(1).unwrap();
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in --help");
    }
}
