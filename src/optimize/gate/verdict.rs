//! What is said to a hook and what it answers: JSON both ways. Pure.

use serde::{Deserialize, Serialize};

use super::Unasked;
use crate::base::{AgentName, VersionNumber};
use crate::govern::{Content, Request};

/// The question.
#[derive(Serialize)]
struct Input<'a> {
    agent: &'a AgentName,
    request: String,
    parent: Parent<'a>,
    candidate: &'a Content,
}

#[derive(Serialize)]
struct Parent<'a> {
    version: VersionNumber,
    #[serde(flatten)]
    content: &'a Content,
}

/// The answer. What else it holds is not read.
#[derive(Debug, Deserialize)]
pub(super) struct Verdict {
    pub(super) passed: bool,
    pub(super) score: Option<f64>,
    pub(super) baseline_score: Option<f64>,
    pub(super) problems: Option<u64>,
    pub(super) detail: Option<String>,
}

/// What a hook is given about `candidate`.
pub(super) fn input(request: &Request, candidate: &Content) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Input {
        agent: &request.id.agent,
        request: request.id.to_string(),
        parent: Parent { version: request.parent, content: &request.content },
        candidate,
    })
}

/// The verdict in `answer`.
pub(super) fn read(answer: &[u8]) -> Result<Verdict, Unasked> {
    serde_json::from_slice(answer).map_err(|problem| {
        // The parser's own words may quote the answer.
        let (line, column) = (problem.line(), problem.column());
        Unasked::passing(format!(
            "its answer is no verdict (line {line}, column {column}): \
             it must be a JSON object such as {{\"passed\": true}}"
        ))
    })
}
