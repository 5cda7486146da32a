//! What is known of one agent for those who look: records, and a view that is made of them when somebody
//! looks, with nobody else waiting for it but those who want the same one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::codec::{self, CodecError};
use super::restore::assemble;
use super::role::RoleError;
use crate::consume::{Record, Topic};
use crate::fold::Exemplars;
use crate::govern::{Agent, AgentView, VersionRecord};
use crate::serve::ApiError;

/// How long an agent's state may not fit together before that is taken to be so: what one step wrote may
/// arrive in parts.
const SETTLES: Duration = Duration::from_secs(2);

/// What is known of one agent.
#[derive(Default)]
pub(super) struct Known {
    states: HashMap<Vec<u8>, Arc<Record>>,
    versions: HashMap<Vec<u8>, Arc<Record>>,
    /// Counts what came.
    stamp: u64,
    /// It as it stands, if it has been made since something came.
    view: Option<Arc<AgentView>>,
    maker: Arc<Mutex<Maker>>,
    /// The number of its last change; no number counts that was given before all were read.
    pub(super) change: u64,
}

/// Where a view is made, by one at a time.
#[derive(Default)]
struct Maker {
    /// The last one that could be made, and what had come by then.
    made: Option<(u64, Arc<AgentView>)>,
    /// Since when it does not fit together.
    broken: Option<Instant>,
}

/// What a view is made of. It is looked at with nothing locked.
pub(super) struct Parts {
    states: Vec<Arc<Record>>,
    versions: Vec<Arc<Record>>,
    stamp: u64,
    maker: Arc<Mutex<Maker>>,
}

/// A view, or what it is to be made of.
pub(super) enum Look {
    There(Arc<AgentView>),
    ToMake(Parts),
}

impl Known {
    fn of(&mut self, topic: Topic) -> &mut HashMap<Vec<u8>, Arc<Record>> {
        if topic == Topic::AgentState { &mut self.states } else { &mut self.versions }
    }

    fn touch(&mut self) {
        self.stamp += 1;
        self.view = None;
    }

    /// Forgets what `topic` told.
    pub(super) fn forget(&mut self, topic: Topic) {
        self.of(topic).clear();
        self.touch();
    }

    pub(super) fn take(&mut self, topic: Topic, record: Record) {
        if record.value.is_empty() {
            self.of(topic).remove(&record.key);
        } else {
            self.of(topic).insert(record.key.clone(), Arc::new(record));
        }
        self.touch();
    }

    /// Whether there is such an agent.
    pub(super) fn is_there(&self) -> bool {
        !self.states.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.states.is_empty() && self.versions.is_empty()
    }

    pub(super) fn look(&self) -> Look {
        self.view.clone().map_or_else(|| Look::ToMake(self.parts()), Look::There)
    }

    pub(super) fn parts(&self) -> Parts {
        let records = |held: &HashMap<_, _>| held.values().cloned().collect();
        Parts {
            states: records(&self.states),
            versions: records(&self.versions),
            stamp: self.stamp,
            maker: self.maker.clone(),
        }
    }

    /// Keeps `view`, if nothing has come since `stamp`.
    pub(super) fn keep(&mut self, stamp: u64, view: Arc<AgentView>) {
        if stamp == self.stamp {
            self.view = Some(view);
        }
    }
}

impl Parts {
    fn agent(&self) -> Result<Agent, RoleError> {
        let agents = assemble(self.states.iter().cloned(), self.versions.iter().cloned())?;
        let mut agents = agents.into_values().flat_map(BTreeMap::into_values);
        agents.next().ok_or(RoleError::Panicked("an agent without state".to_owned()))
    }

    /// It as it stood then, and what had come by then. While a step is still coming in, as it stood before.
    pub(super) fn view(&self) -> Result<(u64, Arc<AgentView>), ApiError> {
        let mut maker = self.maker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((stamp, view)) = maker.made.as_ref().filter(|(made, _)| *made >= self.stamp) {
            return Ok((*stamp, view.clone()));
        }
        match self.agent() {
            Ok(agent) => {
                let made = (self.stamp, Arc::new(agent.view()));
                *maker = Maker { made: Some(made.clone()), broken: None };
                Ok(made)
            }
            Err(problem) => {
                let since = *maker.broken.get_or_insert_with(Instant::now);
                let settled = since.elapsed() > SETTLES;
                match maker.made.as_ref().filter(|_| !settled) {
                    Some(made) => Ok(made.clone()),
                    None if settled => Err(ApiError::Internal(problem.to_string())),
                    None => Err(ApiError::NotReady),
                }
            }
        }
    }

    pub(super) fn versions(&self) -> Result<Vec<VersionRecord>, CodecError> {
        let records = self.versions.iter().map(|record| codec::from_json::<VersionRecord>(record));
        let mut versions = records.collect::<Result<Vec<_>, _>>()?;
        versions.sort_by_key(|record| record.version.number);
        Ok(versions)
    }

    pub(super) fn exemplars(&self) -> Result<Exemplars, ApiError> {
        // One that does not fit together is answered as the view is.
        self.view()?;
        self.agent().map(|agent| agent.exemplars()).map_err(|_| ApiError::NotReady)
    }

    /// Has it that it has not fitted together for long.
    #[cfg(test)]
    pub(super) fn age(&self) {
        self.maker.lock().unwrap().broken = Instant::now().checked_sub(SETTLES * 2);
    }

    #[cfg(test)]
    pub(super) fn is_made(&self) -> bool {
        self.maker.lock().unwrap().made.is_some()
    }

    /// Holds up whoever wants the view, until what is returned is dropped.
    #[cfg(test)]
    pub(super) fn hold_up(&self) -> impl Drop {
        self.maker.lock().unwrap()
    }
}
