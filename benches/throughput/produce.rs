//! Writes a load to its topic and keeps what has to come out of it.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::load::Load;
use crate::windows::{Windows, start};

const FLUSHED: Duration = Duration::from_secs(120);

/// What a load is, once it is on its topic.
pub(crate) struct Produced {
    pub(crate) load: Load,
    /// Of the values, before compression.
    pub(crate) bytes: u64,
    pub(crate) windows: Windows,
}

/// Keys are the agents', and placed as Java's producers would: whoever trusts keys may do so.
pub(crate) fn produce(brokers: &str, load: Load) -> Result<Produced> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("partitioner", "murmur2_random")
        .set("compression.type", "zstd")
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("queue.buffering.max.kbytes", "65536")
        .create()?;
    let topic = load.topic();
    let mut rng = fastrand::Rng::with_seed(load.seed);
    let (mut bytes, mut windows) = (0, Windows::new());
    for number in 0..load.traces {
        let (trace, sums) = load.trace(number, &mut rng)?;
        let value = serde_json::to_vec(&trace)?;
        bytes += value.len() as u64;
        send(&producer, BaseRecord::to(&topic).key(trace.agent.as_str()).payload(&value))?;
        let key = (trace.agent.as_str().to_owned(), start(trace.end.as_millis()));
        windows.entry(key).or_default().add(sums);
    }
    producer.flush(FLUSHED).context("the load is not written within two minutes")?;
    Ok(Produced { load, bytes, windows })
}

fn send<'a>(producer: &BaseProducer, mut record: BaseRecord<'a, str, Vec<u8>>) -> Result<()> {
    loop {
        match producer.send(record) {
            Ok(()) => {
                producer.poll(Duration::ZERO);
                return Ok(());
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) => {
                producer.poll(Duration::from_millis(50));
                record = refused;
            }
            Err((problem, _)) => return Err(anyhow!(problem)),
        }
    }
}
