//! Wires the stages: four roles on one log, and HTTP in front. The only module that knows them all.
//!
//! ```text
//!  SDKs ───────────────────▶ trace-spans ─▶ assemble
//!  Collectors ─▶ otlp_… ────┐     ▲             │
//!  POST, send ─▶ agent-… ───┤     │             ▼
//!  orders ─────▶ prompt-… ──┴▶ decode ─▶ agent-events ─▶ aggregate ─▶ prompt-versions ─▶ publish ─▶ git
//!                     ▲                         ▲           │  └────▶ prompt-updates, decisions
//!                     └──── edits by people ────┼───────────┼──────────────────────────┘
//!                                               └─ optimize ◀─ optimization-requests
//! ```
//!
//! Each role is a loop on a thread of its own: poll, decide, commit in one atomic step. There is no
//! channel between them: what passes from one to the next passes through the log, whose polls are
//! bounded (8192 records for decode, 1024 for aggregate, 64 for publish, 4 for optimize).

mod aggregate;
mod assemble;
mod board;
mod codec;
mod counts;
mod decode;
mod housekeeping;
mod keyed;
mod known;
mod meta_agent;
mod optimize;
mod orders;
mod otlp;
mod owned;
mod parts;
mod prompts;
mod publish;
mod reading;
mod recall;
mod restore;
mod role;
mod series;
mod subscribe;
mod supervise;
mod unstored;
mod views;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

pub use codec::{
    CodecError, effect as effect_record, event as event_record, read_event, state as state_records,
};
pub use meta_agent::{
    AgentPreview, AgentReport, CycleError, CycleOptions, CycleReport, CycleStatus, MetaAgent,
};
pub use orders::{Decisions, Orders};
pub use parts::{LayoutError, call_folder, gate, open_repo, optimizer, repo_options};
pub use restore::restore;
pub use role::RoleError;
pub use subscribe::PromptSubscriber;
pub use views::agent_views;

use self::role::Context;
use self::supervise::supervise;
use crate::base::{Clock, Metrics};
use crate::config::{Config, Roles};
use crate::consume::Log;
use crate::hygiene::Redactor;
use crate::optimize::Optimizer;
use crate::publish::ConfigRepo;
use crate::serve::{self, Exposure, Server};

/// A whole Whetstone: what it is made of comes in from outside, so that a test can bring its own.
pub struct App {
    /// What it means to do.
    pub config: Arc<Config>,
    /// Where everything is kept.
    pub log: Arc<dyn Log>,
    /// What does the slow work.
    pub optimizer: Arc<Optimizer>,
    /// The config repo, if there is one.
    pub repo: Option<ConfigRepo>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: Metrics,
}

impl App {
    /// Runs the configured roles, and HTTP on `listener` if there is one, until `stop` or until one
    /// of them fails.
    ///
    /// # Errors
    /// Why the first role that failed did.
    pub async fn run(
        self,
        listener: Option<TcpListener>,
        stop: CancellationToken,
    ) -> Result<(), RoleError> {
        let ready = Arc::new(AtomicBool::new(false));
        let shown = reading::Shown {
            board: Arc::new(board::Board::new()),
            feed: serve::Feed::default(),
            redactor: Arc::new(Redactor::new(&self.config.redaction)?),
        };
        let server = match listener {
            None => None,
            Some(listener) => Some((self.server(ready.clone(), &shown, &listener)?, listener)),
        };
        let Self { config, log, optimizer, repo, clock, metrics } = self;
        let roles = config.roles;
        let context = Context { log, config, clock, metrics, stop: stop.clone() };
        let mut tasks: JoinSet<Result<(), RoleError>> = JoinSet::new();
        let _ends_the_rest = stop.clone().drop_guard();
        series::appear(&context, &role_names(roles, repo.is_some()));

        let housekeeper = context.clone();
        if roles.decode {
            let context = context.clone();
            let spans = context.clone();
            tasks.spawn_blocking(move || supervise(&context, "decode", || decode::run(&context)));
            tasks.spawn_blocking(move || supervise(&spans, "assemble", || assemble::run(&spans)));
        }
        if roles.aggregate {
            let context = context.clone();
            tasks.spawn_blocking(move || {
                supervise(&context, "aggregate", || aggregate::run(&context, &ready))
            });
        } else {
            ready.store(true, Ordering::SeqCst);
        }
        if roles.optimize {
            let context = context.clone();
            tasks.spawn_blocking(move || {
                supervise(&context, "optimize", || optimize::run(&context, &optimizer))
            });
        }
        if let Some(repo) = repo.filter(|_| roles.publish) {
            tasks.spawn_blocking(move || {
                supervise(&context, "publish", || publish::run(&context, &repo))
            });
        }
        if let Some((server, listener)) = server {
            reading::start(&housekeeper, &shown, &mut tasks);
            let stop = stop.clone();
            tasks.spawn(async move {
                serve::serve(server, listener, stop).await.map_err(RoleError::Http)
            });
        }
        tasks.spawn(housekeeping::run(housekeeper));
        let mut result = Ok(());
        while let Some(ended) = tasks.join_next().await {
            stop.cancel();
            result = result.and(ended.unwrap_or_else(|panic| Err(panicked(&panic))));
        }
        result
    }

    fn server(
        &self,
        ready: Arc<AtomicBool>,
        shown: &reading::Shown,
        listener: &TcpListener,
    ) -> Result<Server, RoleError> {
        let prompts = prompts::Prompts::new(self.log.clone());
        let log = self.log.clone();
        let local = listener.local_addr().map_err(RoleError::Http)?.ip().is_loopback();
        Ok(Server {
            agents: shown.board.clone(),
            feed: shown.feed.clone(),
            redactor: shown.redactor.clone(),
            prompts: Arc::new(move |agent, unit| prompts.get(agent, unit)),
            orders: Arc::new(move |command| Ok(Orders::new(log.as_ref()).give(command)?)),
            otel: Arc::new(self.config.otel.rules.clone()),
            ready,
            token: self.config.http.token.clone(),
            read_token: self.config.http.read_token.clone(),
            exposure: if local { Exposure::Loopback } else { Exposure::Network },
            ..Server::new(self.log.clone(), self.metrics.clone())
        })
    }
}

/// The names under which the roles of this process run.
fn role_names(roles: Roles, repo: bool) -> Vec<&'static str> {
    let of = |there: bool, names: &'static [&'static str]| if there { names } else { &[] };
    let names = [
        of(roles.decode, &["decode", "assemble"]),
        of(roles.aggregate, &["aggregate"]),
        of(roles.optimize, &["optimize"]),
        of(roles.publish && repo, &["publish"]),
    ];
    names.concat()
}

fn panicked(panic: &JoinError) -> RoleError {
    RoleError::Panicked(panic.to_string())
}
