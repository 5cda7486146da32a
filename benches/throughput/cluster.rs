//! Topics and groups: made for a load, taken away after a turn.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;
use whetstone::consume::{KafkaLog, KafkaSettings};

use crate::load::Load;

pub(crate) const ANSWER: Duration = Duration::from_secs(20);
/// How long a member that has ended may still be in its group.
const LEFT: Duration = Duration::from_secs(30);
const MOMENT: Duration = Duration::from_millis(200);

/// Of every topic.
const PARTITIONS: i32 = 12;

pub(crate) struct Cluster {
    pub(crate) address: String,
    admin: AdminClient<DefaultClientContext>,
    asking: BaseConsumer,
    runtime: tokio::runtime::Runtime,
}

impl Cluster {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", address);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let address = address.to_owned();
        Ok(Self { address, admin: config.create()?, asking: config.create()?, runtime })
    }

    /// Whetstone's topics with `load`'s prefix, its own among them.
    pub(crate) fn create_topics(&self, load: &Load) -> Result<()> {
        let dir = tempfile::tempdir()?;
        let prefix = format!("{}.", load.name());
        let settings = KafkaSettings {
            otlp_spans: format!("{prefix}otlp_spans"),
            otlp_logs: format!("{prefix}otlp_logs"),
            prefix,
            partitions: PARTITIONS,
            ..KafkaSettings::new(&self.address, dir.path())
        };
        KafkaLog::open(settings)?.create_topics()?;
        Ok(())
    }

    /// A topic with as many partitions as Whetstone's have.
    pub(crate) fn create_topic(&self, name: &str) -> Result<()> {
        let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
        let asked = self.admin.create_topics([&topic], &AdminOptions::new());
        match self.runtime.block_on(asked)?.into_iter().next().context("no answer")? {
            Ok(_) => Ok(()),
            Err((topic, code)) => bail!("topic {topic} cannot be created: {code}"),
        }
    }

    /// Deletes all topics but `kept` and the broker's own.
    pub(crate) fn delete_topics(&self, kept: Option<&str>) -> Result<()> {
        let metadata = self.asking.fetch_metadata(None, ANSWER)?;
        let names = metadata.topics().iter().map(rdkafka::metadata::MetadataTopic::name);
        let names: Vec<_> =
            names.filter(|name| !name.starts_with("__") && Some(*name) != kept).collect();
        if names.is_empty() {
            return Ok(());
        }
        for result in
            self.runtime.block_on(self.admin.delete_topics(&names, &AdminOptions::new()))?
        {
            match result {
                Ok(_) | Err((_, Code::UnknownTopicOrPartition)) => {}
                Err((topic, code)) => bail!("topic {topic} cannot be deleted: {code}"),
            }
        }
        Ok(())
    }

    /// Deletes a group as soon as its members have left.
    pub(crate) fn delete_group(&self, group: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let done =
                self.runtime.block_on(self.admin.delete_groups(&[group], &AdminOptions::new()))?;
            match done.into_iter().next().context("no answer")? {
                Ok(_) | Err((_, Code::GroupIdNotFound)) => return Ok(()),
                Err((_, Code::NonEmptyGroup)) if begun.elapsed() < LEFT => {
                    std::thread::park_timeout(MOMENT);
                }
                Err((_, code)) => bail!("group {group} cannot be deleted: {code}"),
            }
        }
    }
}
