//! What the optimizer answers. It is an event like any other, and trusted as little.

use serde::{Deserialize, Serialize};

use super::{Author, Proposed, RequestId};
use crate::base::VersionNumber;

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The request it answers.
    pub request: RequestId,
    /// The version it starts from.
    pub parent: VersionNumber,
    /// Edits of prompts, or why there are none.
    pub prompt: Part,
    /// Edits of the config, or why there are none.
    pub config: Part,
    /// How the model was used, for people and metrics.
    pub llm: LlmReport,
    /// Findings the optimizer saw in the window, in a line each, with their counts.
    pub findings: Vec<String>,
}

/// One half of a proposal: prompts and config are asked for and authored apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Who answered.
    pub author: Author,
    /// What they answered.
    pub answer: Answer,
    /// What was proposed and refused on the way, each with its reason.
    pub refused: Vec<String>,
}

/// Edits, or a reasoned none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Answer {
    /// Change this.
    Edits {
        /// At least one.
        edits: Vec<Proposed>,
    },
    /// Nothing is better than what there is.
    NoChange {
        /// Why.
        reason: String,
    },
}

impl Answer {
    /// The edits; none for [`Answer::NoChange`].
    pub fn edits(&self) -> &[Proposed] {
        match self {
            Self::Edits { edits } => edits,
            Self::NoChange { .. } => &[],
        }
    }
}

/// How the model was used for one request.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LlmReport {
    /// The model asked, if any was.
    pub model: Option<String>,
    /// Calls made, retries included.
    pub calls: u32,
    /// Optimizations of prompt or config that the model contributed (0 to 2).
    pub optimizations: u32,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Why the pattern edits stood in for the model, if they did.
    pub fallback: Option<String>,
}
