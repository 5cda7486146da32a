//! What the command line and other clients do with a log: give orders, look things up, follow.

use std::time::Duration;

use super::codec;
use super::role::RoleError;
use crate::base::AgentName;
use crate::consume::{Log, LogError, NewRecord, Topic};
use crate::decode::Trace;
use crate::govern::{Command, Decision, PromptUpdate, VersionRecord};

/// A client of a log: appends orders and traces, reads what came of them. Joins no group.
pub struct Orders<'a> {
    log: &'a dyn Log,
}

/// An update of an agent's prompts, as [`Orders::follow`] gives it.
pub type Update = PromptUpdate;

impl<'a> Orders<'a> {
    /// A client of `log`.
    pub fn new(log: &'a dyn Log) -> Self {
        Self { log }
    }

    /// Gives an order. It takes effect when the roles come to it.
    ///
    /// # Errors
    /// If the log fails.
    pub fn give(&self, command: &Command) -> Result<(), LogError> {
        self.log.append(vec![codec::json(Topic::PromptCommands, command.agent.as_str(), command)])
    }

    /// Sends traces.
    ///
    /// # Errors
    /// If the log fails; then none was sent.
    pub fn send(&self, traces: &[Trace]) -> Result<(), LogError> {
        let record = |trace: &Trace| -> NewRecord {
            codec::json(Topic::AgentTraces, trace.agent.as_str(), trace)
        };
        self.log.append(traces.iter().map(record).collect())
    }

    /// Every version of `agent`, oldest first, each as it stands.
    ///
    /// # Errors
    /// If the log fails, or holds what this version cannot read.
    pub fn versions(&self, agent: &AgentName) -> Result<Vec<VersionRecord>, RoleError> {
        let mut versions = Vec::new();
        for record in self.log.table(Topic::PromptVersions)? {
            if codec::agent_of(&record)? == *agent {
                versions.push(codec::from_json::<VersionRecord>(&record)?);
            }
        }
        versions.sort_by_key(|record| record.version.number);
        Ok(versions)
    }

    /// Where the next decision will stand, for [`Orders::decisions`].
    ///
    /// # Errors
    /// If the log fails.
    pub fn decisions_end(&self) -> Result<u64, LogError> {
        let mut next = 0;
        loop {
            let records = self.log.read(Topic::Decisions, next, 1000)?;
            let Some(last) = records.last() else { return Ok(next) };
            next = last.offset + 1;
        }
    }

    /// Decisions from `offset` on, and where the next one will stand.
    ///
    /// # Errors
    /// If the log fails, or holds what this version cannot read.
    pub fn decisions(&self, offset: u64) -> Result<(Vec<Decision>, u64), RoleError> {
        let records = self.log.read(Topic::Decisions, offset, 1000)?;
        let next = records.last().map_or(offset, |last| last.offset + 1);
        let decisions = records.iter().map(codec::from_json).collect::<Result<_, _>>()?;
        Ok((decisions, next))
    }

    /// What each agent should run, from `offset` on (0: of every agent, the latest), and where the
    /// next update will stand.
    ///
    /// # Errors
    /// If the log fails, or holds what this version cannot read.
    pub fn follow(&self, offset: u64, wait: Duration) -> Result<(Vec<Update>, u64), RoleError> {
        let mut records = self.log.read(Topic::PromptUpdates, offset, 1000)?;
        if records.is_empty() {
            self.log.wait(wait);
            records = self.log.read(Topic::PromptUpdates, offset, 1000)?;
        }
        let next = records.last().map_or(offset, |last| last.offset + 1);
        let updates = records.iter().map(codec::from_json).collect::<Result<_, _>>()?;
        Ok((updates, next))
    }
}
