//! What can go wrong with a log, sorted by what helps.

/// Why the log could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log, or a group in it, cannot be used.
    #[error("cannot open the log in {path}: {problem}")]
    Open {
        /// The directory or the brokers.
        path: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Reading or writing failed, e.g. because the disk is full.
    #[error("the log's store failed: {0}")]
    Store(String),
    /// A stored record does not make sense: the log was changed by something else.
    #[error("the log holds something it did not write: {0}")]
    Corrupt(String),
    /// Another process has taken over: what this one did since is void, and it must stop.
    #[error(
        "another process has taken over group {group:?}: nothing of this step happened{advice}"
    )]
    Fenced {
        /// The group.
        group: String,
        /// Empty, or what to do, after a colon or semicolon.
        advice: String,
    },
    /// The group went on without this member, e.g. because it was silent for too long: nothing of
    /// this step happened. Subscribing anew helps.
    #[error("group {group:?} has gone on without this member: {why}")]
    Lost {
        /// The group.
        group: String,
        /// What happened.
        why: String,
    },
    /// The brokers cannot be reached or do not answer as they should. Time or an operator mends it.
    #[error("Kafka is not available: {0}")]
    Unavailable(String),
    /// The brokers do not allow it, or what they have is not what it should be.
    #[error("Kafka refuses: {0}")]
    Refused(String),
    /// A record is larger than its topic takes.
    #[error(
        "a record of {bytes} bytes is more than {topic} takes: \
         raise max.message.bytes of the topic, or send smaller runs"
    )]
    TooLarge {
        /// The topic's full name.
        topic: String,
        /// Bytes of key and value.
        bytes: usize,
    },
}

impl LogError {
    /// Whether the same may work after a while, on a new subscription.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Unavailable(_))
    }
}
