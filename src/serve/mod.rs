//! Stage 7: HTTP. Health, metrics, traces and feedback in, agents out.
//!
//! Reads what is held of the log and appends records; changes no state itself. Binds to loopback unless
//! configured otherwise. What changes state wants the token if there is one, as does all else where other
//! machines reach the listener, and takes nothing that a page from elsewhere can make a browser send.

mod agents;
mod changes;
mod dashboard;
mod diff;
mod error;
mod feed;
mod guard;
mod headers;
mod openapi;
mod orders;
mod otlp;
mod page;
mod positions;
mod prompt;
mod records;
mod split;
mod summary;
mod target;
mod traces;
mod updates;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Extensions, HeaderMap, StatusCode, Version, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate, SizeAbove};

pub use agents::{Agents, Page};
pub use changes::{Changed, Changes};
pub use error::ApiError;
pub use feed::{Feed, Letter};
pub use page::Cursor;
pub use prompt::{Assigned, Because, parse_unit};

use self::headers::media_type;
use crate::base::{AgentName, Metrics};
use crate::consume::Log;
use crate::decode;
use crate::govern::Command;
use crate::hygiene::Redactor;

/// The largest body with traces or feedback, in bytes.
pub const MAX_BODY_BYTES: usize = 32 * 1024 * 1024;

/// The largest body with an order, in bytes.
pub const MAX_ORDER_BYTES: usize = 16 * 1024;

/// Those that may listen to updates at once.
pub const MAX_LISTENERS: usize = 1024;

/// The smallest answer that is packed, in bytes.
const WORTH_PACKING: u16 = 1024;

/// Requests that are answered at once, but for those that only listen.
pub const MAX_AT_ONCE: usize = 128;

/// How often to say that nothing is new. Proxies let go of what is silent for a minute.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How long connections may take to end once the server is told to.
const GRACE: Duration = Duration::from_secs(20);

/// Says what a unit of an agent should run.
pub type Prompts = Arc<dyn Fn(&AgentName, &str) -> Result<Assigned, ApiError> + Send + Sync>;

/// Puts an order on the log.
pub type Orders = Arc<dyn Fn(&Command) -> Result<(), ApiError> + Send + Sync>;

/// Who reaches the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// This machine's own programs: they may read without a token.
    Loopback,
    /// Other machines too: they need the token for everything but health.
    Network,
}

/// What the server works with.
#[derive(Clone)]
pub struct Server {
    /// Where traces go.
    pub log: Arc<dyn Log>,
    /// What people see of the agents.
    pub agents: Arc<dyn Agents>,
    /// What came lately.
    pub feed: Feed,
    /// What agents ask before they run.
    pub prompts: Prompts,
    /// What people want done.
    pub orders: Orders,
    /// Hides what should not be seen in what runs say.
    pub redactor: Arc<Redactor>,
    /// What becomes of OpenTelemetry's spans.
    pub otel: Arc<decode::otlp::Rules>,
    /// What Prometheus sees.
    pub metrics: Metrics,
    /// Whether the roles have restored their state.
    pub ready: Arc<AtomicBool>,
    /// What a caller must show to change state; nothing if not set.
    pub token: Option<SecretString>,
    /// What a caller may show instead who only reads.
    pub read_token: Option<SecretString>,
    /// Who reaches the listener.
    pub exposure: Exposure,
    /// Ends what would go on for ever, when the server ends.
    pub closing: CancellationToken,
    /// A place for each of those that listen to updates.
    pub listeners: Arc<Semaphore>,
    /// A place for each request that is being answered, but for those that only listen.
    pub turns: Arc<Semaphore>,
    /// How often those that listen are told that nothing is new.
    pub heartbeat: Duration,
}

