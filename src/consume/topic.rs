//! The topics.

use std::fmt;

/// The topics, inputs first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// In: runs, in any input format.
    AgentTraces,
    /// In: how runs turned out, said later.
    AgentFeedback,
    /// In: orders.
    PromptCommands,
    /// In: spans, as an OpenTelemetry Collector writes them.
    OtlpSpans,
    /// In: log records, as an OpenTelemetry Collector writes them.
    OtlpLogs,
    /// Internal: spans and what is said of them, by trace.
    TraceSpans,
    /// Internal, compacted by trace and piece: traces whose runs are not whole yet.
    TraceState,
    /// Internal: everything that concerns an agent, in one order.
    AgentEvents,
    /// Internal, compacted by agent and piece: the machines' state.
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
    pub const ALL: [Self; 14] = [
        Self::AgentTraces,
        Self::AgentFeedback,
        Self::PromptCommands,
        Self::OtlpSpans,
        Self::OtlpLogs,
        Self::TraceSpans,
        Self::TraceState,
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
            Self::AgentFeedback => "agent-feedback",
            Self::PromptCommands => "prompt-commands",
            Self::OtlpSpans => "otlp_spans",
            Self::OtlpLogs => "otlp_logs",
            Self::TraceSpans => "trace-spans",
            Self::TraceState => "trace-state",
            Self::AgentEvents => "agent-events",
            Self::AgentState => "agent-state",
            Self::OptimizationRequests => "optimization-requests",
            Self::PromptUpdates => "prompt-updates",
            Self::PromptVersions => "prompt-versions",
            Self::Decisions => "decisions",
            Self::DeadLetters => "dead-letters",
        }
    }

    /// The topic of that name, before any configured prefix.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// Whether only the latest value of each key is kept.
    pub fn compacted(self) -> bool {
        matches!(
            self,
            Self::TraceState | Self::AgentState | Self::PromptUpdates | Self::PromptVersions
        )
    }

    /// Whether its records are placed by the agent or the trace in their key, by
    /// [`super::partition_of`]. What comes in from outside is not: its keys are not trusted.
    pub fn placed_by_key(self) -> bool {
        match self {
            Self::AgentTraces
            | Self::AgentFeedback
            | Self::PromptCommands
            | Self::OtlpSpans
            | Self::OtlpLogs
            | Self::DeadLetters => false,
            Self::TraceSpans
            | Self::TraceState
            | Self::AgentEvents
            | Self::AgentState
            | Self::OptimizationRequests
            | Self::PromptUpdates
            | Self::PromptVersions
            | Self::Decisions => true,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
