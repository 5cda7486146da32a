//! What one record reports: a run that has ended, or one that has begun. Says what there can be; reads
//! nothing.
//!
//! Its serde form is Whetstone's native JSON record, published as `configs/trace.schema.json`.

use serde::Serialize;

use super::Trace;
use crate::base::{AgentName, EventTime, VersionNumber};

/// What a record reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// A run that has ended.
    Run(Trace),
    /// A run that has begun, so that it counts should it never end.
    Started(Announcement),
}

/// A run, validated, as its producer announces it when it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename = "started")]
pub struct Announcement {
    /// The agent that runs.
    pub agent: AgentName,
    /// The run's id, under which its end is reported too; 1 to 128 bytes.
    pub trace_id: String,
    /// The conversation or task the run belongs to, if it is one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The version it says it runs under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionNumber>,
    /// When it started, in milliseconds since the epoch.
    #[serde(rename = "start_ms")]
    pub start: EventTime,
}

impl Report {
    /// The agent it is about.
    pub fn agent(&self) -> &AgentName {
        match self {
            Self::Run(trace) => &trace.agent,
            Self::Started(announcement) => &announcement.agent,
        }
    }

    /// The run, if it has ended.
    pub fn into_run(self) -> Option<Trace> {
        match self {
            Self::Run(trace) => Some(trace),
            Self::Started(_) => None,
        }
    }
}
