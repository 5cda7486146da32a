//! `GET /api/agents/{agent}/prompt?unit=…`: which version a unit should run, and what that says.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Json, Response};
use serde::{Deserialize, Serialize};

use super::{ApiError, Server};
use crate::base::{AgentName, VersionNumber};
use crate::govern::{Content, PromptUpdate};

/// The longest id of a unit, in bytes.
const LONGEST: usize = 128;

/// What a unit should run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Assigned {
    /// The agent.
    pub agent: AgentName,
    /// The unit that was asked for.
    pub unit: String,
    /// The version it should run, and name in its trace.
    pub version: VersionNumber,
    /// Why that one.
    pub because: Because,
    /// Counts the changes of the agent's versions.
    pub revision: u64,
    /// What it runs on.
    pub content: Content,
}

/// Why a unit gets a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// It is the active one.
    Active,
    /// It is on trial, and the unit is among those that try it.
    Trial,
    /// It is held back, and the unit is among those that keep it.
    Holdback,
}

impl Assigned {
    /// What `update` says for `unit`.
    pub fn of(update: &PromptUpdate, unit: &str) -> Self {
        let version = update.version_for(unit);
        let because = if version.number == update.active.number {
            Because::Active
        } else if Some(version.number) == update.candidate {
            Because::Trial
        } else {
            Because::Holdback
        };
        Self {
            agent: update.agent.clone(),
            unit: unit.to_owned(),
            version: version.number,
            because,
            revision: update.revision,
            content: version.content.clone(),
        }
    }

    /// Another for whatever would change the answer.
    fn tag(&self) -> String {
        format!("\"{}-{}\"", self.revision, self.version)
    }
}

/// A unit's id as somebody gives it.
///
/// # Errors
/// In words, if no unit can have it.
pub fn parse_unit(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > LONGEST {
        return Err(format!("unit must have 1 to {LONGEST} bytes, not {}", text.len()));
    }
    Ok(text.to_owned())
}

#[derive(Deserialize)]
pub(super) struct Asked {
    unit: Option<String>,
}

pub(super) async fn prompt(
    State(server): State<Server>,
    Path(name): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(asked) = asked.map_err(|problem| ApiError::BadUnit(problem.to_string()))?;
    let unit = parse_unit(&asked.unit.unwrap_or_default()).map_err(ApiError::BadUnit)?;
    let agent: AgentName = name.parse().map_err(|_| ApiError::NoPrompt(name))?;
    let prompts = server.prompts.clone();
    let found = tokio::task::spawn_blocking(move || prompts(&agent, &unit)).await;
    let assigned = found.map_err(|panic| ApiError::Internal(panic.to_string()))??;
    let tag = assigned.tag();
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    Ok(([(header::ETAG, tag)], Json(assigned)).into_response())
}
