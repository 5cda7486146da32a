//! Configuration in two types: what was written (`Raw`), and what it means ([`Config`]).
//!
//! Every key, its meaning and its default stand in `configs/whetstone.yaml`, which is compiled in:
//! the defaults are that file. On it come, each over the one before: the operator's file,
//! `WHETSTONE_…` variables, and `--set key=value` flags. What is unknown or impossible is an error
//! that names the key and the place; everything wrong is said at once.
//!
//! After [`Config::load`] nothing is optional that has a meaning, and nothing else reads the
//! environment. No global: each stage is handed its own part.

mod checks;
mod duration;
mod error;
mod gate;
mod kafka;
mod key;
mod layers;
mod otel;
mod policy;
mod raw;
mod resolve;
mod rollout;
mod secret;
mod shape;
mod suggest;
mod telemetry;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde_yaml::Value;

pub use error::{ConfigError, Origin, Problem};

use self::layers::Layers;
use self::raw::Raw;
use self::shape::Shape;
use crate::base::AgentName;
use crate::consume::KafkaSettings;
use crate::decode::otlp;
use crate::govern::Policy;
use crate::hygiene::RedactionRules;

/// The defaults, explained.
pub const DEFAULTS: &str = include_str!("../../configs/whetstone.yaml");

/// Variables that start so set a key: `WHETSTONE_WINDOWS__LENGTH` sets `windows.length`.
const VARIABLE_PREFIX: &str = "WHETSTONE_";

/// Variables with that prefix that set no key: the command line reads them itself.
const OTHER_VARIABLES: [&str; 3] = ["WHETSTONE_CONFIG", "WHETSTONE_LOG", "WHETSTONE_LOG_FORMAT"];

/// Variables that only tests set.
const TEST_PREFIX: &str = "WHETSTONE_TEST_";

/// What the operator wants, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of the embedded log, and of what an instance on Kafka keeps of itself.
    pub data_dir: PathBuf,
    /// Where the log is kept.
    pub log: Log,
    /// Milliseconds for which records are kept that nobody needs any more.
    pub retention: i64,
    /// The HTTP server.
    pub http: Http,
    /// Which parts run here.
    pub roles: Roles,
    /// The config repo.
    pub repo: Repo,
    /// The model.
    pub llm: Llm,
    /// How proposals are made.
    pub proposals: Proposals,
    /// The offline gate, if there is one.
    pub gate: Option<Gate>,
    /// What is hidden before anything leaves for a model; every rule compiles.
    pub redaction: RedactionRules,
    /// What is made of OpenTelemetry's spans.
    pub otel: Otel,
    /// Whether producers place traces by agent, so that an agent's owner may read them itself. Never on the embedded
    /// log, which has nothing to gain.
    pub keyed_traces: bool,
    /// Where the spans of our own work go, if anywhere.
    pub telemetry: Option<Telemetry>,
    policy: Policy,
    agents: BTreeMap<AgentName, Policy>,
}

/// Where the log is kept.
#[derive(Clone, Debug)]
pub enum Log {
    /// In the data directory.
    Embedded,
    /// On a Kafka cluster.
    Kafka {
        /// The cluster.
        settings: Box<KafkaSettings>,
        /// Whether topics that are missing may be created at the start.
        create_topics: bool,
    },
}

/// The HTTP server.
#[derive(Clone, Debug)]
pub struct Http {
    /// Where it listens. Beyond loopback only with a token.
    pub listen: SocketAddr,
    /// What requests that change anything must bring; nothing if there is none.
    pub token: Option<SecretString>,
    /// What requests that only read may bring instead; nothing if there is none.
    pub read_token: Option<SecretString>,
}

/// Which parts run in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four switches, each on its own")]
pub struct Roles {
    /// Traces to events.
    pub decode: bool,
    /// Events to versions: the agents' owner.
    pub aggregate: bool,
    /// Requests to proposals.
    pub optimize: bool,
    /// Versions to the config repo.
    pub publish: bool,
}

/// The config repo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo {
    /// The repository or a folder in it; nothing is optimized without one.
    pub path: Option<PathBuf>,
    /// Folder in it of the agents' files.
    pub configs: String,
    /// Folder in it of the version files.
    pub versions: String,
    /// Fetched from and pushed to, if given.
    pub remote: Option<String>,
    /// Must be checked out, if given.
    pub branch: Option<String>,
    /// How often to look for edits by people.
    pub poll_interval: Duration,
}

/// The model that writes proposals.
#[derive(Clone, Debug, PartialEq)]
pub struct Llm {
    /// Whether it is asked at all.
    pub enabled: bool,
    /// Its name.
    pub model: String,
    /// The URL of an OpenAI-compatible server; the model's provider if not given.
    pub endpoint: Option<String>,
    /// For one answer.
    pub timeout: Duration,
    /// Tries for one proposal, the first included; at least 1.
    pub attempts: u32,
    /// 0 to 2.
    pub temperature: f64,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
    /// What it costs, if the operator says so.
    pub price: Option<LlmPrice>,
    /// For how long the log of calls is kept.
    pub keep_calls: Duration,
    /// How long an answer in that log answers the same question again; zero for not at all.
    pub cache: Duration,
}

/// What a model costs, in millionths of a US dollar for a million tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LlmPrice {
    /// Of tokens read.
    pub input: u64,
    /// Of tokens written.
    pub output: u64,
}

