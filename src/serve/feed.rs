//! What came lately on the topics that go out, held so that it can be looked through page by page and
//! followed from any place: every agent's newest prompts, and so many decisions and dead letters.
//!
//! Nothing is kept for a subscriber. It goes at its own pace, and one that falls behind finds what is still
//! held: of each agent the newest prompts, as on the topic itself, which is compacted.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ApiError;
use super::page::Cursor;
use super::positions::{Positions, Stream};
use crate::base::{AgentName, EventTime};
use crate::consume::{Record, Topic};
use crate::govern::{Decision, PromptUpdate};

/// Decisions that are held. With a trial in it one takes some 3 KB.
const DECISIONS: usize = 4096;
/// Dead letters that are held, of some 3 KB each.
const LETTERS: usize = 1024;
/// How long to wait until what stands on the topics has been read.
const PATIENCE: Duration = Duration::from_secs(20);

/// What could not be read, and why. Whoever makes one has hidden what should not be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// The reason by name, e.g. `malformed_json`.
    pub reason: String,
    /// The reason in words.
    pub detail: String,
    /// The topic it came on.
    pub topic: String,
    /// Its partition there.
    pub partition: Option<i32>,
    /// Its place there.
    pub offset: Option<u64>,
    /// How many bytes its value has.
    pub bytes: usize,
    /// How its value begins, as text.
    pub preview: String,
    /// When it was put away.
    pub at: EventTime,
}

/// Something that subscribers are told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) stream: Stream,
    pub(super) name: &'static str,
    pub(super) agent: AgentName,
    pub(super) partition: i32,
    pub(super) offset: u64,
    pub(super) data: String,
}

/// What is held of the topics. Clones share it.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    held: Mutex<Held>,
    most_decisions: usize,
    most_letters: usize,
    progress: watch::Sender<Progress>,
    wanted: CancellationToken,
}

/// What subscribers wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// How many things were told.
    pub(super) told: u64,
    updates: bool,
    decisions: bool,
    letters: bool,
}

impl Progress {
    /// Whether all is there that a subscriber may have missed.
    pub(super) fn can_be_followed(&self) -> bool {
        self.updates && self.decisions
    }
}

#[derive(Default)]
struct Held {
    told: u64,
    positions: Positions,
    /// The newest of each agent, by when it was told.
    updates: BTreeMap<u64, Arc<Told>>,
    update_of: HashMap<AgentName, u64>,
    decided: BTreeMap<u64, Arc<Told>>,
    /// Up to where decisions are held no more.
    dropped: Positions,
    dropped_told: u64,
    decisions: BTreeMap<Cursor, Arc<Decision>>,
    letters: BTreeMap<Cursor, Arc<Letter>>,
}

impl Default for Feed {
    fn default() -> Self {
        Self::holding(DECISIONS, LETTERS)
    }
}

impl Feed {
    /// One that holds so many decisions and dead letters, the newest.
    pub fn holding(most_decisions: usize, most_letters: usize) -> Self {
        Self(Arc::new(Shared {
            held: Mutex::default(),
            most_decisions,
            most_letters,
            progress: watch::Sender::default(),
            wanted: CancellationToken::new(),
        }))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is cancelled as soon as somebody wants to see something: nothing need be read before.
    pub fn wanted(&self) -> &CancellationToken {
        &self.0.wanted
    }

    /// Takes an update of an agent's prompts, or word that the agent is gone. One taken before is left out.
    pub fn update(&self, record: &Record, agent: AgentName, update: Option<&PromptUpdate>) {
        let gone = || serde_json::json!({ "agent": agent }).to_string();
        let (name, data) = match update {
            // Messages of ours always serialize.
            Some(update) => ("update", serde_json::to_string(update).unwrap_or_default()),
            None => ("gone", gone()),
        };
        let mut held = self.held();
        let told = Told::of(record, Stream::Updates, (name, agent, data));
        if let Some(number) = held.tell(&told) {
            if let Some(old) = held.update_of.insert(told.agent.clone(), number) {
                held.updates.remove(&old);
            }
            held.updates.insert(number, Arc::new(told));
        }
        self.show(&held);
    }

    /// Takes a decision. One taken before is left out.
    pub fn decision(&self, record: &Record, decision: Decision) {
        let data = serde_json::to_string(&decision).unwrap_or_default();
        let mut held = self.held();
        let agent = decision.agent.clone();
        let told = Told::of(record, Stream::Decisions, ("decision", agent, data));
        if let Some(number) = held.tell(&told) {
            held.decided.insert(number, Arc::new(told));
            if held.decided.len() > self.0.most_decisions
                && let Some((number, old)) = held.decided.pop_first()
            {
                held.dropped.reach(old.stream, old.partition, old.offset);
                held.dropped_told = number;
            }
            held.decisions.insert(Cursor::of(record), Arc::new(decision));
            if held.decisions.len() > self.0.most_decisions {
                held.decisions.pop_first();
            }
        }
        self.show(&held);
    }

    /// Takes a dead letter. One taken before is left out.
    pub fn letter(&self, record: &Record, letter: Letter) {
        let mut held = self.held();
        held.letters.insert(Cursor::of(record), Arc::new(letter));
        if held.letters.len() > self.0.most_letters {
            held.letters.pop_first();
        }
    }

    /// Says that all was taken that stood on `topic` when it was first read.
    pub fn caught_up(&self, topic: Topic) {
        self.0.progress.send_if_modified(|progress| {
            let before = *progress;
            progress.updates |= topic == Topic::PromptUpdates;
            progress.decisions |= topic == Topic::Decisions;
            progress.letters |= topic == Topic::DeadLetters;
            *progress != before
        });
    }

    fn show(&self, held: &Held) {
        let told = held.told;
        self.0
            .progress
            .send_if_modified(|progress| std::mem::replace(&mut progress.told, told) != told);
    }

    /// What changes whenever something is told.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.0.wanted.cancel();
        self.0.progress.subscribe()
    }

