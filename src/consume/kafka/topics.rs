//! The topics as they must be: created so, and checked before anything relies on it.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use secrecy::ExposeSecret as _;

use super::client::{self, MAX_RECORD_BYTES};
use super::cluster::{ANSWER, Cluster};
use super::context::Context;
use super::{LogError, Topic, problem};

/// Topics that must have as many partitions as each other: an agent's events, state and versions
/// meet in partitions of one number, and a trace's spans and state.
const TOGETHER: [&[Topic]; 2] = [
    &[Topic::AgentEvents, Topic::AgentState, Topic::PromptVersions],
    &[Topic::TraceSpans, Topic::TraceState],
];

/// One thing that is wrong with a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The topic's full name.
    pub topic: String,
    /// What is wrong and what to do.
    pub what: String,
    /// Whether nothing can be relied on before it is mended.
    pub fatal: bool,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.topic, self.what)
    }
}

/// A batch of records, which is refused whole, and which clients fill so far: Kafka's default of
/// max.message.bytes.
const BATCH_BYTES: u64 = 1_048_588;

/// The settings of a topic that differ from the brokers' defaults.
fn settings(topic: Topic) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("max.message.bytes", (MAX_RECORD_BYTES + 4096).to_string()),
        // What a producer says of the time is not trusted.
        ("message.timestamp.type", "LogAppendTime".to_owned()),
    ];
    if topic.compacted() {
        settings.push(("cleanup.policy", "compact".to_owned()));
        // Smaller segments are compacted sooner, and a restore reads less that is stale.
        settings.push(("segment.bytes", (64 * 1024 * 1024).to_string()));
    } else {
        settings.push(("cleanup.policy", "delete".to_owned()));
    }
    settings
}

/// Whether we log in with a token. The client's part for administration never asks for one, so that it
/// waits for ever: <https://github.com/fede1024/rust-rdkafka/issues/757>.
fn by_token(cluster: &Cluster) -> bool {
    let mechanism = cluster.settings.properties.get("sasl.mechanism");
    mechanism.is_some_and(|mechanism| mechanism.expose_secret() == "OAUTHBEARER")
}

/// How to create a topic by hand.
fn by_hand(cluster: &Cluster, topic: Topic) -> String {
    let settings: String =
        settings(topic).iter().map(|(key, value)| format!(" --config {key}={value}")).collect();
    let (name, partitions) = (cluster.name(topic), cluster.settings.partitions);
    format!("\n  kafka-topics --create --topic {name} --partitions {partitions}{settings}")
}

fn admin(cluster: &Cluster) -> Result<AdminClient<Context>, LogError> {
    client::questions(&cluster.settings)
        .create_with_context(Context::new(&cluster.settings))
        .map_err(|error| problem::config(&error))
}

pub(super) fn create(cluster: &Cluster) -> Result<Vec<String>, LogError> {
    let mut created = Vec::new();
    if by_token(cluster) {
        return none_missing(cluster).map(|()| created);
    }
    let admin = admin(cluster)?;
    for topic in Topic::ALL {
        if cluster.count(topic)?.is_some() {
            continue;
        }
        let name = cluster.name(topic);
        let replication = TopicReplication::Fixed(cluster.settings.replication.unwrap_or(-1));
        let settings = settings(topic);
        let mut new = NewTopic::new(name, cluster.settings.partitions, replication);
        for (key, value) in &settings {
            new = new.set(key, value);
        }
        let doing = format!("create topic {name}");
        let results = wait(admin.create_topics([&new], &options()))
            .map_err(|error| problem::of(&error, &doing))?;
        match results.into_iter().next() {
            Some(Ok(_)) => created.push(name.to_owned()),
            // Another instance was faster.
            Some(Err((_, Code::TopicAlreadyExists))) | None => {}
            Some(Err((
                _,
                code @ (Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed),
            ))) => {
                return Err(LogError::Refused(format!(
                    "cannot {doing}: {code}; allow this user to create topics (kafka-acls \
                     --operation Create), or let somebody run `whetstone check --create-topics` \
                     who may"
                )));
            }
            Some(Err((_, code))) => return Err(problem::of_code(code, &doing)),
        }
    }
    cluster.ask_again();
    // Brokers learn of new topics one after the other.
    for topic in Topic::ALL {
        let begun = std::time::Instant::now();
        while cluster.count(topic)?.is_none() {
            if begun.elapsed() > ANSWER {
                return Err(problem::no_topic(cluster.name(topic)));
            }
        }
    }
    Ok(created)
}

