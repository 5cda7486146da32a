//! The member of a consumer group: polls, and commits what it polled in one transaction with what was
//! made of it.
//!
//! One thread polls, decides and commits. Nothing is committed for a partition once it was revoked:
//! its positions are forgotten in the same poll. Where the group went on without this member, e.g.
//! after it hung for longer than the session, the client knows before the brokers ask: then nothing
//! is sent at all, since a member without a generation would not be fenced by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::cluster::{ANSWER, Cluster};
use super::produce::{Failure, Transactions};
use super::rebalance::{Change, MemberContext};
use super::slot::Slot;
use super::{
    Consumer, LogError, NewRecord, POLL_BYTES, Partition, Place, Polled, Progress, Reached, Record,
    Subscription, Topic, client, partition_of, problem, read,
};

/// How long a group may take to agree on a new generation.
const REGROUPED: Duration = Duration::from_secs(15);
const MOMENT: Duration = Duration::from_millis(20);

/// A live member.
pub(super) struct Member {
    cluster: Arc<Cluster>,
    group: String,
    consumer: BaseConsumer<MemberContext>,
    transactions: Transactions,
    positions: BTreeMap<Partition, Progress>,
    /// Where positions stand that the brokers have: what did not move is not sent again.
    committed: BTreeMap<Partition, (u64, String)>,
    /// Polled, and not given yet since a change came first.
    held: Vec<Record>,
    /// Whether fetching is halted since nothing may be given; unknown where it differs from partition
    /// to partition.
    halted: Option<bool>,
}

impl Member {
    pub(super) fn join(
        cluster: &Arc<Cluster>,
        slot: &Slot,
        subscription: &Subscription<'_>,
    ) -> Result<Self, LogError> {
        let topics = subscription.topics;
        for topic in topics {
            cluster.partitions(*topic)?;
        }
        let group = cluster.group(subscription.group);
        let id = format!("{group}-{}", slot.name());
        let transactions = Transactions::open(cluster, &id, &group)?;
        let consumer: BaseConsumer<MemberContext> = client::member(&cluster.settings, &group)
            .create_with_context(MemberContext::new(cluster, &group, subscription)?)
            .map_err(|error| problem::config(&error))?;
        let names: Vec<_> = topics.iter().map(|topic| cluster.name(*topic)).collect();
        consumer
            .subscribe(&names)
            .map_err(|error| problem::of(&error, &format!("join group {group}")))?;
        Ok(Self {
            cluster: Arc::clone(cluster),
            group,
            consumer,
            transactions,
            positions: BTreeMap::new(),
            committed: BTreeMap::new(),
            held: Vec::new(),
            halted: Some(false),
        })
    }

    fn change(&mut self, change: Change) -> Result<Polled, LogError> {
        match change {
            Change::Assigned(given) => {
                let partitions = given.iter().map(|(partition, _)| *partition).collect();
                for (partition, progress) in given {
                    self.committed.insert(partition, (progress.base(), progress.ahead()));
                    self.positions.insert(partition, progress);
                }
                // What is given anew is not halted, and what was there before may be.
                self.halted = None;
                Ok(Polled::Assigned(partitions))
            }
            Change::Revoked(taken) => {
                for partition in &taken {
                    self.positions.remove(partition);
                    self.committed.remove(partition);
                }
                self.held.retain(|record| !taken.contains(&record.place().partition));
                Ok(Polled::Revoked(taken))
            }
            Change::Failed(problem) => Err(problem),
        }
    }

