//! What all parts of the log share: the settings, the topics' full names, and what the brokers say
//! about partitions.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode as Code;

use super::context::Context;
use super::{KafkaSettings, LogError, NewRecord, Topic, client, partition_of, problem};

/// How long the brokers have for a question that they answer at once when all is well.
pub(super) const ANSWER: Duration = Duration::from_secs(20);

/// How often to look for the reason of a failed connection.
const LOOK: Duration = Duration::from_millis(200);

/// How many events are seen to before a question; what needs an answer comes first.
const EVENTS: usize = 100;

/// A cluster, as seen by one process.
pub(super) struct Cluster {
    pub(super) settings: KafkaSettings,
    /// Asks questions, and reads nothing. Sees uncommitted records' offsets.
    questions: BaseConsumer<Context>,
    partitions: Mutex<BTreeMap<Topic, i32>>,
    names: BTreeMap<Topic, String>,
}

impl Cluster {
    pub(super) fn connect(settings: KafkaSettings) -> Result<Self, LogError> {
        let context = Context::new(&settings);
        let questions: BaseConsumer<Context> = client::questions(&settings)
            .create_with_context(context.clone())
            .map_err(|error| problem::config(&error))?;
        let name = |topic: Topic| match topic {
            Topic::OtlpSpans => settings.otlp_spans.clone(),
            Topic::OtlpLogs => settings.otlp_logs.clone(),
            ours => format!("{}{ours}", settings.prefix),
        };
        let names = Topic::ALL.into_iter().map(|topic| (topic, name(topic))).collect();
        let cluster = Self { settings, questions, partitions: Mutex::default(), names };
        let asked = Instant::now();
        // The reasons of a failed connection come as events, among others, which asking sees to.
        while cluster.asking().client().fetch_cluster_id(LOOK).is_none() {
            let refused = context.last_error().is_some_and(|(code, _)| problem::is_refusal(code));
            if refused || asked.elapsed() > ANSWER {
                return Err(problem::connecting(&context, &cluster.settings.brokers));
            }
        }
        Ok(cluster)
    }

    /// The client that asks, after it was given a chance to see what waits for it: it asks for a new
    /// token only so, and without one it does not get through once it has to connect again.
    fn asking(&self) -> &BaseConsumer<Context> {
        for _ in 0..EVENTS {
            let _event = self.questions.poll(Duration::ZERO);
        }
        &self.questions
    }

    /// The topic's name on the brokers.
    pub(super) fn name(&self, topic: Topic) -> &str {
        self.names.get(&topic).map_or(topic.name(), String::as_str)
    }

    /// The whole name of a group of ours.
    pub(super) fn group(&self, name: &str) -> String {
        format!("{}whetstone-{name}", self.settings.prefix)
    }

    /// The topic of that name.
    pub(super) fn topic(&self, name: &str) -> Option<Topic> {
        if name == self.settings.otlp_spans {
            return Some(Topic::OtlpSpans);
        }
        if name == self.settings.otlp_logs {
            return Some(Topic::OtlpLogs);
        }
        Topic::named(name.strip_prefix(&self.settings.prefix)?)
    }

    /// How many partitions `topic` has, asked once.
    pub(super) fn partitions(&self, topic: Topic) -> Result<i32, LogError> {
        if let Some(count) = self.known().get(&topic) {
            return Ok(*count);
        }
        let count = self.count(topic)?.ok_or_else(|| problem::no_topic(self.name(topic)))?;
        self.known().insert(topic, count);
        Ok(count)
    }

    /// How many partitions `topic` has now; none if it does not exist.
    pub(super) fn count(&self, topic: Topic) -> Result<Option<i32>, LogError> {
        let name = self.name(topic);
        let failed = |error| problem::of(&error, &format!("ask for the partitions of {name}"));
        let metadata = self.asking().client().fetch_metadata(Some(name), ANSWER).map_err(failed)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == name) else {
            return Ok(None);
        };
        match found.error().map(Code::from) {
            None => Ok(i32::try_from(found.partitions().len()).ok().filter(|count| *count > 0)),
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => Ok(None),
            Some(code) => Err(problem::of_code(code, &format!("ask for the partitions of {name}"))),
        }
    }

    /// Forgets what it knows of partitions, e.g. after topics were created.
    pub(super) fn ask_again(&self) {
        self.known().clear();
    }

    fn known(&self) -> std::sync::MutexGuard<'_, BTreeMap<Topic, i32>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where `record` must go; none if anywhere will do.
    pub(super) fn placement(&self, record: &NewRecord) -> Result<Option<i32>, LogError> {
        if !record.topic.placed_by_key() {
            return Ok(None);
        }
        Ok(Some(partition_of(&record.key, self.partitions(record.topic)?)))
    }

    /// The offset of the first record of a partition, and the one after the last, uncommitted ones and
    /// markers included.
    pub(super) fn watermarks(&self, name: &str, partition: i32) -> Result<(i64, i64), LogError> {
        let failed = |error| problem::of(&error, &format!("ask for the end of {name}/{partition}"));
        self.asking().fetch_watermarks(name, partition, ANSWER).map_err(failed)
    }
}
