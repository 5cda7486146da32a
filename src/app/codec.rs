//! Messages to records and back: the one place that knows how each topic is written.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::{AgentName, EventTime};
use crate::consume::{NewRecord, Place, Record, Topic};
use crate::decode::Run;
use crate::decode::assembly::{TraceChange, TraceKey, TracePiece, UnknownTraceKey};
use crate::govern::{Agent, Change, Effect, Event, EventBody, Piece, Pieces, UnknownPiece};

/// The first byte of every stored piece of state. A later layout gets another one.
const STATE_FORMAT: u8 = 2;
/// The same of a piece whose fields are told by their order.
const DENSE_FORMAT: u8 = 3;
/// The first byte of a run on `agent-events`.
const RUN_FORMAT: u8 = 1;
/// Room for most runs, so that few grow as they are written.
const RUN_BYTES: usize = 512;
/// An agent's whole state in one record.
const UNRELEASED_FORMAT: u8 = 1;

/// Why a record of ours cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// It is not what this version writes.
    #[error(
        "{topic}/{partition} offset {offset} does not read back: {problem}; was it written by a newer \
         version?"
    )]
    Unreadable {
        /// Its topic.
        topic: Topic,
        /// The partition of it.
        partition: i32,
        /// Its place there.
        offset: u64,
        /// What is wrong.
        problem: String,
    },
    /// It is state in a layout that no release wrote.
    #[error(
        "{topic}/{partition} offset {offset} was written by a version before the first release, in a layout \
         that is no longer read: delete the data directory, or the topic, to start anew"
    )]
    Unreleased {
        /// Its topic.
        topic: Topic,
        /// The partition of it.
        partition: i32,
        /// Its place there.
        offset: u64,
    },
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

/// An event: runs, of which there are most, in MessagePack after a byte that no JSON begins with, all else as JSON.
pub fn event(event: &Event) -> NewRecord {
    match &event.body {
        EventBody::Run(run) => self::run(run, event.at),
        _ => json(Topic::AgentEvents, event.agent.as_str(), event),
    }
}

#[expect(clippy::expect_used, reason = "MessagePack takes whatever serde derives")]
fn run(run: &Run, at: EventTime) -> NewRecord {
    let mut value = Vec::with_capacity(RUN_BYTES);
    value.push(RUN_FORMAT);
    (at, run).serialize(&mut rmp_serde::Serializer::new(&mut value)).expect("runs serialize");
    NewRecord::new(Topic::AgentEvents, run.agent.as_str(), value)
}

/// Reads an event.
///
/// # Errors
/// [`CodecError::Unreadable`].
pub fn read_event(record: &Record) -> Result<Event, CodecError> {
    let Some((&RUN_FORMAT, packed)) = record.value.split_first() else { return from_json(record) };
    let (at, run): (EventTime, Run) =
        rmp_serde::from_slice(packed).map_err(|problem| unreadable(record, &problem))?;
    Ok(Event { agent: run.agent.clone(), at, body: EventBody::Run(run) })
}

