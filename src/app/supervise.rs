//! Starts a role again where that helps: after a lost membership, or while the brokers are away.
//!
//! A role that starts again knows nothing: it subscribes anew and learns from the log what happened.

use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::role::{Context, RoleError};
use crate::consume::LogError;

/// Between two starts: doubled each time, until a role has run for a while.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// After this the role is taken to have run well.
const WELL: Duration = Duration::from_secs(60);

/// Runs `role` until it ends well, is told to end, or fails in a way that no new start mends.
pub(super) fn supervise(
    context: &Context,
    name: &'static str,
    mut role: impl FnMut() -> Result<(), RoleError>,
) -> Result<(), RoleError> {
    let mut pause = FIRST_PAUSE;
    let mut fenced: Option<Instant> = None;
    loop {
        let started = Instant::now();
        let running = context.metrics.role_running.with_label_values(&[name]);
        running.set(1);
        let ended = role();
        running.set(0);
        let problem = match ended {
            Ok(()) => return Ok(()),
            Err(problem) => problem,
        };
        let helps = match &problem {
            RoleError::Log(LogError::Fenced { .. }) => {
                // Once is what happens to a process that hung. Twice in a row, somebody else lives.
                let again = fenced.replace(Instant::now());
                again.is_none_or(|last| last.elapsed() > WELL)
            }
            RoleError::Log(problem) => problem.is_passing(),
            _ => false,
        };
        if context.stop.is_cancelled() && helps {
            return Ok(());
        }
        if !helps {
            tracing::error!(role = name, %problem, "the role cannot go on");
            return Err(problem);
        }
        if started.elapsed() > WELL {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(role = name, %problem, pause_seconds = pause.as_secs_f64(), "starts again");
        context.metrics.restarts.with_label_values(&[name]).inc();
        Handle::current().block_on(async {
            tokio::select! {
                () = context.stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        });
        if context.stop.is_cancelled() {
            return Ok(());
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
