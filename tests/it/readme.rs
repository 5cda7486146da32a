//! What README shows, run as it stands there.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use whetstone::base::{AgentName, EventTime, SystemClock};
use whetstone::consume::{EmbeddedLog, Log as _, NewRecord, Topic};
use whetstone::decode::{Options, Outcome, decode_feedback};
use whetstone::govern::{Content, PromptUpdate, Split, State, bucket};
use whetstone::publish::{ConfigRepo, RepoOptions};

use crate::broker::OnKafka;
use crate::lines::Lines;
use crate::log_conformance::read;
use crate::prompt::update;
use crate::publish::record;
use crate::publish_trial::trial;
use crate::python::python;
use crate::server::Place;
use crate::subscribe::{adopted, edit};

const README: &str = include_str!("../../README.md");

/// The first fenced block of `language` that holds `part`.
pub(crate) fn block(language: &str, part: &str) -> &'static str {
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
fn the_example_of_a_start_is_read_as_one() {
    let report = crate::decode::report(block("json", "\"started\"").trim());
    assert!(matches!(report, whetstone::decode::Report::Started(_)), "{report:?}");
}

#[test]
fn the_example_of_feedback_is_read_as_such() {
    let options = Options::arrived(EventTime::from_millis(0));
    let example = block("json", "\"success\": true").trim().as_bytes();
    let feedback = decode_feedback(example, &options).remove(0).result.unwrap();
    assert_eq!((feedback.outcome, feedback.by.as_str()), (Outcome::Success, "nightly check"));
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
        let work = "def work(prompts, config):\n    \
                    print(json.dumps(dict(prompts=prompts, config=config)))\n    \
                    return 'success', [dict(type='tool', name='get_logs', ok=True, duration=0.4)]\n";
        let ran = |trace_id: &str| {
            let program = format!("{code}\n{work}\nrun('sim-triage', '{trace_id}', work)\n");
            let output = Command::new("python3").args(["-c", &program]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice::<Content>(&output.stdout).unwrap()
        };
        let data = place.dir.path().join("data");
        let log = EmbeddedLog::open(&data, std::sync::Arc::new(SystemClock)).unwrap();
        let reported = || {
            let trace = read(&log, Topic::AgentTraces).pop().unwrap();
            let trace: Value = serde_json::from_slice(&trace.value).unwrap();
            (trace["trace_id"].as_str().unwrap().to_owned(), trace["version"].clone())
        };

        let first = ran("run-1");
        assert!(first.prompts["system"].contains("when you are done"), "{first:?}");
        assert_eq!(reported(), ("run-1".to_owned(), json!(1)));
        let path = "/api/agents/sim-triage";
        let view = place.until(path, |view| view["runs"]["windowed"] == 1).await;
        assert_eq!(view["recent"]["tools"][0][0], "get_logs");

        let (unit, agent) = ("a run/ü&unit=b", "sim-triage".parse().unwrap());
        let [one, two] = contents();
        for (taken, content, version) in [(0, one, 1), (1, two, 2)] {
            let share_bp = bucket("trial-v2", &agent, unit) + taken;
            let mut update = out(Split { salt: "trial-v2".to_owned(), share_bp });
            update.agent = agent.clone();
            let value = serde_json::to_vec(&update).unwrap();
            let record = NewRecord::new(Topic::PromptUpdates, agent.as_str(), value);
            log.append(vec![record]).unwrap();
            assert_eq!(ran(unit), content);
            assert_eq!(reported(), (unit.to_owned(), json!(version)));
        }
    });
}

/// What the versions of the agents below hold: texts that YAML's parsers are known to misread.
fn contents() -> [Content; 2] {
    let one = Content {
        prompts: [("system".to_owned(), "Say: yes\n\n- \"é\" {app} # 1\n".to_owned())].into(),
        config: [("max_step".to_owned(), json!(20)), ("level".to_owned(), json!("on"))].into(),
    };
    let mut two = one.clone();
    two.prompts.insert("user".to_owned(), "1e5".to_owned());
    two.config.insert("max_step".to_owned(), json!(1e-5));
    [one, two]
}

/// An update of an agent whose first version is active, and whose second is on trial.
fn out(split: Split) -> PromptUpdate {
    let [one, two] = contents();
    update((1, one), Some(2), Some((2, two, split)))
}

