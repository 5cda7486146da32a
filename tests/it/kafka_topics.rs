//! The topics as `check` and `run` want them, and a cluster that is not there.

use std::process::Output;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;
use whetstone::consume::Topic;

use crate::broker::broker;
use crate::server::Place;

type Admin = AdminClient<DefaultClientContext>;

fn admin() -> Admin {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker("").unwrap().address).create().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The command's exit code, its output and its errors.
fn whetstone(place: &Place, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = place.command(arguments).output().unwrap();
    (status.code(), text(&stdout), text(&stderr))
}

/// Topics as a person would make them: right, but for what `change` says of the topic it is about.
fn by_hand(place: &Place, change: impl Fn(Topic, &mut Vec<(&str, &str)>, &mut i32)) {
    let prefix = place.kafka().prefix;
    let (admin, options) = (admin(), AdminOptions::new());
    for topic in Topic::ALL {
        let name = format!("{prefix}{topic}");
        let policy = if topic.compacted() { "compact" } else { "delete" };
        let mut settings =
            vec![("cleanup.policy", policy), ("message.timestamp.type", "LogAppendTime")];
        let mut partitions = 2;
        change(topic, &mut settings, &mut partitions);
        let mut new = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            new = new.set(key, value);
        }
        let created = runtime().block_on(admin.create_topics([&new], &options)).unwrap();
        assert_eq!(created, [Ok(name)]);
    }
}

/// `key` of every topic, in the order of [`Topic::ALL`].
fn described(place: &Place, key: &str) -> Vec<String> {
    let prefix = place.kafka().prefix;
    let names: Vec<_> = Topic::ALL.iter().map(|topic| format!("{prefix}{topic}")).collect();
    let topics: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let found = runtime().block_on(admin().describe_configs(&topics, &AdminOptions::new()));
    let value = |resource: rdkafka::admin::ConfigResource| {
        resource.get(key).unwrap().value.clone().unwrap_or_default()
    };
    found.unwrap().into_iter().map(|resource| value(resource.unwrap())).collect()
}

fn right(place: &Place) {
    let policy = |topic: &Topic| if topic.compacted() { "compact" } else { "delete" };
    let policies: Vec<_> = Topic::ALL.iter().map(policy).collect();
    assert_eq!(described(place, "cleanup.policy"), policies);
    assert_eq!(described(place, "message.timestamp.type"), ["LogAppendTime"; Topic::ALL.len()]);
    assert_eq!(described(place, "max.message.bytes"), ["8392704"; Topic::ALL.len()]);
}

#[test]
fn missing_topics_are_named_created_once_and_then_found_right() {
    let Some(place) = Place::on_new_topics(&["kafka.partitions=3"], module_path!()) else { return };
    let prefix = place.kafka().prefix;
    let advice = "whetstone check --create-topics";
    let (code, found, error) = whetstone(&place, &["check"]);
    assert_eq!(code, Some(2), "{error}");
    for topic in Topic::ALL {
        let line = format!("{prefix}{topic}: does not exist: create it with `{advice}`");
        assert!(found.contains(&line), "{line} is not in {found}");
    }
    let (code, _, error) = whetstone(&place, &["run"]);
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("the topics cannot be relied on") && error.contains(advice), "{error}");
    for arguments in [&["status"][..], &["watch"], &["pause", "sim-triage"]] {
        let (code, _, error) = whetstone(&place, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {error}");
        assert!(error.contains(advice), "{arguments:?}: {error}");
    }

    let (code, created, error) = whetstone(&place, &["check", "--create-topics"]);
    assert_eq!(code, Some(0), "{error}{created}");
    assert!(created.contains(&format!("created {prefix}agent-traces, ")), "{created}");
    right(&place);
    for arguments in [&["check", "--create-topics"][..], &["check"]] {
        let (code, found, error) = whetstone(&place, arguments);
        assert_eq!(code, Some(0), "{error}{found}");
        assert!(found.contains("all there, with the settings they need"), "{found}");
        assert!(!found.contains("created"), "{found}");
    }
    let (code, found, error) = whetstone(&place, &["check", "--json"]);
    assert_eq!(code, Some(0), "{error}");
    let findings: Vec<Value> = serde_json::from_str(&found).unwrap();
    let finding = |what| findings.iter().find(|finding| finding["what"] == what).unwrap();
    assert_eq!(finding("topics")["ok"], true);
    assert_eq!(finding("Kafka cluster")["ok"], true);
}

#[test]
fn run_creates_topics_if_it_may() {
    let settings = ["kafka.create_topics=true", "kafka.partitions=1"];
    let Some(place) = Place::on_new_topics(&settings, module_path!()) else { return };
    let mut server = runtime().block_on(place.start());
    right(&place);
    assert_eq!(server.stop(), Some(0), "{}", place.server_log());
    let mut again = runtime().block_on(place.start());
    assert_eq!(again.stop(), Some(0), "{}", place.server_log());
}