impl Server {
    /// One on `log` that knows no agents yet, is not ready and asks for no token.
    pub fn new(log: Arc<dyn Log>, metrics: Metrics) -> Self {
        let redactor = Redactor::default();
        Self {
            log,
            agents: Arc::new(agents::Nobody),
            feed: Feed::default(),
            prompts: Arc::new(|_, _| Err(ApiError::NotReady)),
            orders: Arc::new(|_| Err(ApiError::NotReady)),
            redactor: Arc::new(redactor),
            otel: Arc::default(),
            metrics,
            ready: Arc::default(),
            token: None,
            read_token: None,
            exposure: Exposure::Loopback,
            closing: CancellationToken::new(),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
            turns: Arc::new(Semaphore::new(MAX_AT_ONCE)),
            heartbeat: HEARTBEAT,
        }
    }
}

/// Serves on `listener` until `stop`; requests under way are answered first, those that listen are let go.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    server: Server,
    listener: TcpListener,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let closing = server.closing.clone();
    let told = stop.clone();
    let served = axum::serve(listener, router(server)).with_graceful_shutdown(async move {
        told.cancelled().await;
        closing.cancel();
    });
    tokio::select! {
        served = served => served,
        // Somebody takes nothing of what they asked for.
        () = async { stop.cancelled().await; tokio::time::sleep(GRACE).await } => Ok(()),
    }
}

/// The paths below `/api`, and what is there.
fn routes() -> Vec<(&'static str, MethodRouter<Server>)> {
    let order = |route: MethodRouter<Server>| route.layer(DefaultBodyLimit::max(MAX_ORDER_BYTES));
    vec![
        ("/api/traces", post(traces::post_traces)),
        ("/api/feedback", post(traces::post_feedback)),
        ("/api/updates", get(updates::updates)),
        ("/api/decisions", get(records::decisions)),
        ("/api/dead-letters", get(records::letters)),
        ("/api/openapi.json", get(openapi::document)),
        ("/api/agents", get(agents::list)),
        ("/api/agents/{agent}", get(agents::agent)),
        ("/api/agents/{agent}/prompt", get(prompt::prompt)),
        ("/api/agents/{agent}/versions", get(agents::versions)),
        ("/api/agents/{agent}/versions/{version}", get(agents::version)),
        ("/api/agents/{agent}/diff", get(agents::difference)),
        ("/api/agents/{agent}/trials", get(agents::trials)),
        ("/api/agents/{agent}/exemplars", get(agents::exemplars)),
        ("/api/agents/{agent}/spending", get(agents::spending)),
        ("/api/agents/{agent}/approve", order(orders::approve())),
        ("/api/agents/{agent}/promote", order(orders::approve())),
        ("/api/agents/{agent}/reject", order(orders::reject())),
        ("/api/agents/{agent}/rollback", order(orders::rollback())),
        ("/api/agents/{agent}/pause", order(orders::pause())),
        ("/api/agents/{agent}/resume", order(orders::resume())),
        ("/api/agents/{agent}/optimize", order(orders::optimize())),
        ("/metrics", get(metrics)),
    ]
}

/// The paths that the server has, but for OpenTelemetry's and the dashboard's.
pub fn paths() -> Vec<&'static str> {
    let guarded = routes().into_iter().map(|(path, _)| path);
    guarded.chain(["/healthz", "/readyz"]).collect()
}

/// All routes.
pub fn router(server: Server) -> Router {
    let guarded = routes()
        .into_iter()
        .fold(Router::new(), |router, (path, route)| router.route(path, route))
        .method_not_allowed_fallback(async || ApiError::NoMethod)
        .fallback(async || ApiError::NoRoute)
        .layer(packed())
        .layer(from_fn_with_state(server.clone(), guard::stand));
    let pages = dashboard::routes();
    let pages =
        pages.into_iter().fold(Router::new(), |router, (path, route)| router.route(path, route));
    guarded
        .merge(pages.layer(packed()))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(guard::protect))
        .with_state(server.clone())
        .merge(otlp::routes(server))
}

/// Packs JSON and the dashboard for whoever takes them so. JSON is made anew for each request, so that speed
/// counts; events are never packed, since they would wait to be many.
fn packed() -> CompressionLayer<impl Predicate> {
    let text = |_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
        let types = ["application/json", "text/css", "text/html", "text/javascript"];
        types.contains(&media_type(headers))
    };
    let worth_it = SizeAbove::new(WORTH_PACKING).and(text);
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(worth_it)
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
