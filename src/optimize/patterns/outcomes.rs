//! How successes differ from failures in what they cost. No edits: a run that fails for another reason
//! also takes longer, or gives up sooner.

use super::draft::Draft;
use super::significance::MIN_RUNS;
use super::{Scene, real};
use crate::fold::Sketch;

/// Mean latency and tool calls of successes against failures.
pub(super) fn drafts(scene: &Scene<'_>) -> Vec<Draft> {
    let window = scene.window;
    let (successes, failures) = (scene.counts.success, scene.counts.failure);
    if successes.min(failures) < MIN_RUNS {
        return Vec::new();
    }
    let compare = |kind, what: &str, all: &Sketch, of_successes: &Sketch, scale: f64| {
        let sum = |sketch: &Sketch| Some(sketch.mean()? * real(sketch.count()));
        let success = of_successes.mean()? / scale;
        let rest = (sum(all)? - sum(of_successes)?).max(0.0);
        let failure = rest / real(all.count().saturating_sub(of_successes.count()).max(1)) / scale;
        let larger = success.max(failure);
        Some(Draft {
            kind,
            summary: format!(
                "{what}: successes {success:.1} on average, failures {failure:.1} \
                 ({successes} and {failures} runs)"
            ),
            runs: successes + failures,
            strength: if larger > 0.0 { (success - failure).abs() / larger } else { 0.0 },
            wants: Vec::new(),
        })
    };
    let latency = compare(
        "latency_by_outcome",
        "seconds a run",
        &window.latency,
        &window.latency_of_successes,
        1000.0,
    );
    let attempts = compare(
        "attempts_by_outcome",
        "tool calls a run",
        &window.attempts,
        &window.attempts_of_successes,
        1.0,
    );
    latency.into_iter().chain(attempts).collect()
}