#[test]
fn what_is_wrong_with_topics_made_by_hand_is_named_with_what_to_do() {
    let check = |about: Topic, changes: &[(&'static str, &'static str)], more: i32, fatal, says| {
        let Some(place) = Place::on_new_topics(&[], module_path!()) else { return };
        by_hand(&place, |topic, settings, partitions| {
            if topic == about {
                settings.retain(|(key, _)| changes.iter().all(|(changed, _)| changed != key));
                settings.extend(changes);
                *partitions += more;
            }
        });
        let (code, found, error) = whetstone(&place, &["check"]);
        assert_eq!(code, Some(if fatal { 2 } else { 0 }), "{about}: {found}{error}");
        let name = format!("{}{about}: ", place.kafka().prefix);
        let named: Vec<_> = found.lines().filter(|line| line.contains(&name)).collect();
        assert!(named.len() == 1 && named[0].contains(says), "{about}: {says} is not in {found}");
        let others = found.lines().filter(|line| line.contains("topics ")).count();
        assert_eq!(others, 1, "nothing else: {found}");
        if fatal {
            let (code, _, error) = whetstone(&place, &["run"]);
            assert_eq!(code, Some(2), "{error}");
            assert!(error.contains(says), "{error}");
        }
    };
    use Topic::{AgentEvents, AgentState, AgentTraces, DeadLetters, Decisions, PromptVersions};
    let create_time = [("message.timestamp.type", "CreateTime")];
    check(AgentState, &[("cleanup.policy", "delete")], 0, true, "set cleanup.policy=compact");
    check(PromptVersions, &[("cleanup.policy", "compact,delete")], 0, true, "would be deleted");
    check(AgentEvents, &[("cleanup.policy", "compact")], 0, true, "set cleanup.policy=delete");
    check(AgentState, &[], 1, true, "as many as each other");
    check(AgentTraces, &create_time, 0, false, "set message.timestamp.type=LogAppendTime");
    let small = "raise its max.message.bytes";
    check(Decisions, &[("max.message.bytes", "500000")], 0, true, small);
    // What comes in is larger than where it goes if it cannot be read.
    let Some(place) = Place::on_new_topics(&[], module_path!()) else { return };
    by_hand(&place, |topic, settings, _| {
        if topic != DeadLetters {
            settings.push(("max.message.bytes", "2000000"));
        }
    });
    let (code, found, _) = whetstone(&place, &["check"]);
    assert_eq!(code, Some(2), "{found}");
    assert!(found.contains("dead-letters: takes records of 1048588 bytes and"), "{found}");
    assert!(found.contains("what cannot be read has no place to go"), "{found}");
    // A number that need not be the same.
    let Some(place) = Place::on_new_topics(&[], module_path!()) else { return };
    by_hand(&place, |topic, _, partitions| *partitions += i32::from(topic == AgentTraces));
    let (code, found, _) = whetstone(&place, &["check"]);
    assert_eq!(code, Some(0), "{found}");
}

#[test]
fn brokers_that_cannot_be_reached_are_named_with_what_to_check() {
    let place = Place::new(&["log.kind=kafka", "kafka.brokers=127.0.0.1:1", "llm.enabled=false"]);
    let check = |arguments: &[&str], code: i32| {
        let (ended, found, error) = whetstone(&place, arguments);
        let said = found + &error;
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains("Kafka is not available"), "{said}");
        assert!(said.contains("127.0.0.1:1") && said.contains("check kafka.brokers"), "{said}");
    };
    std::thread::scope(|scope| {
        for (arguments, code) in [(["check"], 2), (["run"], 1), (["status"], 1)] {
            scope.spawn(move || check(&arguments, code));
        }
    });
}

#[test]
fn properties_that_the_client_does_not_take_are_named_and_their_values_are_not() {
    let check = |property: &str, says: &str| {
        let mut place = Place::new(&["log.kind=kafka", "llm.enabled=false"]);
        let secret = place.dir.path().join("secret");
        std::fs::write(&secret, "987654321s3cret").unwrap();
        place.settings.push(format!("kafka.properties.{property}=file:{}", secret.display()));
        for (command, code) in [("check", 2), ("run", 1)] {
            let (ended, found, error) = whetstone(&place, &[command]);
            let said = found + &error;
            assert_eq!(ended, Some(code), "{said}");
            assert!(said.contains(says) && said.contains(property), "{says} is not in {said}");
            assert!(!said.contains("987654321"), "{said}");
        }
    };
    check("no.such.property", "No such configuration property");
    check("socket.timeout.ms", "takes a number from 10..300000");
    check("security.protocol", "does not take the value");
}
