//! A trial from end to end: a real server, an agent that asks it before each run what to run, and the
//! repo and decisions that come of it.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use whetstone::base::{AgentName, EventTime, VersionNumber};
use whetstone::consume::{Log, Topic};
use whetstone::govern::{Content, Decision, bucket};
use whetstone::simulate::{SimulatedAgent, simulated_agents};

use crate::broker::OnKafka;
use crate::log_conformance::read;
use crate::server::Place;
use crate::subscribe::adopted;

pub(crate) const SETTINGS: [&str; 8] = [
    "llm.enabled=false",
    "repo.poll_interval=1s",
    "min_traces=100",
    "trial.first_share=0.5",
    "trial.deadline=5m",
    "watch.holdback=0.2",
    "watch.holdback_units=100000",
    "windows.length=6h",
];

/// An agent in another process than the server, with HTTP alone.
pub(crate) struct Caller<'a> {
    place: &'a Place,
    client: Client,
    agent: SimulatedAgent,
    rng: fastrand::Rng,
    now: EventTime,
    number: u64,
}

impl<'a> Caller<'a> {
    fn new(place: &'a Place) -> Self {
        Self::of(place, "sim-triage")
    }

    pub(crate) fn of(place: &'a Place, agent: &str) -> Self {
        let mut agents = simulated_agents();
        agents.retain(|simulated| simulated.name.as_str() == agent);
        let now = EventTime::from_millis(1_770_000_000_000);
        let (client, rng) = (Client::new(), fastrand::Rng::with_seed(3));
        Self { place, client, agent: agents.remove(0), rng, now, number: 0 }
    }

    fn path(&self) -> String {
        format!("/api/agents/{}", self.agent.name)
    }