/// The record that `effect` leaves on its topic.
pub fn effect(effect: &Effect) -> NewRecord {
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

/// The records that bring what is stored of `agent` up to date.
pub fn state(agent: &mut Agent) -> Vec<NewRecord> {
    let name = agent.name().clone();
    agent.take_changes().iter().map(|changed| change(&name, changed)).collect()
}

/// What a change of an agent's state writes: a piece, or the empty value that takes its key away.
pub(super) fn change(agent: &AgentName, change: &Change<'_>) -> NewRecord {
    let piece = change.piece();
    let value = match (change, piece) {
        (Change::Set(body), Piece::Pane(..)) => densely_packed(body),
        (Change::Set(body), _) => packed(body),
        (Change::Gone(..), _) => Vec::new(),
    };
    NewRecord::new(Topic::AgentState, format!("{agent}{piece}"), value)
}

/// Without the names of fields, which were half of a pane.
#[expect(clippy::expect_used, reason = "MessagePack takes whatever serde derives")]
fn densely_packed(body: &impl Serialize) -> Vec<u8> {
    let mut value = vec![DENSE_FORMAT];
    body.serialize(&mut rmp_serde::Serializer::new(&mut value)).expect("states serialize");
    value
}

#[expect(clippy::expect_used, reason = "MessagePack takes whatever serde derives")]
fn packed(body: &impl Serialize) -> Vec<u8> {
    let mut value = vec![STATE_FORMAT];
    body.serialize(&mut rmp_serde::Serializer::new(&mut value).with_struct_map())
        .expect("states serialize");
    value
}

/// Reads a piece that `agent` is to be assembled from.
pub(super) fn piece(
    agent: &AgentName,
    record: &Record,
    pieces: &mut Pieces,
) -> Result<(), CodecError> {
    let packed = match record.value.split_first() {
        Some((&(STATE_FORMAT | DENSE_FORMAT), packed)) => packed,
        Some((&UNRELEASED_FORMAT, _)) => {
            let Place { partition, offset } = record.place();
            let (topic, partition) = (partition.topic, partition.number);
            return Err(CodecError::Unreleased { topic, partition, offset });
        }
        Some((format, _)) => return Err(unreadable(record, &format!("state format {format}"))),
        None => return Err(unreadable(record, &"no state")),
    };
    let key = record.key_text();
    let suffix = key.strip_prefix(agent.as_str()).unwrap_or_default();
    let piece = suffix.parse().map_err(|problem: UnknownPiece| unreadable(record, &problem))?;
    pieces
        .read(piece, &mut rmp_serde::Deserializer::from_read_ref(packed))
        .map_err(|problem| unreadable(record, &problem))
}

/// What a change of a trace's state writes: a piece, or the empty value that takes its key away.
pub(super) fn trace_change(change: &TraceChange) -> NewRecord {
    let value = change.piece.as_ref().map_or_else(Vec::new, packed);
    NewRecord::new(Topic::TraceState, change.key.to_string(), value)
}

/// Reads a piece of a trace.
pub(super) fn trace_piece(record: &Record) -> Result<(TraceKey, TracePiece), CodecError> {
    let packed = match record.value.split_first() {
        Some((&STATE_FORMAT, packed)) => packed,
        Some((format, _)) => return Err(unreadable(record, &format!("state format {format}"))),
        None => return Err(unreadable(record, &"no state")),
    };
    let key = record.key_text().parse();
    let key = key.map_err(|problem: UnknownTraceKey| unreadable(record, &problem))?;
    let piece = rmp_serde::from_slice(packed).map_err(|problem| unreadable(record, &problem))?;
    Ok((key, piece))
}

/// The agent of a key, which starts with its name, e.g. `agent` or `agent/version`.
pub(super) fn agent_of(record: &Record) -> Result<AgentName, CodecError> {
    let key = record.key_text();
    let name = key.split('/').next().unwrap_or_default();
    name.parse().map_err(|problem| unreadable(record, &problem))
}

fn unreadable(record: &Record, problem: &dyn std::fmt::Display) -> CodecError {
    let Place { partition, offset } = record.place();
    let (topic, partition, problem) = (partition.topic, partition.number, problem.to_string());
    CodecError::Unreadable { topic, partition, offset, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{EventTime, VersionNumber};
    use crate::govern::Piece;

    fn triage() -> AgentName {
        "triage".parse().unwrap()
    }

    fn record(new: NewRecord) -> Record {
        let NewRecord { topic, key, value, headers } = new;
        Record {
            topic,
            partition: 0,
            offset: 7,
            at: EventTime::from_millis(0),
            key,
            value,
            headers,
        }
    }

    fn read(key: &str, value: &[u8]) -> Result<Agent, String> {
        let record = record(NewRecord::new(Topic::AgentState, key, value));
        let mut pieces = Pieces::default();
        piece(&triage(), &record, &mut pieces).map_err(|problem| problem.to_string())?;
        Ok(Agent::assemble(triage(), pieces).unwrap())
    }

    #[test]
    fn a_piece_reads_back_from_its_record() {
        let mut agent = Agent::new(triage());
        let head = agent.take_changes().iter().map(|c| change(&triage(), c)).next().unwrap();
        assert_eq!((head.key.as_slice(), head.value.first()), (&b"triage"[..], Some(&2)));
        assert_eq!(read("triage", &head.value), Ok(agent));
    }

    #[test]
    fn a_pane_that_is_gone_is_an_empty_record() {
        let gone = change(&triage(), &Change::Gone(Piece::Pane(VersionNumber(2), 3_600_000)));
        let expected = NewRecord::new(Topic::AgentState, "triage/pane/v2/3600000", []);
        assert_eq!(gone, expected);
    }

    #[test]
    fn state_that_is_not_ours_is_refused_with_what_to_do() {
        let check = |key: &str, value: &[u8], part: &str| {
            let problem = read(key, value).unwrap_err();
            assert!(problem.starts_with("agent-state/0 offset 7 "), "{problem}");
            assert!(problem.contains(part), "{problem}");
        };
        check("triage", &[1, 0x80], "delete the data directory, or the topic");
        check("triage", &[9, 0x80], "state format 9; was it written by a newer version?");
        check("triage", &[], "no state");
        check("triage", &[2], "does not read back");
        check("triage", &[2, 0x80], "missing field");
        check("triage/seen/0", &[2, 0xc3], "invalid type");
        check("triage/thoughts/0", &[2, 0x80], "\"/thoughts/0\" is no piece");
        check("triage-2", &[2, 0x80], "\"-2\" is no piece");
    }
}
