//! `GET /api/updates`: what each agent should run now and every change of it, as server-sent events, and
//! decisions and word of agents that changed beside it if asked for.
//!
//! An event's id says how far its reader has come in every partition, so that one who comes back with it goes
//! on from there, on any instance. That an agent changed has no id: who comes back looks anyway.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{StreamExt as _, stream};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::changes::Watcher;
use super::feed::{Feed, Progress, Told};
use super::page::asked;
use super::positions::{Positions, Stream};
use super::{ApiError, Server};
use crate::base::AgentName;

/// When a reader comes back that lost its connection.
const RETRY: Duration = Duration::from_secs(2);
/// Events that are looked up at once.
const BATCH: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    topics: Option<String>,
    agent: Option<AgentName>,
}

/// One who listens.
struct Listener {
    records: Option<Records>,
    changes: Option<Watcher>,
    closing: CancellationToken,
    _turn: OwnedSemaphorePermit,
}

/// What it is told of records.
struct Records {
    feed: Feed,
    progress: watch::Receiver<Progress>,
    topics: Topics,
    agent: Option<AgentName>,
    /// Where it was when it was here before; none if it never was.
    known: Option<Positions>,
    begun: bool,
    /// The number of the last thing that was looked at.
    after: u64,
    positions: Positions,
    next: VecDeque<Event>,
}

/// What is listened to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Topics {
    updates: bool,
    decisions: bool,
    agents: bool,
}

impl Topics {
    fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let mut topics = Self::default();
        for name in text.unwrap_or("prompt-updates").split(',') {
            match name {
                "prompt-updates" => topics.updates = true,
                "decisions" => topics.decisions = true,
                "agents" => topics.agents = true,
                _ => {
                    let wanted = "topics takes prompt-updates, decisions and agents, with commas";
                    return Err(ApiError::BadQuery(format!("{wanted}, not {name:?}")));
                }
            }
        }
        Ok(topics)
    }

    fn has(self, stream: Stream) -> bool {
        match stream {
            Stream::Updates => self.updates,
            Stream::Decisions => self.decisions,
        }
    }
}

pub(super) async fn updates(
    State(server): State<Server>,
    wanted: Result<Query<Wanted>, QueryRejection>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let Wanted { topics, agent } = asked(wanted)?;
    let topics = Topics::parse(topics.as_deref())?;
    let known = headers.get("last-event-id").filter(|id| !id.is_empty());
    let known = known.map(|id| id.to_str().unwrap_or_default().parse()).transpose()?;
    let turn = server.listeners.clone().try_acquire_owned();
    let turn = turn.map_err(|_| ApiError::Unavailable("too many listen already".to_owned()))?;
    let changes = topics.agents.then(|| Watcher::new(server.agents, agent.clone()));
    let of_records = topics.updates || topics.decisions;
    let records = of_records.then(|| Records::new(server.feed, topics, agent, known));
    let hello = (!of_records).then(|| Ok(Event::default().retry(RETRY)));
    let alive = KeepAlive::new().interval(server.heartbeat);
    let listener = Listener { records, changes, closing: server.closing, _turn: turn };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let events = stream::iter(hello).chain(events);
    Ok(Sse::new(events).keep_alive(alive))
}

impl Listener {
    /// What comes next, as soon as it does; none when the server closes.
    async fn next(&mut self) -> Option<Event> {
        let Self { records, changes, closing, .. } = self;
        let record = async {
            match records {
                Some(records) => records.next().await,
                None => pending().await,
            }
        };
        let change = async {
            if let Some(changes) = changes
                && let Some(named) = changes.next().await
            {
                return Some(named.into());
            }
            // Where no agents are held none changes, and the rest goes on.
            pending().await
        };
        // One of them is given up each time, which loses nothing of it.
        let either = async {
            tokio::select! {
                event = record => event,
                event = change => event,
            }
        };
        tokio::select! {
            biased;
            () = closing.cancelled() => None,
            event = either => event,
        }
    }
}

impl Records {
    fn new(feed: Feed, topics: Topics, agent: Option<AgentName>, known: Option<Positions>) -> Self {
        Self {
            progress: feed.progress(),
            feed,
            topics,
            agent,
            known,
            begun: false,
            after: 0,
            positions: Positions::default(),
            next: VecDeque::new(),
        }
    }

    /// What comes next, as soon as it does; none when there will be no more. Nothing is lost if the wait is
    /// given up.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.next.pop_front() {
                return Some(event);
            }
            if self.begun {
                self.progress.changed().await.ok()?;
            } else {
                self.progress.wait_for(Progress::can_be_followed).await.ok()?;
                self.begin();
            }
            self.look();
        }
    }

    /// Who comes for the first time is told what is current, and of decisions those that are made from now on.
    /// It learns at once where it is, so that it can come back before anything happens.
    fn begin(&mut self) {
        self.begun = true;
        self.positions = match self.known.take() {
            Some(known) => known,
            None => self.feed.positions().of(Stream::Decisions),
        };
        let here = Event::default().id(self.positions.to_string()).retry(RETRY);
        self.next.push_back(here);
    }

    /// Looks on until there is something to tell, or nothing more.
    fn look(&mut self) {
        self.progress.mark_unchanged();
        loop {
            let found = self.feed.after(self.after, BATCH);
            if let Some(dropped) = found.dropped
                && self.topics.decisions
                && self.positions.reach_all(&dropped)
            {
                let gap = Event::default().event("gap").data("{\"topic\":\"decisions\"}");
                self.next.push_back(gap.id(self.positions.to_string()));
            }
            if found.told.is_empty() {
                return;
            }
            for (number, told) in found.told {
                self.after = number;
                let event = self.tell(&told);
                self.next.extend(event);
            }
            if !self.next.is_empty() {
                // There may be more: it is looked at when this is gone.
                self.progress.mark_changed();
                return;
            }
        }
    }

    fn tell(&mut self, told: &Told) -> Option<Event> {
        let Told { stream, name, agent, partition, offset, data } = told;
        if !self.topics.has(*stream) || self.positions.has(*stream, *partition, *offset) {
            return None;
        }
        self.positions.reach(*stream, *partition, *offset);
        let other = self.agent.as_ref().is_some_and(|wanted| wanted != agent);
        let event = || Event::default().event(*name).id(self.positions.to_string()).data(data);
        (!other).then(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_named_in_any_order_and_no_other_is_taken() {
        let check = |text: Option<&str>, [updates, decisions, agents]: [bool; 3]| {
            assert_eq!(Topics::parse(text).unwrap(), Topics { updates, decisions, agents });
        };
        check(None, [true, false, false]);
        check(Some("agents"), [false, false, true]);
        check(Some("decisions,agents"), [false, true, true]);
        check(Some("agents,prompt-updates,decisions"), [true; 3]);
        check(Some("agents,agents"), [false, false, true]);
        for text in ["", "agents,", ",agents", "agents decisions", "Agents", "agent-state"] {
            assert!(Topics::parse(Some(text)).is_err(), "{text:?}");
        }
    }
}
