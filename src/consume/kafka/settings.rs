//! How to reach a cluster, and what is ours to decide there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::SecretString;

/// A cluster and how to use it.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// `host:port`, several with commas between them.
    pub brokers: String,
    /// Stands before the names of topics, groups and transactional ids; may be empty.
    pub prefix: String,
    /// The whole names of the topics that OpenTelemetry Collectors write spans and log records to: these
    /// are others' topics, and have no prefix of ours.
    pub otlp_spans: String,
    /// See [`KafkaSettings::otlp_spans`].
    pub otlp_logs: String,
    /// Names this instance, to be the same after a restart and another for every other instance, e.g.
    /// a StatefulSet's pod name. If not given, a name is kept in `state_dir`.
    pub instance: Option<String>,
    /// A directory of this instance's own.
    pub state_dir: PathBuf,
    /// Partitions of topics that are created; above 0.
    pub partitions: i32,
    /// Replicas of topics that are created; the brokers' default if not given.
    pub replication: Option<i32>,
    /// Holds the token for OAUTHBEARER, and is read again before that runs out.
    pub token_file: Option<PathBuf>,
    /// Properties of librdkafka, TLS and SASL included. All are taken for secrets.
    pub properties: BTreeMap<String, SecretString>,
}

/// Properties on which exactly-once rests.
const OURS: [&str; 17] = [
    "acks",
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.required.acks",
    "transactional.id",
];

/// Properties whose values must not be written into a file that others read.
const SECRET: [&str; 10] = [
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "ssl.truststore.password",
];

/// Other names of properties that have a value here: with both set, chance would decide.
const ALIASES: [(&str, &str); 4] = [
    ("compression.codec", "compression.type"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("queue.buffering.max.ms", "linger.ms"),
    ("sasl.mechanisms", "sasl.mechanism"),
];

impl KafkaSettings {
    /// A cluster without TLS or login, and the brokers' defaults.
    pub fn new(brokers: impl Into<String>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            brokers: brokers.into(),
            prefix: String::new(),
            otlp_spans: "otlp_spans".to_owned(),
            otlp_logs: "otlp_logs".to_owned(),
            instance: None,
            state_dir: state_dir.into(),
            partitions: 12,
            replication: None,
            token_file: None,
            properties: BTreeMap::new(),
        }
    }

    /// Whether `property` may not be set, since exactly-once rests on it.
    pub fn is_ours(property: &str) -> bool {
        OURS.contains(&property)
    }

    /// The name of `property` that is used here, where it has several.
    pub fn usual_name(property: &str) -> &str {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == property);
        alias.map_or(property, |(_, usual)| usual)
    }

    /// Whether `property` holds a secret.
    pub fn is_secret(property: &str) -> bool {
        SECRET.contains(&property)
    }
}
