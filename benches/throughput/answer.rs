//! The windows that a contender has committed, read from where it keeps them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cluster::ANSWER;
use crate::produce::Produced;
use crate::windows::{Key, Sums, Windows, check};

/// What a record says of a window: its key, and its sums where they are not taken away.
pub(crate) type Read = fn(&[u8], Option<&[u8]>) -> Result<Option<(Key, Option<Sums>)>>;

pub(crate) enum Answer {
    /// The last line of this file is how many records there were, and bytes.
    Counted(PathBuf),
    /// The last record of each key of this topic.
    Table { topic: String, read: Read },
}

impl Answer {
    /// # Errors
    /// If it is not what the load makes it.
    pub(crate) fn check(&self, brokers: &str, produced: &Produced) -> Result<()> {
        match self {
            Self::Counted(path) => counted(path, produced),
            Self::Table { topic, read } => check(&produced.windows, &table(brokers, topic, *read)?),
        }
    }
}

fn counted(path: &Path, produced: &Produced) -> Result<()> {
    let text = std::fs::read_to_string(path)?;
    let expected = format!("{} {}", produced.load.traces, produced.bytes);
    let found = text.lines().last().unwrap_or_default();
    ensure!(found == expected, "it counted {found:?} and should have counted {expected:?}");
    Ok(())
}

fn table(brokers: &str, topic: &str, read: Read) -> Result<Windows> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "throughput-answers")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let partitions = metadata.topics().first().context("no metadata")?.partitions();
    ensure!(!partitions.is_empty(), "topic {topic} does not exist");
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let (mut windows, mut open, mut last) = (Windows::new(), partitions.len(), Instant::now());
    while open > 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                last = Instant::now();
                let key = message.key().context("a record without a key")?;
                match read(key, message.payload())? {
                    Some((key, Some(sums))) => windows.insert(key, sums),
                    Some((key, None)) => windows.remove(&key),
                    None => None,
                };
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(problem)) => return Err(problem.into()),
            None if last.elapsed() > ANSWER => bail!("{topic} cannot be read to its end"),
            None => {}
        }
    }
    Ok(windows)
}
