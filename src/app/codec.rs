//! Messages to records and back: the one place that knows how each topic is written.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::AgentName;
use crate::consume::{NewRecord, Record, Topic};
use crate::govern::{Agent, Effect, Event};

/// The first byte of every stored agent state. A later layout gets another one.
const STATE_FORMAT: u8 = 1;

/// Why a record of ours cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error(
    "{topic}/{partition} offset {offset} does not read back: {problem}; was it written by a newer version?"
)]
pub struct CodecError {
    topic: Topic,
    partition: i32,
    offset: u64,
    problem: String,
}

/// A JSON record.
#[expect(clippy::expect_used, reason = "our messages have text keys and finite numbers")]
pub(super) fn json(topic: Topic, key: impl Into<Vec<u8>>, message: &impl Serialize) -> NewRecord {
    let value = serde_json::to_vec(message).expect("messages serialize");
    NewRecord::new(topic, key, value)
}

pub(super) fn from_json<T: DeserializeOwned>(record: &Record) -> Result<T, CodecError> {
    serde_json::from_slice(&record.value).map_err(|problem| unreadable(record, &problem))
}

pub(super) fn event(event: &Event) -> NewRecord {
    json(Topic::AgentEvents, event.agent.as_str(), event)
}

pub(super) fn effect(effect: &Effect) -> NewRecord {
    match effect {
        Effect::Request(request) => {
            json(Topic::OptimizationRequests, request.id.agent.as_str(), request)
        }
        Effect::Version(record) => {
            let version = &record.version;
            let key = format!("{}/{}", version.agent, version.number);
            json(Topic::PromptVersions, key, record)
        }
        Effect::Update(update) => json(Topic::PromptUpdates, update.agent.as_str(), update),
        Effect::Decision(decision) => json(Topic::Decisions, decision.agent.as_str(), decision),
    }
}

#[expect(clippy::expect_used, reason = "MessagePack takes whatever serde derives")]
pub(super) fn state(agent: &Agent) -> NewRecord {
    let mut value = vec![STATE_FORMAT];
    agent
        .serialize(&mut rmp_serde::Serializer::new(&mut value).with_struct_map())
        .expect("states serialize");
    NewRecord::new(Topic::AgentState, agent.name().as_str(), value)
}

pub(super) fn from_state(record: &Record) -> Result<Agent, CodecError> {
    match record.value.split_first() {
        Some((&STATE_FORMAT, packed)) => {
            rmp_serde::from_slice(packed).map_err(|problem| unreadable(record, &problem))
        }
        Some((format, _)) => Err(unreadable(record, &format!("state format {format}"))),
        None => Err(unreadable(record, &"no state")),
    }
}

/// The agent of a key `agent` or `agent/version`.
pub(super) fn agent_of(record: &Record) -> Result<AgentName, CodecError> {
    let key = record.key_text();
    let name = key.split('/').next().unwrap_or_default();
    name.parse().map_err(|problem| unreadable(record, &problem))
}

fn unreadable(record: &Record, problem: &dyn std::fmt::Display) -> CodecError {
    let Record { topic, partition, offset, .. } = record;
    let problem = problem.to_string();
    CodecError { topic: *topic, partition: *partition, offset: *offset, problem }
}
