//! `agents` of `GET /api/updates`: who changed, for one who has looked at them before.
//!
//! Changes are numbered where the agents are held. Nothing is kept for a listener but the number of the last
//! one that it was told of.

use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::Event;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::agents::Agents;
use crate::base::AgentName;

/// How long to gather changes before the next are told.
const REST: Duration = Duration::from_secs(1);
/// The most agents that are named at once. Who has to look at more does better to look at all.
const NAMED: usize = 200;

/// How many changes of agents there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The number of the last one.
    pub last: u64,
    /// The number of the last one that may have changed every agent.
    pub all: u64,
    /// Whether the agents are there to be looked at. While they are read anew they are not.
    pub read: bool,
}

/// Who changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Those that did, in no order; none if every agent may have, or too many did.
    pub agents: Option<Vec<AgentName>>,
    /// The number of the last change among them.
    pub last: u64,
}

/// What a listener is told.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Named {
    /// Those that changed, in order; none if every one may have, or too many did.
    agents: Option<Vec<AgentName>>,
}

impl From<Named> for Event {
    fn from(named: Named) -> Self {
        // Names always serialize.
        let data = serde_json::to_string(&named).unwrap_or_default();
        Self::default().event("agents").data(data)
    }
}

/// One who waits for changes.
pub(super) struct Watcher {
    agents: Arc<dyn Agents>,
    changes: watch::Receiver<Changes>,
    agent: Option<AgentName>,
    begun: bool,
    /// The number of the last change that it was told of.
    told: u64,
    /// Until when nothing more is told.
    rests: Instant,
}

impl Watcher {
    /// One who is told of what changes from now on, about `agent` alone if there is one.
    pub(super) fn new(agents: Arc<dyn Agents>, agent: Option<AgentName>) -> Self {
        let changes = agents.changes();
        let told = changes.borrow().last;
        Self { agents, changes, agent, begun: false, told, rests: Instant::now() }
    }

    /// What is to be told next, as soon as it is due; none when there will be no more. Nothing is lost if the
    /// wait is given up.
    pub(super) async fn next(&mut self) -> Option<Named> {
        loop {
            if !self.begun {
                // Whatever was read until then is no change.
                let first = self.changes.wait_for(|changes| changes.read).await.ok()?.all;
                (self.begun, self.told) = (true, self.told.max(first));
            }
            let told = self.told;
            let more = self.changes.wait_for(|changes| changes.read && changes.last > told);
            more.await.ok()?;
            tokio::time::sleep_until(self.rests).await;
            let Changed { agents, last } = self.agents.changed(self.told, NAMED);
            (self.told, self.rests) = (last, Instant::now() + REST);
            if let Some(named) = self.named(agents) {
                return Some(named);
            }
        }
    }

    /// None if there is nothing to tell.
    fn named(&self, mut agents: Option<Vec<AgentName>>) -> Option<Named> {
        if let Some(changed) = &mut agents {
            changed.retain(|name| self.agent.as_ref().is_none_or(|wanted| wanted == name));
            changed.sort_unstable();
            if changed.is_empty() {
                return None;
            }
        }
        Some(Named { agents })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::fold::Exemplars;
    use crate::govern::{AgentView, VersionRecord};
    use crate::serve::{ApiError, Page};

    /// Agents of which nothing is known but that they changed.
    struct Restless {
        changes: watch::Sender<Changes>,
        changed: Mutex<Vec<AgentName>>,
    }

    impl Restless {
        fn new(read: bool) -> Arc<Self> {
            let now = Changes { last: 1, all: 1, read };
            Arc::new(Self { changes: watch::Sender::new(now), changed: Mutex::default() })
        }

        fn change(&self, names: &[&str]) {
            let names: Vec<_> = names.iter().map(|name| name.parse().unwrap()).collect();
            self.changed.lock().unwrap().extend(names.clone());
            self.changes.send_modify(|now| now.last += names.len() as u64);
        }
    }

    impl Agents for Restless {
        fn page(&self, _: Option<&AgentName>, _: usize) -> Result<Page, ApiError> {
            Err(ApiError::NotReady)
        }

        fn one(&self, _: &AgentName) -> Result<Arc<AgentView>, ApiError> {
            Err(ApiError::NotReady)
        }

        fn versions(&self, _: &AgentName) -> Result<Vec<VersionRecord>, ApiError> {
            Err(ApiError::NotReady)
        }

        fn exemplars(&self, _: &AgentName) -> Result<Exemplars, ApiError> {
            Err(ApiError::NotReady)
        }

        fn changes(&self) -> watch::Receiver<Changes> {
            self.changes.subscribe()
        }

        fn changed(&self, after: u64, _: usize) -> Changed {
            let Changes { last, all, .. } = *self.changes.borrow();
            let since = usize::try_from(after.saturating_sub(1)).unwrap();
            let agents = self.changed.lock().unwrap().get(since..).map(<[_]>::to_vec);
            Changed { agents: agents.filter(|_| after >= all), last }
        }
    }

    fn named(names: &[&str]) -> Option<Named> {
        Some(Named { agents: Some(names.iter().map(|name| name.parse().unwrap()).collect()) })
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(test);
    }

    #[test]
    fn changes_are_told_at_once_and_then_gathered() {
        run(async {
            let agents = Restless::new(true);
            agents.change(&["before"]);
            let mut watcher = Watcher::new(agents.clone(), None);
            agents.change(&["b"]);
            let begun = Instant::now();
            assert_eq!(watcher.next().await, named(&["b"]));
            assert!(begun.elapsed() < REST);
            agents.change(&["d"]);
            agents.change(&["c", "a"]);
            let given_up = tokio::time::timeout(REST / 10, watcher.next()).await;
            assert!(given_up.is_err(), "it is too early");
            assert_eq!(watcher.next().await, named(&["a", "c", "d"]));
            assert!(begun.elapsed() >= REST);
        });
    }

    #[test]
    fn who_listens_for_one_agent_is_told_of_no_other() {
        run(async {
            let agents = Restless::new(true);
            let mut watcher = Watcher::new(agents.clone(), Some("b".parse().unwrap()));
            agents.change(&["a", "c"]);
            assert!(tokio::time::timeout(REST / 10, watcher.next()).await.is_err());
            agents.change(&["b"]);
            assert_eq!(watcher.next().await, named(&["b"]));
            agents.changes.send_modify(|now| (now.last, now.all) = (now.last + 1, now.last + 1));
            assert_eq!(watcher.next().await, Some(Named { agents: None }), "it may have changed");
        });
    }

    #[test]
    fn what_is_read_at_first_is_no_change_and_what_is_read_anew_is_one_of_all() {
        run(async {
            let agents = Restless::new(false);
            let mut watcher = Watcher::new(agents.clone(), None);
            agents.changes.send_modify(|now| *now = Changes { last: 2, all: 2, read: true });
            assert!(tokio::time::timeout(REST / 10, watcher.next()).await.is_err());
            agents.changes.send_modify(|now| now.read = false);
            agents.changes.send_modify(|now| *now = Changes { last: 3, all: 3, read: true });
            assert_eq!(watcher.next().await, Some(Named { agents: None }));
        });
    }
}
