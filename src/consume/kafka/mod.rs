//! The log on a Kafka cluster.
//!
//! A step is one transaction: outputs, changed state and the group's offsets. Two fences keep a member
//! that was gone for too long from committing: the group's generation, which goes with the offsets,
//! and the transactional id, which an instance takes over from its own predecessor. Everything is
//! read as committed. After any error whose outcome is unknown a member is of no more use; a new one
//! learns from the brokers what happened.
//!
//! Only this folder knows rdkafka. What is known of its pitfalls stands where it is worked around.

mod append;
mod client;
mod cluster;
mod context;
mod follow;
mod member;
mod problem;
mod produce;
mod read;
mod rebalance;
mod receipt;
mod settings;
mod slot;
mod table;
mod topics;

use std::sync::{Arc, Mutex, PoisonError};

use self::append::Appender;
use self::cluster::Cluster;
use self::follow::Tail;
use self::member::Member;
use self::slot::Slot;
use super::progress::Progress;
use super::{
    Consumer, Follower, Log, LogError, NewRecord, POLL_BYTES, Partition, Place, Polled, Reached,
    Record, Share, Start, Subscription, Topic, partition_of,
};
use crate::base::EventTime;

pub use settings::KafkaSettings;
pub use topics::Problem;

/// A log on a Kafka cluster.
pub struct KafkaLog {
    cluster: Arc<Cluster>,
    appender: Appender,
    slot: Mutex<Option<Arc<Slot>>>,
}

impl KafkaLog {
    /// Connects, and looks at nothing yet but whether the brokers answer and let us in.
    ///
    /// # Errors
    /// [`LogError::Unavailable`], or [`LogError::Refused`] with what to do about it.
    pub fn open(settings: KafkaSettings) -> Result<Self, LogError> {
        let cluster = Arc::new(Cluster::connect(settings)?);
        let appender = Appender::new(Arc::clone(&cluster));
        Ok(Self { cluster, appender, slot: Mutex::default() })
    }

    /// Creates the topics that are missing, with the settings they need, and names them.
    ///
    /// # Errors
    /// [`LogError`].
    pub fn create_topics(&self) -> Result<Vec<String>, LogError> {
        topics::create(&self.cluster)
    }

    /// What is wrong with the topics, with what to do about each; nothing if all is as it should be.
    ///
    /// # Errors
    /// [`LogError`], if that cannot be found out.
    pub fn check_topics(&self) -> Result<Vec<Problem>, LogError> {
        topics::check(&self.cluster)
    }

    /// Who this instance is, to its own successor and to nobody else.
    fn slot(&self) -> Result<Arc<Slot>, LogError> {
        // Held while it is taken: roles that start at once must not take one each.
        let mut held = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = &*held {
            return Ok(Arc::clone(slot));
        }
        let slot = Arc::new(Slot::take(&self.cluster.settings)?);
        Ok(Arc::clone(held.insert(slot)))
    }
}

impl Log for KafkaLog {
    fn append(&self, records: Vec<NewRecord>) -> Result<(), LogError> {
        self.appender.append(&records)
    }

    fn join(&self, subscription: &Subscription<'_>) -> Result<Box<dyn Consumer>, LogError> {
        let slot = self.slot()?;
        Ok(Box::new(Member::join(&self.cluster, &slot, subscription)?))
    }

    fn follow(&self, topic: Topic, start: Start) -> Result<Box<dyn Follower>, LogError> {
        Ok(Box::new(Tail::new(&self.cluster, topic, start, Share::All)?))
    }

    fn table(&self, topic: Topic, share: Share<'_>) -> Result<Vec<Record>, LogError> {
        table::read(&self.cluster, topic, share)
    }

    /// The brokers forget by each topic's own settings.
    fn trim(&self, _older_than: EventTime) -> Result<u64, LogError> {
        Ok(0)
    }
}
