//! The agents for callers over HTTP: the log's tables, kept in memory by following them. An agent is put
//! together when somebody looks at it, and again only after something of it has changed, so that an answer
//! costs what it shows and not what there is. That happens beside what is held, so that whoever looks waits
//! for nobody's page.
//!
//! Nothing is read before somebody has asked for an agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::codec::{self, CodecError};
use super::known::{Known, Look};
use crate::base::AgentName;
use crate::consume::{Record, Topic};
use crate::fold::Exemplars;
use crate::govern::{AgentView, VersionRecord};
use crate::serve::{Agents, ApiError, Changed, Changes, Page};

/// How long a caller waits for the first reading.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is held of the tables.
pub(super) struct Board {
    held: Mutex<Held>,
    read: Condvar,
    changes: watch::Sender<Changes>,
    wanted: CancellationToken,
}

#[derive(Default)]
struct Held {
    agents: BTreeMap<AgentName, Known>,
    states_read: bool,
    versions_read: bool,
    changes: Changes,
    /// Those that changed since all were read, by the number of their last change.
    changed: BTreeMap<u64, AgentName>,
}

impl Board {
    pub(super) fn new() -> Self {
        Self {
            held: Mutex::default(),
            read: Condvar::new(),
            changes: watch::Sender::default(),
            wanted: CancellationToken::new(),
        }
    }

    /// Is cancelled as soon as somebody has asked for an agent.
    pub(super) fn wanted(&self) -> &CancellationToken {
        &self.wanted
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what `topic` told: it is read anew.
    pub(super) fn begin(&self, topic: Topic) {
        let mut held = self.held();
        *held.read_of(topic) = false;
        for known in held.agents.values_mut() {
            known.forget(topic);
        }
        held.changed.clear();
        self.tell(&mut held);
    }

    /// Takes what came on `topic`, and whether that is all that stood there at first.
    pub(super) fn take(&self, topic: Topic, records: Vec<Record>, all: bool) {
        let mut held = self.held();
        let before = held.changes.last;
        for record in records {
            if let Err(problem) = held.take(topic, record, before) {
                tracing::error!(%problem, "left out a record of an agent");
            }
        }
        if all && !*held.read_of(topic) {
            *held.read_of(topic) = true;
            held.agents.retain(|_, known| !known.is_empty());
            if held.is_read() {
                held.changes.last += 1;
                held.changes.all = held.changes.last;
            }
            self.read.notify_all();
        }
        self.tell(&mut held);
    }

    /// Wakes those that wait for changes, if there are any.
    fn tell(&self, held: &mut Held) {
        held.changes.read = held.is_read();
        let now = held.changes;
        self.changes.send_if_modified(|told| std::mem::replace(told, now) != now);
    }

    /// Everything, once it has been read.
    fn ready(&self) -> Result<MutexGuard<'_, Held>, ApiError> {
        self.wanted.cancel();
        let unread = |held: &mut Held| !held.is_read();
        let waited = self.read.wait_timeout_while(self.held(), PATIENCE, unread);
        let (held, late) = waited.unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() { Err(ApiError::NotReady) } else { Ok(held) }
    }

    /// Keeps views that were made, each with what had come by then.
    fn keep(&self, views: impl IntoIterator<Item = (AgentName, u64, Arc<AgentView>)>) {
        let mut held = self.held();
        for (name, stamp, view) in views {
            if let Some(known) = held.agents.get_mut(&name) {
                known.keep(stamp, view);
            }
        }
    }
}

impl Held {
    fn read_of(&mut self, topic: Topic) -> &mut bool {
        if topic == Topic::AgentState { &mut self.states_read } else { &mut self.versions_read }
    }

    fn is_read(&self) -> bool {
        self.states_read && self.versions_read
    }

    /// Takes `record`. However much comes of an agent after change number `before`, it is one change.
    fn take(&mut self, topic: Topic, record: Record, before: u64) -> Result<(), CodecError> {
        let agent = codec::agent_of(&record)?;
        let read = self.is_read();
        let known = self.agents.entry(agent.clone()).or_default();
        known.take(topic, record);
        if read && known.change <= before {
            self.changed.remove(&known.change);
            self.changes.last += 1;
            known.change = self.changes.last;
            self.changed.insert(known.change, agent);
        }
        Ok(())
    }

    fn known(&self, agent: &AgentName) -> Result<&Known, ApiError> {
        let known = self.agents.get(agent).filter(|known| known.is_there());
        known.ok_or_else(|| ApiError::NoAgent(agent.to_string()))
    }

