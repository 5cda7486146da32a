//! Subscribing over HTTP: what is current, what comes, and going on from where one was.

use std::sync::Arc;

use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::time::timeout;
use whetstone::app::effect_record;
use whetstone::base::{EventTime, SystemClock};
use whetstone::consume::{EmbeddedLog, Log as _};
use whetstone::govern::{Decision, Effect};

use crate::broker::OnKafka;
use crate::log_conformance::GENEROUS;
use crate::server::Place;
use crate::subscribe::{adopted, edit, update};

const SETTINGS: [&str; 2] = ["llm.enabled=false", "repo.poll_interval=1s"];

#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

/// One who listens.
pub(crate) struct Stream {
    response: Response,
    read: String,
}

impl Stream {
    async fn open(place: &Place, query: &str, last: &str) -> Self {
        Self::at(&place.url(""), query, last).await
    }

    /// One who listens to the server at `url`.
    pub(crate) async fn at(url: &str, query: &str, last: &str) -> Self {
        let request = Client::new().get(format!("{url}/api/updates{query}"));
        let request = if last.is_empty() { request } else { request.header("Last-Event-ID", last) };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{query} {last}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, read: String::new() }
    }

    /// Waits until something has come, a comment too.
    pub(crate) async fn hears(&mut self, part: &str) {
        while !self.read.contains(part) {
            let chunk = timeout(GENEROUS, self.response.chunk()).await.expect("nothing comes");
            self.read.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
        }
    }

    /// What comes next, comments left out; none at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((frame, rest)) = self.read.split_once("\n\n") {
                let comment = frame.lines().all(|line| line.starts_with(':'));
                let mut event = Event::default();
                for line in frame.lines() {
                    match line.split_once(": ") {
                        Some(("event", name)) => name.clone_into(&mut event.name),
                        Some(("id", id)) => id.clone_into(&mut event.id),
                        Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                        _ => {}
                    }
                }
                self.read = rest.to_owned();
                if comment {
                    continue;
                }
                return Some(event);
            }
            let chunk = timeout(GENEROUS, self.response.chunk()).await.expect("nothing comes");
            self.read.push_str(std::str::from_utf8(&chunk.unwrap()?).unwrap());
        }
    }

    /// The next word of a change of `agent`: who changed together with it.
    async fn changed(&mut self, agent: &str) -> Event {
        loop {
            let event = self.next().await.unwrap();
            let named = event.data["agents"].as_array();
            if named.is_some_and(|names| names.contains(&json!(agent))) {
                return event;
            }
        }
    }

    /// The next events, each as the agent and its active version, and the id of the last.
    async fn updates(&mut self, count: usize) -> (Vec<String>, String) {
        let (mut told, mut id) = (Vec::new(), String::new());
        while told.len() < count {
            let event = self.next().await.unwrap();
            id.clone_from(&event.id);
            let Event { name, data, .. } = event;
            match name.as_str() {
                "update" => {
                    let (agent, version) = (&data["agent"], &data["active"]["number"]);
                    told.push(format!("{} v{version}", agent.as_str().unwrap()));
                }
                "decision" => told.push(format!("{} {}", data["agent"], data["decision"])),
                "" | "agents" => {}
                other => panic!("{other}: {data}"),
            }
        }
        told.sort();
        (told, id)
    }
}

const FIRST: [&str; 5] =
    ["sim-oracle v1", "sim-repair v1", "sim-research v1", "sim-scout v1", "sim-triage v1"];

#[test]
fn subscribers_are_told_what_is_current_and_go_on_from_where_they_were() {
    let check = |place: &Place| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut server = place.start().await;
            adopted(place).await;
            let mut first = Stream::open(place, "", "").await;
            let mut one = Stream::open(place, "?agent=sim-triage", "").await;
            let mut both = Stream::open(place, "?topics=decisions", "").await;
            let came = both.next().await.unwrap();
            assert!(
                came.name.is_empty() && came.id.starts_with('1'),
                "it learns where it is: {came:?}"
            );
            let (told, here) = first.updates(5).await;
            assert_eq!(told, FIRST);
            assert_eq!(one.updates(1).await.0, ["sim-triage v1"]);
            edit(place, "at once when you are done", 2).await;
            assert_eq!(first.updates(1).await.0, ["sim-triage v2"]);
            assert_eq!(one.updates(1).await.0, ["sim-triage v2"]);
            assert_eq!(both.updates(1).await.0, ["\"sim-triage\" \"adopted\""]);
            drop(first);

            // Decisions that were made meanwhile are not lost to those who were there before.
            let mut again = Stream::open(place, "?topics=prompt-updates,decisions", &here).await;
            let (told, here) = again.updates(2).await;
            assert_eq!(told, ["\"sim-triage\" \"adopted\"", "sim-triage v2"]);

            assert_eq!(server.stop(), Some(0), "{}", place.server_log());
            assert!(again.next().await.is_none(), "it is let go");
            let _server = place.start().await;
            let mut after = Stream::open(place, "?topics=decisions,prompt-updates", &here).await;
            edit(place, "tomorrow", 3).await;
            let (told, _) = after.updates(2).await;
            assert_eq!(told, ["\"sim-triage\" \"adopted\"", "sim-triage v3"], "and nothing twice");
            let mut newcomer = Stream::open(place, "", "").await;
            let (told, _) = newcomer.updates(5).await;
            assert_eq!(told[..4], FIRST[..4]);
            assert_eq!(told[4], "sim-triage v3", "superseded ones are not told");
        });
    };
    check(&Place::new(&SETTINGS));
    if let Some(kafka) = OnKafka::new(3, "subscribing over HTTP on Kafka") {
        check(&Place::on_kafka(&kafka, &SETTINGS));
    }
}