    /// Up to `max` records from the client. Ends early when a change comes.
    fn gather(&mut self, max: usize, deadline: Instant) -> Result<(), LogError> {
        let mut bytes = 0;
        loop {
            let wait = if self.held.is_empty() {
                deadline.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            let polled = self.consumer.poll(wait);
            match polled {
                Some(Ok(message)) => {
                    let record = read::record(&self.cluster, &message)?;
                    let partition = record.place().partition;
                    if let Some(progress) = self.positions.get_mut(&partition)
                        && progress.give(record.offset)
                    {
                        bytes += record.key.len() + record.value.len();
                        self.held.push(record);
                    }
                    if self.held.len() >= max || bytes >= POLL_BYTES {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.skip_markers()?,
                Some(Err(error)) if problem::code(&error) == Some(Code::PollExceeded) => {
                    return Err(self.lost("it did not poll for longer than max.poll.interval.ms"));
                }
                Some(Err(error)) => problem::while_reading(&error, &self.group)?,
                None if self.consumer.context().has_change() => return Ok(()),
                None if wait.is_zero() => return Ok(()),
                None => {}
            }
            if self.consumer.context().has_change() {
                return Ok(());
            }
        }
    }

    /// At the end of a partition, its position stands behind the markers of transactions too, which
    /// are no records. Following it keeps the lag honest.
    fn skip_markers(&mut self) -> Result<(), LogError> {
        let positions = self.consumer.position();
        let positions = positions.map_err(|error| problem::of(&error, "ask for its positions"))?;
        for element in positions.elements() {
            let Some(topic) = self.cluster.topic(element.topic()) else { continue };
            let partition = Partition { topic, number: element.partition() };
            if let Offset::Offset(at) = element.offset()
                && let Some(progress) = self.positions.get_mut(&partition)
            {
                progress.skip_to(u64::try_from(at).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Lets the client fetch, or not.
    fn halt(&mut self, halt: bool) -> Result<(), LogError> {
        if self.halted == Some(halt) {
            return Ok(());
        }
        let list = self.list();
        let done = if halt { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        done.map_err(|error| problem::of(&error, "halt fetching or go on with it"))?;
        self.halted = Some(halt);
        Ok(())
    }

    /// Its partitions as the client wants them named.
    fn list(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in self.positions.keys() {
            list.add_partition(self.cluster.name(partition.topic), partition.number);
        }
        list
    }

    fn lost(&self, why: &str) -> LogError {
        LogError::Lost { group: self.group.clone(), why: why.to_owned() }
    }

    /// The member as the group knows it, taken before anything is sent. The client forgets its
    /// generation and notes the loss in one go, so if the loss is not noted, the generation is good.
    fn metadata(&self) -> Result<ConsumerGroupMetadata, LogError> {
        let metadata = self.consumer.group_metadata();
        if self.consumer.assignment_lost() {
            return Err(self.lost("it was silent for longer than its session"));
        }
        metadata.ok_or_else(|| self.lost("it has left"))
    }

    fn name_position(
        &self,
        list: &mut TopicPartitionList,
        partition: Partition,
        (base, ahead): &(u64, String),
    ) -> Result<(), LogError> {
        let offset = Offset::Offset(i64::try_from(*base).unwrap_or(i64::MAX));
        let mut element = list.add_partition(self.cluster.name(partition.topic), partition.number);
        let named = element.set_offset(offset);
        named.map_err(|error| problem::of(&error, "name a position"))?;
        element.set_metadata(ahead);
        Ok(())
    }

    fn step(&mut self, outputs: &[NewRecord]) -> Result<(), LogError> {
        let mut moved = TopicPartitionList::new();
        let mut reached = Vec::new();
        for (partition, progress) in &self.positions {
            let at = (progress.base(), progress.ahead());
            if self.committed.get(partition) != Some(&at) {
                self.name_position(&mut moved, *partition, &at)?;
                reached.push((*partition, at));
            }
        }
        if reached.is_empty() {
            if outputs.is_empty() {
                return Ok(());
            }
            // The group's generation goes with a position, and that fences a member that lost its place.
            if let Some((partition, at)) = self.committed.iter().next() {
                self.name_position(&mut moved, *partition, at)?;
            }
        }
        let begun = Instant::now();
        loop {
            let metadata = self.metadata()?;
            let positions = (moved.count() > 0).then_some((&moved, &metadata));
            match self.transactions.run(outputs, positions) {
                // Others come or go, and the client has rejoined beside us. What this member has not
                // let go of is nobody else's in the new generation either, so its step may go with that.
                Err(Failure::Regrouping(_)) if begun.elapsed() < REGROUPED => {
                    std::thread::park_timeout(MOMENT);
                }
                done => {
                    done?;
                    break;
                }
            }
        }
        self.committed.extend(reached);
        Ok(())
    }
}

impl Consumer for Member {
    fn poll(&mut self, max: usize, timeout: Duration) -> Result<Polled, LogError> {
        let begun = Instant::now();
        let deadline = begun.checked_add(timeout).unwrap_or(begun);
        let room = self.positions.values().map(Progress::room).min().unwrap_or(usize::MAX);
        let max = max.min(room);
        loop {
            if let Some(change) = self.consumer.context().next_change() {
                return self.change(change);
            }
            if self.held.is_empty() || max == 0 {
                self.halt(max == 0)?;
                self.gather(max, deadline)?;
                if self.consumer.context().has_change() {
                    continue;
                }
            }
            let given = self.held.len().min(max);
            return Ok(Polled::Records(self.held.drain(..given).collect()));
        }
    }

    fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LogError> {
        self.positions.values_mut().for_each(Progress::finish_all);
        self.step(&outputs)
    }

    fn commit_these(&mut self, done: &[Place], outputs: Vec<NewRecord>) -> Result<(), LogError> {
        for place in done {
            let Some(progress) = self.positions.get_mut(&place.partition) else {
                return Err(self.lost(&format!("{} is another member's now", place.partition)));
            };
            progress.finish(place.offset);
        }
        self.step(&outputs)
    }

    fn reached(&self) -> Reached {
        let positions = self.positions.iter();
        let mut reached: BTreeMap<_, _> =
            positions.map(|(partition, progress)| (*partition, progress.next())).collect();
        // What is held was not given yet.
        for record in self.held.iter().rev() {
            reached.insert(record.place().partition, record.offset);
        }
        Reached(reached)
    }

    fn commit_until(&mut self, reached: &Reached, outputs: Vec<NewRecord>) -> Result<(), LogError> {
        for (partition, progress) in &mut self.positions {
            if let Some(offset) = reached.of(*partition) {
                progress.finish_below(offset);
            }
        }
        self.step(&outputs)
    }

    fn lag(&mut self) -> Result<Vec<(Partition, u64)>, LogError> {
        let failed = |error| problem::of(&error, "ask for the ends of partitions");
        let mut ends = self.list();
        if ends.count() == 0 {
            return Ok(Vec::new());
        }
        // One question for all partitions: what would be read at the end of time.
        ends.set_all_offsets(Offset::End).map_err(failed)?;
        let ends = self.consumer.offsets_for_times(ends, ANSWER).map_err(failed)?;
        let mut lags = Vec::new();
        for element in ends.elements() {
            let Some(topic) = self.cluster.topic(element.topic()) else { continue };
            let partition = Partition { topic, number: element.partition() };
            let Some(progress) = self.positions.get(&partition) else { continue };
            let end = match element.offset() {
                Offset::Offset(end) => u64::try_from(end).unwrap_or_default(),
                _ => continue,
            };
            lags.push((partition, end.saturating_sub(progress.next())));
        }
        Ok(lags)
    }

    fn home(&self, topic: Topic, key: &str) -> Result<Partition, LogError> {
        let number = partition_of(key.as_bytes(), self.cluster.partitions(topic)?);
        Ok(Partition { topic, number })
    }

    fn owns(&self, topic: Topic, key: &str) -> bool {
        self.home(topic, key).is_ok_and(|home| self.positions.contains_key(&home))
    }
}
