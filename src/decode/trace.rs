//! One agent run as the outside world tells it: the model every input format decodes to.
//!
//! Its serde form is Whetstone's native JSON record of a run, published as `configs/trace.schema.json`.

use serde::{Deserialize, Serialize};

use crate::base::{AgentName, EventTime, VersionNumber};

/// One run of one agent, validated.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// The agent that ran.
    pub agent: AgentName,
    /// The run's id, unique within its agent; 1 to 128 bytes.
    pub trace_id: String,
    /// The conversation or task the run belongs to, if it is one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The version the run says it ran under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionNumber>,
    /// When the run started, in milliseconds since the epoch.
    #[serde(rename = "start_ms")]
    pub start: EventTime,
    /// When the run ended; not before its start.
    #[serde(rename = "end_ms")]
    pub end: EventTime,
    /// How it ended.
    pub outcome: Outcome,
    /// What the run was asked to do, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// What the run gave as its answer, or the error it ended with, shortened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// What it did, in order.
    pub steps: Vec<Step>,
    /// How many times the whole run was tried again after its first attempt.
    pub retries: u32,
    /// Tokens over the whole run, where known.
    pub tokens: Tokens,
    /// What the run's calls of models cost in US dollars, where known; finite and not negative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// LLM/tool rounds, where the source counts them; otherwise the number of tool calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u32>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it was asked.
    Success,
    /// It did not.
    Failure,
    /// The harness or the infrastructure broke: counted and shown, never learnt from.
    Aborted,
    /// Nobody has said yet.
    Unknown,
}

impl Outcome {
    /// Its name, e.g. `success`, as it is written everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Aborted => "aborted",
            Self::Unknown => "unknown",
        }
    }
}

/// One thing a run did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Step {
    /// It called a tool.
    Tool(ToolCall),
    /// It thought aloud.
    Thought(Thought),
    /// It called a model.
    Llm(LlmCall),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool's name.
    pub name: String,
    /// Whether the call did what it was asked; a response that says it failed is a failed call.
    pub ok: bool,
    /// What went wrong, shortened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Seconds it took, where known; finite and not negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// The arguments as compact text, shortened: two calls are identical if tool and arguments are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
}

/// A thought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thought {
    /// What the agent said to itself, shortened.
    pub text: String,
}

/// A call of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Default)]
pub struct LlmCall {
    /// The model's name, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens of this call.
    #[serde(default)]
    pub tokens: Tokens,
}

/// Tokens read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Tokens {
    /// Tokens read.
    #[serde(default)]
    pub input: u64,
    /// Tokens written.
    #[serde(default)]
    pub output: u64,
}

impl Tokens {
    /// Read and written together.
    pub fn total(self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

impl Trace {
    /// The run's length in seconds.
    pub fn latency(&self) -> f64 {
        self.end.secs_since(self.start)
    }

    /// The calls of tools, in order.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.steps.iter().filter_map(|step| match step {
            Step::Tool(call) => Some(call),
            Step::Thought(_) | Step::Llm(_) => None,
        })
    }
}
