//! The window in figures. No edits: a figure alone says nothing about what to change.

use super::draft::Draft;
use super::{Scene, real};
use crate::fold::{Reward, Sketch};

/// Success rate, latency, attempts, tokens and reward.
pub(super) fn drafts(scene: &Scene<'_>) -> Vec<Draft> {
    let (window, counts) = (scene.window, scene.counts);
    let runs = counts.known();
    let rate =
        counts.success_rate().map_or_else(|| "unknown".to_owned(), |rate| format!("{rate:.3}"));
    let summary = format!(
        "success rate {rate}: {} of {runs} runs with known outcome ({} aborted, {} unlabelled)",
        counts.success, counts.aborted, counts.unknown
    );
    let mut drafts = vec![Draft::figure("success_rate", summary, runs)];
    if runs == 0 {
        return drafts;
    }
    let mut quantiles = |kind, name: &str, unit: &str, sketch: &Sketch, scale: f64| {
        if let (Some(p50), Some(p95)) = (sketch.quantile(0.5), sketch.quantile(0.95)) {
            let (p50, p95) = (p50 / scale, p95 / scale);
            let summary = format!("{name} p50 {p50:.1}{unit}, p95 {p95:.1}{unit} over {runs} runs");
            drafts.push(Draft::figure(kind, summary, runs));
        }
    };
    quantiles("latency", "latency", " s", &window.latency, 1000.0);
    quantiles("attempts", "tool calls", "", &window.attempts, 1.0);
    let mean = |sum: u64| real(sum) / real(runs);
    let tokens = format!(
        "tokens a run {:.0} read, {:.0} written over {runs} runs",
        mean(window.tokens.input),
        mean(window.tokens.output)
    );
    drafts.push(Draft::figure("tokens", tokens, runs));
    if let Some(dollars) = window.cost.mean_usd() {
        let told = window.cost.runs;
        let summary = format!("{dollars:.4} US dollars a run over {told} runs that say so");
        drafts.push(Draft::figure("cost", summary, told));
    }
    drafts.push(Draft::figure("reward", reward(window.reward, runs), runs));
    drafts
}

#[expect(clippy::cast_precision_loss, reason = "sums of rewards are below 2^52")]
fn reward(sum: Reward, runs: u64) -> String {
    let mean = |term: i64| term as f64 / (real(runs) * Reward::ONE as f64);
    format!(
        "mean reward {:.3} of 1: success {:.3}, latency {:.3}, attempts {:.3}, tokens {:.3} \
         over {runs} runs",
        sum.mean(runs).unwrap_or_default(),
        mean(sum.success),
        mean(sum.latency),
        mean(sum.attempts),
        mean(sum.tokens)
    )
}
