//! What a config repo remembers of an agent, for whoever has no log that does: a batch, or a log that
//! was lost.

use crate::base::AgentName;
use crate::govern::{State, Version, VersionRecord};
use crate::publish::{ConfigRepo, PublishError};

/// The agent's versions as the repo tells them, oldest first: the one its configs hold is active, what
/// else came of a version the repo does not say. Empty if nothing of the agent was ever published.
///
/// # Errors
/// If the repo cannot be read.
pub(super) fn recall(
    repo: &ConfigRepo,
    agent: &AgentName,
) -> Result<Vec<VersionRecord>, PublishError> {
    let Some(published) = repo.published(agent)? else { return Ok(Vec::new()) };
    let active = published.standing.map(|standing| standing.version);
    let versions = repo.versions(agent)?.into_iter();
    let record = |version: Version| {
        let at = version.created;
        let is_active = active == Some(version.number);
        let state = if is_active { State::Active } else { State::Superseded };
        let revision = if is_active { published.revision } else { 0 };
        VersionRecord { version, state, revision, at }
    };
    Ok(versions.map(record).collect())
}
