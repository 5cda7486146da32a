//! What the group gives a member and takes from it. Runs inside the client's poll.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::cluster::{ANSWER, Cluster};
use super::context::Context;
use super::{LogError, Partition, Progress, problem};

/// A change, in the order in which they came.
pub(super) enum Change {
    Assigned(Vec<(Partition, Progress)>),
    Revoked(Vec<Partition>),
    /// It could not be carried out.
    Failed(LogError),
}

/// The context of a member's consumer.
pub(super) struct MemberContext {
    common: Context,
    cluster: Arc<Cluster>,
    group: String,
    changes: Mutex<VecDeque<Change>>,
}

impl MemberContext {
    pub(super) fn new(cluster: &Arc<Cluster>, group: &str) -> Self {
        Self {
            common: Context::new(&cluster.settings),
            cluster: Arc::clone(cluster),
            group: group.to_owned(),
            changes: Mutex::default(),
        }
    }

    pub(super) fn next_change(&self) -> Option<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn has_change(&self) -> bool {
        !self.changes.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Takes `given` with the positions that the group committed. They are asked for here rather than
    /// left to the client, since what is done ahead of them comes along; one that another member's
    /// open transaction may still move is waited for.
    fn assign(
        &self,
        consumer: &BaseConsumer<Self>,
        given: &TopicPartitionList,
    ) -> Result<Change, LogError> {
        let doing = format!("take over partitions of group {}", self.group);
        let failed = |error: KafkaError| problem::of(&error, &doing);
        let committed = if given.count() == 0 {
            TopicPartitionList::new()
        } else {
            stable(|| consumer.committed_offsets(given.clone(), ANSWER)).map_err(failed)?
        };
        let mut from = TopicPartitionList::new();
        let mut assigned = Vec::new();
        for element in committed.elements() {
            let (name, number) = (element.topic(), element.partition());
            let Some(topic) = self.cluster.topic(name) else {
                return Err(LogError::Corrupt(format!("a partition of {name:?}")));
            };
            let oldest = self.oldest(consumer, name, number)?;
            let base = match element.offset() {
                Offset::Offset(offset) => u64::try_from(offset).unwrap_or_default(),
                _ => oldest,
            };
            if let Some(gone @ 2..) = oldest.checked_sub(base) {
                // One alone may be a marker. What is gone cannot be read; that it is must be known.
                let (group, topic) = (&self.group, name);
                let what = "deleted by the topic's retention before this group consumed them";
                tracing::error!(%group, topic, partition = number, up_to_records = gone, "{what}");
            }
            let progress = Progress::resume(base, element.metadata()).map_err(|problem| {
                LogError::Corrupt(format!("group {} in {name}/{number}: {problem}", self.group))
            })?;
            let offset = i64::try_from(base).unwrap_or(i64::MAX);
            from.add_partition_offset(name, number, Offset::Offset(offset)).map_err(failed)?;
            assigned.push((Partition { topic, number }, progress));
        }
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_assign(&from),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.assign(&from),
        }
        .map_err(failed)?;
        Ok(Change::Assigned(assigned))
    }

    fn oldest(
        &self,
        consumer: &BaseConsumer<Self>,
        name: &str,
        number: i32,
    ) -> Result<u64, LogError> {
        let watermarks = consumer.fetch_watermarks(name, number, ANSWER);
        let (low, _) = watermarks.map_err(|error| {
            problem::of(&error, &format!("ask for the start of {name}/{number}"))
        })?;
        Ok(u64::try_from(low).unwrap_or_default())
    }

    fn revoke(
        &self,
        consumer: &BaseConsumer<Self>,
        taken: &TopicPartitionList,
    ) -> Result<Change, LogError> {
        match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(taken),
            RebalanceProtocol::Eager | RebalanceProtocol::None => consumer.unassign(),
        }
        .map_err(|error| problem::of(&error, &format!("leave partitions of {}", self.group)))?;
        let partition = |(name, number): (String, i32)| {
            self.cluster.topic(&name).map(|topic| Partition { topic, number })
        };
        let mut revoked: Vec<_> = taken.to_topic_map().into_keys().filter_map(partition).collect();
        revoked.sort_unstable();
        Ok(Change::Revoked(revoked))
    }
}

/// Asks again while another member's transaction is still to end.
fn stable(ask: impl Fn() -> KafkaResult<TopicPartitionList>) -> KafkaResult<TopicPartitionList> {
    let begun = Instant::now();
    loop {
        let answer = ask();
        let unstable = match &answer {
            Ok(offsets) => {
                let errors = offsets.elements();
                let mut errors = errors.iter().filter_map(|element| element.error().err());
                match errors.next() {
                    Some(error) if problem::code(&error) == Some(Code::UnstableOffsetCommit) => {
                        true
                    }
                    Some(error) => return Err(error),
                    None => false,
                }
            }
            Err(error) => problem::code(error) == Some(Code::UnstableOffsetCommit),
        };
        if !unstable || begun.elapsed() > ANSWER {
            return answer;
        }
    }
}

impl ConsumerContext for MemberContext {
    /// Instead of the default, which does not look whether it worked.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let change = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assign(consumer, partitions)
            }
            _ => self.revoke(consumer, partitions),
        };
        let change = change.unwrap_or_else(Change::Failed);
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}

impl ClientContext for MemberContext {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = Context::ENABLE_REFRESH_OAUTH_TOKEN;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.common.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.common.error(error, reason);
    }

    fn generate_oauth_token(
        &self,
        config: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.common.generate_oauth_token(config)
    }
}
