//! `GET /api/updates`: what each agent should run now and every change of it, as server-sent events, and
//! decisions beside it if asked for.
//!
//! An event's id says how far its reader has come in every partition, so that one who comes back with it goes
//! on from there, on any instance.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::feed::{Feed, Progress, Told};
use super::page::asked;
use super::positions::{Positions, Stream};
use super::{ApiError, Server};
use crate::base::AgentName;

/// How often to say that nothing is new. Proxies let go of what is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);
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
    feed: Feed,
    progress: watch::Receiver<Progress>,
    closing: CancellationToken,
    topics: Topics,
    agent: Option<AgentName>,
    /// Where it was when it was here before; none if it never was.
    known: Option<Positions>,
    begun: bool,
    /// The number of the last thing that was looked at.
    after: u64,
    positions: Positions,
    next: VecDeque<Event>,
    _turn: OwnedSemaphorePermit,
}

/// What is listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Topics {
    updates: bool,
    decisions: bool,
}

impl Topics {
    fn parse(text: Option<&str>) -> Result<Self, ApiError> {
        let mut topics = Self { updates: false, decisions: false };
        for name in text.unwrap_or("prompt-updates").split(',') {
            match name {
                "prompt-updates" => topics.updates = true,
                "decisions" => topics.decisions = true,
                _ => {
                    let wanted = "topics takes prompt-updates, decisions, or both with a comma";
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
    let listener = Listener {
        progress: server.feed.progress(),
        feed: server.feed,
        closing: server.closing,
        topics,
        agent,
        known,
        begun: false,
        after: 0,
        positions: Positions::default(),
        next: VecDeque::new(),
        _turn: turn,
    };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

impl Listener {
    /// What comes next, as soon as it does; none when the server closes.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.next.pop_front() {
                return Some(event);
            }
            let (begun, closing) = (self.begun, self.closing.clone());
            let come = async {
                if begun {
                    self.progress.changed().await.is_ok()
                } else {
                    self.progress.wait_for(Progress::can_be_followed).await.is_ok()
                }
            };
            tokio::select! {
                biased;
                () = closing.cancelled() => return None,
                come = come => if !come { return None },
            }
            if !self.begun {
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
