//! Subscribing to prompts: what each agent should run now, and every change of it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::codec;
use super::role::RoleError;
use crate::base::AgentName;
use crate::consume::{Follower, Log, LogError, Record, Start, Topic};
use crate::govern::{PromptUpdate, Version};

const BATCH: usize = 1000;

/// Follows `prompt-updates` on any log, outside any group: as many may do so as like to, and none
/// disturbs another. The topic is compacted by agent, so reading it from the start gives what each
/// agent should run now.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use whetstone::app::PromptSubscriber;
/// use whetstone::base::SystemClock;
/// use whetstone::consume::EmbeddedLog;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let data_dir = dir.path();
/// let log = EmbeddedLog::open(data_dir, Arc::new(SystemClock))?;
/// let mut prompts = PromptSubscriber::new(&log)?;
/// if !prompts.catch_up(Duration::from_secs(30))? {
///     return Err("the log does not answer in time".into());
/// }
/// if let Some(version) = prompts.version_for(&"mitigation".parse()?, "run-17") {
///     println!("{}: {:?}", version.number, version.content.prompts.get("system"));
/// }
/// // Then, on a thread of its own, again and again:
/// for update in prompts.next(Duration::from_secs(1))? {
///     println!("{} should run {}", update.agent, update.active.number);
/// }
/// # Ok(())
/// # }
/// ```
///
/// On Kafka only the log is another one. Reading needs nothing on disk:
///
/// ```no_run
/// use whetstone::app::PromptSubscriber;
/// use whetstone::consume::{KafkaLog, KafkaSettings};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let log = KafkaLog::open(KafkaSettings::new("127.0.0.1:9092", "whetstone-data"))?;
/// let mut prompts = PromptSubscriber::new(&log)?;
/// # Ok(())
/// # }
/// ```
pub struct PromptSubscriber {
    follower: Box<dyn Follower>,
    /// Polled, and not yet looked at.
    ahead: VecDeque<Record>,
    current: BTreeMap<AgentName, PromptUpdate>,
}

impl PromptSubscriber {
    /// Begins with the oldest update that is kept.
    ///
    /// # Errors
    /// If the log fails.
    pub fn new(log: &dyn Log) -> Result<Self, LogError> {
        let follower = log.follow(Topic::PromptUpdates, Start::Earliest)?;
        Ok(Self { follower, ahead: VecDeque::new(), current: BTreeMap::new() })
    }

    /// Takes in everything that was there when the subscription began; false if that takes longer
    /// than `timeout`, and then calling it again goes on.
    ///
    /// # Errors
    /// As [`PromptSubscriber::next`].
    pub fn catch_up(&mut self, timeout: Duration) -> Result<bool, RoleError> {
        let begun = Instant::now();
        while !(self.ahead.is_empty() && self.follower.caught_up()) {
            if begun.elapsed() > timeout {
                return Ok(false);
            }
            self.next(Duration::from_millis(50))?;
        }
        Ok(true)
    }

    /// The updates that came since, oldest first; empty if none comes within `timeout`, or only word
    /// that an agent is gone. An agent may be in them more than once.
    ///
    /// # Errors
    /// If the log fails; the subscriber is then of no more use. Or if an update was written by a
    /// version that this one cannot read: that is said once, and the next call goes on after it.
    pub fn next(&mut self, timeout: Duration) -> Result<Vec<PromptUpdate>, RoleError> {
        if self.ahead.is_empty() {
            self.ahead = self.follower.poll(BATCH, timeout)?.into();
        }
        let mut updates = Vec::with_capacity(self.ahead.len());
        while let Some(record) = self.ahead.pop_front() {
            match self.take(&record) {
                Ok(update) => updates.extend(update),
                Err(problem) if updates.is_empty() => return Err(problem),
                // What came before it first.
                Err(_) => {
                    self.ahead.push_front(record);
                    break;
                }
            }
        }
        Ok(updates)
    }

    /// The update that `record` is; none if it takes an agent away.
    fn take(&mut self, record: &Record) -> Result<Option<PromptUpdate>, RoleError> {
        if record.value.is_empty() {
            self.current.remove(&codec::agent_of(record)?);
            return Ok(None);
        }
        let update: PromptUpdate = codec::from_json(record)?;
        self.current.insert(update.agent.clone(), update.clone());
        Ok(Some(update))
    }

    /// What `agent` should run, as far as was read.
    pub fn current(&self, agent: &AgentName) -> Option<&PromptUpdate> {
        self.current.get(agent)
    }

    /// What `unit` of `agent` should run: a session's id, or the run's own where it belongs to none. The
    /// run then has to name this version in its trace.
    pub fn version_for(&self, agent: &AgentName, unit: &str) -> Option<&Version> {
        self.current(agent).map(|update| update.version_for(unit))
    }

    /// What every agent should run, as far as was read, by name.
    pub fn all(&self) -> impl Iterator<Item = &PromptUpdate> {
        self.current.values()
    }
}
