//! A real Kafka broker, one for the whole test run.
//!
//! `WHETSTONE_TEST_KAFKA=host:port` names one that runs; otherwise one is started where Java and Maven
//! are, and it ends with this process, however that ends. Where neither is to be had the tests that
//! want it say so and pass, except in CI.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;
use whetstone::consume::{KafkaLog, KafkaSettings};

/// The broker that all tests share.
pub(crate) struct Broker {
    /// Without TLS and login.
    pub(crate) address: String,
    /// With both; none if the broker is not ours.
    pub(crate) secure: Option<Secure>,
    /// The broker ends when this does, since it reads from it.
    _script: Option<Child>,
}

/// The listener with TLS and SASL.
pub(crate) struct Secure {
    pub(crate) address: String,
    pub(crate) ca: PathBuf,
    users: PathBuf,
}

impl Secure {
    pub(crate) fn password(&self, user: &str) -> String {
        let users = std::fs::read_to_string(&self.users).unwrap();
        let found = users.lines().find_map(|line| line.strip_prefix(user)?.strip_prefix(' '));
        found.unwrap().to_owned()
    }
}

pub(crate) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/dev/kafka")
}

/// The broker; `None` if there can be none here. `wanted_by` is told so then.
pub(crate) fn broker(wanted_by: &str) -> Option<&'static Broker> {
    static BROKER: OnceLock<Result<Broker, String>> = OnceLock::new();
    match BROKER.get_or_init(start) {
        Ok(broker) => Some(broker),
        Err(missing) => {
            skip(wanted_by, missing);
            None
        }
    }
}

/// Says that a test is skipped, and why. In CI it fails instead.
pub(crate) fn skip(wanted_by: &str, missing: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no broker in CI: {missing}");
    // Not by eprintln, which the test harness keeps to itself.
    writeln!(std::io::stderr(), "skipped: {wanted_by} ({missing})").unwrap();
}

fn start() -> Result<Broker, String> {
    if let Ok(address) = std::env::var("WHETSTONE_TEST_KAFKA") {
        return Ok(Broker { address, secure: None, _script: None });
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/kafka-tests");
    let clean = Command::new(script()).arg("clean").arg("--dir").arg(&dir).output();
    clean.map_err(|error| error.to_string())?;
    let mut child = Command::new(script())
        .args(["run", "--dir"])
        .arg(&dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    let mut facts = std::collections::BTreeMap::new();
    let output = BufReader::new(child.stdout.take().unwrap());
    for line in output.lines() {
        let line = line.map_err(|error| error.to_string())?;
        match line.split_once('=') {
            Some((name, value)) => facts.insert(name.to_owned(), value.to_owned()),
            None => {
                let fact = |name: &str| facts.get(name).cloned().unwrap_or_default();
                let (ca, users) = (fact("ca").into(), fact("users").into());
                let secure = Some(Secure { address: fact("sasl_ssl"), ca, users });
                return Ok(Broker { address: line, secure, _script: Some(child) });
            }
        };
    }
    match child.wait().map(|status| status.code()) {
        Ok(Some(3)) => Err("Java or Maven is missing; set WHETSTONE_TEST_KAFKA to use a broker \
                            that runs"
            .to_owned()),
        other => panic!("deploy/dev/kafka run ended with {other:?}; its words are above"),
    }
}

/// The settings that give a server topics whose names all begin with `prefix`.
pub(crate) fn topics_of(prefix: &str) -> [String; 3] {
    [
        format!("kafka.prefix={prefix}"),
        format!("kafka.otlp_spans={prefix}otlp_spans"),
        format!("kafka.otlp_logs={prefix}otlp_logs"),
    ]
}

/// A prefix that nobody else has.
pub(crate) fn fresh_prefix() -> String {
    format!("t{:012x}.", fastrand::u64(..1 << 48))
}

/// The broker's listener with TLS and login; `None` if there is none here, which `wanted_by` is told.
pub(crate) fn secure(wanted_by: &str) -> Option<&'static Secure> {
    let secure = broker(wanted_by)?.secure.as_ref();
    if secure.is_none() {
        let why = "the broker is not ours, and how to log in there is not known";
        writeln!(std::io::stderr(), "skipped: {wanted_by} ({why})").unwrap();
    }
    secure
}

/// A log on the broker with topics of its own.
pub(crate) struct OnKafka {
    pub(crate) settings: KafkaSettings,
    pub(crate) dir: TempDir,
}

impl OnKafka {
    /// With so many partitions a topic.
    pub(crate) fn new(partitions: i32, wanted_by: &str) -> Option<Self> {
        let on_kafka = Self::without_topics(partitions, wanted_by)?;
        on_kafka.log().create_topics().unwrap();
        Some(on_kafka)
    }

    pub(crate) fn without_topics(partitions: i32, wanted_by: &str) -> Option<Self> {
        let broker = broker(wanted_by)?;
        let dir = TempDir::new().unwrap();
        let prefix = fresh_prefix();
        let settings = KafkaSettings {
            otlp_spans: format!("{prefix}otlp_spans"),
            otlp_logs: format!("{prefix}otlp_logs"),
            prefix,
            partitions,
            ..KafkaSettings::new(&broker.address, dir.path())
        };
        Some(Self { settings, dir })
    }

    pub(crate) fn log(&self) -> KafkaLog {
        KafkaLog::open(self.settings.clone()).unwrap()
    }
}
