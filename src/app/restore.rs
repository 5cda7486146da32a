//! Agents put together again from the log's tables.

use std::collections::BTreeMap;

use super::codec;
use super::role::RoleError;
use crate::base::AgentName;
use crate::consume::{Log, Record, Share, Topic};
use crate::govern::{Agent, Version, VersionRecord};

/// The agents of `share`, by partition.
///
/// # Errors
/// If the log fails, or holds what this version cannot read.
pub(super) fn restore(
    log: &dyn Log,
    share: Share<'_>,
) -> Result<BTreeMap<i32, BTreeMap<AgentName, Agent>>, RoleError> {
    // States first: whatever version one of them speaks of was committed no later than itself.
    let states = log.table(Topic::AgentState, share)?;
    let versions = log.table(Topic::PromptVersions, share)?;
    assemble(states, versions)
}

/// The agents that `states` and `versions` tell of, by the partition of their state.
///
/// # Errors
/// As [`restore`].
pub(super) fn assemble(
    states: impl IntoIterator<Item = Record>,
    versions: impl IntoIterator<Item = Record>,
) -> Result<BTreeMap<i32, BTreeMap<AgentName, Agent>>, RoleError> {
    let mut contents: BTreeMap<AgentName, Vec<Version>> = BTreeMap::new();
    for record in versions {
        let VersionRecord { version, .. } = codec::from_json(&record)?;
        contents.entry(codec::agent_of(&record)?).or_default().push(version);
    }
    let mut agents: BTreeMap<i32, BTreeMap<AgentName, Agent>> = BTreeMap::new();
    for record in states {
        let agent = codec::from_state(&record)?;
        let name = agent.name().clone();
        let contents = contents.remove(&name).unwrap_or_default();
        let agent = agent.restore(contents).map_err(|missing| {
            let versions: Vec<_> = missing.iter().map(ToString::to_string).collect();
            RoleError::MissingVersions { agent: name.to_string(), versions: versions.join(", ") }
        })?;
        agents.entry(record.partition).or_default().insert(name, agent);
    }
    Ok(agents)
}