    async fn ready(&self, when: fn(&Progress) -> bool) -> Result<(), ApiError> {
        let mut progress = self.progress();
        let ready = tokio::time::timeout(PATIENCE, progress.wait_for(when)).await;
        if matches!(ready, Ok(Ok(_))) { Ok(()) } else { Err(ApiError::NotReady) }
    }

    /// The newest decisions of those `before` that `wanted` takes, the newest first, and whether there are
    /// more.
    pub(super) async fn decisions(
        &self,
        before: Option<Cursor>,
        most: usize,
        wanted: impl Fn(&Decision) -> bool,
    ) -> Result<Newest<Decision>, ApiError> {
        self.ready(|progress| progress.decisions).await?;
        Ok(newest(&self.held().decisions, before, most, wanted))
    }

    /// The same of the dead letters.
    pub(super) async fn letters(
        &self,
        before: Option<Cursor>,
        most: usize,
        wanted: impl Fn(&Letter) -> bool,
    ) -> Result<Newest<Letter>, ApiError> {
        self.ready(|progress| progress.letters).await?;
        Ok(newest(&self.held().letters, before, most, wanted))
    }

    /// Up to where everything was told.
    pub(super) fn positions(&self) -> Positions {
        self.held().positions.clone()
    }

    /// The first `most` of what was told after number `after`, each with its number, and up to where decisions
    /// are held no more, if that is further.
    pub(super) fn after(&self, after: u64, most: usize) -> After {
        let held = self.held();
        let updates = held.updates.range(after.saturating_add(1)..).take(most);
        let decided = held.decided.range(after.saturating_add(1)..).take(most);
        let mut told: Vec<_> =
            updates.chain(decided).map(|(number, told)| (*number, told.clone())).collect();
        told.sort_by_key(|(number, _)| *number);
        told.truncate(most);
        let dropped = (held.dropped_told > after).then(|| held.dropped.clone());
        After { told, dropped }
    }
}

/// Some of what is held, the newest first, and whether there is more.
pub(super) struct Newest<T> {
    pub(super) items: Vec<(Cursor, Arc<T>)>,
    pub(super) more: bool,
}

/// What a subscriber is to be told next.
pub(super) struct After {
    pub(super) told: Vec<(u64, Arc<Told>)>,
    pub(super) dropped: Option<Positions>,
}

impl Told {
    fn of(
        record: &Record,
        stream: Stream,
        (name, agent, data): (&'static str, AgentName, String),
    ) -> Self {
        Self { stream, name, agent, partition: record.partition, offset: record.offset, data }
    }
}

impl Held {
    /// The number of what is told now; none if it was told before.
    fn tell(&mut self, told: &Told) -> Option<u64> {
        if self.positions.has(told.stream, told.partition, told.offset) {
            return None;
        }
        self.positions.reach(told.stream, told.partition, told.offset);
        self.told += 1;
        Some(self.told)
    }
}

fn newest<T>(
    held: &BTreeMap<Cursor, Arc<T>>,
    before: Option<Cursor>,
    most: usize,
    wanted: impl Fn(&T) -> bool,
) -> Newest<T> {
    let all = held.iter().rev().skip_while(|(at, _)| before.is_some_and(|before| **at >= before));
    let mut found = all.filter(|(_, item)| wanted(item)).map(|(at, item)| (*at, item.clone()));
    let items = found.by_ref().take(most).collect();
    Newest { items, more: found.next().is_some() }
}
