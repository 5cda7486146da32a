//! What the group gives a member and takes from it. Runs inside the client's poll.

use std::collections::{BTreeMap, VecDeque};
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
use super::{LogError, Partition, Progress, Subscription, Topic, client, problem};

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
    beside: Option<Beside>,
    after: Option<After>,
}

/// Partitions that come and go with others of the same number: the group shares out only those of `leads`.
struct Beside {
    leads: Topic,
    follows: Topic,
}

/// A group that may have come further in `topic` than ours.
struct After {
    topic: Topic,
    group: String,
}

impl MemberContext {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        group: &str,
        subscription: &Subscription<'_>,
    ) -> Result<Self, LogError> {
        let leads = subscription.topics.first().copied();
        let beside = leads.zip(subscription.beside);
        let beside = beside.map(|(leads, follows)| Beside { leads, follows });
        if let Some(Beside { leads, follows }) = &beside {
            same_count(cluster, *leads, *follows)?;
        }
        let after = subscription.after;
        let after = after.map(|(topic, group)| After { topic, group: cluster.group(group) });
        Ok(Self {
            common: Context::new(&cluster.settings),
            cluster: Arc::clone(cluster),
            group: group.to_owned(),
            changes: Mutex::default(),
            beside,
            after,
        })
    }

    /// `partitions` and those that come and go with them.
    fn together(&self, partitions: &TopicPartitionList) -> TopicPartitionList {
        let mut all = partitions.clone();
        if let Some(Beside { leads, follows }) = &self.beside {
            let (leads, follows) = (self.cluster.name(*leads), self.cluster.name(*follows));
            for element in partitions.elements_for_topic(leads) {
                all.add_partition(follows, element.partition());
            }
        }
        all
    }

    /// How far the other group came in partitions of `topic` among `committed`.
    fn further(&self, committed: &TopicPartitionList) -> Result<BTreeMap<i32, u64>, LogError> {
        let Some(After { topic, group }) = &self.after else { return Ok(BTreeMap::new()) };
        let name = self.cluster.name(*topic);
        let mut wanted = TopicPartitionList::new();
        for element in committed.elements_for_topic(name) {
            wanted.add_partition(name, element.partition());
        }
        if wanted.count() == 0 {
            return Ok(BTreeMap::new());
        }
        // It joins nothing: only who bears a group's name may ask.
        let asks: BaseConsumer = client::member(&self.cluster.settings, group)
            .create()
            .map_err(|error| problem::config(&error))?;
        let doing = format!("ask how far group {group} came");
        let reached = stable(|| asks.committed_offsets(wanted.clone(), ANSWER))
            .map_err(|error| problem::of(&error, &doing))?;
        let reached = reached.elements();
        let reached = reached.iter().filter_map(|element| match element.offset() {
            Offset::Offset(offset) => Some((element.partition(), u64::try_from(offset).ok()?)),
            _ => None,
        });
        Ok(reached.collect())
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
        let further = self.further(&committed)?;
        let of_other = self.after.as_ref().map(|after| after.topic);
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
            let other =
                further.get(&number).filter(|other| of_other == Some(topic) && **other > base);
            let (base, ahead) = other.map_or((base, element.metadata()), |other| (*other, ""));
            let progress = Progress::resume(base, ahead).map_err(|problem| {
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

/// Partitions can only come and go together where there are as many of both.
fn same_count(cluster: &Cluster, leads: Topic, follows: Topic) -> Result<(), LogError> {
    let counts = (cluster.partitions(leads)?, cluster.partitions(follows)?);
    if counts.0 == counts.1 {
        return Ok(());
    }
    let (leads, follows) = (cluster.name(leads), cluster.name(follows));
    Err(LogError::Refused(format!(
        "{follows} has {} partitions and {leads} {}, and traces keyed by agent need as many of both: create {follows} \
         with {} partitions, or set kafka.traces_keyed_by_agent to false",
        counts.1, counts.0, counts.0
    )))
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
                self.assign(consumer, &self.together(partitions))
            }
            _ => self.revoke(consumer, &self.together(partitions)),
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