    async fn ask(&self, unit: &str) -> Value {
        let url = self.place.url(&format!("{}/prompt?unit={unit}", self.path()));
        let answer = self.client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    /// Runs so many times, each under what it is told to run, and reports.
    pub(crate) async fn runs(&mut self, count: u32) {
        let mut traces = Vec::new();
        for _ in 0..count {
            self.number += 1;
            self.now = self.now.plus_millis(60_000);
            let unit = format!("simulated-{:08}", self.number);
            let told = self.ask(&unit).await;
            let content: Content = serde_json::from_value(told["content"].clone()).unwrap();
            let version = u32::try_from(told["version"].as_u64().unwrap()).unwrap();
            let version = VersionNumber(version);
            let run = self.agent.run(self.number, (version, &content), self.now, &mut self.rng);
            assert_eq!(run.trace_id, unit);
            traces.push(run);
        }
        let url = self.place.url("/api/traces");
        let answer = self.client.post(url).json(&traces).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let taken = self.number;
        let done = move |view: &Value| view["runs"]["windowed"] == taken;
        self.place.until(&self.path(), done).await;
    }

    pub(crate) async fn view(&self) -> Value {
        self.place.until(&self.path(), |view| view["optimizing"].is_null()).await
    }

    /// Runs until `done`.
    pub(crate) async fn until(&mut self, done: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..40 {
            let view = self.view().await;
            if done(&view) {
                return view;
            }
            self.runs(50).await;
        }
        panic!("not in 2000 runs: {:#}", self.view().await);
    }
}

/// Where `whetstone versions` says that each version stands.
fn standing(place: &Place) -> Vec<String> {
    let output = place.command(&["versions", "sim-triage"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let end = text.find("FROM").unwrap();
    let rows = text.lines().skip(1).map(|row| row.get(..end).unwrap());
    rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// What `whetstone prompt` tells a unit.
fn printed(place: &Place, unit: &str) -> Value {
    let arguments = ["prompt", "sim-triage", "--unit", unit, "--json"];
    let output = place.command(&arguments).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

fn decisions(log: &dyn Log) -> Vec<Decision> {
    let records = read(log, Topic::Decisions);
    records.iter().map(|record| serde_json::from_slice(&record.value).unwrap()).collect()
}

/// The list has the trial and the trend.
async fn listed(place: &Place) {
    let rows = |told: &Value| told.as_array().map_or(0, Vec::len);
    let list = place.until("/api/agents", |list| rows(&list["items"]) > 0).await;
    let line = list["items"].as_array().unwrap().last().unwrap();
    let trial = &line["trial"];
    assert_eq!((&trial["kind"], &trial["candidate"]), (&json!("trial"), &json!(2)));
    assert_eq!((trial.as_object().unwrap().len(), rows(&line["trend"][0])), (11, 6));
}

/// What was decided on v2, and on what numbers.
fn promoted(made: &[Decision]) {
    let mut of_v2 = made.iter().filter(|decision| decision.version == Some(VersionNumber(2)));
    let names: Vec<_> = of_v2.clone().map(|decision| decision.decision.as_str()).collect();
    assert_eq!(names, ["trial_started", "promoted"]);
    let trial = of_v2.next_back().unwrap().trial.as_ref().expect("its numbers");
    assert!(trial.gain.reached && !trial.harm.reached, "{trial:#?}");
    assert!(trial.course.len() > 1, "{trial:#?}");
}

#[test]
fn a_candidate_is_tried_on_what_agents_ask_for_and_promoted_on_proof() {
    let check = |place: &Place, log: &dyn Fn() -> Box<dyn Log>| {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut server = place.start().await;
            adopted(place).await;
            let mut caller = Caller::new(place);
            let told = caller.ask("any").await;
            assert_eq!((&told["version"], &told["because"]), (&json!(1), &json!("active")));

            let view = caller.until(|view| !view["trial"].is_null()).await;
            assert_eq!((&view["active"], &view["candidate"]), (&json!(1), &json!(2)));
            let (mut tried, agent) = (0, "sim-triage".parse::<AgentName>().unwrap());
            for unit in (0..200).map(|unit| format!("unit-{unit}")) {
                let told = caller.ask(&unit).await;
                let trial = bucket("trial-v2", &agent, &unit) < 5000;
                let expected = if trial { (2, "trial") } else { (1, "active") };
                assert_eq!(told["version"], expected.0, "{unit}");
                assert_eq!(told["because"], expected.1, "{unit}");
                tried += u32::from(trial);
            }
            assert!(tried > 50 && tried < 150, "{tried}");
            let file = place.repo().join("configs/sim-triage_agent_trial.yaml");
            place.until_file(&file, |text| text.contains("share_bp: 5000")).await;
            assert!(!view["past"].as_array().unwrap().is_empty(), "{view:#}");
            listed(place).await;
            let status = place.command(&["status", "sim-triage"]).output().unwrap();
            let status = String::from_utf8(status.stdout).unwrap();
            assert!(status.contains("v2 on trial against v1"), "{status}");
            assert!(status.contains("next: "), "{status}");
            assert_eq!(standing(place), ["v1 active", "v2 trial 50.0 %"]);
            assert_eq!(printed(place, "unit-1"), caller.ask("unit-1").await);

            // In the midst of it the server dies.
            caller.runs(20).await;
            server.kill();
            let _server = place.start().await;
            let view = caller.until(|view| view["active"] == 2).await;
            assert_eq!(view["versions"][0]["state"], "holdback", "{view:#}");
            assert_eq!(standing(place)[..2], ["v1 holdback 20.0 %", "v2 active"]);
            let kept = (0..200).map(|unit| format!("unit-{unit}"));
            let mut kept = kept.filter(|unit| bucket("holdback-v1-v2", &agent, unit) < 2000);
            let told = caller.ask(&kept.next_back().unwrap()).await;
            assert_eq!((&told["version"], &told["because"]), (&json!(1), &json!("holdback")));

            promoted(&decisions(log().as_ref()));
            let prompts = place.repo().join("configs/sim-triage_agent_prompts.yaml");
            place.until_file(&prompts, |text| text.contains("[w1]")).await;
            place.until_file(&file, |text| text.contains("kind: holdback")).await;
        });
    };
    let place = Place::new(&SETTINGS);
    check(&place, &|| {
        let data = place.dir.path().join("data");
        Box::new(whetstone::consume::EmbeddedLog::open_read_only(&data).unwrap())
    });
    if let Some(kafka) = OnKafka::new(3, "a trial on Kafka") {
        let place = Place::on_kafka(&kafka, &SETTINGS);
        check(&place, &|| Box::new(whetstone::consume::KafkaLog::open(place.kafka()).unwrap()));
    }
}

#[test]
fn who_asks_wrongly_is_told_how() {
    let place = Place::new(&["llm.enabled=false"]);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let _server = place.start().await;
        adopted(&place).await;
        let get = async |path: &str| {
            let answer = Client::new().get(place.url(path)).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        let long = format!("/api/agents/sim-triage/prompt?unit={}", "x".repeat(129));
        for (path, status, part) in [
            ("/api/agents/sim-triage/prompt", 400, "ask with ?unit=ID"),
            ("/api/agents/sim-triage/prompt?unit=", 400, "1 to 128 bytes"),
            ("/api/agents/sim-triage/prompt?unit=a&unit=b", 400, "duplicate field"),
            (&long, 400, "not 129"),
            ("/api/agents/nobody/prompt?unit=a", 404, "config repo"),
            ("/api/agents/..%2Fetc/prompt?unit=a", 404, "config repo"),
        ] {
            let (found, text) = get(path).await;
            assert!(found == status && text.contains(part), "{path}: {found} {text}");
        }
        let url = place.url("/api/agents/sim-triage/prompt?unit=a%20b%2F%C3%BC");
        let first = Client::new().get(&url).send().await.unwrap();
        let tag = first.headers()["etag"].clone();
        assert_eq!(first.json::<Value>().await.unwrap()["unit"], "a b/ü");
        let again = Client::new().get(&url).header("If-None-Match", tag).send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let other =
            Client::new().get(&url).header("If-None-Match", "\"0-v9\"").send().await.unwrap();
        assert_eq!(other.status(), StatusCode::OK);
    });
}