/// Where topics cannot be created.
fn none_missing(cluster: &Cluster) -> Result<(), LogError> {
    let mut missing = String::new();
    for topic in Topic::ALL {
        if cluster.count(topic)?.is_none() {
            missing.push_str(&by_hand(cluster, topic));
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(LogError::Refused(format!(
        "topics cannot be created with OAUTHBEARER: log in otherwise for once, or create them by hand:{missing}"
    )))
}

pub(super) fn check(cluster: &Cluster) -> Result<Vec<Problem>, LogError> {
    let mut problems = Vec::new();
    let mut there = Vec::new();
    let mut counts = Vec::new();
    for topic in Topic::ALL {
        match cluster.count(topic)? {
            Some(count) => {
                there.push(topic);
                counts.push((topic, count));
            }
            None => problems.push(Problem {
                topic: cluster.name(topic).to_owned(),
                what: "does not exist: create it with `whetstone check --create-topics`".to_owned(),
                fatal: true,
            }),
        }
    }
    for together in TOGETHER {
        let counts: Vec<_> =
            counts.iter().copied().filter(|(topic, _)| together.contains(topic)).collect();
        problems.extend(uneven(cluster, &counts));
    }
    problems.extend(wrong_settings(cluster, &there)?);
    Ok(problems)
}

/// Whether what must be together is.
fn uneven(cluster: &Cluster, counts: &[(Topic, i32)]) -> Option<Problem> {
    let (_, first) = counts.first()?;
    let (odd, count) = counts.iter().find(|(_, count)| count != first)?;
    let listed: Vec<_> =
        counts.iter().map(|(topic, count)| format!("{} {count}", cluster.name(*topic))).collect();
    Some(Problem {
        topic: cluster.name(*odd).to_owned(),
        what: format!(
            "has {count} partitions, and these must have as many as each other ({}): create those \
             with fewer again, before there is anything in them",
            listed.join(", ")
        ),
        fatal: true,
    })
}

fn wrong_settings(cluster: &Cluster, topics: &[Topic]) -> Result<Vec<Problem>, LogError> {
    // To ask about none is an error to the client.
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    if by_token(cluster) {
        return Ok(vec![unseen(cluster, "OAUTHBEARER gives no access to them")]);
    }
    let names: Vec<_> = topics.iter().map(|topic| cluster.name(*topic)).collect();
    let wanted: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let admin = admin(cluster)?;
    let doing = "ask for the topics' settings";
    let found = wait(admin.describe_configs(&wanted, &options()))
        .map_err(|error| problem::of(&error, doing))?;
    let mut problems = Vec::new();
    let mut sizes = Vec::new();
    for (topic, found) in topics.iter().zip(found) {
        let found = found.map_err(|code| problem::of_code(code, doing))?;
        // The client drops the reason, which hardly is another one.
        if found.entries.is_empty() {
            let why = "allow this user to do so (kafka-acls --operation DescribeConfigs)";
            return Ok(vec![unseen(cluster, why)]);
        }
        let name = cluster.name(*topic);
        let size = setting(&found, "max.message.bytes").parse::<u64>().unwrap_or_default();
        sizes.push((*topic, size));
        if size < BATCH_BYTES {
            let what = format!(
                "takes batches of {size} bytes, and {BATCH_BYTES} are sent: raise its max.message.bytes"
            );
            problems.push(Problem { topic: name.to_owned(), what, fatal: true });
        }
        problems.extend(wrong_policy(*topic, name, &found));
        if setting(&found, "message.timestamp.type") == "CreateTime" {
            problems.push(Problem {
                topic: name.to_owned(),
                what: "takes times from its producers: set message.timestamp.type=LogAppendTime"
                    .to_owned(),
                fatal: false,
            });
        }
    }
    problems.extend(too_small(cluster, &sizes));
    Ok(problems)
}

/// The settings could not be looked at. That need not stop anybody.
fn unseen(cluster: &Cluster, why: &str) -> Problem {
    let compacted = Topic::ALL.iter().filter(|topic| topic.compacted());
    let compacted: Vec<_> = compacted.map(|topic| cluster.name(*topic)).collect();
    Problem {
        topic: format!("{}*", cluster.settings.prefix),
        what: format!(
            "the topics' settings cannot be looked at: {why}. See for yourself that {} have \
             cleanup.policy=compact, the others delete, and that dead-letters takes records as large \
             as the topics that come in do",
            compacted.join(", ")
        ),
        fatal: false,
    }
}

fn setting<'a>(found: &'a ConfigResource, key: &str) -> &'a str {
    found.get(key).and_then(|entry| entry.value.as_deref()).unwrap_or_default()
}

fn wrong_policy(topic: Topic, name: &str, found: &ConfigResource) -> Option<Problem> {
    let policy = setting(found, "cleanup.policy");
    let what = match (topic.compacted(), policy) {
        (true, "compact") => return None,
        (true, _) => format!(
            "has cleanup.policy={policy}, so what it must keep would be deleted: \
             set cleanup.policy=compact"
        ),
        (false, policy) if !policy.contains("compact") => return None,
        (false, _) => format!(
            "has cleanup.policy={policy}, so records would go missing: set cleanup.policy=delete"
        ),
    };
    Some(Problem { topic: name.to_owned(), what, fatal: true })
}

/// What is refused must fit among the dead letters, whole.
fn too_small(cluster: &Cluster, sizes: &[(Topic, u64)]) -> Vec<Problem> {
    let size = |wanted| sizes.iter().find(|(topic, _)| *topic == wanted).map(|(_, size)| *size);
    let Some(letters) = size(Topic::DeadLetters) else { return Vec::new() };
    let inputs = [
        Topic::AgentTraces,
        Topic::AgentFeedback,
        Topic::PromptCommands,
        Topic::OtlpSpans,
        Topic::OtlpLogs,
    ];
    let problem = |topic| {
        let taken = size(topic).filter(|taken| *taken > letters)?;
        Some(Problem {
            topic: cluster.name(Topic::DeadLetters).to_owned(),
            what: format!(
                "takes records of {letters} bytes and {} of {taken}: raise its max.message.bytes, \
                 or what cannot be read has no place to go",
                cluster.name(topic)
            ),
            fatal: true,
        })
    };
    inputs.into_iter().filter_map(problem).collect()
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER)).operation_timeout(Some(ANSWER))
}

/// Waits for `work` on a thread of its own, as the caller may be inside a runtime.
fn wait<T: Send>(
    work: impl Future<Output = Result<T, KafkaError>> + Send,
) -> Result<T, KafkaError> {
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
            let runtime = runtime.map_err(|_| KafkaError::Canceled)?;
            let patience = 2 * ANSWER + Duration::from_secs(1);
            let answer = runtime.block_on(async { tokio::time::timeout(patience, work).await });
            answer.unwrap_or(Err(KafkaError::Canceled))
        });
        waiting.join().unwrap_or(Err(KafkaError::Canceled))
    })
}
