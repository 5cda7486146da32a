//! Stage 1, and what carries every later one: the log. Records in, one atomic step out.
//!
//! The log is the truth: whatever changes state is a record on a topic. This module is the contract;
//! [`EmbeddedLog`] keeps the log in one directory. One conformance suite runs on every
//! implementation.

mod embedded;
mod topic;

use std::time::Duration;

use crate::base::EventTime;

pub use embedded::EmbeddedLog;
pub use topic::{NewRecord, Record, Topic};

/// Why the log could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log, or a group in it, cannot be used.
    #[error("cannot open the log in {path}: {problem}")]
    Open {
        /// The directory.
        path: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Reading or writing failed, e.g. because the disk is full.
    #[error("the log's store failed: {0}")]
    Store(String),
    /// A stored record does not make sense: the file was changed by something else.
    #[error("the log holds something it did not write: {0}")]
    Corrupt(String),
    /// Another consumer has taken the group over: what this one did since is void, and it must stop.
    #[error("another process has taken over group {group:?}: nothing of this step happened")]
    Fenced {
        /// The group.
        group: String,
    },
}

/// A log: append-only topics, compacted topics that keep the latest value of each key, and groups
/// of consumers that remember how far they have come. Calls may block: keep them off async threads.
pub trait Log: Send + Sync {
    /// Appends `records`, in their order, in one atomic step, durable when this returns. Nobody ever
    /// reads a part of them.
    ///
    /// # Errors
    /// [`LogError::Store`]: all of it or nothing was appended, in almost every case nothing.
    fn append(&self, records: Vec<NewRecord>) -> Result<(), LogError>;

    /// Joins `group` on `topics`, each named once, from where the group last committed, or from the
    /// start. A group has one live member: a second one is turned away or takes over, and then the
    /// first one's commits are refused.
    ///
    /// # Errors
    /// [`LogError::Open`] if the group has a live member that keeps it; [`LogError::Store`].
    fn subscribe(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError>;

    /// The records of `topic` from `offset` on, at most `max`, in order; without joining a group.
    ///
    /// # Errors
    /// [`LogError::Store`], [`LogError::Corrupt`].
    fn read(&self, topic: Topic, offset: u64, max: usize) -> Result<Vec<Record>, LogError>;

    /// Waits until something may have been appended since the call began, or `timeout` has passed.
    /// What is appended between a read and this call does not end it: keep `timeout` short, or
    /// consume in a group, where [`Consumer::poll`] misses nothing.
    fn wait(&self, timeout: Duration);

    /// Forgets records appended before `older_than` that nobody needs any more, and says how many.
    /// Compacted topics keep everything; of the others, what some group has still to consume stays.
    ///
    /// # Errors
    /// [`LogError::Store`]; some records may then be gone already.
    fn trim(&self, older_than: EventTime) -> Result<u64, LogError>;

    /// The latest record of every key of a compacted topic, in order of offset; of any other topic,
    /// nothing.
    ///
    /// # Errors
    /// [`LogError::Store`], [`LogError::Corrupt`].
    fn table(&self, topic: Topic) -> Result<Vec<Record>, LogError>;
}

/// The member of a consumer group; dropping it leaves the group. What it was given is not done until
/// a step that covers it commits: after a crash it is given again.
pub trait Consumer: Send {
    /// The next records, at most `max`, in order within each topic, as soon as there are any; empty
    /// when `timeout` has passed.
    ///
    /// # Errors
    /// [`LogError`]; the consumer is then of no more use.
    fn poll(&mut self, max: usize, timeout: Duration) -> Result<Vec<Record>, LogError>;

    /// In one atomic step: appends `outputs`, and marks everything polled so far as done.
    ///
    /// # Errors
    /// [`LogError::Fenced`] if nothing of the step happened, nor ever will. [`LogError::Store`] if
    /// all of it or nothing happened: subscribing anew tells which. The consumer is then of no more
    /// use.
    fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LogError>;

    /// How many records of its topics are still ahead of the consumer.
    ///
    /// # Errors
    /// [`LogError::Store`].
    fn lag(&self) -> Result<u64, LogError>;
}
