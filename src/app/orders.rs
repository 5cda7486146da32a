//! What the command line and other clients do with a log: send, give orders, look things up.

use std::time::Duration;

use super::codec;
use super::role::RoleError;
use crate::base::AgentName;
use crate::consume::{Follower, Log, LogError, NewRecord, Share, Start, Topic};
use crate::decode::{Feedback, Report};
use crate::govern::{Command, Decision, VersionRecord};

const BATCH: usize = 1000;

/// A client of a log: appends orders, reports of runs and how they turned out, reads what came of them. Joins no group.
pub struct Orders<'a> {
    log: &'a dyn Log,
}

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

    /// Sends reports of runs.
    ///
    /// # Errors
    /// If the log fails; then none was sent.
    pub fn send(&self, reports: &[Report]) -> Result<(), LogError> {
        let record = |report: &Report| -> NewRecord {
            codec::json(Topic::AgentTraces, report.agent().as_str(), report)
        };
        self.log.append(reports.iter().map(record).collect())
    }

    /// Says how runs turned out.
    ///
    /// # Errors
    /// If the log fails; then nothing was said.
    pub fn say(&self, feedback: &[Feedback]) -> Result<(), LogError> {
        let record = |one: &Feedback| -> NewRecord {
            // In the order in which it was said: what is said of one run goes to one partition.
            codec::json(Topic::AgentFeedback, one.trace_id.as_str(), one)
        };
        self.log.append(feedback.iter().map(record).collect())
    }

    /// Every version of `agent`, oldest first, each as it stands.
    ///
    /// # Errors
    /// If the log fails, or holds what this version cannot read.
    pub fn versions(&self, agent: &AgentName) -> Result<Vec<VersionRecord>, RoleError> {
        let mut versions = Vec::new();
        for record in self.log.table(Topic::PromptVersions, Share::All)? {
            if codec::agent_of(&record)? == *agent {
                versions.push(codec::from_json::<VersionRecord>(&record)?);
            }
        }
        versions.sort_by_key(|record| record.version.number);
        Ok(versions)
    }

    /// Every decision from now on.
    ///
    /// # Errors
    /// If the log fails.
    pub fn decisions(&self) -> Result<Decisions, LogError> {
        Ok(Decisions(self.log.follow(Topic::Decisions, Start::Latest)?))
    }
}

/// Decisions as they are made.
pub struct Decisions(Box<dyn Follower>);

impl Decisions {
    /// The next ones; empty if none comes within `timeout`.
    ///
    /// # Errors
    /// If the log fails, or holds what this version cannot read.
    pub fn next(&mut self, timeout: Duration) -> Result<Vec<Decision>, RoleError> {
        let records = self.0.poll(BATCH, timeout)?;
        Ok(records.iter().map(codec::from_json).collect::<Result<_, _>>()?)
    }
}
