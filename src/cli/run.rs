//! `whetstone run`: the roles on the log, and HTTP on loopback, until told to stop.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::{Env, runtime};
use crate::app::{App, open_repo, optimizer};
use crate::base::{Metrics, SystemClock};
use crate::config::{self, Config};
use crate::consume::{KafkaLog, Log};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone run --set repo.path=./agents\n  \
    curl -H 'Content-Type: application/json' -d @run.json http://127.0.0.1:8087/api/traces")]
pub(super) struct Args {}

pub(super) fn main(_args: &Args, env: Env) -> Result<(), Failure> {
    let log = log(&env)?;
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
        tracing::info!(%bound, log = %place(&config), "whetstone is running");
        let optimizer = Arc::new(optimizer(&config).map_err(Failure::usage)?);
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

/// The log, after a look at what the roles will rely on.
fn log(env: &Env) -> Result<Arc<dyn Log>, Failure> {
    let config::Log::Kafka { settings, create_topics } = &env.config.log else {
        return env.log();
    };
    let log = KafkaLog::open((**settings).clone()).map_err(Failure::failed)?;
    if *create_topics {
        for topic in log.create_topics().map_err(Failure::failed)? {
            tracing::info!(%topic, "created");
        }
    }
    let problems = log.check_topics().map_err(Failure::failed)?;
    for problem in problems.iter().filter(|problem| !problem.fatal) {
        tracing::warn!(%problem, "a topic is not as it should be");
    }
    let fatal: Vec<_> = problems.iter().filter(|problem| problem.fatal).collect();
    if fatal.is_empty() {
        return Ok(Arc::new(log));
    }
    let listed: String = fatal.iter().map(|problem| format!("\n  {problem}")).collect();
    Err(Failure::Usage(anyhow::anyhow!("the topics cannot be relied on:{listed}")))
}

fn place(config: &Config) -> String {
    match &config.log {
        config::Log::Embedded => config.data_dir.display().to_string(),
        config::Log::Kafka { settings, .. } => {
            format!("Kafka at {}, topics {}*", settings.brokers, settings.prefix)
        }
    }
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
