//! Stage 7: HTTP. Health, metrics, traces and feedback in, agents out.
//!
//! Reads views and appends records; changes no state itself. Binds to loopback unless configured
//! otherwise; what changes state wants the token if there is one, and always a content type that no web
//! page can post here unasked.

mod error;
mod headers;
mod otlp;
mod prompt;
mod split;
mod traces;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use error::ApiError;
pub use prompt::{Assigned, Because, parse_unit};

use crate::base::{AgentName, Metrics};
use crate::consume::Log;
use crate::decode;
use crate::govern::AgentView;

/// The largest request body, in bytes.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// Gives the agents as they stand, by name.
pub type Views = Arc<dyn Fn() -> Result<Vec<AgentView>, ApiError> + Send + Sync>;

/// Says what a unit of an agent should run.
pub type Prompts = Arc<dyn Fn(&AgentName, &str) -> Result<Assigned, ApiError> + Send + Sync>;

/// What the server works with.
#[derive(Clone)]
pub struct Server {
    /// Where traces go.
    pub log: Arc<dyn Log>,
    /// What people see.
    pub views: Views,
    /// What agents ask before they run.
    pub prompts: Prompts,
    /// What becomes of OpenTelemetry's spans.
    pub otel: Arc<decode::otlp::Rules>,
    /// What Prometheus sees.
    pub metrics: Metrics,
    /// Whether the roles have restored their state.
    pub ready: Arc<AtomicBool>,
    /// What a caller must show to change state; nothing if not set.
    pub token: Option<SecretString>,
}

/// Serves on `listener` until `stop`; requests under way are answered first.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    server: Server,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router(server)).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// All routes.
pub fn router(server: Server) -> Router {
    Router::new()
        .route("/api/traces", post(traces::post_traces))
        .route("/api/feedback", post(traces::post_feedback))
        .route("/api/agents", get(agents))
        .route("/api/agents/{agent}", get(agent))
        .route("/api/agents/{agent}/versions", get(versions))
        .route("/api/agents/{agent}/prompt", get(prompt::prompt))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(server.clone())
        .merge(otlp::routes(server))
}

async fn all(server: &Server) -> Result<Vec<AgentView>, ApiError> {
    let views = server.views.clone();
    let result = tokio::task::spawn_blocking(move || views()).await;
    result.map_err(|panic| ApiError::Internal(panic.to_string()))?
}

async fn one(server: &Server, name: &str) -> Result<AgentView, ApiError> {
    let name: AgentName = name.parse().map_err(|_| ApiError::NoAgent(name.to_owned()))?;
    let found = all(server).await?.into_iter().find(|view| view.agent == name);
    found.ok_or_else(|| ApiError::NoAgent(name.to_string()))
}

async fn agents(State(server): State<Server>) -> Result<Response, ApiError> {
    Ok(Json(all(&server).await?).into_response())
}

async fn agent(
    State(server): State<Server>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    Ok(Json(one(&server, &name).await?).into_response())
}

async fn versions(
    State(server): State<Server>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    Ok(Json(one(&server, &name).await?.versions).into_response())
}

async fn metrics(State(server): State<Server>) -> Result<Response, ApiError> {
    server.metrics.ready.set(i64::from(server.ready.load(Ordering::SeqCst)));
    let text =
        server.metrics.render().map_err(|problem| ApiError::Internal(problem.to_string()))?;
    let format = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, format)], text).into_response())
}

async fn ready(State(server): State<Server>) -> Result<&'static str, ApiError> {
    if server.ready.load(Ordering::SeqCst) { Ok("ready\n") } else { Err(ApiError::NotReady) }
}
