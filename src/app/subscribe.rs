//! Subscribing to prompts: what each agent should run now, and every change of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::codec;
use super::role::RoleError;
use crate::base::AgentName;
use crate::consume::{Follower, Log, LogError, Start, Topic};
use crate::govern::PromptUpdate;

const BATCH: usize = 1000;

/// Follows `prompt-updates` on any log. The topic is compacted by agent, so reading it from the start
/// gives what each agent should run now.
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
/// // Or KafkaLog::open(KafkaSettings::new("127.0.0.1:9092", data_dir))?
/// let log = EmbeddedLog::open(data_dir, Arc::new(SystemClock))?;
/// let mut prompts = PromptSubscriber::new(&log)?;
/// prompts.catch_up(Duration::from_secs(30))?;
/// if let Some(update) = prompts.current(&"mitigation".parse()?) {
///     println!("{}: {:?}", update.active.number, update.active.content.prompts.get("system"));
/// }
/// // Then, on a thread of its own, again and again:
/// for update in prompts.next(Duration::from_millis(100))? {
///     println!("{} should run {}", update.agent, update.active.number);
/// }
/// # Ok(())
/// # }
/// ```
pub struct PromptSubscriber {
    follower: Box<dyn Follower>,
    current: BTreeMap<AgentName, PromptUpdate>,
}

impl PromptSubscriber {
    /// Begins with the oldest update that is kept.
    ///
    /// # Errors
    /// If the log fails.
    pub fn new(log: &dyn Log) -> Result<Self, LogError> {
        let follower = log.follow(Topic::PromptUpdates, Start::Earliest)?;
        Ok(Self { follower, current: BTreeMap::new() })
    }

    /// Takes in everything that was there when the subscription began; false if that takes longer
    /// than `timeout`.
    ///
    /// # Errors
    /// If the log fails, or holds what this version cannot read.
    pub fn catch_up(&mut self, timeout: Duration) -> Result<bool, RoleError> {
        let begun = Instant::now();
        while !self.follower.caught_up() {
            if begun.elapsed() > timeout {
                return Ok(false);
            }
            self.next(Duration::from_millis(50))?;
        }
        Ok(true)
    }

    /// The updates that came since, oldest first; empty if none comes within `timeout`. An agent may be
    /// in them more than once.
    ///
    /// # Errors
    /// If the log fails, or holds what this version cannot read.
    pub fn next(&mut self, timeout: Duration) -> Result<Vec<PromptUpdate>, RoleError> {
        let records = self.follower.poll(BATCH, timeout)?;
        let mut updates = Vec::with_capacity(records.len());
        for record in records {
            if record.value.is_empty() {
                self.current.remove(&codec::agent_of(&record)?);
                continue;
            }
            let update: PromptUpdate = codec::from_json(&record)?;
            self.current.insert(update.agent.clone(), update.clone());
            updates.push(update);
        }
        Ok(updates)
    }

    /// What `agent` should run, as far as was read.
    pub fn current(&self, agent: &AgentName) -> Option<&PromptUpdate> {
        self.current.get(agent)
    }

    /// What every agent should run, as far as was read, by name.
    pub fn all(&self) -> impl Iterator<Item = &PromptUpdate> {
        self.current.values()
    }
}
