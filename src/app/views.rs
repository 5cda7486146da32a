//! What people see of the agents: a projection of the log's tables, kept up to date by following them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::restore::{assemble, restore};
use super::role::RoleError;
use crate::consume::{Follower, Log, LogError, Record, Share, Start, Topic};
use crate::govern::{Agent, AgentView};

/// How long the first look may take, while everything is read.
const FIRST: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(50);
const BATCH: usize = 1000;
/// Looks at a state whose versions come a moment later.
const LOOKS: u32 = 20;

/// The agents as the log's tables tell them, by name.
///
/// # Errors
/// If the log fails, or holds what this version cannot read.
pub fn agent_views(log: &dyn Log) -> Result<Vec<AgentView>, RoleError> {
    let agents = restore(log, Share::All)?;
    Ok(sorted(agents.values().flat_map(std::collections::BTreeMap::values)))
}

fn sorted<'a>(agents: impl Iterator<Item = &'a Agent>) -> Vec<AgentView> {
    let mut views: Vec<_> = agents.map(Agent::view).collect();
    views.sort_by(|one, other| one.agent.cmp(&other.agent));
    views
}

/// The same for one who asks again and again: reads only what is new.
pub(super) struct Views {
    log: Arc<dyn Log>,
    tables: Mutex<Option<Tables>>,
}

struct Tables {
    states: Table,
    versions: Table,
}

struct Table {
    follower: Box<dyn Follower>,
    latest: HashMap<Vec<u8>, Record>,
}

impl Views {
    pub(super) fn new(log: Arc<dyn Log>) -> Self {
        Self { log, tables: Mutex::default() }
    }

    /// The agents as they stand, by name.
    pub(super) fn get(&self) -> Result<Vec<AgentView>, RoleError> {
        let mut held = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tables = match held.take() {
            Some(tables) => tables,
            None => Tables {
                states: Table::new(self.log.as_ref(), Topic::AgentState)?,
                versions: Table::new(self.log.as_ref(), Topic::PromptVersions)?,
            },
        };
        let mut looks = 0;
        let views = loop {
            tables.states.read_on()?;
            tables.versions.read_on()?;
            match assemble(tables.states.records(), tables.versions.records()) {
                // Two followers: the state may be here before the version it speaks of.
                Err(RoleError::MissingVersions { .. }) if looks < LOOKS => looks += 1,
                agents => {
                    let agents = agents?;
                    break sorted(agents.values().flat_map(std::collections::BTreeMap::values));
                }
            }
        };
        *held = Some(tables);
        Ok(views)
    }
}

impl Table {
    fn new(log: &dyn Log, topic: Topic) -> Result<Self, LogError> {
        Ok(Self { follower: log.follow(topic, Start::Earliest)?, latest: HashMap::new() })
    }

    /// Reads all there is now.
    fn read_on(&mut self) -> Result<(), LogError> {
        let begun = Instant::now();
        loop {
            let wait = if self.follower.caught_up() { Duration::ZERO } else { WAIT };
            let records = self.follower.poll(BATCH, wait)?;
            if records.is_empty() && (wait.is_zero() || begun.elapsed() > FIRST) {
                return Ok(());
            }
            for record in records {
                if record.value.is_empty() {
                    self.latest.remove(&record.key);
                } else {
                    self.latest.insert(record.key.clone(), record);
                }
            }
        }
    }

    fn records(&self) -> Vec<Record> {
        self.latest.values().cloned().collect()
    }
}
