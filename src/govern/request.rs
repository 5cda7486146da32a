//! What the machine asks the optimizer: self-contained, so that the optimizer owns nothing.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Content, Fate, Policy, Spend};
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::fold::{Aggregate, Counts, Split};

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
    /// The learned bullets and what stands behind each, in their order.
    #[serde(default)]
    pub bullets: Vec<BulletRecord>,
    /// Bullets of earlier versions that are gone, and what stood behind each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<BulletRecord>,
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
    /// What became of it.
    #[serde(default)]
    pub fate: Fate,
    /// Why, with the numbers, where it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The learned bullets that it added to its parent's, or reworded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// The config values that it changed, and to what.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, Value>,
    /// Of its runs, those that windows still hold.
    #[serde(default)]
    pub held: Counts,
    /// The commonest error signatures of those, with their counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<(String, u64)>,
}

impl BulletRecord {
    /// Whether so many runs with it, and as many without, show no gain, and nothing else speaks for it.
    pub fn is_idle(&self, runs: u64) -> bool {
        let enough = self.with.total() >= runs && self.without.total() >= runs;
        enough && !self.fate.is_good() && self.with.success_rate() <= self.without.success_rate()
    }
}

/// A learned bullet and what stands behind it. Which runs it had a part in is known by version only:
/// what else those versions had in common is in the counts too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BulletRecord {
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: String,
    /// The first version that had it in these words.
    pub since: Option<VersionNumber>,
    /// The best that became of a version that brought it: proven, vouched for, or neither.
    pub fate: Fate,
    /// Runs of versions that had it, over their whole lives.
    pub with: Split,
    /// Runs of versions that had it not.
    pub without: Split,
}