/// How proposals are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposals {
    /// Whether the model looks for causes before it edits.
    pub critique: bool,
    /// Candidates of the prompts that the model makes: 1 or 2.
    pub candidates: u32,
    /// The longest evidence for the model, in tokens.
    pub evidence_tokens: usize,
    /// A file with the layout of the evidence; whetstone's own if not given.
    pub template: Option<PathBuf>,
}

/// What is made of OpenTelemetry's spans.
#[derive(Clone, Debug, PartialEq)]
pub struct Otel {
    /// How they become runs.
    pub rules: otlp::Rules,
    /// Bytes of memory for spans whose runs are not whole yet.
    pub max_bytes: usize,
}

/// Where the spans of our own work go.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// The URL that takes OTLP/HTTP; holds no secret.
    pub endpoint: String,
    /// What it asks for, if anything.
    pub token: Option<SecretString>,
    /// The share of traces that is sent, 0 to 1.
    pub share: f64,
}

/// What tries a candidate before any live run sees it.
#[derive(Clone, Debug)]
pub struct Gate {
    /// What is asked.
    pub hook: Hook,
    /// For one try.
    pub timeout: Duration,
    /// Tries for one candidate, the first included; at least 1.
    pub attempts: u32,
}

/// What is asked about a candidate.
#[derive(Clone, Debug)]
pub enum Hook {
    /// A program.
    Command {
        /// Its name or path.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// All the variables that it gets.
        environment: BTreeMap<String, SecretString>,
    },
    /// A service.
    Url {
        /// Where it is; holds no secret.
        url: String,
        /// What it asks for, if anything.
        token: Option<SecretString>,
    },
}

impl Config {
    /// Reads the file at `path`, if any, and lays `environment` and then `overrides`, each
    /// `key=value`, over it and over the defaults.
    ///
    /// # Errors
    /// [`ConfigError::Read`], or [`ConfigError::Invalid`] with everything that is wrong.
    pub fn load(
        path: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: &[String],
    ) -> Result<Self, ConfigError> {
        let environment: BTreeMap<_, _> = environment.into_iter().collect();
        let (defaults, shape) = defaults()?;
        let mut layers = Layers::new(defaults, shape);
        if let Some(path) = path {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
            layers.file(path, &text);
        }
        layers.environment(&environment);
        for written in overrides {
            layers.flag(written);
        }
        layers.unknown_variables(&environment);
        let raw: Raw = serde_yaml::from_value(layers.tree().clone())?;
        match resolve::resolve(raw, &environment) {
            Ok(config) => {
                let problems = layers.into_problems();
                if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
            }
            Err(impossible) => {
                for (key, what) in impossible {
                    layers.problem(&key, what);
                }
                Err(ConfigError::Invalid(layers.into_problems()))
            }
        }
    }

    /// The rules of one agent: its own where it has any, otherwise those of all.
    pub fn policy(&self, agent: &AgentName) -> &Policy {
        self.agents.get(agent).unwrap_or(&self.policy)
    }
}

impl Default for Config {
    /// What `configs/whetstone.yaml` says.
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test loads it")]
    fn default() -> Self {
        Self::load(None, [], &[]).expect("the defaults are sound")
    }
}

impl Repo {
    /// How often to look for edits by people, in milliseconds.
    pub fn poll_interval_millis(&self) -> i64 {
        i64::try_from(self.poll_interval.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The defaults, and the shape of everything that may be written.
fn defaults() -> Result<(Value, Shape), ConfigError> {
    let raw: Raw = serde_yaml::from_str(DEFAULTS)?;
    let tree = serde_yaml::to_value(&raw)?;
    let mut policy = Shape::of(&serde_yaml::to_value(&raw.policy)?);
    let mut shape = Shape::of(&tree);
    let tunable = raw.policy.guard.tunables.values().next();
    let tunable = Shape::of(&serde_yaml::to_value(tunable)?);
    policy.name(&["guard", "tunables"], tunable.clone());
    shape.name(&["guard", "tunables"], tunable);
    let numbers = [
        (["llm", "price", "input"].as_slice(), Shape::OptionalNumber),
        (&["llm", "price", "output"], Shape::OptionalNumber),
        (&["llm_budget", "tokens_per_day"], Shape::OptionalWhole),
        (&["llm_budget", "usd_per_day"], Shape::OptionalNumber),
    ];
    for (key, number) in numbers {
        shape.replace(key, number.clone());
        policy.replace(key, number);
    }
    shape.name(&["agents"], policy);
    shape.name(&["redaction", "rules"], Shape::Text);
    shape.name(&["kafka", "properties"], Shape::HiddenText);
    Ok((tree, shape))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key in `value`, sections first.
    fn keys(value: &Value, at: &str, into: &mut Vec<String>) {
        let Value::Mapping(mapping) = value else { return };
        for (key, below) in mapping {
            let key = format!("{at}{}", key.as_str().unwrap());
            keys(below, &format!("{key}."), into);
            into.push(key);
        }
    }

    #[test]
    fn the_file_of_defaults_names_every_key_there_is() {
        let (defaults, _) = defaults().unwrap();
        let (mut there_are, mut named) = (Vec::new(), Vec::new());
        keys(&defaults, "", &mut there_are);
        keys(&serde_yaml::from_str(DEFAULTS).unwrap(), "", &mut named);
        there_are.sort();
        named.sort();
        assert_eq!(named, there_are);
    }

    #[test]
    fn the_defaults_of_one_agent_are_the_machines_own() {
        let agent = "any".parse().unwrap();
        assert_eq!(*Config::default().policy(&agent), Policy::default());
    }
}
