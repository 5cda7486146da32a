//! What every role stands on: the log, the clock, the metrics, and a loop that ends when told to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::codec::CodecError;
use super::series::seconds;
use crate::base::{Clock, EventTime, Metrics};
use crate::config::Config;
use crate::consume::{
    Consumer, Log, LogError, NewRecord, Partition, Place, Polled, Reached, Subscription, Topic,
};
use crate::govern::AssembleError;
use crate::hygiene::BadRule;
use crate::publish::PublishError;

/// The most records of a step, where a step is of many. It takes what is there and waits for no more, so that it
/// is small while there is little to do; under load a transaction's round trips are shared by this many.
pub(super) const STEP_RECORDS: usize = 8192;
/// How long a role waits for records before it looks whether it should end.
const POLL: Duration = Duration::from_millis(200);
/// How often the lag is asked for.
const LAG: Duration = Duration::from_secs(5);

/// What a role works with.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) log: Arc<dyn Log>,
    pub(super) config: Arc<Config>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) stop: CancellationToken,
}

/// Why a role had to end.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record of our own does not read back.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The config repo failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// What is stored of an agent makes no agent.
    #[error(
        "the state of {agent} does not fit together: {problem}; restore agent-state from a backup, \
         or delete all of the agent's keys there to start it anew"
    )]
    State {
        /// The agent.
        agent: String,
        /// What does not fit.
        problem: AssembleError,
    },
    /// An agent's state refers to versions that `prompt-versions` does not hold.
    #[error(
        "the state of {agent} refers to {versions}, which prompt-versions does not hold: \
             restore the topic from a backup, or delete the agent's state to start it anew"
    )]
    MissingVersions {
        /// The agent.
        agent: String,
        /// The versions.
        versions: String,
    },
    /// An agent's state is in a partition that its name does not lead to.
    #[error(
        "the state of {agent} is in partition {partition} of agent-state, where it does not belong: \
             was the number of partitions changed? Go back to what it was; it cannot be changed \
             while there is state"
    )]
    Astray {
        /// The agent.
        agent: String,
        /// Where its state is.
        partition: i32,
    },
    /// A role ended by a panic: a bug.
    #[error("a role panicked ({0}): please report this with the log above")]
    Panicked(String),
    /// A rule of what to redact cannot be used.
    #[error(transparent)]
    Redaction(#[from] BadRule),
    /// The HTTP listener failed.
    #[error("the HTTP server failed: {0}")]
    Http(std::io::Error),
}

impl Context {
    pub(super) fn join(&self, role: &'static str, topics: &[Topic]) -> Result<Member, LogError> {
        self.join_as(role, &Subscription { group: role, topics, ..Subscription::default() })
    }

    pub(super) fn join_as(
        &self,
        role: &'static str,
        subscription: &Subscription<'_>,
    ) -> Result<Member, LogError> {
        let consumer = self.log.join(subscription)?;
        let now = Instant::now();
        let context = self.clone();
        Ok(Member {
            consumer,
            role,
            context,
            taken: 0,
            bytes: 0,
            oldest: None,
            step: None,
            looked: now,
        })
    }

    /// Does `work`, which brings in what belongs to new partitions of `role`, for all to see.
    pub(super) fn restoring<T>(&self, role: &'static str, work: impl FnOnce() -> T) -> T {
        let restoring = self.metrics.restoring.with_label_values(&[role]);
        restoring.set(1);
        let result = work();
        restoring.set(0);
        result
    }
}

/// Spans are finer than lines of the log: at its usual level there are none.
fn step_of(role: &'static str) -> Span {
    use tracing::field::Empty;
    tracing::debug_span!("step", role, records = Empty, outputs = Empty, result = Empty)
}

/// A role's membership in its consumer group.
pub(super) struct Member {
    consumer: Box<dyn Consumer>,
    role: &'static str,
    context: Context,
    /// Records polled since the last commit, and their bytes.
    taken: u64,
    bytes: u64,
    /// When the oldest of them arrived.
    oldest: Option<EventTime>,
    /// From the first of them to their commit.
    step: Option<Span>,
    /// When the lag was last asked for.
    looked: Instant,
}

impl Member {
    /// Records, or a change of what the member has; `None` when the role should end.
    pub(super) fn next(&mut self, max: usize) -> Result<Option<Polled>, LogError> {
        loop {
            if self.context.stop.is_cancelled() {
                return Ok(None);
            }
            match self.poll(max, POLL)? {
                Polled::Records(records) if records.is_empty() => {}
                polled => return Ok(Some(polled)),
            }
        }
    }

