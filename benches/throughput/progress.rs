//! How far a contender has committed, seen from outside: the positions that its groups have on the broker.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cluster::ANSWER;

/// Records that may stand behind a position and be no records but marks of transactions.
const MARKS: i64 = 64;

/// A group and the topic that it reads.
pub(crate) struct Stage {
    group: String,
    topic: String,
    /// Asks for positions. One that reads only what is committed would wait for open transactions first.
    asking: BaseConsumer,
    /// Looks at what stands behind them.
    reading: BaseConsumer,
}

impl Stage {
    pub(crate) fn new(brokers: &str, group: &str, topic: &str) -> Result<Self> {
        // Neither joins: they only ask as if they were of the group.
        let client = |isolation: &str| {
            ClientConfig::new()
                .set("bootstrap.servers", brokers)
                .set("group.id", group)
                .set("isolation.level", isolation)
                .set("enable.auto.commit", "false")
                .set("enable.partition.eof", "true")
                .create()
        };
        let (asking, reading) = (client("read_uncommitted")?, client("read_committed")?);
        Ok(Self { group: group.to_owned(), topic: topic.to_owned(), asking, reading })
    }

    pub(crate) fn group(&self) -> &str {
        &self.group
    }

    fn partitions(&self) -> Result<TopicPartitionList> {
        let metadata = self.asking.fetch_metadata(Some(&self.topic), ANSWER)?;
        let topic = metadata.topics().first().context("no metadata")?;
        let mut list = TopicPartitionList::new();
        for partition in topic.partitions() {
            list.add_partition(&self.topic, partition.id());
        }
        Ok(list)
    }

    /// The positions of all partitions; none while the broker has no place for the group yet.
    fn committed(&self) -> Result<Option<TopicPartitionList>> {
        let partitions = self.partitions()?;
        if partitions.count() == 0 {
            bail!("topic {} does not exist", self.topic);
        }
        match self.asking.committed_offsets(partitions, ANSWER) {
            Err(KafkaError::MetadataFetch(
                Code::NotCoordinator
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress,
            )) => Ok(None),
            committed => Ok(Some(committed?)),
        }
    }

    /// Records behind the committed positions.
    pub(crate) fn done(&self) -> Result<u64> {
        let Some(committed) = self.committed()? else { return Ok(0) };
        let sum: i64 = committed.elements().iter().map(|element| position(element.offset())).sum();
        Ok(u64::try_from(sum)?)
    }

    /// Whether nothing committed is left to read. Transactions leave marks behind the last record, which
    /// not everybody counts in, so where few are left they are looked at.
    pub(crate) fn is_drained(&self) -> Result<bool> {
        let Some(committed) = self.committed()? else { return Ok(false) };
        let mut rest = TopicPartitionList::new();
        for element in committed.elements() {
            let number = element.partition();
            let (_, end) = self.asking.fetch_watermarks(&self.topic, number, ANSWER)?;
            let at = position(element.offset());
            if end - at > MARKS {
                return Ok(false);
            }
            if end > at {
                rest.add_partition_offset(&self.topic, number, Offset::Offset(at))?;
            }
        }
        if rest.count() == 0 {
            return Ok(true);
        }
        self.reading.assign(&rest)?;
        let drained = self.only_marks(rest.count());
        self.reading.unassign()?;
        drained
    }

    /// Whether each of the partitions that are assigned ends without a record, and behind all that anybody
    /// has begun to write.
    fn only_marks(&self, partitions: usize) -> Result<bool> {
        let (begun, mut ended) = (Instant::now(), 0);
        while ended < partitions {
            match self.reading.poll(Duration::from_millis(100)) {
                Some(Ok(_)) => return Ok(false),
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(problem)) => return Err(problem.into()),
                None if begun.elapsed() > ANSWER => bail!("{} cannot be read", self.topic),
                None => {}
            }
        }
        for element in self.reading.position()?.elements() {
            let (_, end) =
                self.asking.fetch_watermarks(&self.topic, element.partition(), ANSWER)?;
            if position(element.offset()) < end {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn position(offset: Offset) -> i64 {
    match offset {
        Offset::Offset(at) => at,
        _ => 0,
    }
}
