//! Rules about thoughts: marks of reasoning that go with success.

use super::Scene;
use super::guideline::Guideline;
use super::hypothesis::Hypothesis;
use super::significance::{Contrast, Toward};
use crate::decode::Reasoning;

/// Marks whose presence may go with success.
pub(super) fn hypotheses(scene: &Scene<'_>) -> Vec<Hypothesis> {
    let marked = scene.window.reasoning.iter().filter_map(|(mark, runs)| {
        let hypothesis = Hypothesis {
            kind: "reasoning_with_success",
            property: shown(*mark).to_owned(),
            contrast: Contrast::of(*runs, scene.counts)?,
            toward: Toward::Success,
            wants: Vec::new(),
        };
        Some(hypothesis.or_reversed(Some(Guideline::think(*mark)), &scene.learnt))
    });
    marked.flatten().collect()
}

fn shown(mark: Reasoning) -> &'static str {
    match mark {
        Reasoning::Plan => "laying out steps before acting",
        Reasoning::Hypothesis => "naming a possible cause",
        Reasoning::Verify => "checking that an action took effect",
        Reasoning::Backtrack => "changing course",
        Reasoning::Uncertain => "saying what is uncertain",
    }
}
