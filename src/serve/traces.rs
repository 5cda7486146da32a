//! `POST /api/traces` and `/api/feedback`: runs, and how they turned out, onto the log. Answered when they are
//! durable.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Json;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::split::split;
use super::{ApiError, Server};
use crate::base::Digest;
use crate::consume::{NewRecord, Topic};

pub(super) async fn post_traces(
    State(server): State<Server>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    accept(server, &headers, &body, Topic::AgentTraces).await
}

pub(super) async fn post_feedback(
    State(server): State<Server>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    accept(server, &headers, &body, Topic::AgentFeedback).await
}

async fn accept(
    server: Server,
    headers: &HeaderMap,
    body: &[u8],
    topic: Topic,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    authorize(&server, headers)?;
    let records = split(body).map_err(ApiError::BadBody)?;
    let accepted = records.len();
    let records = records.into_iter().map(|record| NewRecord::new(topic, "", record)).collect();
    let log = server.log.clone();
    let appended = tokio::task::spawn_blocking(move || log.append(records)).await;
    appended.map_err(|panic| ApiError::Internal(panic.to_string()))??;
    Ok((StatusCode::ACCEPTED, Json(json!({ "accepted": accepted }))))
}

fn authorize(server: &Server, headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    if !matches!(kind, "application/json" | "application/x-ndjson" | "application/jsonl") {
        return Err(ApiError::ContentType);
    }
    let Some(token) = &server.token else { return Ok(()) };
    let shown = text(header::AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
    // Digests are compared, so that the time it takes tells nothing about the token.
    let same = Digest::of(shown.as_bytes()) == Digest::of(token.expose_secret().as_bytes());
    if same { Ok(()) } else { Err(ApiError::Unauthorized) }
}
