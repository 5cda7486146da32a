//! Rules about single tools: whose use or first call goes with an outcome, which fail, which are slow.

use super::draft::{Draft, Want};
use super::guideline::{Guideline, shown};
use super::hypothesis::{Hypothesis, REVERSED};
use super::significance::{Contrast, MIN_RUNS, Toward, rate_at_least};
use super::{Scene, real, share};
use crate::fold::ToolStats;

/// Calls below which an error rate or a time per call says nothing.
const MIN_CALLS: u64 = 10;
/// A tool is prone to errors if at least this share of its calls fail.
const ERROR_PRONE: f64 = 0.2;
/// A tool is slow if it takes at least this share of the runs' time.
const SLOW: f64 = 0.3;

/// Tools whose use goes with an outcome, and first calls that go with success.
pub(super) fn hypotheses(scene: &Scene<'_>) -> Vec<Hypothesis> {
    let mut all = Vec::new();
    for (name, stats) in scene.window.tools.iter() {
        if let Some(contrast) = Contrast::of(stats.used, scene.counts) {
            all.push(usage(scene, name, contrast, Toward::Failure));
            all.push(usage(scene, name, contrast, Toward::Success));
        }
        if let Some(contrast) = Contrast::of(stats.first, scene.counts) {
            let first = Hypothesis {
                kind: "first_tool_with_success",
                property: format!("starting with {}", shown(name)),
                contrast,
                toward: Toward::Success,
                wants: Vec::new(),
            };
            let guideline = Guideline::start_with(name);
            all.extend(first.or_reversed(guideline, &scene.learnt));
        }
    }
    all
}

/// Where the opposite has been learnt, that is taken back and no more: the next window shows what
/// becomes of the tool without it.
fn usage(scene: &Scene<'_>, tool: &str, contrast: Contrast, toward: Toward) -> Hypothesis {
    let (kind, guideline, opposite) = match toward {
        Toward::Failure => ("tool_with_failure", Guideline::wary(tool), Guideline::prefer(tool)),
        Toward::Success => ("tool_with_success", Guideline::prefer(tool), Guideline::wary(tool)),
    };
    let property = format!("use of {}", shown(tool));
    let stale = opposite.map(|opposite| opposite.said_by(&scene.learnt)).unwrap_or_default();
    if stale.is_empty() {
        let wants = guideline.map(Want::Say).into_iter().collect();
        return Hypothesis { kind, property, contrast, toward, wants };
    }
    let property = format!("{property}, against {},", stale.join(" and "));
    let wants = stale.into_iter().map(Want::Drop).collect();
    Hypothesis { kind: REVERSED, property, contrast, toward, wants }
}

/// Tools that often fail and tools that take long.
pub(super) fn drafts(scene: &Scene<'_>) -> Vec<Draft> {
    let busy = |(_, stats): &(&str, &ToolStats)| {
        stats.calls >= MIN_CALLS && stats.used.total() >= MIN_RUNS
    };
    let tools = scene.window.tools.iter().filter(busy);
    tools
        .flat_map(|(name, stats)| [error_prone(name, stats), slow(scene, name, stats)])
        .flatten()
        .collect()
}

fn error_prone(tool: &str, stats: &ToolStats) -> Option<Draft> {
    let ToolStats { calls, errors, used, .. } = *stats;
    // The calls of one run resemble each other, so the runs are the sample.
    let rate = rate_at_least(errors, calls, used.total().min(calls));
    (rate >= ERROR_PRONE).then(|| Draft {
        kind: "error_prone_tool",
        summary: format!(
            "{errors} of {calls} calls of {} failed, in {} runs",
            shown(tool),
            used.total()
        ),
        runs: used.total(),
        strength: share(errors, calls),
        wants: Guideline::careful(tool).map(Want::Say).into_iter().collect(),
    })
}

/// No edit: whether a slow tool is worth its time, no rule can know.
fn slow(scene: &Scene<'_>, tool: &str, stats: &ToolStats) -> Option<Draft> {
    let latency = &scene.window.latency;
    let whole = latency.mean()? * real(latency.count());
    let taken = (real(stats.millis) / whole.max(1.0)).min(1.0);
    (taken >= SLOW).then(|| Draft {
        kind: "slow_tool",
        summary: format!(
            "{} takes {:.0} % of the runs' time: {:.1} s a call over {} calls",
            shown(tool),
            taken * 100.0,
            real(stats.millis) / real(stats.calls) / 1000.0,
            stats.calls
        ),
        runs: stats.used.total(),
        // It says nothing about success: what does comes first.
        strength: taken * 0.1,
        wants: Vec::new(),
    })
}
