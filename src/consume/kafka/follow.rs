//! Reading partitions outside any group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::cluster::{ANSWER, Cluster};
use super::context::Context;
use super::{Follower, LogError, Record, Share, Start, Topic, client, problem, read};

/// Between two looks at a client that has nothing.
const LOOK: Duration = Duration::from_millis(20);

/// A reader of some partitions of one topic.
pub(super) struct Tail {
    cluster: Arc<Cluster>,
    consumer: BaseConsumer<Context>,
    name: String,
    /// Partitions in which there is still something to read that was there at the start: the offset
    /// after it. Uncommitted records count, for what follows them may be committed; whoever wants all
    /// of it waits until they are committed or aborted.
    behind: BTreeMap<i32, i64>,
}

impl Tail {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        topic: Topic,
        start: Start,
        share: Share<'_>,
    ) -> Result<Self, LogError> {
        let name = cluster.name(topic).to_owned();
        let doing = format!("follow {name}");
        let consumer: BaseConsumer<Context> = client::reader(&cluster.settings)
            .create_with_context(Context::new(&cluster.settings))
            .map_err(|error| problem::config(&error))?;
        // A client asks for a token only when it is polled, and gets no answers without one.
        let _event = consumer.poll(Duration::ZERO);
        let mut from = TopicPartitionList::new();
        let mut behind = BTreeMap::new();
        for partition in (0..cluster.partitions(topic)?).filter(|number| share.has(*number)) {
            let offset = match start {
                Start::Earliest => {
                    let (first, end) = cluster.watermarks(&name, partition)?;
                    if end > first {
                        behind.insert(partition, end);
                    }
                    // By its number: asked for the beginning, a client that is not connected yet
                    // waits half a second before it asks again.
                    Offset::Offset(first)
                }
                // Asked now, since the client would ask only later.
                Start::Latest => {
                    let watermarks = consumer.fetch_watermarks(&name, partition, ANSWER);
                    Offset::Offset(watermarks.map_err(|error| problem::of(&error, &doing))?.1)
                }
            };
            from.add_partition_offset(&name, partition, offset)
                .map_err(|error| problem::of(&error, &doing))?;
        }
        consumer.assign(&from).map_err(|error| problem::of(&error, &doing))?;
        Ok(Self { cluster: Arc::clone(cluster), consumer, name, behind })
    }

    /// How many partitions hold something still to read that was there at the start.
    pub(super) fn behind(&self) -> usize {
        self.behind.len()
    }

    /// Compares the positions with the ends. A position moves past the markers of transactions too,
    /// which are no records, and past what was compacted away.
    fn look(&mut self) -> Result<(), LogError> {
        let failed = |error| problem::of(&error, &format!("follow {}", self.name));
        let positions = self.consumer.position().map_err(failed)?;
        for element in positions.elements() {
            if let Offset::Offset(at) = element.offset()
                && self.behind.get(&element.partition()).is_some_and(|end| at >= *end)
            {
                self.behind.remove(&element.partition());
            }
        }
        Ok(())
    }
}

impl Follower for Tail {
    fn poll(&mut self, max: usize, timeout: Duration) -> Result<Vec<Record>, LogError> {
        let begun = Instant::now();
        let mut records = Vec::new();
        while records.len() < max {
            let left = timeout.saturating_sub(begun.elapsed());
            let wait = if records.is_empty() { left.min(LOOK) } else { Duration::ZERO };
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let at = message.offset() + 1;
                    if self.behind.get(&message.partition()).is_some_and(|end| at >= *end) {
                        self.behind.remove(&message.partition());
                    }
                    records.push(read::record(&self.cluster, &message)?);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    self.look()?;
                    if self.behind.is_empty() && timeout.is_zero() {
                        break;
                    }
                }
                Some(Err(error)) => {
                    let group = client::reader_group(&self.cluster.settings);
                    problem::while_reading(&error, &format!("{} as {group}", self.name))?;
                }
                None => {
                    // Without waiting for the brokers to say that there is nothing more, which they do
                    // only after `fetch.wait.max.ms`.
                    let behind = !self.behind.is_empty();
                    if behind {
                        self.look()?;
                    }
                    if !records.is_empty() || left.is_zero() || behind && self.behind.is_empty() {
                        break;
                    }
                }
            }
        }
        Ok(records)
    }

    fn caught_up(&self) -> bool {
        self.behind.is_empty()
    }
}
