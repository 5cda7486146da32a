//! Stage 1, and what carries every later one: the log. Records in, one atomic step out.
//!
//! The log is the truth: whatever changes state is a record on a topic. This module is the contract;
//! `embedded` keeps the log in one directory. One conformance suite runs on every implementation.

mod topic;

pub use topic::{NewRecord, Record, Topic};

/// Why the log could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The directory cannot be used.
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
}

/// A log: append-only topics, compacted topics that keep the latest value of each key, and groups
/// of consumers that remember how far they have come.
pub trait Log: Send + Sync {
    /// Appends `records` in one atomic step, durable when this returns.
    ///
    /// # Errors
    /// [`LogError::Store`] if nothing was appended.
    fn append(&self, records: Vec<NewRecord>) -> Result<(), LogError>;

    /// Joins `group` on `topics`, from where the group last committed, or from the start.
    ///
    /// # Errors
    /// [`LogError::Store`].
    fn subscribe(&self, group: &str, topics: &[Topic]) -> Result<Box<dyn Consumer>, LogError>;

    /// The records of `topic` from `offset` on, at most `max`, in order; without joining a group.
    ///
    /// # Errors
    /// [`LogError::Store`].
    fn read(&self, topic: Topic, offset: u64, max: usize) -> Result<Vec<Record>, LogError>;

    /// Waits until something may have been appended since the call began, or `timeout` has passed.
    fn wait(&self, timeout: std::time::Duration);

    /// The latest record of every key of a compacted topic, in order of offset.
    ///
    /// # Errors
    /// [`LogError::Store`].
    fn table(&self, topic: Topic) -> Result<Vec<Record>, LogError>;
}

/// A member of a consumer group. What it was given is not done until a step that covers it commits:
/// after a crash it is given again.
pub trait Consumer: Send {
    /// The next records, at most `max`, in order within each topic; empty when `timeout` has passed.
    ///
    /// # Errors
    /// [`LogError`]; the consumer is then of no more use.
    fn poll(&mut self, max: usize, timeout: std::time::Duration) -> Result<Vec<Record>, LogError>;

    /// In one atomic step: appends `outputs`, and marks everything polled so far as done.
    ///
    /// # Errors
    /// [`LogError::Store`] if nothing of the step happened; the consumer is then of no more use.
    fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LogError>;

    /// How many records of its topics are still ahead of the consumer.
    ///
    /// # Errors
    /// [`LogError::Store`].
    fn lag(&self) -> Result<u64, LogError>;
}
