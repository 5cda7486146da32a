//! Rules about calls in a row: transitions and repeats that go with failure.

use super::Scene;
use super::guideline::{Guideline, shown};
use super::hypothesis::Hypothesis;
use super::significance::{Contrast, Toward};

/// Transitions between two tools, and rows of identical calls.
pub(super) fn hypotheses(scene: &Scene<'_>) -> Vec<Hypothesis> {
    let failing = |kind, property, contrast, guideline| {
        let toward = Toward::Failure;
        Hypothesis { kind, property, contrast, toward, wants: Vec::new() }
            .or_reversed(guideline, &scene.learnt)
    };
    let mut all = Vec::new();
    for (key, stats) in scene.window.transitions.iter() {
        let Some((from, to)) = key.split_once(" → ") else { continue };
        // A tool after itself is harmless unless the arguments repeat, which is the other rule.
        let contrast = Contrast::of(stats.runs, scene.counts).filter(|_| from != to);
        let Some(contrast) = contrast else { continue };
        let property = format!("going straight from {} to {}", shown(from), shown(to));
        let guideline = Guideline::not_straight(from, to);
        all.extend(failing("transition_with_failure", property, contrast, guideline));
    }
    for (tool, runs) in scene.window.repeats.iter() {
        let Some(contrast) = Contrast::of(*runs, scene.counts) else { continue };
        let property =
            format!("calling {} three or more times in a row with the same arguments", shown(tool));
        let guideline = Guideline::not_again(tool);
        all.extend(failing("repeats_with_failure", property, contrast, guideline));
    }
    all
}