#[test]
fn whoever_shows_agents_is_told_which_to_look_at_again() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let place = Place::new(&SETTINGS);
        let _server = place.start().await;
        adopted(&place).await;
        let run = json!({"agent": "sim-scout", "trace_id": "one", "start": 1_770_000_000,
            "end": 1_770_000_009, "outcome": "success"});
        let mut alone = Stream::open(&place, "?topics=agents", "").await;
        let mut all = Stream::open(&place, "?topics=agents,decisions,prompt-updates", "").await;
        let mut other = Stream::open(&place, "?topics=agents&agent=sim-triage", "").await;
        let hello = alone.next().await.unwrap();
        assert_eq!((hello.name.as_str(), hello.id.as_str()), ("", ""));
        other.next().await.unwrap();
        let (told, here) = all.updates(5).await;
        assert_eq!(told, FIRST, "they changed before");
        Client::new().post(place.url("/api/traces")).json(&run).send().await.unwrap();
        for stream in [&mut alone, &mut all] {
            let Event { name, id, .. } = stream.changed("sim-scout").await;
            assert_eq!((name.as_str(), id.as_str()), ("agents", ""));
        }
        place.until("/api/agents/sim-scout", |view| view["runs"]["windowed"] == 1).await;
        edit(&place, "at once when you are done", 2).await;
        let event = other.next().await.unwrap();
        assert_eq!(event.data, json!({"agents": ["sim-triage"]}));
        let mut again = Stream::open(&place, "?topics=decisions,agents", &here).await;
        assert_eq!(again.updates(1).await.0, ["\"sim-triage\" \"adopted\""]);
    });
}

#[test]
fn nothing_is_lost_or_told_twice_to_one_who_was_away_while_the_server_was() {
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let place = Place::new(&SETTINGS);
        let mut server = place.start().await;
        adopted(&place).await;
        let topics = "?topics=decisions,prompt-updates";
        let mut stream = Stream::open(&place, topics, "").await;
        let (_, here) = stream.updates(5).await;
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        drop(stream);
        let data = place.dir.path().join("data");
        let log = EmbeddedLog::open(&data, Arc::new(SystemClock)).unwrap();
        let decision = |number: u32| {
            let at = EventTime::from_millis(1_770_000_000_000);
            let (decision, reason) = (format!("away-{number}"), String::new());
            let agent = "sim-triage".parse().unwrap();
            let decision = Decision { agent, decision, version: None, reason, trial: None, at };
            effect_record(&Effect::Decision(decision))
        };
        log.append(vec![decision(1), update("sim-scout", 7), decision(2)]).unwrap();
        log.append(vec![update("sim-scout", 8), decision(3)]).unwrap();
        drop(log);
        let _server = place.start().await;
        let mut again = Stream::open(&place, topics, &here).await;
        let mut told = Vec::new();
        for _ in 0..4 {
            let (one, _) = again.updates(1).await;
            told.extend(one);
        }
        told.sort();
        let away = |number: u32| format!("\"sim-triage\" \"away-{number}\"");
        assert_eq!(told, [away(1), away(2), away(3), "sim-scout v8".to_owned()]);
        let pause = Client::new().post(place.url("/api/agents/sim-triage/pause")).json(&json!({}));
        assert_eq!(pause.send().await.unwrap().status(), 202);
        assert_eq!(again.updates(1).await.0, ["\"sim-triage\" \"paused\""], "nothing between");
    });
}

#[test]
fn an_id_that_is_none_of_ours_is_refused_with_a_hint() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let place = Place::new(&SETTINGS);
        let _server = place.start().await;
        for id in ["17", "1,x0:1", "1,u0:one"] {
            let request = Client::new().get(place.url("/api/updates"));
            let response = request.header("Last-Event-ID", id).send().await.unwrap();
            assert_eq!(response.status(), 400, "{id}");
            let said: Value = response.json().await.unwrap();
            assert_ne!(said["error"], json!(null));
        }
    });
}
