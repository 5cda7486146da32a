//! Subscribing, on both logs: what each agent should run now, and every change of it as it comes.

use std::collections::BTreeMap;
use std::time::Instant;

use whetstone::app::PromptSubscriber;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::consume::{Log, NewRecord, Topic};
use whetstone::govern::{Author, Content, PromptUpdate, Version};

use crate::broker::OnKafka;
use crate::log_conformance::{Backing, GENEROUS, SHORT};
use crate::log_embedded::Embedded;

fn update(agent: &str, number: u32) -> NewRecord {
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
    let update = PromptUpdate { agent, revision, active, candidate: None, at };
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
