//! `GET /api/decisions` and `/api/dead-letters`: the newest first, a page at a time.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Json;
use serde::{Deserialize, Serialize};

use super::feed::{Letter, Newest};
use super::page::{asked, limit};
use super::{ApiError, Server};
use crate::base::AgentName;
use crate::govern::Decision;

/// Items of a page, unless asked for fewer or more.
const ITEMS: usize = 50;

#[derive(Debug, Serialize)]
struct Item<T> {
    id: String,
    #[serde(flatten)]
    item: Arc<T>,
}

#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    items: Vec<Item<T>>,
    next: Option<String>,
}

impl<T> Page<T> {
    fn of(found: Newest<T>) -> Json<Self> {
        let next = found.items.last().filter(|_| found.more).map(|(at, _)| at.to_string());
        let items = found.items.into_iter().map(|(at, item)| Item { id: at.to_string(), item });
        Json(Self { items: items.collect(), next })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decided {
    agent: Option<AgentName>,
    before: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn decisions(
    State(server): State<Server>,
    wanted: Result<Query<Decided>, QueryRejection>,
) -> Result<Json<Page<Decision>>, ApiError> {
    let Decided { agent, before, limit: most } = asked(wanted)?;
    let before = before.map(|text| text.parse()).transpose()?;
    let of = |decision: &Decision| agent.as_ref().is_none_or(|agent| *agent == decision.agent);
    Ok(Page::of(server.feed.decisions(before, limit(most, ITEMS)?, of).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PutAway {
    reason: Option<String>,
    before: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn letters(
    State(server): State<Server>,
    wanted: Result<Query<PutAway>, QueryRejection>,
) -> Result<Json<Page<Letter>>, ApiError> {
    let PutAway { reason, before, limit: most } = asked(wanted)?;
    let before = before.map(|text| text.parse()).transpose()?;
    let of = |letter: &Letter| reason.as_ref().is_none_or(|reason| *reason == letter.reason);
    Ok(Page::of(server.feed.letters(before, limit(most, ITEMS)?, of).await?))
}
