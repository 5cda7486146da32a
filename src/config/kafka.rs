//! The Kafka cluster: from keys that people know to the properties that the client knows.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::Log;
use super::checks::Checks;
use super::raw::{RawKafka, RawKafkaSecurity};
use super::secret::{Source, configured, read};
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
    let otlp_spans = checks.text("kafka.otlp_spans", raw.otlp_spans);
    let otlp_logs = checks.text("kafka.otlp_logs", raw.otlp_logs);
    name("kafka.otlp_spans", &otlp_spans, checks);
    name("kafka.otlp_logs", &otlp_logs, checks);
    if otlp_spans == otlp_logs {
        checks.problem("kafka.otlp_logs", "must be another topic than kafka.otlp_spans");
    }
    if let Some(instance) = &raw.instance {
        checks.text("kafka.instance", instance.clone());
        name("kafka.instance", instance, checks);
    }
    let mut properties = security(&raw.security, environment, checks);
    for (property, value) in raw.properties {
        let value = own(&property, &value, environment, checks);
        let name = KafkaSettings::usual_name(&property);
        if properties.contains_key(name) {
            let what = format!("is set already, by kafka.security or as {name}: set it once");
            checks.problem_of("kafka.properties", &property, what);
        } else if let Some(value) = value {
            properties.insert(name.to_owned(), value);
        }
    }
    if !raw.brokers.split(',').all(is_address) {
        let wanted = "takes host:port, several with commas between them";
        checks.problem("kafka.brokers", format!("{wanted}, not {:?}", raw.brokers));
    }
    let settings = KafkaSettings {
        brokers: raw.brokers,
        prefix: raw.prefix,
        otlp_spans,
        otlp_logs,
        instance: raw.instance,
        state_dir: data_dir.to_owned(),
        partitions: i32::try_from(partitions).unwrap_or(1),
        replication: i32::try_from(replicas).ok().filter(|replicas| *replicas > 0),
        token_file: raw.security.token_file.map(PathBuf::from),
        properties,
    };
    Log::Kafka { settings: Box::new(settings), create_topics: raw.create_topics }
}

fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.trim().rsplit_once(':') else { return false };
    let v6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match v6 {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', ' ']),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
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
    unused(raw, checks);
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
    let (variable, file) = (raw.password_env.as_deref(), raw.password_file.as_deref());
    let password = configured("kafka.security.password", variable, file, environment, checks);
    if let Some(password) = password {
        properties.insert("sasl.password".to_owned(), password);
    }
    properties
}

/// What is set and would be of no effect, so that nobody believes to be safer than they are.
fn unused(raw: &RawKafkaSecurity, checks: &mut Checks) {
    let protocol = raw.protocol.as_str();
    if !PROTOCOLS.contains(&protocol) {
        return;
    }
    let mut refuse = |key: &str, set: &Option<String>, why: &str| {
        if set.is_some() {
            checks.problem(&format!("kafka.security.{key}"), why);
        }
    };
    if !protocol.ends_with("ssl") {
        let why = format!("needs protocol sasl_ssl or ssl, not {protocol}");
        refuse("ca_file", &raw.ca_file, &why);
        refuse("certificate_file", &raw.certificate_file, &why);
        refuse("key_file", &raw.key_file, &why);
    } else if raw.certificate_file.is_some() != raw.key_file.is_some() {
        let why = "needs the other of certificate_file and key_file too";
        refuse("certificate_file", &raw.certificate_file, why);
        refuse("key_file", &raw.key_file, why);
    }
    let token = raw.mechanism.as_deref() == Some("OAUTHBEARER");
    let password = if !protocol.starts_with("sasl_") {
        Some(format!("needs protocol sasl_ssl or sasl_plaintext, not {protocol}"))
    } else if token {
        Some("is not for OAUTHBEARER, which takes a token_file".to_owned())
    } else {
        None
    };
    if let Some(why) = password {
        refuse("username", &raw.username, &why);
        refuse("password_env", &raw.password_env, &why);
        refuse("password_file", &raw.password_file, &why);
    }
    if !token {
        refuse("token_file", &raw.token_file, "needs mechanism OAUTHBEARER");
    }
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

fn one_of(key: &str, value: &str, allowed: &[&str], checks: &mut Checks) {
    if !allowed.contains(&value) {
        checks.problem(key, format!("must be one of {}, not {value:?}", allowed.join(", ")));
    }
}
