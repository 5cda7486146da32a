//! A group's one member: reads ahead, and commits what it has read together with what it made of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lock::GroupLock;
use super::store::Store;
use super::{
    Consumer, LogError, NewRecord, POLL_BYTES, Partition, Place, Polled, Progress, Reached, Record,
    Subscription, Topic,
};

/// The live member of a group.
pub(super) struct Member {
    store: Arc<Store>,
    group: String,
    topics: Vec<Position>,
    /// The topic to read first, moved on with every poll so that a busy one starves no other.
    turn: usize,
    /// Whether it has been told what it has, which is everything.
    told: bool,
    _lock: GroupLock,
}

/// How far a member has read in one topic.
struct Position {
    topic: Topic,
    progress: Progress,
    epoch: i64,
}

impl Position {
    fn partition(&self) -> Partition {
        Partition { topic: self.topic, number: 0 }
    }
}

impl Member {
    pub(super) fn join(
        store: Arc<Store>,
        lock: GroupLock,
        subscription: &Subscription<'_>,
    ) -> Result<Self, LogError> {
        let Subscription { group, topics, beside, after } = *subscription;
        let topics = store.write(|step| {
            let join = |&topic| {
                let (mut progress, epoch) = step.join(group, topic)?;
                if let Some((_, other)) = after.filter(|(consumed, _)| *consumed == topic) {
                    let further = step.base(other, topic)?;
                    if further > progress.base() {
                        progress = Progress::resume(further, "").map_err(LogError::Corrupt)?;
                    }
                }
                Ok(Position { topic, progress, epoch })
            };
            topics.iter().chain(&beside).map(join).collect::<Result<Vec<_>, LogError>>()
        })?;
        Ok(Self { store, group: group.to_owned(), topics, turn: 0, told: false, _lock: lock })
    }

    fn step(&self, outputs: &[NewRecord]) -> Result<(), LogError> {
        self.store.write(|step| {
            for position in &self.topics {
                step.advance(&self.group, position.topic, &position.progress, position.epoch)?;
            }
            step.append(outputs)
        })
    }

    fn read_ahead(&mut self, max: usize) -> Result<Vec<Record>, LogError> {
        let mut records: Vec<Record> = Vec::new();
        let mut room = POLL_BYTES;
        let (before, after) = self.topics.split_at_mut(self.turn);
        for position in after.iter_mut().chain(before) {
            let progress = &mut position.progress;
            let left = max.saturating_sub(records.len()).min(progress.room());
            if left == 0 || room == 0 {
                continue;
            }
            let mut more = self.store.read_bytes(position.topic, progress.next(), left, room)?;
            let bytes = more.iter().map(|record| record.key.len() + record.value.len());
            room = room.saturating_sub(bytes.sum());
            more.retain(|record| progress.give(record.offset));
            records.extend(more);
        }
        self.turn = (self.turn + 1).checked_rem(self.topics.len()).unwrap_or_default();
        Ok(records)
    }
}

impl Consumer for Member {
    fn poll(&mut self, max: usize, timeout: Duration) -> Result<Polled, LogError> {
        if !std::mem::replace(&mut self.told, true) {
            let all = self.topics.iter().map(Position::partition).collect();
            return Ok(Polled::Assigned(all));
        }
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let mark = self.store.mark()?;
            let records = self.read_ahead(max)?;
            if !records.is_empty() || !self.store.wait_past(&mark, deadline)? {
                return Ok(Polled::Records(records));
            }
        }
    }

    fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LogError> {
        self.topics.iter_mut().for_each(|position| position.progress.finish_all());
        self.step(&outputs)
    }

    fn commit_these(&mut self, done: &[Place], outputs: Vec<NewRecord>) -> Result<(), LogError> {
        for place in done {
            let of = |position: &&mut Position| position.partition() == place.partition;
            if let Some(position) = self.topics.iter_mut().find(of) {
                position.progress.finish(place.offset);
            }
        }
        self.step(&outputs)
    }

    fn reached(&self) -> Reached {
        let topics = self.topics.iter();
        Reached(topics.map(|topic| (topic.partition(), topic.progress.next())).collect())
    }

    fn commit_until(&mut self, reached: &Reached, outputs: Vec<NewRecord>) -> Result<(), LogError> {
        for position in &mut self.topics {
            if let Some(offset) = reached.of(position.partition()) {
                position.progress.finish_below(offset);
            }
        }
        self.step(&outputs)
    }

    fn lag(&mut self) -> Result<Vec<(Partition, u64)>, LogError> {
        let ahead = |position: &Position| {
            let count = self.store.count(position.topic, position.progress.next())?;
            Ok((position.partition(), count))
        };
        self.topics.iter().map(ahead).collect()
    }

    fn home(&self, topic: Topic, _key: &str) -> Result<Partition, LogError> {
        Ok(Partition { topic, number: 0 })
    }

    fn owns(&self, topic: Topic, _key: &str) -> bool {
        self.topics.iter().any(|position| position.topic == topic)
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::base::ManualClock;

    const NOW: Duration = Duration::ZERO;

    fn member(store: &Arc<Store>) -> Member {
        let lock = GroupLock::take(store.dir(), "group").unwrap();
        let topics = &[Topic::AgentTraces];
        let subscription = Subscription { group: "group", topics, ..Subscription::default() };
        Member::join(Arc::clone(store), lock, &subscription).unwrap()
    }

    fn polled(member: &mut Member) -> usize {
        assert!(matches!(member.poll(10, NOW).unwrap(), Polled::Assigned(_)));
        match member.poll(10, NOW).unwrap() {
            Polled::Records(records) => records.len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_step_that_does_not_fit_on_the_disk_leaves_nothing() {
        let dir = TempDir::new().unwrap();
        let store = Arc::new(Store::create(dir.path(), Arc::new(ManualClock::default())).unwrap());
        let input = NewRecord::new(Topic::AgentTraces, "", "input");
        store.write(|step| step.append(std::slice::from_ref(&input))).unwrap();
        // A disk with room for some of the outputs, not for all.
        store.write(|step| Ok(step.sql().pragma_update(None, "max_page_count", 40)?)).unwrap();

        let mut consumer = member(&store);
        assert_eq!(polled(&mut consumer), 1);
        let outputs = vec![NewRecord::new(Topic::Decisions, "", vec![0; 10_000]); 30];
        let error = consumer.commit(outputs).unwrap_err();
        assert!(error.to_string().contains("the disk is full"), "{error}");

        drop(consumer);
        assert_eq!(store.read(Topic::Decisions, 0, 10).unwrap(), []);
        assert_eq!(polled(&mut member(&store)), 1, "the input is given again");
    }
}