    /// What comes next; no records if none came for a while.
    pub(super) fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, LogError> {
        let polled = self.consumer.poll(max, wait)?;
        let role = self.role;
        match &polled {
            Polled::Records(records) => {
                if !records.is_empty() {
                    self.step.get_or_insert_with(|| step_of(role));
                }
                self.taken += records.len() as u64;
                let bytes = records.iter().map(|record| record.key.len() + record.value.len());
                self.bytes += bytes.sum::<usize>() as u64;
                let arrived = records.iter().map(|record| record.at);
                self.oldest = self.oldest.into_iter().chain(arrived).min();
            }
            Polled::Assigned(partitions) => {
                tracing::info!(role, partitions = partitions.len(), "took over partitions");
                self.context.metrics.rebalances.with_label_values(&[role, "assigned"]).inc();
            }
            Polled::Revoked(partitions) => {
                tracing::info!(role, partitions = partitions.len(), "handed partitions over");
                self.context.metrics.rebalances.with_label_values(&[role, "revoked"]).inc();
                for partition in partitions {
                    let labels = [role, partition.topic.name(), &partition.number.to_string()];
                    // Another member shows it from now on; gone is what it should be here.
                    let _never_shown = self.context.metrics.lag.remove_label_values(&labels);
                }
            }
        }
        self.show_age(max);
        if self.looked.elapsed() > LAG {
            self.show_lag()?;
        }
        Ok(polled)
    }

    /// How long what it works on has waited. A poll for nothing finds nothing, and says nothing of that.
    fn show_age(&self, polled_for: usize) {
        let (metrics, now) = (&self.context.metrics, self.context.clock.now());
        let role = &[self.role];
        metrics.last_poll.with_label_values(role).set(seconds(now.as_millis()));
        if self.oldest.is_some() || polled_for > 0 {
            let age = self.oldest.map_or(0, |oldest| now.millis_since(oldest).max(0));
            metrics.record_age.with_label_values(role).set(seconds(age));
        }
    }

    /// How many records are ahead, by partition; as [`Consumer::lag`].
    pub(super) fn lag(&mut self) -> Result<Vec<(Partition, u64)>, LogError> {
        self.consumer.lag()
    }

    /// Whether records were taken since the last commit.
    pub(super) fn has_taken(&self) -> bool {
        self.taken > 0
    }

    fn show_lag(&mut self) -> Result<(), LogError> {
        self.looked = Instant::now();
        for (partition, records) in self.consumer.lag()? {
            let labels = [self.role, partition.topic.name(), &partition.number.to_string()];
            let records = i64::try_from(records).unwrap_or(i64::MAX);
            self.context.metrics.lag.with_label_values(&labels).set(records);
        }
        Ok(())
    }

    /// The atomic step.
    pub(super) fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LogError> {
        self.timed(outputs, |consumer, outputs| consumer.commit(outputs))
    }

    /// How far the records reach that were polled so far.
    pub(super) fn reached(&self) -> Reached {
        self.consumer.reached()
    }

    /// The atomic step for what was polled before `reached` was told.
    pub(super) fn commit_until(
        &mut self,
        reached: &Reached,
        outputs: Vec<NewRecord>,
    ) -> Result<(), LogError> {
        self.timed(outputs, |consumer, outputs| consumer.commit_until(reached, outputs))
    }

    /// The atomic step for some of what was polled.
    pub(super) fn commit_these(
        &mut self,
        done: &[Place],
        outputs: Vec<NewRecord>,
    ) -> Result<(), LogError> {
        self.timed(outputs, |consumer, outputs| consumer.commit_these(done, outputs))
    }

    fn timed(
        &mut self,
        outputs: Vec<NewRecord>,
        commit: impl FnOnce(&mut dyn Consumer, Vec<NewRecord>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let metrics = &self.context.metrics;
        let role = &[self.role];
        let records = outputs.len() as u64;
        let bytes: usize = outputs.iter().map(|output| output.key.len() + output.value.len()).sum();
        let started = Instant::now();
        let step = self.step.take().unwrap_or_else(|| step_of(self.role));
        step.record("records", self.taken).record("outputs", records);
        let span = tracing::debug_span!(parent: &step, "commit", role = self.role);
        let result = span.in_scope(|| commit(self.consumer.as_mut(), outputs));
        metrics.commit.with_label_values(role).observe(started.elapsed().as_secs_f64());
        let outcome = if result.is_ok() { "committed" } else { "aborted" };
        step.record("result", outcome);
        metrics.steps.with_label_values(&[self.role, outcome]).inc();
        result?;
        metrics.records.with_label_values(role).inc_by(self.taken);
        metrics.bytes.with_label_values(role).inc_by(self.bytes);
        metrics.outputs.with_label_values(role).inc_by(records);
        metrics.output_bytes.with_label_values(role).inc_by(bytes as u64);
        let now = self.context.clock.now().as_millis();
        metrics.last_commit.with_label_values(role).set(seconds(now));
        (self.taken, self.bytes, self.oldest) = (0, 0, None);
        Ok(())
    }

    /// The span of what was polled and is not committed yet.
    pub(super) fn step(&self) -> Option<tracing::span::Id> {
        self.step.as_ref().and_then(Span::id)
    }

    /// The partition of `topic` that records with this key belong in.
    pub(super) fn home(&self, topic: Topic, key: &str) -> Result<Partition, LogError> {
        self.consumer.home(topic, key)
    }

    /// Whether records of `topic` with this key come to this member now.
    pub(super) fn owns(&self, topic: Topic, key: &str) -> bool {
        self.consumer.owns(topic, key)
    }
}