    /// A page without its agents, and what is to be looked at for them.
    fn page(&self, after: Option<&AgentName>, limit: usize) -> (Page, Vec<(AgentName, Look)>) {
        use std::ops::Bound::{Excluded, Unbounded};
        let total = self.agents.values().filter(|known| known.is_there()).count();
        let from = after.map_or(Unbounded, Excluded);
        let rest = self.agents.range::<AgentName, _>((from, Unbounded));
        let mut rest = rest.filter(|(_, known)| known.is_there());
        let looks = rest.by_ref().take(limit).map(|(name, known)| (name.clone(), known.look()));
        let looks: Vec<_> = looks.collect();
        let last = looks.last().filter(|_| rest.next().is_some());
        let next = last.map(|(name, _)| name.clone());
        (Page { total, next, ..Page::default() }, looks)
    }
}

impl Agents for Board {
    fn page(&self, after: Option<&AgentName>, limit: usize) -> Result<Page, ApiError> {
        let (mut page, looks) = self.ready()?.page(after, limit);
        let mut made = Vec::new();
        for (name, look) in looks {
            let parts = match look {
                Look::There(view) => {
                    page.agents.push(view);
                    continue;
                }
                Look::ToMake(parts) => parts,
            };
            match parts.view() {
                Ok((stamp, view)) => {
                    page.agents.push(view.clone());
                    made.push((name, stamp, view));
                }
                Err(ApiError::NotReady) => {}
                Err(problem) => {
                    tracing::error!(agent = %name, %problem, "an agent cannot be shown");
                    page.unreadable.push(name);
                }
            }
        }
        self.keep(made);
        Ok(page)
    }

    fn one(&self, agent: &AgentName) -> Result<Arc<AgentView>, ApiError> {
        let look = self.ready()?.known(agent)?.look();
        let (stamp, view) = match look {
            Look::There(view) => return Ok(view),
            Look::ToMake(parts) => parts.view()?,
        };
        self.keep([(agent.clone(), stamp, view.clone())]);
        Ok(view)
    }

    fn versions(&self, agent: &AgentName) -> Result<Vec<VersionRecord>, ApiError> {
        let parts = self.ready()?.known(agent)?.parts();
        parts.versions().map_err(|problem| ApiError::Internal(problem.to_string()))
    }

    fn exemplars(&self, agent: &AgentName) -> Result<Exemplars, ApiError> {
        let parts = self.ready()?.known(agent)?.parts();
        parts.exemplars()
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.wanted.cancel();
        self.changes.subscribe()
    }

