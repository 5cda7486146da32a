//! What goes into the machine and what comes out of it.

use serde::{Deserialize, Serialize};

use super::{Content, Proposal, Request, Split, TrialView, Version, VersionRecord};
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::decode::{Outcome, Run};

/// A record on `agent-events`: everything that concerns one agent comes in one order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The agent.
    pub agent: AgentName,
    /// When the record behind it arrived. The machine's only clock besides the runs' own times.
    pub at: EventTime,
    /// What happened.
    pub body: EventBody,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventBody {
    /// The agent ran.
    Run(Run),
    /// The agent began a run: should it never end, it still counts.
    Started(Started),
    /// Somebody said how a run turned out.
    Label(Label),
    /// Somebody gave an order.
    Command(Command),
    /// The optimizer answered.
    Proposal(Box<Proposal>),
}

/// A run has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The run's id.
    pub trace_id: String,
    /// The session it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The version it says it runs under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionNumber>,
    /// When it started.
    pub start: EventTime,
}

/// How a run turned out, said after it or before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// The run's id, or that of the trace whose runs it is about; see [`Run::trace_of`].
    pub trace_id: String,
    /// How; never unknown.
    pub outcome: Outcome,
    /// Who or what says so: one line of at most 128 bytes.
    pub by: String,
}

/// An order, as a record on `prompt-commands`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The agent it is for.
    pub agent: AgentName,
    /// Who gives it, for the record.
    pub by: String,
    /// What is ordered.
    #[serde(flatten)]
    pub kind: CommandKind,
}

/// What can be ordered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum CommandKind {
    /// Make a candidate the active version.
    Approve {
        /// Which.
        version: VersionNumber,
    },
    /// Refuse a candidate.
    Reject {
        /// Which.
        version: VersionNumber,
        /// Why.
        reason: String,
    },
    /// Make an earlier version the active one again.
    Rollback {
        /// Which; the one active before this one if not given.
        #[serde(default)]
        to: Option<VersionNumber>,
        /// Prompts or config alone, as a new version; both if not given.
        #[serde(default)]
        only: Option<Half>,
        /// Why.
        reason: String,
    },
    /// Ask for an optimization now, cooldown and pause notwithstanding.
    Optimize,
    /// Ask for no more optimizations.
    Pause,
    /// Ask again.
    Resume,
    /// Take an agent's versions from the config repo, which remembers them where this log does not.
    Recall {
        /// The versions as they stand there.
        records: Vec<VersionRecord>,
    },
    /// Take what a person wrote in the config repo as the next version and the new baseline.
    Adopt {
        /// What they wrote.
        content: Content,
        /// Where from, e.g. a commit.
        source: String,
    },
}

/// Half of a version's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// The prompts.
    Prompts,
    /// The config.
    Config,
}

/// What must leave the machine, each on its topic. Its own state it simply changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// To `optimization-requests`.
    Request(Box<Request>),
    /// To `prompt-versions`.
    Version(Box<VersionRecord>),
    /// To `prompt-updates`.
    Update(Box<PromptUpdate>),
    /// To `decisions`.
    Decision(Decision),
}

/// A record on `prompt-updates`: what the agent should run now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PromptUpdate {
    /// The agent.
    pub agent: AgentName,
    /// The revision that made it so; see [`VersionRecord::revision`].
    pub revision: u64,
    /// The version to run.
    pub active: Version,
    /// A version that waits for a verdict, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<VersionNumber>,
    /// A second version that a share of the units should run instead, if one is out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Second>,
    /// Since when.
    pub at: EventTime,
}

/// The version beside the active one, and who gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Second {
    /// Which units.
    #[serde(flatten)]
    pub split: Split,
    /// What they run.
    pub version: Version,
}

impl PromptUpdate {
    /// The version that `unit` should run: a session's id, or the run's own where it has none.
    pub fn version_for(&self, unit: &str) -> &Version {
        let second = self.split.as_ref().filter(|second| second.split.takes(&self.agent, unit));
        second.map_or(&self.active, |second| &second.version)
    }
}

/// A record on `decisions`: what the machine decided and the numbers behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The agent.
    pub agent: AgentName,
    /// What was decided, a stable snake-case name, e.g. `proposal_refused`.
    pub decision: String,
    /// The version it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionNumber>,
    /// Why, for people, with the numbers.
    pub reason: String,
    /// The trial it is about as it then stood, with all its numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Box<TrialView>>,
    /// When.
    pub at: EventTime,
}

impl Decision {
    /// Every name that a decision can have.
    pub const KINDS: [&'static str; 26] = [
        "activated",
        "adopted",
        "approved",
        "candidate",
        "candidate_dominated",
        "candidate_no_change",
        "candidate_not_chosen",
        "candidate_refused",
        "candidate_unanswered",
        "command_refused",
        "drift",
        "futile",
        "holdback_ended",
        "label_refused",
        "no_change",
        "not_in_repo",
        "paused",
        "promoted",
        "proposal_refused",
        "recalled",
        "rejected",
        "resumed",
        "rolled_back",
        "trial_ramped",
        "trial_started",
        "trial_stopped",
    ];
}
