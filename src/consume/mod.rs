//! Stage 1, and what carries every later one: the log. Records in, one atomic step out.
//!
//! The log is the truth: whatever changes state is a record on a topic. This module is the contract.
//! [`KafkaLog`] keeps it on a Kafka cluster, where many processes share the work; [`EmbeddedLog`] in
//! one directory, for one machine. One conformance suite runs on both.

mod embedded;
mod error;
mod kafka;
mod partition;
mod progress;
mod record;
mod topic;

use std::time::Duration;

use crate::base::EventTime;

pub use embedded::EmbeddedLog;
pub use error::LogError;
pub use kafka::{KafkaLog, KafkaSettings, Problem as TopicProblem};
pub use partition::{Partition, partition_of};
pub use record::{NewRecord, Place, Record};
pub use topic::Topic;

/// A log: append-only topics, compacted topics that keep the latest value of each key, and groups
/// of consumers that remember how far they have come. Calls may block: keep them off async threads.
pub trait Log: Send + Sync {
    /// Appends `records`, in their order, in one atomic step, durable when this returns. Nobody ever
    /// reads a part of them.
    ///
    /// # Errors
    /// [`LogError`]: all of it or nothing was appended, in almost every case nothing.
    fn append(&self, records: Vec<NewRecord>) -> Result<(), LogError>;

