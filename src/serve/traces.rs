//! `POST /api/traces` and `/api/feedback`: runs, and how they turned out, onto the log. Answered when they are
//! durable.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use super::headers::media_type;
use super::split::split;
use super::{ApiError, Server};
use crate::consume::{NewRecord, Topic};

pub(super) async fn post_traces(
    State(server): State<Server>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    accept(server, &headers, body, Topic::AgentTraces).await
}

pub(super) async fn post_feedback(
    State(server): State<Server>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    accept(server, &headers, body, Topic::AgentFeedback).await
}

/// What is said of one run is to be heard in the order in which it was said, so it goes to one partition:
/// the first word stands.
fn key(topic: Topic, record: &[u8]) -> String {
    #[derive(Deserialize)]
    struct About {
        trace_id: String,
    }
    let about = (topic == Topic::AgentFeedback).then(|| serde_json::from_slice::<About>(record));
    about.and_then(Result::ok).map(|about| about.trace_id).unwrap_or_default()
}

async fn accept(
    server: Server,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
    topic: Topic,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let kinds = ["application/json", "application/x-ndjson", "application/jsonl"];
    if !kinds.contains(&media_type(headers)) {
        return Err(ApiError::ContentType);
    }
    let body = body.map_err(|problem| ApiError::unread(&problem))?;
    let records = split(&body).map_err(ApiError::BadBody)?;
    let accepted = records.len();
    let placed = |record: Vec<u8>| NewRecord::new(topic, key(topic, &record), record);
    let records = records.into_iter().map(placed).collect();
    let log = server.log.clone();
    let appended = tokio::task::spawn_blocking(move || log.append(records)).await;
    appended.map_err(|panic| ApiError::Internal(panic.to_string()))??;
    Ok((StatusCode::ACCEPTED, Json(json!({ "accepted": accepted }))))
}
