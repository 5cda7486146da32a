//! The Kafka cluster: from keys that people know to the properties that the client knows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::Log;
use super::checks::Checks;
use super::raw::{RawKafka, RawKafkaSecurity};
use super::secret::{Source, read};
use crate::consume::KafkaSettings;

const PROTOCOLS: [&str; 4] = ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"];
const MECHANISMS: [&str; 4] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

pub(super) fn resolve(
    raw: RawKafka,
    data_dir: &Path,
    environment: &BTreeMap<String, String>,
    checks: &mut Checks,
) -> Log {
    let partitions = checks.within("kafka.partitions", raw.partitions, 1..=10_000);
    let replicas = checks.within("kafka.replication_factor", raw.replication_factor, 0..=10);
    name("kafka.prefix", &raw.prefix, checks);
    if let Some(instance) = &raw.instance {
        checks.text("kafka.instance", instance.clone());
        name("kafka.instance", instance, checks);
    }
    let mut properties = security(&raw.security, environment, checks);
    for (property, value) in raw.properties {
        let value = own(&property, &value, environment, checks);
        if properties.contains_key(&property) {
            let what = "is set by kafka.security already: set it in one place";
            checks.problem_of("kafka.properties", &property, what);
        } else if let Some(value) = value {
            properties.insert(property, value);
        }
    }
    let settings = KafkaSettings {
        brokers: checks.text("kafka.brokers", raw.brokers),
        prefix: raw.prefix,
        instance: raw.instance,
        state_dir: data_dir.to_owned(),
        partitions: i32::try_from(partitions).unwrap_or(1),
        replication: i32::try_from(replicas).ok().filter(|replicas| *replicas > 0),
        token_file: raw.security.token_file.map(PathBuf::from),
        properties,
    };
    Log::Kafka { settings, create_topics: raw.create_topics }
}

/// Part of the names of topics and groups.
fn name(key: &str, text: &str, checks: &mut Checks) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !text.bytes().all(fits) || text.len() > 100 {
        checks.problem(key, format!("takes letters, digits, '.', '_' and '-', not {text:?}"));
    }
}

/// A property that the operator sets as the client knows it.
fn own(
    property: &str,
    value: &str,
    environment: &BTreeMap<String, String>,
    checks: &mut Checks,
) -> Option<SecretString> {
    let section = "kafka.properties";
    if KafkaSettings::is_ours(property) {
        checks.problem_of(section, property, "cannot be set: exactly-once rests on it");
        return None;
    }
    let source = match value.split_once(':') {
        Some(("env", variable)) => Source::Variable(variable),
        Some(("file", path)) => Source::File(path),
        _ if KafkaSettings::is_secret(property) => {
            let wanted = "is a secret: write env:NAME or file:PATH instead of the value";
            checks.problem_of(section, property, wanted);
            return None;
        }
        _ => return Some(SecretString::from(value)),
    };
    match read(source, environment) {
        Ok(secret) => Some(secret),
        Err(problem) => {
            checks.problem_of(section, property, problem);
            None
        }
    }
}

fn security(
    raw: &RawKafkaSecurity,
    environment: &BTreeMap<String, String>,
    checks: &mut Checks,
) -> BTreeMap<String, SecretString> {
    let mut properties = BTreeMap::new();
    let mut set = |property: &str, value: &str| {
        properties.insert(property.to_owned(), SecretString::from(value));
    };
    one_of("kafka.security.protocol", &raw.protocol, &PROTOCOLS, checks);
    if raw.protocol != "plaintext" {
        set("security.protocol", &raw.protocol);
    }
    let files = [
        ("ssl.ca.location", &raw.ca_file),
        ("ssl.certificate.location", &raw.certificate_file),
        ("ssl.key.location", &raw.key_file),
    ];
    for (property, file) in files {
        if let Some(file) = file {
            set(property, file);
        }
    }
    let login = raw.protocol.starts_with("sasl_");
    match (&raw.mechanism, login) {
        (Some(mechanism), true) => {
            one_of("kafka.security.mechanism", mechanism, &MECHANISMS, checks);
            set("sasl.mechanism", mechanism);
            credentials(raw, mechanism, checks);
        }
        (None, true) => {
            let allowed = MECHANISMS.join(", ");
            checks.problem("kafka.security.mechanism", format!("must be set: one of {allowed}"));
        }
        (Some(_), false) => checks.problem(
            "kafka.security.mechanism",
            format!("needs protocol sasl_ssl or sasl_plaintext, not {}", raw.protocol),
        ),
        (None, false) => {}
    }
    if let Some(username) = &raw.username {
        set("sasl.username", username);
    }
    if let Some(password) = password(raw, environment, checks) {
        properties.insert("sasl.password".to_owned(), password);
    }
    properties
}

/// What a mechanism needs to be of use.
fn credentials(raw: &RawKafkaSecurity, mechanism: &str, checks: &mut Checks) {
    if mechanism == "OAUTHBEARER" {
        if raw.token_file.is_none() {
            checks.problem("kafka.security.token_file", "must be set for OAUTHBEARER");
        }
    } else if raw.username.is_none() {
        checks.problem("kafka.security.username", format!("must be set for {mechanism}"));
    } else if raw.password_env.is_none() && raw.password_file.is_none() {
        let what = format!("or kafka.security.password_file must be set for {mechanism}");
        checks.problem("kafka.security.password_env", what);
    }
}

fn password(
    raw: &RawKafkaSecurity,
    environment: &BTreeMap<String, String>,
    checks: &mut Checks,
) -> Option<SecretString> {
    let (key, source) = match (&raw.password_env, &raw.password_file) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            let what = "and kafka.security.password_env are both set: set one";
            checks.problem("kafka.security.password_file", what);
            return None;
        }
        (Some(name), None) => ("kafka.security.password_env", Source::Variable(name)),
        (None, Some(path)) => ("kafka.security.password_file", Source::File(path)),
    };
    read(source, environment).map_err(|problem| checks.problem(key, problem)).ok()
}

fn one_of(key: &str, value: &str, allowed: &[&str], checks: &mut Checks) {
    if !allowed.contains(&value) {
        checks.problem(key, format!("must be one of {}, not {value:?}", allowed.join(", ")));
    }
}
