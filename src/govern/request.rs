//! What the machine asks the optimizer: self-contained, so that the optimizer owns nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Content, Policy, Spend};
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::fold::{Aggregate, Counts};

/// A request's id: agent and a count, a pure function of the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId {
    /// The agent.
    pub agent: AgentName,
    /// Counted from 1 within the agent.
    pub number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.agent, self.number)
    }
}

/// A window that deserves an optimization, with all that the optimizer needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its id; a proposal names it.
    pub id: RequestId,
    /// The active version, which a proposal starts from.
    pub parent: VersionNumber,
    /// What that version consists of.
    pub content: Content,
    /// The window's evidence.
    pub window: Aggregate,
    /// What the operator allows and rewards.
    pub policy: Policy,
    /// Earlier versions and how they fared, oldest first, the last 20.
    pub history: Vec<Past>,
    /// When the window became ready; also seeds whatever the optimizer draws.
    pub at: EventTime,
    /// What the agent had spent on the model by then, on the day of `at`.
    #[serde(default, skip_serializing_if = "Spend::is_nothing")]
    pub spent: Spend,
}

/// An earlier version in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Its number.
    pub number: VersionNumber,
    /// Where it stands, e.g. `rolled_back`.
    pub state: String,
    /// Who made it.
    pub author: String,
    /// What it changed.
    pub changes: Vec<String>,
    /// Runs under it, over its whole life.
    pub runs: Counts,
    /// Their mean reward in [0, 1].
    pub mean_reward: Option<f64>,
}
