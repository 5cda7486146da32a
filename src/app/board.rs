//! The agents for callers over HTTP: the log's tables, kept in memory by following them. An agent is put
//! together when somebody looks at it, and again only after something of it has changed, so that an answer
//! costs what it shows and not what there is.
//!
//! Nothing is read before somebody has asked for an agent.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::codec::{self, CodecError};
use super::restore::assemble;
use super::role::RoleError;
use crate::base::AgentName;
use crate::consume::{Record, Topic};
use crate::fold::Exemplars;
use crate::govern::{Agent, AgentView, VersionRecord};
use crate::serve::{Agents, ApiError, Changed, Changes, Page};

/// How long a caller waits for the first reading.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an agent's state may not fit together before that is taken to be so: what one step wrote may
/// arrive in parts.
const SETTLES: Duration = Duration::from_secs(2);

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

/// What is known of one agent.
#[derive(Default)]
struct Known {
    states: HashMap<Vec<u8>, Record>,
    versions: HashMap<Vec<u8>, Record>,
    view: Option<Arc<AgentView>>,
    /// Whether something came after the view was made.
    changed: bool,
    /// The number of its last change; no number counts that was given before all were read.
    change: u64,
    /// Since when it does not fit together.
    broken: Option<Instant>,
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
            known.of(topic).clear();
            known.changed = true;
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
            held.agents.retain(|_, known| !known.states.is_empty() || !known.versions.is_empty());
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

    fn known(&mut self, agent: &AgentName) -> Result<&mut Known, ApiError> {
        let known = self.agents.get_mut(agent).filter(|known| !known.states.is_empty());
        known.ok_or_else(|| ApiError::NoAgent(agent.to_string()))
    }
}

impl Known {
    fn of(&mut self, topic: Topic) -> &mut HashMap<Vec<u8>, Record> {
        if topic == Topic::AgentState { &mut self.states } else { &mut self.versions }
    }

    fn take(&mut self, topic: Topic, record: Record) {
        self.changed = true;
        if record.value.is_empty() {
            self.of(topic).remove(&record.key);
        } else {
            self.of(topic).insert(record.key.clone(), record);
        }
    }

    fn agent(&self) -> Result<Agent, RoleError> {
        let agents = assemble(self.states.values().cloned(), self.versions.values().cloned())?;
        let mut agents = agents.into_values().flat_map(BTreeMap::into_values);
        agents.next().ok_or(RoleError::Panicked("an agent without state".to_owned()))
    }

    /// It as it stands. While a step is still coming in, as it stood before.
    fn view(&mut self) -> Result<Arc<AgentView>, ApiError> {
        if let Some(view) = self.view.as_ref().filter(|_| !self.changed) {
            return Ok(view.clone());
        }
        match self.agent() {
            Ok(agent) => {
                let view = Arc::new(agent.view());
                (self.view, self.changed, self.broken) = (Some(view.clone()), false, None);
                Ok(view)
            }
            Err(problem) => {
                let since = *self.broken.get_or_insert_with(Instant::now);
                let settled = since.elapsed() > SETTLES;
                match self.view.as_ref().filter(|_| !settled) {
                    Some(view) => Ok(view.clone()),
                    None if settled => Err(ApiError::Internal(problem.to_string())),
                    None => Err(ApiError::NotReady),
                }
            }
        }
    }
}

impl Agents for Board {
    fn page(&self, after: Option<&AgentName>, limit: usize) -> Result<Page, ApiError> {
        use std::ops::Bound::{Excluded, Unbounded};
        let mut held = self.ready()?;
        let total = held.agents.values().filter(|known| !known.states.is_empty()).count();
        let mut page = Page { total, ..Page::default() };
        let from = after.map_or(Unbounded, Excluded);
        let mut rest = held.agents.range_mut::<AgentName, _>((from, Unbounded));
        let mut rest = rest.by_ref().filter(|(_, known)| !known.states.is_empty()).peekable();
        let mut last = None;
        for (name, known) in rest.by_ref().take(limit) {
            match known.view() {
                Ok(view) => page.agents.push(view),
                Err(ApiError::NotReady) => {}
                Err(problem) => {
                    tracing::error!(agent = %name, %problem, "an agent cannot be shown");
                    page.unreadable.push(name.clone());
                }
            }
            last = Some(name);
        }
        page.next = rest.peek().is_some().then(|| last.cloned()).flatten();
        Ok(page)
    }

    fn one(&self, agent: &AgentName) -> Result<Arc<AgentView>, ApiError> {
        self.ready()?.known(agent)?.view()
    }

    fn versions(&self, agent: &AgentName) -> Result<Vec<VersionRecord>, ApiError> {
        let mut held = self.ready()?;
        let records = held.known(agent)?.versions.values();
        let read = records.map(codec::from_json::<VersionRecord>).collect::<Result<Vec<_>, _>>();
        let mut versions = read.map_err(|problem| ApiError::Internal(problem.to_string()))?;
        versions.sort_by_key(|record| record.version.number);
        Ok(versions)
    }

    fn exemplars(&self, agent: &AgentName) -> Result<Exemplars, ApiError> {
        let mut held = self.ready()?;
        // One that does not fit together is answered as the view is.
        let known = held.known(agent)?;
        known.view()?;
        known.agent().map(|agent| agent.exemplars()).map_err(|_| ApiError::NotReady)
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
        let long_ago = Instant::now().checked_sub(SETTLES * 2).unwrap();
        board.held().known(&name(1)).unwrap().broken = Some(long_ago);
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
}