    /// Joins a group, from where it last committed, or from the start. The members of a group share the
    /// partitions among them; what each has, its polls tell. A log with one partition a topic has room for
    /// one live member: a second one is turned away or takes over, and then the first one's commits are
    /// refused.
    ///
    /// # Errors
    /// [`LogError`].
    fn join(&self, subscription: &Subscription<'_>) -> Result<Box<dyn Consumer>, LogError>;

    /// Joins `group` on `topics` alone, each named once.
    ///
    /// # Errors
    /// As [`Log::join`].
    fn subscribe(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError> {
        self.join(&Subscription { group, topics, ..Subscription::default() })
    }

    /// Reads `topic` without joining a group: everything from `start` on, and then whatever comes.
    ///
    /// # Errors
    /// [`LogError`].
    fn follow(&self, topic: Topic, start: Start) -> Result<Box<dyn Follower>, LogError>;

    /// The latest record of every key of a compacted topic, in order of offset within a partition:
    /// all that was committed before the call, in the partitions of `share`. A key whose latest
    /// value is empty is gone. Of a topic that is not compacted, nothing.
    ///
    /// # Errors
    /// [`LogError`].
    fn table(&self, topic: Topic, share: Share<'_>) -> Result<Vec<Record>, LogError>;

    /// Forgets records appended before `older_than` that nobody needs any more, and says how many.
    /// Compacted topics keep everything; of the others, what some group has still to consume stays.
    /// A log that forgets by itself does nothing here.
    ///
    /// # Errors
    /// [`LogError`]; some records may then be gone already.
    fn trim(&self, older_than: EventTime) -> Result<u64, LogError>;
}

/// What a member wants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subscription<'a> {
    /// The group.
    pub group: &'a str,
    /// The topics whose partitions the group's members share among them, each named once.
    pub topics: &'a [Topic],
    /// A topic of which the member has the partitions with the same numbers as those that it has of the first of
    /// `topics`. It must have as many.
    pub beside: Option<Topic>,
    /// A group that may have consumed a topic in this one's place: where that came further in it, this one goes on
    /// there. Both must not have members at a time.
    pub after: Option<(Topic, &'a str)>,
}

/// Bytes of keys and values after which a poll gives what it has.
pub const POLL_BYTES: usize = 16 * 1024 * 1024;

/// The member of a consumer group; dropping it leaves the group. What it was given is not done until
/// a step that covers it commits: after a crash it is given again, to whoever then has the partition.
pub trait Consumer: Send {
    /// What comes next, as soon as it does: at most `max` records, of not much more than
    /// [`POLL_BYTES`] in all, or a change of what the member has; no records when `timeout` has passed. A log on other machines may need some time to hand
    /// over what is there. Must be called every few minutes, or the member loses its share; with a
    /// `max` of 0 that is all it does.
    ///
    /// # Errors
    /// [`LogError`]; the consumer is then of no more use.
    fn poll(&mut self, max: usize, timeout: Duration) -> Result<Polled, LogError>;

    /// In one atomic step: appends `outputs`, and marks everything polled so far as done, but for
    /// what was polled of partitions that were revoked since.
    ///
    /// # Errors
    /// [`LogError::Fenced`] or [`LogError::Lost`] if nothing of the step happened, nor ever will.
    /// Otherwise all of it or nothing happened: subscribing anew tells which. The consumer is then of
    /// no more use.
    fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LogError>;

    /// The same, marking only the records at `done`. Others polled before them may be done later: the
    /// log remembers which, so that nothing done is given again. Not more than some 200 can be done
    /// ahead of one that is not; polls give nothing more until it is. Who takes more than that without
    /// having them done must commit all of them.
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    fn commit_these(&mut self, done: &[Place], outputs: Vec<NewRecord>) -> Result<(), LogError>;

    /// How far the records reach that were polled so far.
    fn reached(&self) -> Reached;

    /// The same as [`Consumer::commit`], marking only what was polled before `reached` was told, if anything; of
    /// partitions that were revoked since, nothing.
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    fn commit_until(&mut self, reached: &Reached, outputs: Vec<NewRecord>) -> Result<(), LogError>;

    /// How many records are still ahead, by partition that the member has. Where there are
    /// transactions, their markers may count.
    ///
    /// # Errors
    /// [`LogError`].
    fn lag(&mut self) -> Result<Vec<(Partition, u64)>, LogError>;

    /// The partition of `topic` that records with `key` belong in.
    ///
    /// # Errors
    /// [`LogError`].
    fn home(&self, topic: Topic, key: &str) -> Result<Partition, LogError>;

    /// Whether records of `topic` that carry `key` come to this member now.
    fn owns(&self, topic: Topic, key: &str) -> bool;
}

/// How far a member has been given records: the offset behind the last one, by partition. The default is nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached(std::collections::BTreeMap<Partition, u64>);

impl Reached {
    /// The offset behind the last record of `partition`, if that is the member's.
    pub fn of(&self, partition: Partition) -> Option<u64> {
        self.0.get(&partition).copied()
    }

    /// Forgets `partition`, which is another member's.
    pub fn forget(&mut self, partition: Partition) {
        self.0.remove(&partition);
    }
}

/// What a poll brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// Records, in order within each partition; none if the time was up.
    Records(Vec<Record>),
    /// These partitions are the member's from now on, besides what it has. Their records follow.
    Assigned(Vec<Partition>),
    /// These are no longer: what was polled of them and not committed is another member's now.
    Revoked(Vec<Partition>),
}

/// A reader outside any group.
pub trait Follower: Send {
    /// The next records, at most `max`, in order within each partition, as soon as there are any;
    /// empty when `timeout` has passed.
    ///
    /// # Errors
    /// [`LogError`]; the follower is then of no more use.
    fn poll(&mut self, max: usize, timeout: Duration) -> Result<Vec<Record>, LogError>;

    /// Whether everything has been given that was committed when the following began.
    fn caught_up(&self) -> bool;
}

/// Where following begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that is kept.
    Earliest,
    /// With the first one after now.
    Latest,
}

/// Which partitions of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share<'a> {
    /// Every one.
    All,
    /// Those with these numbers.
    Of(&'a [i32]),
}

impl Share<'_> {
    /// Whether `number` is one of them.
    pub fn has(self, number: i32) -> bool {
        match self {
            Self::All => true,
            Self::Of(numbers) => numbers.contains(&number),
        }
    }
}
