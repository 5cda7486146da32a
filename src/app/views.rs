//! What people see of the agents, for one who looks once: a projection of the log's tables.

use super::restore::restore;
use super::role::RoleError;
use crate::consume::{Log, Share};
use crate::govern::{Agent, AgentView};

/// The agents as the log's tables tell them, by name.
///
/// # Errors
/// If the log fails, or holds what this version cannot read.
pub fn agent_views(log: &dyn Log) -> Result<Vec<AgentView>, RoleError> {
    let agents = restore(log, Share::All)?;
    let agents = agents.values().flat_map(std::collections::BTreeMap::values);
    let mut views: Vec<_> = agents.map(Agent::view).collect();
    views.sort_by(|one, other| one.agent.cmp(&other.agent));
    Ok(views)
}
