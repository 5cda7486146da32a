//! Versions: immutable content with a history of who, why and what came of it.

use serde::{Deserialize, Serialize};

use super::{Content, Split};
use crate::base::{AgentName, Digest, EventTime, VersionNumber};

/// One version of one agent. Nothing in it ever changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// The agent.
    pub agent: AgentName,
    /// Its number, counted from 1 without gaps.
    pub number: VersionNumber,
    /// The version it was made from; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<VersionNumber>,
    /// Digest of `content`.
    pub digest: Digest,
    /// What the agent runs on.
    pub content: Content,
    /// Who made the prompts' change, or the whole.
    pub author: Author,
    /// What was changed and why, one entry an edit.
    pub reasons: Vec<Reason>,
    /// In a line: on how many runs it rests and what they showed.
    pub evidence: String,
    /// When it was made.
    pub created: EventTime,
}

/// Who made a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Author {
    /// A person, by an edit in the config repo or by a command.
    Human {
        /// As the commit or the command names them.
        name: String,
    },
    /// The pattern rules, without a model.
    Patterns,
    /// A model.
    Llm {
        /// The model's name.
        model: String,
    },
}

impl std::fmt::Display for Author {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Human { name } => write!(f, "human ({name})"),
            Self::Patterns => f.write_str("patterns"),
            Self::Llm { model } => write!(f, "llm ({model})"),
        }
    }
}

/// One change and what justifies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What was changed, e.g. `max_step: 20 -> 25`.
    pub change: String,
    /// Why, with the numbers.
    pub why: String,
}

/// Where a version stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Made, not in use, waiting for approval.
    Candidate,
    /// On trial: a share of the units get it.
    Trial {
        /// Which of them.
        split: Split,
    },
    /// What the agent should run.
    Active,
    /// Was active until a later version replaced it, and is still given to a few units, for comparison.
    Holdback {
        /// Which of them.
        split: Split,
    },
    /// Was active until a later version replaced it.
    Superseded,
    /// Never became active.
    Rejected {
        /// Why.
        reason: String,
    },
    /// Was active or on trial, and was taken back.
    RolledBack {
        /// Why.
        reason: String,
    },
}

impl State {
    /// The state's name, e.g. `rolled_back`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Trial { .. } => "trial",
            Self::Holdback { .. } => "holdback",
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Rejected { .. } => "rejected",
            Self::RolledBack { .. } => "rolled_back",
        }
    }

    /// Why it stands there, where there is a reason.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Rejected { reason } | Self::RolledBack { reason } => Some(reason),
            Self::Candidate
            | Self::Trial { .. }
            | Self::Active
            | Self::Holdback { .. }
            | Self::Superseded => None,
        }
    }

    /// The units that get the version while another is active, if it is out on a share of them.
    pub fn split(&self) -> Option<&Split> {
        match self {
            Self::Trial { split } | Self::Holdback { split } => Some(split),
            Self::Candidate
            | Self::Active
            | Self::Superseded
            | Self::Rejected { .. }
            | Self::RolledBack { .. } => None,
        }
    }

    /// Whether the version waits for a verdict, be it a person's or a trial's.
    pub fn is_undecided(&self) -> bool {
        matches!(self, Self::Candidate | Self::Trial { .. })
    }
}

/// A record on `prompt-versions`: a version and where it stands. Keyed by agent/version, so that a
/// compacted topic keeps every version with its latest state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionRecord {
    /// The version.
    pub version: Version,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// Counts the changes of this agent's versions, from 1 without gaps: the idempotence key of
    /// whatever projects them.
    pub revision: u64,
    /// When it came to stand there.
    pub at: EventTime,
}
