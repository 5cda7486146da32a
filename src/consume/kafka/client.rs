//! The properties of each kind of client. The operator's come last, but for those that are ours.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use secrecy::ExposeSecret as _;

use super::KafkaSettings;

/// The largest record, in bytes of key and value, that a client sends, and that topics which we create
/// take. Kafka's default of 1 MB is less than a trace of a long run.
pub(super) const MAX_RECORD_BYTES: usize = 8 * 1024 * 1024;

/// How long the brokers keep a transaction open whose producer is gone. Until then, nobody reads what
/// follows in the partitions it touched.
const TRANSACTION: Duration = Duration::from_secs(10);
/// How long a batch may take to be acknowledged: less, so that its transaction ends in order.
const DELIVERY: Duration = Duration::from_secs(8);
/// How long a member may be silent before its partitions go to others.
const SESSION: Duration = Duration::from_secs(10);
/// How often it says that it lives. The answer tells it of a rebalance, which waits for the last one to
/// hear of it: a short interval is what makes handing over quick.
const HEARTBEAT: Duration = Duration::from_millis(500);

fn base(settings: &KafkaSettings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "whetstone")
        .set("allow.auto.create.topics", "false")
        // After a broker's restart, come back soon.
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.keepalive.enable", "true")
        .set_log_level(RDKafkaLogLevel::Info);
    config
}

fn with_properties(mut config: ClientConfig, settings: &KafkaSettings) -> ClientConfig {
    for (name, value) in &settings.properties {
        config.set(name, value.expose_secret());
    }
    config
}

/// Reads nothing and joins nothing.
pub(super) fn questions(settings: &KafkaSettings) -> ClientConfig {
    let mut config = base(settings);
    config.set("isolation.level", "read_uncommitted");
    with_properties(config, settings)
}

fn reading(settings: &KafkaSettings, group: &str) -> ClientConfig {
    let mut config = base(settings);
    config
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        // A bound on what is fetched ahead, in memory and in how long an order waits behind it.
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "32768")
        // The default of 1 s halts fetching for as long whenever the queue was full.
        .set("fetch.queue.backoff.ms", "10");
    config
}

/// The group that readers name who join none: the client wants one, and the brokers let it read only
/// if the user may read that group.
pub(super) fn reader_group(settings: &KafkaSettings) -> String {
    format!("{}whetstone-reader", settings.prefix)
}

/// Reads partitions that it names itself.
pub(super) fn reader(settings: &KafkaSettings) -> ClientConfig {
    with_properties(reading(settings, &reader_group(settings)), settings)
}

/// A member of `group`.
pub(super) fn member(settings: &KafkaSettings, group: &str) -> ClientConfig {
    let mut config = reading(settings, group);
    config
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", SESSION.as_millis().to_string())
        .set("heartbeat.interval.ms", HEARTBEAT.as_millis().to_string());
    with_properties(config, settings)
}

/// Sends records, each acknowledged by all replicas, none twice.
pub(super) fn producer(settings: &KafkaSettings) -> ClientConfig {
    let mut config = base(settings);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "zstd")
        .set("linger.ms", "2")
        .set("message.max.bytes", (MAX_RECORD_BYTES + 4096).to_string())
        .set("message.timeout.ms", DELIVERY.as_millis().to_string());
    with_properties(config, settings)
}

/// Sends records in transactions. Whoever uses the same `id` later fences this one.
pub(super) fn transactions(settings: &KafkaSettings, id: &str) -> ClientConfig {
    let mut config = producer(settings);
    config
        .set("transactional.id", id)
        // The brokers end a transaction after they have said that it is committed, and until then turn the next one
        // away. At the default of 100 ms that was most of a step's time.
        .set("retry.backoff.ms", "5")
        .set("transaction.timeout.ms", TRANSACTION.as_millis().to_string());
    config
}
