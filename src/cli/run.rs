//! `whetstone run`: the roles on the embedded log, and HTTP on loopback, until told to stop.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::{Env, runtime};
use crate::app::{App, open_repo, optimizer};
use crate::base::{Metrics, SystemClock};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone run --set repo.path=./agents\n  \
    curl -H 'Content-Type: application/json' -d @run.json http://127.0.0.1:8087/api/traces")]
pub(super) struct Args {}

pub(super) fn main(_args: &Args, env: Env) -> Result<(), Failure> {
    let log = env.log()?;
    let config = env.config;
    let repo = open_repo(&config).map_err(Failure::usage)?;
    if repo.is_none() {
        env.output.remark(
            "no config repo: runs are counted and nothing is optimized; set repo.path to a git repo",
        );
    }
    let runtime = runtime()?;
    runtime.block_on(async {
        let address = config.http.listen;
        let listener = TcpListener::bind(address).await.map_err(|problem| {
            Failure::Failed(anyhow::anyhow!(
                "cannot listen on {address}: {problem}; set http.listen to a free address"
            ))
        })?;
        let bound = listener.local_addr().map_err(Failure::failed)?;
        let data = config.data_dir.display().to_string();
        tracing::info!(%bound, %data, "whetstone is running");
        let optimizer = Arc::new(optimizer(&config));
        let metrics = Metrics::new().map_err(Failure::failed)?;
        let clock = Arc::new(SystemClock);
        let app = App { config: Arc::new(config), log, optimizer, repo, clock, metrics };
        let stop = CancellationToken::new();
        let running = app.run(Some(listener), stop.clone());
        tokio::pin!(running);
        tokio::select! {
            ended = &mut running => ended.map_err(Failure::failed),
            () = told_to_stop() => {
                tracing::info!("stopping: finishing what is under way");
                stop.cancel();
                running.await.map_err(Failure::failed)
            }
        }
    })
}

/// Ends on Ctrl-C or SIGTERM.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            // Without SIGTERM there is still Ctrl-C.
            interrupt.await.unwrap_or_default();
        }
    }
}
