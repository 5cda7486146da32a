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
            let wait = if looks == 0 { Duration::ZERO } else { WAIT };
            tables.states.read_on(wait)?;
            tables.versions.read_on(wait)?;
            match assemble(tables.states.records(), tables.versions.records()) {
                // Followers may stop in the middle of a step, which is whole a moment later.
                Err(RoleError::MissingVersions { .. } | RoleError::State { .. })
                    if looks < LOOKS =>
                {
                    looks += 1;
                }
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

    /// Reads all there is now, and what comes within `wait`.
    fn read_on(&mut self, wait: Duration) -> Result<(), LogError> {
        let begun = Instant::now();
        loop {
            let wait = if self.follower.caught_up() { wait } else { WAIT };
            let records = self.follower.poll(BATCH, wait)?;
            let done = self.follower.caught_up() || begun.elapsed() > FIRST;
            if records.is_empty() && done {
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
