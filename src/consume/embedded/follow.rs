//! Reading a topic outside any group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::store::Store;
use super::{Follower, LogError, Record, Start, Topic};

/// A reader of one topic.
pub(super) struct Tail {
    store: Arc<Store>,
    topic: Topic,
    next: u64,
    /// Where the topic ended when the following began.
    end: u64,
}

impl Tail {
    pub(super) fn new(store: Arc<Store>, topic: Topic, start: Start) -> Result<Self, LogError> {
        let end = store.end(topic)?;
        let next = match start {
            Start::Earliest => 0,
            Start::Latest => end,
        };
        Ok(Self { store, topic, next, end })
    }
}

impl Follower for Tail {
    fn poll(&mut self, max: usize, timeout: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let mark = self.store.mark()?;
            let records = self.store.read(self.topic, self.next, max)?;
            if let Some(last) = records.last() {
                self.next = last.offset.saturating_add(1);
            } else if max > 0 {
                // What stood before the end may have been compacted away or trimmed.
                self.next = self.next.max(self.end);
            }
            if !records.is_empty() || !self.store.wait_past(&mark, deadline)? {
                return Ok(records);
            }
        }
    }

    fn caught_up(&self) -> bool {
        self.next >= self.end
    }
}
