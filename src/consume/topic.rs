//! Topics and the records on them.

use std::fmt;

use crate::base::EventTime;

/// The topics, inputs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// In: runs, in any input format.
    AgentTraces,
    /// In: orders.
    PromptCommands,
    /// Internal: everything that concerns an agent, in one order.
    AgentEvents,
    /// Internal, compacted by agent: the machines' state.
    AgentState,
    /// Internal: windows that deserve an optimization.
    OptimizationRequests,
    /// Out, compacted by agent: what each agent should run now.
    PromptUpdates,
    /// Out, compacted by agent/version: every version there ever was.
    PromptVersions,
    /// Out: what was decided, and why.
    Decisions,
    /// Out: what could not be read, and why.
    DeadLetters,
}

impl Topic {
    /// All topics.
    pub const ALL: [Self; 9] = [
        Self::AgentTraces,
        Self::PromptCommands,
        Self::AgentEvents,
        Self::AgentState,
        Self::OptimizationRequests,
        Self::PromptUpdates,
        Self::PromptVersions,
        Self::Decisions,
        Self::DeadLetters,
    ];

    /// The topic's name, before any configured prefix.
    pub fn name(self) -> &'static str {
        match self {
            Self::AgentTraces => "agent-traces",
            Self::PromptCommands => "prompt-commands",
            Self::AgentEvents => "agent-events",
            Self::AgentState => "agent-state",
            Self::OptimizationRequests => "optimization-requests",
            Self::PromptUpdates => "prompt-updates",
            Self::PromptVersions => "prompt-versions",
            Self::Decisions => "decisions",
            Self::DeadLetters => "dead-letters",
        }
    }

    /// Whether only the latest value of each key is kept.
    pub fn compacted(self) -> bool {
        matches!(self, Self::AgentState | Self::PromptUpdates | Self::PromptVersions)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its topic.
    pub topic: Topic,
    /// Its place in the topic, rising, with gaps where compaction took records away.
    pub offset: u64,
    /// When it was appended.
    pub at: EventTime,
    /// Its key; empty where there is none.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// Further facts about it, e.g. why it is a dead letter.
    pub headers: Vec<(String, String)>,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Where to.
    pub topic: Topic,
    /// Its key; empty for none.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
    /// Further facts about it.
    pub headers: Vec<(String, String)>,
}

impl NewRecord {
    /// A record without headers.
    pub fn new(topic: Topic, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self { topic, key: key.into(), value: value.into(), headers: Vec::new() }
    }
}
