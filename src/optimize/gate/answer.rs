//! What a gate is asked and what it answers, in JSON. Pure.

use serde::{Deserialize, Serialize};

use crate::base::{AgentName, VersionNumber};
use crate::govern::{Content, GateReport, Proposed, Request, apply_edits};

#[derive(Serialize)]
struct Asked<'a> {
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

#[derive(Deserialize)]
struct Verdict {
    passed: bool,
    score: Option<f64>,
    baseline_score: Option<f64>,
    problems: Option<u64>,
    detail: Option<String>,
}

/// The question about the candidate that `edits` make.
///
/// # Errors
/// Why there is no such candidate.
pub(super) fn question(request: &Request, edits: &[&Proposed]) -> Result<Vec<u8>, String> {
    let edits = edits.iter().map(|proposed| &proposed.edit);
    let candidate = apply_edits(&request.content, &request.policy.guidance_key, edits)
        .map_err(|problem| format!("the edits make no candidate: {problem}"))?;
    let asked = Asked {
        agent: &request.id.agent,
        request: request.id.to_string(),
        parent: Parent { version: request.parent, content: &request.content },
        candidate: &candidate,
    };
    serde_json::to_vec(&asked).map_err(|problem| format!("the question is no JSON: {problem}"))
}

/// The verdict in `answer`, but for the time it took.
///
/// # Errors
/// Why it is none.
pub(super) fn read(answer: &[u8]) -> Result<GateReport, String> {
    let verdict: Verdict = serde_json::from_slice(answer)
        .map_err(|problem| format!("its answer is no verdict: {problem}"))?;
    let Verdict { passed, score, baseline_score, problems, detail } = verdict;
    let detail = detail.unwrap_or_default();
    Ok(GateReport { passed, score, baseline_score, problems, detail, seconds: 0.0 })
}
