//! Subscribing, on both logs: what each agent should run now, and every change of it as it comes.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;
use whetstone::app::PromptSubscriber;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::consume::{Log, NewRecord, Topic};
use whetstone::govern::{Author, Content, PromptUpdate, Version};

use crate::broker::OnKafka;
use crate::lines::Lines;
use crate::log_conformance::{Backing, GENEROUS, SHORT};
use crate::log_embedded::Embedded;
use crate::server::Place;

pub(crate) fn update(agent: &str, number: u32) -> NewRecord {
    let prompts =
        BTreeMap::from([("system".to_owned(), format!("You are {agent}, the {number}."))]);
    let content = Content { prompts, ..Content::default() };
    let at = EventTime::from_millis(1_770_000_000_000 + i64::from(number));
    let active = Version {
        agent: agent.parse().unwrap(),
        number: VersionNumber(number),
        parent: None,
        digest: content.digest(),
        content,
        author: Author::Patterns,
        reasons: Vec::new(),
        evidence: String::new(),
        created: at,
    };
    let (agent, revision) = (active.agent.clone(), number.into());
    let update = PromptUpdate { agent, revision, active, candidate: None, split: None, at };
    let value = serde_json::to_vec(&update).unwrap();
    NewRecord::new(Topic::PromptUpdates, update.agent.as_str(), value)
}

/// A new subscriber that has read all there is.
fn subscriber(log: &dyn Log) -> PromptSubscriber {
    let mut prompts = PromptSubscriber::new(log).unwrap();
    assert!(prompts.catch_up(GENEROUS).unwrap());
    prompts
}

fn named(update: &PromptUpdate) -> String {
    let system = &update.active.content.prompts["system"];
    let (agent, number) = (&update.agent, update.active.number);
    assert_eq!(*system, format!("You are {agent}, the {}.", number.0));
    format!("{agent} {number}")
}

fn current(prompts: &PromptSubscriber) -> Vec<String> {
    prompts.all().map(named).collect()
}

/// Every update and every problem, in their order, until `done`.
fn follow(
    prompts: &mut PromptSubscriber,
    done: impl Fn(&PromptSubscriber) -> bool,
) -> Vec<Result<String, String>> {
    let begun = Instant::now();
    let mut came = Vec::new();
    while !done(prompts) {
        assert!(begun.elapsed() < GENEROUS, "it never comes; only {came:?}");
        match prompts.next(SHORT) {
            Ok(updates) => came.extend(updates.iter().map(|update| Ok(named(update)))),
            Err(problem) => came.push(Err(problem.to_string())),
        }
    }
    came
}

fn runs(agent: &str, number: u32) -> impl Fn(&PromptSubscriber) -> bool {
    let agent = agent.parse().unwrap();
    move |prompts| {
        prompts.current(&agent).is_some_and(|update| update.active.number == VersionNumber(number))
    }
}

#[test]
fn a_subscriber_has_the_newest_of_each_agent_and_follows() {
    let check = |backing: &dyn Backing| {
        let log = backing.open();
        assert_eq!(current(&subscriber(&*log)), [""; 0], "nobody is known yet");
        for number in 1..=3 {
            let agents = ["diagnosis", "mitigation", "triage"];
            log.append(agents.map(|agent| update(agent, number)).into()).unwrap();
        }
        log.append(vec![update("mitigation", 4)]).unwrap();
        let mut first = subscriber(&*log);
        assert_eq!(current(&first), ["diagnosis v3", "mitigation v4", "triage v3"]);

        let elsewhere = backing.open();
        for number in [4, 5] {
            elsewhere.append(vec![update("triage", number)]).unwrap();
            let came = follow(&mut first, runs("triage", number));
            assert_eq!(came, [Ok(format!("triage v{number}"))]);
        }

        elsewhere.append(vec![NewRecord::tombstone(Topic::PromptUpdates, "mitigation")]).unwrap();
        let mitigation = "mitigation".parse().unwrap();
        let came = follow(&mut first, |prompts| prompts.current(&mitigation).is_none());
        assert_eq!(came, [], "word that an agent is gone is no update");

        let mut second = subscriber(&*elsewhere);
        assert_eq!(current(&second), ["diagnosis v3", "triage v5"]);
        assert!(first.all().eq(second.all()));
        log.append(vec![update("mitigation", 5)]).unwrap();
        for prompts in [&mut first, &mut second] {
            let came = follow(prompts, runs("mitigation", 5));
            assert_eq!(came, [Ok("mitigation v5".to_owned())]);
        }
        assert!(first.all().eq(second.all()));
    };
    check(&Embedded::new());
    if let Some(kafka) = OnKafka::new(3, "subscribing on Kafka") {
        check(&kafka);
    }
}

