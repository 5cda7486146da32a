//! What every role stands on: the log, the clock, the metrics, and a loop that ends when told to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::codec::CodecError;
use crate::base::{Clock, Metrics};
use crate::config::Config;
use crate::consume::{Consumer, Log, LogError, NewRecord, Record, Topic};
use crate::govern::AssembleError;
use crate::publish::PublishError;

/// How long a role waits for records before it looks whether it should end.
const POLL: Duration = Duration::from_millis(200);

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
    /// A role ended by a panic: a bug.
    #[error("a role panicked ({0}): please report this with the log above")]
    Panicked(String),
    /// The HTTP listener failed.
    #[error("the HTTP server failed: {0}")]
    Http(std::io::Error),
}

impl Context {
    pub(super) fn join(&self, role: &'static str, topics: &[Topic]) -> Result<Member, LogError> {
        let consumer = self.log.subscribe(role, topics)?;
        Ok(Member { consumer, role, context: self.clone(), taken: 0 })
    }
}

/// A role's membership in its consumer group.
pub(super) struct Member {
    consumer: Box<dyn Consumer>,
    role: &'static str,
    context: Context,
    taken: u64,
}

impl Member {
    /// The next records; `None` when the role should end.
    pub(super) fn next(&mut self, max: usize) -> Result<Option<Vec<Record>>, LogError> {
        loop {
            if self.context.stop.is_cancelled() {
                return Ok(None);
            }
            let records = self.poll(max)?;
            if !records.is_empty() {
                return Ok(Some(records));
            }
        }
    }

    /// The next records; empty if none came for a while.
    pub(super) fn poll(&mut self, max: usize) -> Result<Vec<Record>, LogError> {
        let records = self.consumer.poll(max, POLL)?;
        self.taken += records.len() as u64;
        if records.is_empty() {
            self.context.metrics.lag.with_label_values(&[self.role]).set(0);
        }
        Ok(records)
    }

    /// The atomic step.
    pub(super) fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LogError> {
        let started = Instant::now();
        self.consumer.commit(outputs)?;
        let metrics = &self.context.metrics;
        metrics.commit.observe(started.elapsed().as_secs_f64());
        metrics.records.with_label_values(&[self.role]).inc_by(self.taken);
        self.taken = 0;
        let lag = i64::try_from(self.consumer.lag()?).unwrap_or(i64::MAX);
        metrics.lag.with_label_values(&[self.role]).set(lag);
        Ok(())
    }
}
