//! What is kept of a span: its place in the trace, and what a run needs of it. Bounded, whatever came.

use serde::{Deserialize, Serialize};

use super::{Evaluation, PromptLink, SpanId};
use crate::decode::{Outcome, Tokens};

/// A span, boiled down. Its serde form travels on `trace-spans`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// Its id.
    pub id: SpanId,
    /// The span it is a part of; none for the root of a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SpanId>,
    /// When it started, in nanoseconds since the epoch.
    pub start: u64,
    /// When it ended, in nanoseconds since the epoch.
    pub end: u64,
    /// What it says of how it ended.
    #[serde(default, skip_serializing_if = "Status::is_unset")]
    pub status: Status,
    /// `error.type` and a message, at most 300 bytes, where it ended in an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The conversation it says it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The prompt versions it says it ran under: a few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<PromptLink>,
    /// How an attribute that the operator named says the run turned out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Evaluations that came with it: a few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evaluations: Vec<Evaluation>,
    /// What it is in a run.
    #[serde(default, skip_serializing_if = "Role::is_other")]
    pub role: Role,
}

/// A span's status code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nobody said.
    #[default]
    Unset,
    /// Somebody vouched for it.
    Ok,
    /// It failed.
    Error,
}

/// What a span is in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// A run of an agent.
    Agent(AgentFacts),
    /// A call of a tool.
    Tool(ToolFacts),
    /// A call of a model.
    Llm(LlmFacts),
    /// Nothing but a link between others.
    #[default]
    Other,
}

/// What an agent's span says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentFacts {
    /// The agent, by a name that is one; the reason why not, otherwise.
    pub name: String,
    /// What it was asked, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// What it answered, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Tokens and cost of the whole run, where it gives them.
    #[serde(default, skip_serializing_if = "Usage::is_none")]
    pub usage: Usage,
}

/// What a tool's span says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolFacts {
    /// The tool's name.
    pub name: String,
    /// Its arguments as they are compared, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    /// Its answer, if that begins by saying that it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What a model's span says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LlmFacts {
    /// The model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens and cost of this call.
    #[serde(default, skip_serializing_if = "Usage::is_none")]
    pub usage: Usage,
    /// What the model said, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What it was last asked by a person, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
}

/// Tokens and money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens.
    #[serde(default)]
    pub tokens: Tokens,
    /// Millionths of a US dollar, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros: Option<u64>,
}

impl Status {
    fn is_unset(&self) -> bool {
        *self == Self::Unset
    }
}

impl Role {
    fn is_other(&self) -> bool {
        *self == Self::Other
    }
}

impl Usage {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        let cost_micros = match (self.cost_micros, more.cost_micros) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        Self { tokens: self.tokens.plus(more.tokens), cost_micros }
    }

    /// This, or what `other` says where this says nothing.
    #[must_use]
    pub fn or_where_unknown(self, other: Self) -> Self {
        let tokens = if self.tokens.total() > 0 { self.tokens } else { other.tokens };
        Self { tokens, cost_micros: self.cost_micros.or(other.cost_micros) }
    }
}

impl Span {
    /// Whether the call it stands for failed.
    pub fn failed(&self) -> bool {
        self.status == Status::Error || self.error.is_some()
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let role = match &self.role {
            Role::Agent(agent) => agent.name.len() + text(&agent.input) + text(&agent.output),
            Role::Tool(tool) => tool.name.len() + text(&tool.arguments) + text(&tool.failure),
            Role::Llm(llm) => text(&llm.model) + text(&llm.text) + text(&llm.asked),
            Role::Other => 0,
        };
        let links = self.prompts.len() * 128 + self.evaluations.len() * 128;
        size_of::<Self>() + text(&self.error) + text(&self.session) + links + role
    }
}
