//! A consumer that counts: no contender can read faster with this client on this machine.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::Message as _;

use super::{Finish, Plan, Turn};
use crate::answer::Answer;

pub(super) fn plan(turn: &Turn<'_>) -> Result<Plan> {
    let (topic, records) = (turn.load.topic(), turn.load.traces.to_string());
    let words = ["count", turn.brokers, &topic, &turn.id, &records];
    Ok(Plan {
        program: std::env::current_exe()?,
        arguments: words.map(str::to_owned).into(),
        variables: Vec::new(),
        topic: None,
        finish: Finish::Drained(vec![turn.stage(&turn.id, &topic)?]),
        answer: Answer::Counted(turn.said()),
    })
}

/// Counts so many records of `topic`, says how many they were and of how many bytes, and waits to be ended.
pub(crate) fn count(brokers: &str, topic: &str, group: &str, records: u64) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("auto.commit.interval.ms", "100")
        .set("fetch.queue.backoff.ms", "10")
        .create()?;
    consumer.subscribe(&[topic])?;
    let (mut count, mut bytes) = (0_u64, 0);
    while count < records {
        let Some(message) = consumer.poll(Duration::from_secs(1)) else { continue };
        count += 1;
        bytes += message?.payload().map_or(0, <[u8]>::len);
    }
    writeln!(std::io::stdout(), "{count} {bytes}")?;
    consumer.commit_consumer_state(CommitMode::Sync)?;
    loop {
        consumer.poll(Duration::from_secs(1)).transpose()?;
    }
}
