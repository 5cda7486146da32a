//! stand-in until the model half lands
use crate::govern::{
    Answer, Author, Edit, LlmReport, Part, Proposal, Proposed, Request, apply_edits, check,
};
use std::collections::BTreeSet;
/// Optimizer.
pub struct Optimizer {}
impl Optimizer {
    /// new
    pub fn from_config(_llm: &crate::config::Llm) -> Self {
        Self {}
    }
    /// problem
    pub fn problem(&self) -> Option<String> {
        None
    }
    /// propose
    pub async fn propose(&self, request: &Request) -> Proposal {
        let findings = super::find(request);
        let (mut prompt, mut config, mut refused): (Vec<Proposed>, Vec<Proposed>, Vec<String>) =
            Default::default();
        for p in findings.iter().flat_map(|f| f.edits.clone()) {
            let ok = apply_edits(&request.content, &request.policy.guidance_key, [&p.edit])
                .map_err(|e| e.to_string())
                .and_then(|c| {
                    check(
                        &request.content,
                        &c,
                        &request.policy.guard,
                        &request.policy.guidance_key,
                        &BTreeSet::new(),
                    )
                    .map_err(|v| format!("{v:?}"))
                });
            match (ok, matches!(p.edit, Edit::SetConfig { .. })) {
                (Err(e), _) => refused.push(e),
                (_, true) => config.push(p),
                (_, false) => prompt.push(p),
            }
        }
        let part = |edits: Vec<Proposed>, refused| Part {
            author: Author::Patterns,
            answer: if edits.is_empty() {
                Answer::NoChange { reason: "no finding justifies a change".to_owned() }
            } else {
                Answer::Edits { edits }
            },
            refused,
        };
        Proposal {
            request: request.id.clone(),
            parent: request.parent,
            prompt: part(prompt, refused),
            config: part(config, Vec::new()),
            llm: LlmReport::default(),
            findings: findings.iter().map(|f| f.summary.clone()).collect(),
        }
    }
}