#[test]
fn an_update_that_cannot_be_read_is_said_once_and_hides_no_other() {
    let check = |backing: &dyn Backing| {
        let log = backing.open();
        let mut prompts = subscriber(&*log);
        let odd = NewRecord::new(Topic::PromptUpdates, "diagnosis", r#"{"agent":"diagnosis"}"#);
        log.append(vec![update("mitigation", 1), odd, update("triage", 1)]).unwrap();
        let came = follow(&mut prompts, runs("triage", 1));
        let [Ok(before), Err(problem), Ok(after)] = came.as_slice() else { panic!("{came:?}") };
        assert_eq!([before, after], ["mitigation v1", "triage v1"]);
        assert!(problem.contains("was it written by a newer version?"), "{problem}");
    };
    check(&Embedded::new());
    if let Some(kafka) = OnKafka::new(1, "an unreadable update on Kafka") {
        check(&kafka);
    }
}

/// Lets a person edit the triage agent's prompt, and waits until that is the active version.
pub(crate) async fn edit(place: &Place, text: &str, version: u32) {
    let file = place.repo().join("configs/sim-triage_agent_prompts.yaml");
    let prompts = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, prompts.replace("when you are done", text)).unwrap();
    let who = ["-c", "user.name=grace", "-c", "user.email=grace@localhost"];
    place.git(&[&who[..], &["commit", "--quiet", "--all", "--message", "Edit"]].concat());
    place.until("/api/agents/sim-triage", |view| view["active"] == version).await;
    published(place, "sim-triage", version).await;
}

/// Waits until the repo has the version: two commits at once would be one too many for git.
async fn published(place: &Place, agent: &str, version: u32) {
    let file = format!("versions/{agent}_v{version}.yaml");
    for _ in 0..1500 {
        if place.git(&["ls-tree", "--name-only", "HEAD", "versions/"]).contains(&file) {
            return;
        }
        tokio::time::sleep(SHORT / 10).await;
    }
    panic!("never published: {file}");
}

/// Waits until all agents of the repo have their first version.
pub(crate) async fn adopted(place: &Place) {
    let all = |agents: &Value| agents["items"].as_array().is_some_and(|agents| agents.len() == 5);
    place.until("/api/agents", all).await;
    for agent in ["sim-oracle", "sim-repair", "sim-research", "sim-scout", "sim-triage"] {
        place.until(&format!("/api/agents/{agent}"), |view| view["active"] == 1).await;
        published(place, agent, 1).await;
    }
}

#[test]
fn watch_prints_what_is_current_and_then_what_comes() {
    const SETTINGS: [&str; 2] = ["llm.enabled=false", "repo.poll_interval=1s"];
    let check = |place: &Place| {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let _server = place.start().await;
            adopted(place).await;
            edit(place, "at once when you are done", 2).await;
            let once = place.command(&["watch", "--once", "--json"]).output().unwrap();
            assert!(once.status.success(), "{}", String::from_utf8_lossy(&once.stderr));
            let printed = String::from_utf8(once.stdout).unwrap();
            let updates: Vec<Value> =
                printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let running = updates.iter().map(|update| {
                (update["agent"].as_str().unwrap(), update["active"]["number"].as_u64().unwrap())
            });
            let expected = [
                ("sim-oracle", 1),
                ("sim-repair", 1),
                ("sim-research", 1),
                ("sim-scout", 1),
                ("sim-triage", 2),
            ];
            assert_eq!(running.collect::<Vec<_>>(), expected);

            let watch = Lines::of(place.command(&["watch", "sim-triage", "--json"]));
            let next = || serde_json::from_str::<Value>(&watch.next()).unwrap();
            assert_eq!(next(), updates[4]);
            edit(place, "tomorrow", 3).await;
            let edited = next();
            assert_eq!(edited["active"]["number"], 3);
            let system = edited["active"]["content"]["prompts"]["system"].as_str().unwrap();
            assert!(system.contains("submit at once tomorrow"), "{system}");
        });
    };
    check(&Place::new(&SETTINGS));
    if let Some(kafka) = OnKafka::new(3, "`whetstone watch` on Kafka") {
        check(&Place::on_kafka(&kafka, &SETTINGS));
    }
}
