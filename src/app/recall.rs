//! What a config repo remembers of an agent, for whoever has no log that does: a batch, or a log that
//! was lost.

use crate::base::AgentName;
use crate::govern::{State, Version, VersionRecord};
use crate::publish::{Beside, ConfigRepo, PublishError};

/// The agent's versions as the repo tells them, oldest first: the one its configs hold is active, what
/// else came of a version the repo does not say. Empty if nothing of the agent was ever published.
///
/// A version that was out on a share of the units is out no longer, as what was measured of it is gone
/// with the log. The repo has yet to be told: that record's revision is a new one, and those of the
/// records rise, so that it is projected.
///
/// # Errors
/// If the repo cannot be read.
pub(super) fn recall(
    repo: &ConfigRepo,
    agent: &AgentName,
) -> Result<Vec<VersionRecord>, PublishError> {
    let Some(published) = repo.published(agent)? else { return Ok(Vec::new()) };
    let active = published.standing.as_ref().map(|standing| standing.version);
    let versions = repo.versions(agent)?.into_iter();
    let mut newest = published.revision;
    let record = |version: Version| {
        let at = version.created;
        let is_active = active == Some(version.number);
        let was_out = published.beside.version() == Some(version.number);
        if was_out || (is_active && newest > published.revision) {
            newest += 1;
        }
        let revision = if is_active || was_out { newest } else { 0 };
        let state = if is_active {
            State::Active
        } else if was_out && matches!(published.beside, Beside::Trial(_)) {
            State::Rejected { reason: LOST.to_owned() }
        } else {
            State::Superseded
        };
        VersionRecord { version, state, revision, at }
    };
    Ok(versions.map(record).collect())
}

const LOST: &str = "its trial ended with the log that knew its runs";
