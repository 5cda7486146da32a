//! Any interleaving of appends, polls, commits and crashes gives what a simple model gives.

use proptest::prelude::*;
use whetstone::consume::{Consumer, Log, NewRecord, Topic};

use crate::log_conformance::{Backing, NOW, ahead, join, new, poll, read};
use crate::log_embedded::Embedded;

const INPUTS: [Topic; 2] = [Topic::AgentTraces, Topic::PromptCommands];
const TOPICS: [Topic; 4] =
    [Topic::AgentTraces, Topic::PromptCommands, Topic::AgentEvents, Topic::AgentState];

#[derive(Clone, Debug)]
enum Action {
    Append(Vec<NewRecord>),
    Poll(usize),
    Commit(Vec<NewRecord>),
    Crash,
}

fn record() -> impl Strategy<Value = NewRecord> {
    (0..TOPICS.len(), "[ab]", "[a-z]{0,3}").prop_map(|(t, key, value)| new(TOPICS[t], &key, &value))
}

fn action() -> impl Strategy<Value = Action> {
    let records = || prop::collection::vec(record(), 0..5);
    prop_oneof![
        3 => records().prop_map(Action::Append),
        3 => (1..6_usize).prop_map(Action::Poll),
        2 => records().prop_map(Action::Commit),
        1 => Just(Action::Crash),
    ]
}

/// The log as four lists, and a position in each of the two inputs.
#[derive(Default)]
struct Model {
    topics: [Vec<NewRecord>; 4],
    polled: [usize; 2],
    committed: [usize; 2],
}

impl Model {
    fn append(&mut self, records: Vec<NewRecord>) {
        for record in records {
            let list = &mut self.topics[index(record.topic)];
            if record.topic.compacted() {
                list.retain(|older| older.key != record.key);
            }
            list.push(record);
        }
    }
}

fn index(topic: Topic) -> usize {
    TOPICS.iter().position(|t| *t == topic).unwrap()
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn texts(records: &[NewRecord]) -> Vec<(String, String)> {
    let text = |r: &NewRecord| (utf8(&r.key), utf8(&r.value));
    records.iter().map(text).collect()
}

fn held(log: &dyn Log, topic: Topic) -> Vec<(String, String)> {
    read(log, topic).iter().map(|record| (utf8(&record.key), utf8(&record.value))).collect()
}

fn check_poll(consumer: &mut dyn Consumer, max: usize, model: &mut Model) {
    let records = poll(consumer, max, NOW);
    let left: usize = (0..2).map(|t| model.topics[t].len() - model.polled[t]).sum();
    assert_eq!(records.len(), max.min(left), "a poll gives all there is, up to its limit");
    for record in records {
        let next = &mut model.polled[index(record.topic)];
        let expected = &model.topics[index(record.topic)][*next];
        assert_eq!((&record.key, &record.value), (&expected.key, &expected.value));
        *next += 1;
    }
    let left: usize = (0..2).map(|t| model.topics[t].len() - model.polled[t]).sum();
    assert_eq!(ahead(consumer), left as u64);
}

/// Runs `actions` on a log and on the model, and compares them.
fn check_matches(actions: Vec<Action>, backing: &dyn Backing) {
    let mut model = Model::default();
    let mut log = backing.open();
    let mut consumer = join(&*log, "group", &INPUTS);
    for action in actions {
        match action {
            Action::Append(records) => {
                log.append(records.clone()).unwrap();
                model.append(records);
            }
            Action::Poll(max) => check_poll(&mut *consumer, max, &mut model),
            Action::Commit(outputs) => {
                consumer.commit(outputs.clone()).unwrap();
                model.append(outputs);
                model.committed = model.polled;
            }
            Action::Crash => {
                drop(consumer);
                log = backing.open();
                consumer = join(&*log, "group", &INPUTS);
                model.polled = model.committed;
            }
        }
        for topic in TOPICS {
            assert_eq!(held(&*log, topic), texts(&model.topics[index(topic)]), "{topic}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn any_interleaving_gives_what_the_model_gives(
        actions in prop::collection::vec(action(), 1..40),
    ) {
        check_matches(actions, &Embedded::new());
    }
}