    fn changed(&self, after: u64, most: usize) -> Changed {
        let held = self.held();
        let Changes { last, all, .. } = held.changes;
        let since = held.changed.range(after.saturating_add(1)..).map(|(_, name)| name.clone());
        let agents: Vec<_> = since.take(most.saturating_add(1)).collect();
        let few = after >= all && agents.len() <= most;
        Changed { agents: few.then_some(agents), last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::EventTime;
    use crate::consume::NewRecord;
    use crate::govern::Agent;

    fn record(new: NewRecord, offset: u64) -> Record {
        let NewRecord { topic, key, value, headers } = new;
        let at = EventTime::from_millis(0);
        Record { topic, partition: 0, offset, at, key, value, headers }
    }

    fn name(number: usize) -> AgentName {
        format!("agent-{number:04}").parse().unwrap()
    }

    fn state(number: usize) -> Vec<Record> {
        let mut agent = Agent::new(name(number));
        codec::state(&mut agent).into_iter().map(|new| record(new, number as u64)).collect()
    }

    fn board(agents: usize) -> Board {
        let board = Board::new();
        board.take(Topic::AgentState, (0..agents).flat_map(state).collect(), true);
        board.take(Topic::PromptVersions, Vec::new(), true);
        board
    }

    #[test]
    fn pages_have_every_agent_once() {
        let board = board(1050);
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = board.page(after.as_ref(), 100).unwrap();
            assert_eq!(page.total, 1050);
            seen.extend(page.agents.iter().map(|view| view.agent.clone()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..1050).map(name).collect::<Vec<_>>());
        assert_eq!(board.page(Some(&name(1049)), 100).unwrap().agents, []);
    }

    #[test]
    fn an_agent_is_put_together_again_only_after_it_changed() {
        let board = board(2);
        let view = |number| board.one(&name(number)).unwrap();
        let (first, second) = (view(0), view(1));
        assert!(Arc::ptr_eq(&first, &view(0)));
        board.take(Topic::AgentState, state(1), true);
        assert!(Arc::ptr_eq(&first, &view(0)) && !Arc::ptr_eq(&second, &view(1)));
    }

    #[test]
    fn one_agent_that_cannot_be_read_hides_no_other() {
        let board = board(3);
        let odd = NewRecord::new(Topic::AgentState, name(1).as_str(), [9]);
        board.take(Topic::AgentState, vec![record(odd, 9)], true);
        // For a while it may be half of a step.
        assert!(matches!(board.one(&name(1)), Err(ApiError::NotReady)));
        assert_eq!(board.page(None, 10).unwrap().agents.len(), 2);
        board.held().known(&name(1)).unwrap().parts().age();
        assert!(matches!(board.one(&name(1)), Err(ApiError::Internal(_))));
        let page = board.page(None, 10).unwrap();
        assert_eq!((page.agents.len(), page.unreadable), (2, vec![name(1)]));
    }

    #[test]
    fn what_is_read_anew_is_not_mixed_with_what_was_there() {
        let board = board(2);
        board.begin(Topic::AgentState);
        board.take(Topic::AgentState, state(1), true);
        assert!(matches!(board.one(&name(0)), Err(ApiError::NoAgent(_))));
        assert!(board.one(&name(1)).is_ok());
    }

    /// Who changed after `after`, in order, and the number to go on from.
    fn changed(board: &Board, after: u64) -> (Option<Vec<AgentName>>, u64) {
        let Changed { mut agents, last } = board.changed(after, 3);
        agents.iter_mut().for_each(|names| names.sort_unstable());
        (agents, last)
    }

    #[test]
    fn a_change_is_told_once_to_whoever_has_not_heard_of_it() {
        let board = board(9);
        let first = *board.changes().borrow();
        assert_eq!(first, Changes { last: 1, all: 1, read: true });
        assert_eq!(changed(&board, 1), (Some(Vec::new()), 1));
        board.take(Topic::AgentState, [state(2), state(1), state(2)].concat(), true);
        assert_eq!(changed(&board, 1), (Some(vec![name(1), name(2)]), 3));
        board.take(Topic::AgentState, state(2), true);
        assert_eq!(changed(&board, 1), (Some(vec![name(1), name(2)]), 4));
        assert_eq!(changed(&board, 3), (Some(vec![name(2)]), 4));
        assert_eq!(changed(&board, 4), (Some(Vec::new()), 4));
        board.take(Topic::AgentState, (3..5).flat_map(state).collect(), true);
        assert_eq!(changed(&board, 1), (None, 6), "they are too many");
        assert_eq!(changed(&board, 4), (Some(vec![name(3), name(4)]), 6));
        assert_eq!(board.held().changed.len(), 4, "each stands there once");
    }

    #[test]
    fn what_is_read_anew_may_have_changed_everywhere() {
        let board = board(2);
        let mut changes = board.changes();
        board.take(Topic::AgentState, state(1), true);
        board.begin(Topic::AgentState);
        assert!(!changes.borrow_and_update().read);
        board.take(Topic::AgentState, state(1), false);
        assert!(!changes.has_changed().unwrap(), "it is not there yet");
        board.take(Topic::AgentState, Vec::new(), true);
        let Changes { last, all, read } = *changes.borrow_and_update();
        assert!(read && last == all);
        assert_eq!(changed(&board, last - 1), (None, last));
        board.take(Topic::AgentState, state(0), true);
        assert_eq!(changed(&board, last), (Some(vec![name(0)]), last + 1));
        board.take(Topic::AgentState, Vec::new(), true);
        assert_eq!(changes.borrow_and_update().last, last + 1);
        board.take(Topic::AgentState, Vec::new(), true);
        assert!(!changes.has_changed().unwrap(), "nobody is woken for nothing");
    }

    #[test]
    fn nobody_waits_for_a_view_that_somebody_else_wants() {
        let board = Arc::new(board(3));
        let parts = |number| board.held().known(&name(number)).unwrap().parts();
        let (first, second) = (parts(0), parts(1));
        let held_up = second.hold_up();
        let others = board.clone();
        let page = std::thread::spawn(move || others.page(None, 10).unwrap());
        while !first.is_made() {
            std::thread::yield_now();
        }
        assert!(board.held.try_lock().is_ok(), "nothing is locked but that one");
        assert!(board.one(&name(0)).is_ok() && board.one(&name(2)).is_ok());
        board.take(Topic::AgentState, state(2), true);
        assert_eq!(board.page(Some(&name(1)), 10).unwrap().agents.len(), 1);
        assert!(!page.is_finished());
        drop(held_up);
        assert_eq!(page.join().unwrap().agents.len(), 3);
    }

    #[test]
    fn a_view_that_was_overtaken_is_not_kept() {
        let board = board(1);
        let stale = board.held().known(&name(0)).unwrap().parts();
        board.take(Topic::AgentState, state(0), true);
        let (stamp, view) = stale.view().unwrap();
        board.keep([(name(0), stamp, view.clone())]);
        let now = board.one(&name(0)).unwrap();
        assert!(!Arc::ptr_eq(&now, &view));
        assert!(Arc::ptr_eq(&now, &stale.view().unwrap().1), "and the newest serves all");
    }
}
