//! Records, as they are read and as they are made.

use std::borrow::Cow;

use super::{Partition, Topic};
use crate::base::EventTime;

/// A record as read. Keys, values and headers may be anything at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its topic.
    pub topic: Topic,
    /// The partition of the topic that holds it; 0 where a topic has but one.
    pub partition: i32,
    /// Its place in the partition, rising, with gaps where compaction took records away.
    pub offset: u64,
    /// When it was appended.
    pub at: EventTime,
    /// Its key; empty where there is none.
    pub key: Vec<u8>,
    /// Its value; empty where there is none.
    pub value: Vec<u8>,
    /// Further facts about it, e.g. why it is a dead letter.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic and partition.
    pub partition: Partition,
    /// The place in it.
    pub offset: u64,
}

impl Record {
    /// The key as text; what is none is replaced.
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }

    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(found, _)| found == name)?;
        std::str::from_utf8(value).ok()
    }

    /// Where it stands.
    pub fn place(&self) -> Place {
        let partition = Partition { topic: self.topic, number: self.partition };
        Place { partition, offset: self.offset }
    }
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Where to.
    pub topic: Topic,
    /// Its key; empty for none. For a topic that is placed by agent, the agent's name, alone or
    /// before a `/`.
    pub key: Vec<u8>,
    /// Its value. On a compacted topic an empty one takes the key away.
    pub value: Vec<u8>,
    /// Further facts about it.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl NewRecord {
    /// A record without headers.
    pub fn new(topic: Topic, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> Self {
        Self { topic, key: key.into(), value: value.into(), headers: Vec::new() }
    }

    /// Takes `key` away from a compacted topic.
    pub fn tombstone(topic: Topic, key: impl Into<Vec<u8>>) -> Self {
        Self::new(topic, key, Vec::new())
    }

    /// The same with one more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}
