//! `POST /api/agents/{agent}/approve` and its like: orders, onto the log. They are obeyed or refused by the
//! agent's state machine, and a decision says so.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Json;
use axum::routing::{MethodRouter, post};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use super::agents::{blocking, one};
use super::headers::media_type;
use super::target::Target;
use super::{ApiError, Server};
use crate::base::VersionNumber;
use crate::govern::{Command, CommandKind, Half};

/// The longest name of who orders, in bytes.
const LONGEST_NAME: usize = 128;
/// The longest reason, in characters.
const LONGEST_REASON: usize = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    #[serde(deserialize_with = "counted")]
    version: VersionNumber,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    #[serde(deserialize_with = "counted")]
    version: VersionNumber,
    reason: Option<String>,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Return {
    #[serde(default, deserialize_with = "counted_or_none")]
    to: Option<VersionNumber>,
    only: Option<Half>,
    reason: Option<String>,
    by: Option<String>,
}

#[derive(Serialize)]
struct Ordered {
    ordered: Command,
}

/// Reads what is ordered, and by whom.
type Read = fn(&[u8]) -> Result<(CommandKind, Option<String>), ApiError>;

pub(super) fn approve() -> MethodRouter<Server> {
    route(|body| {
        let Approval { version, by } = read(body)?;
        Ok((CommandKind::Approve { version }, by))
    })
}

pub(super) fn reject() -> MethodRouter<Server> {
    route(|body| {
        let Refusal { version, reason: why, by } = read(body)?;
        Ok((CommandKind::Reject { version, reason: reason(why)? }, by))
    })
}

pub(super) fn rollback() -> MethodRouter<Server> {
    route(|body| {
        let Return { to, only, reason: why, by } = read(body)?;
        Ok((CommandKind::Rollback { to, only, reason: reason(why)? }, by))
    })
}

pub(super) fn pause() -> MethodRouter<Server> {
    route(|body| read(body).map(|Plain { by }| (CommandKind::Pause, by)))
}

pub(super) fn resume() -> MethodRouter<Server> {
    route(|body| read(body).map(|Plain { by }| (CommandKind::Resume, by)))
}

pub(super) fn optimize() -> MethodRouter<Server> {
    route(|body| read(body).map(|Plain { by }| (CommandKind::Optimize, by)))
}

fn route(read: Read) -> MethodRouter<Server> {
    post(async move |State(server): State<Server>, target: Target, headers: HeaderMap, body| {
        give(server, target, &headers, (read, body)).await
    })
}

async fn give(
    server: Server,
    target: Target,
    headers: &HeaderMap,
    (read, body): (Read, Result<Bytes, BytesRejection>),
) -> Result<(StatusCode, Json<Ordered>), ApiError> {
    if media_type(headers) != "application/json" {
        return Err(ApiError::ContentType);
    }
    let body = body.map_err(|problem| ApiError::unread(&problem))?;
    let (kind, by) = read(&body)?;
    let by = by.unwrap_or_else(|| "http".to_owned());
    if by.is_empty() || by.len() > LONGEST_NAME || by.chars().any(char::is_control) {
        let wanted = format!("by must be 1 to {LONGEST_NAME} bytes in one line");
        return Err(ApiError::BadBody(wanted));
    }
    // An order for nobody would make an agent of that name.
    one(&server, &target.agent).await?;
    let command = Command { agent: target.agent, by, kind };
    let ordered = blocking(move || (server.orders)(&command).map(|()| command)).await?;
    Ok((StatusCode::ACCEPTED, Json(Ordered { ordered })))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|problem| ApiError::BadBody(format!("the order cannot be read: {problem}")))
}

/// A version's number, from 1. For JSON 2.0 is one too.
fn counted<'de, D: Deserializer<'de>>(from: D) -> Result<VersionNumber, D::Error> {
    let found = counted_or_none(from)?;
    found.ok_or_else(|| D::Error::custom("a version is wanted, not null"))
}

fn counted_or_none<'de, D: Deserializer<'de>>(from: D) -> Result<Option<VersionNumber>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(from)? else { return Ok(None) };
    let text = number.to_string();
    let whole = text.strip_suffix(".0").unwrap_or(&text);
    match whole.parse() {
        Ok(version) => Ok(Some(version)),
        Err(_) => Err(D::Error::custom(format!("{number} is no version: they are counted from 1"))),
    }
}

fn reason(given: Option<String>) -> Result<String, ApiError> {
    let reason = given.unwrap_or_else(|| "no reason given".to_owned());
    if reason.chars().count() > LONGEST_REASON || reason.chars().any(char::is_control) {
        let wanted = format!("reason must be at most {LONGEST_REASON} characters in one line");
        return Err(ApiError::BadBody(wanted));
    }
    Ok(reason)
}
