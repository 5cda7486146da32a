//! Forgets what is older than the retention and needed by nobody: once at the start, then every hour.

use std::time::Duration;

use super::role::{Context, RoleError};

const INTERVAL: Duration = Duration::from_secs(3600);

pub(super) async fn run(context: Context) -> Result<(), RoleError> {
    let mut hours = tokio::time::interval(INTERVAL);
    loop {
        tokio::select! {
            () = context.stop.cancelled() => return Ok(()),
            _ = hours.tick() => {}
        }
        let (log, now) = (context.log.clone(), context.clock.now());
        let older_than = now.plus_millis(-context.config.retention);
        let trimmed = tokio::task::spawn_blocking(move || log.trim(older_than)).await;
        match trimmed {
            Ok(Ok(0)) => {}
            Ok(Ok(records)) => tracing::info!(records, "forgot records past their retention"),
            Ok(Err(problem)) => tracing::error!(%problem, "cannot forget old records"),
            Err(panic) => return Err(RoleError::Panicked(panic.to_string())),
        }
    }
}
