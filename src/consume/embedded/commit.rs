//! A group's one member: reads ahead, and commits what it has read together with what it made of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lock::GroupLock;
use super::store::Store;
use super::{Consumer, LogError, NewRecord, Record, Topic};

/// The live member of a group.
pub(super) struct Member {
    store: Arc<Store>,
    group: String,
    topics: Vec<Position>,
    /// The topic to read first, moved on with every poll so that a busy one starves no other.
    turn: usize,
    _lock: GroupLock,
}

/// How far a member has read in one topic.
struct Position {
    topic: Topic,
    next: u64,
    epoch: i64,
}

impl Member {
    pub(super) fn join(
        store: Arc<Store>,
        lock: GroupLock,
        group: &str,
        topics: &[Topic],
    ) -> Result<Self, LogError> {
        let topics = store.write(|step| {
            let join = |&topic| {
                let (next, epoch) = step.join(group, topic)?;
                Ok(Position { topic, next, epoch })
            };
            topics.iter().map(join).collect::<Result<Vec<_>, LogError>>()
        })?;
        Ok(Self { store, group: group.to_owned(), topics, turn: 0, _lock: lock })
    }

    fn read_ahead(&mut self, max: usize) -> Result<Vec<Record>, LogError> {
        let mut records = Vec::new();
        let (before, after) = self.topics.split_at_mut(self.turn);
        for position in after.iter_mut().chain(before) {
            let left = max.saturating_sub(records.len());
            if left == 0 {
                break;
            }
            let more = self.store.read(position.topic, position.next, left)?;
            if let Some(last) = more.last() {
                position.next = last.offset.saturating_add(1);
            }
            records.extend(more);
        }
        self.turn = (self.turn + 1).checked_rem(self.topics.len()).unwrap_or_default();
        Ok(records)
    }
}

impl Consumer for Member {
    fn poll(&mut self, max: usize, timeout: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let mark = self.store.mark()?;
            let records = self.read_ahead(max)?;
            if !records.is_empty() || !self.store.wait_past(&mark, deadline)? {
                return Ok(records);
            }
        }
    }

    fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LogError> {
        self.store.write(|step| {
            for position in &self.topics {
                step.advance(&self.group, position.topic, position.next, position.epoch)?;
            }
            step.append(&outputs)
        })
    }

    fn lag(&self) -> Result<u64, LogError> {
        self.topics.iter().map(|position| self.store.count(position.topic, position.next)).sum()
    }
}