/// A config repo of one agent, whose versions have come to `states` one after the other.
fn repo_of(path: &Path, agent: &AgentName, states: Vec<(u32, State)>) {
    let repo = ConfigRepo::init(RepoOptions::new(path)).unwrap();
    for (revision, (number, state)) in (1..).zip(states) {
        let content = contents()[number as usize - 1].clone();
        let mut record = record(number, content, state, revision);
        record.version.agent = agent.clone();
        repo.project(&record).unwrap();
    }
}

#[test]
fn python_agents_that_read_files_get_what_the_repo_says() {
    let Some(python) = python("README's reader of files in Python") else { return };
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = contents();
    let mut cases = Vec::new();
    let mut add = |vector: &Value, states: Vec<(u32, State)>, content: &Content, version: Value| {
        let path = folder.path().join(cases.len().to_string());
        repo_of(&path, &vector["agent"].as_str().unwrap().parse().unwrap(), states);
        let question = json!([path, vector["agent"], vector["unit"]]);
        cases.push((question, json!([content.prompts, content.config, version])));
    };
    let vectors = include_str!("../../configs/assignment-vectors.json");
    let vectors: Vec<Value> = serde_json::from_str(vectors).unwrap();
    for vector in &vectors {
        // The share that just leaves the unit out, and one above.
        let bucket = u16::try_from(vector["bucket"].as_u64().unwrap()).unwrap();
        let out = |share| (2, trial(vector["salt"].as_str().unwrap(), share));
        add(vector, vec![(1, State::Active), out(bucket)], &one, json!(1));
        add(vector, vec![(1, State::Active), out(bucket + 1)], &two, json!(2));
    }
    let whole = || (2, trial("trial-v2", Split::WHOLE));
    add(&vectors[0], vec![(1, State::Active)], &one, Value::Null);
    add(&vectors[0], vec![(1, State::Active), whole(), (2, State::Active)], &two, json!(2));
    add(&vectors[0], vec![(1, State::Active), whole(), (2, State::Candidate)], &one, json!(1));

    let questions: Value = cases.iter().map(|(question, _)| question.clone()).collect();
    let program = format!(
        "{}\nimport json, sys\nprint(json.dumps([load(*q) for q in json.loads(sys.argv[1])]))\n",
        block("python", "def load")
    );
    let output = Command::new(python).args(["-c", &program, &questions.to_string()]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    for (answer, (question, expected)) in answers.iter().zip(&cases) {
        assert_eq!(answer, expected, "{question}");
    }
}

#[test]
fn python_agents_that_subscribe_get_what_the_update_says() {
    let Some(python) = python("README's choice of a version in Python") else { return };
    let mut questions = Vec::new();
    let mut expected = Vec::new();
    let mut ask = |update: &PromptUpdate, unit: &str| {
        questions.push(json!([update, unit]));
        expected.push(serde_json::to_value(update.version_for(unit)).unwrap());
        expected.last().unwrap()["number"].clone()
    };
    let vectors = include_str!("../../configs/assignment-vectors.json");
    let vectors: Vec<Value> = serde_json::from_str(vectors).unwrap();
    for vector in &vectors {
        let bucket = u16::try_from(vector["bucket"].as_u64().unwrap()).unwrap();
        // The share that just leaves the unit out, and one above.
        for (share_bp, number) in [(bucket, 1), (bucket + 1, 2)] {
            let salt = vector["salt"].as_str().unwrap().to_owned();
            let mut update = out(Split { salt, share_bp });
            update.agent = vector["agent"].as_str().unwrap().parse().unwrap();
            assert_eq!(ask(&update, vector["unit"].as_str().unwrap()), number, "{vector}");
        }
    }
    let [one, _] = contents();
    assert_eq!(ask(&update((1, one), Some(2), None), "run-1"), 1);

    // All but the loop at the end, which wants a broker.
    let (functions, _) =
        block("python", "confluent_kafka").split_once("\nfor agent, update in").unwrap();
    let program = format!(
        "{functions}\nimport sys\n\
         print(json.dumps([version_for(*q) for q in json.load(sys.stdin)]))\n"
    );
    let mut child = Command::new(python);
    child.args(["-c", &program]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    // Whole before it answers.
    let input = serde_json::to_vec(&questions).unwrap();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{functions}");
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers, expected);
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
        let mut current = [next(), next(), next(), next(), next()];
        current.sort();
        let words = current.each_ref().map(|(words, _)| words.as_str());
        assert_eq!(
            words,
            ["sim-oracle v1", "sim-repair v1", "sim-research v1", "sim-scout v1", "sim-triage v2"]
        );
        assert!(current[4].1.contains("submit at once when you are done"), "{current:?}");

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
