//! The log in one directory: SQLite, one file, any number of processes.
//!
//! SQLite because `whetstone approve` appends while `whetstone run` holds the log open: the stores
//! that are faster for one process lock every other one out. Every append is on the disk when it
//! returns (WAL, `synchronous=FULL`), so a step costs one fsync: commit batches, not records.
//!
//! Only this folder knows SQLite, and only through [`Log`] and [`Consumer`] does anything else.

mod commit;
mod follow;
mod headers;
mod lock;
mod problem;
mod schema;
mod store;
mod trim;
mod watch;

use self::commit::Member;
use self::follow::Tail;
use self::lock::GroupLock;
use self::store::Store;
use super::progress::Progress;
use super::{
    Consumer, Follower, Log, LogError, NewRecord, POLL_BYTES, Partition, Place, Polled, Reached,
    Record, Share, Start, Subscription, Topic,
};
use crate::base::{Clock, EventTime};
use std::path::Path;
use std::sync::Arc;

/// A log in a directory on a local disk. Other processes may hold the same directory open, to read,
/// to append and to consume in groups of their own.
pub struct EmbeddedLog {
    store: Arc<Store>,
}

impl EmbeddedLog {
    /// The file in the directory that holds everything but the locks.
    pub const FILE: &'static str = "whetstone.db";

    /// Opens the log in `dir`, making both if they are missing. `clock` says when a record is
    /// appended; where it runs backwards, the topic's last time is used again.
    ///
    /// # Errors
    /// [`LogError::Open`] with what to do about it.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        Ok(Self { store: Arc::new(Store::create(dir, clock)?) })
    }

    /// Opens the log in `dir` for reading, making nothing: a mistyped path is an error, not a new
    /// and empty log. Appending and subscribing fail.
    ///
    /// # Errors
    /// [`LogError::Open`] with what to do about it, also if there is no log yet.
    pub fn open_read_only(dir: &Path) -> Result<Self, LogError> {
        Ok(Self { store: Arc::new(Store::open(dir)?) })
    }
}

impl Log for EmbeddedLog {
    /// `decisions` and `dead-letters` are kept by age alone; of any other topic everything stays while
    /// no group has ever subscribed to it.
    fn trim(&self, older_than: EventTime) -> Result<u64, LogError> {
        trim::trim(&self.store, older_than)
    }

    fn append(&self, records: Vec<NewRecord>) -> Result<(), LogError> {
        if records.is_empty() {
            return Ok(());
        }
        self.store.write(|step| step.append(&records))
    }

    fn join(&self, subscription: &Subscription<'_>) -> Result<Box<dyn Consumer>, LogError> {
        let lock = GroupLock::take(self.store.dir(), subscription.group)?;
        Ok(Box::new(Member::join(Arc::clone(&self.store), lock, subscription)?))
    }

    fn follow(&self, topic: Topic, start: Start) -> Result<Box<dyn Follower>, LogError> {
        Ok(Box::new(Tail::new(Arc::clone(&self.store), topic, start)?))
    }

    fn table(&self, topic: Topic, share: Share<'_>) -> Result<Vec<Record>, LogError> {
        if share.has(0) { self.store.table(topic) } else { Ok(Vec::new()) }
    }
}
