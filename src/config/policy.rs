//! What may differ from agent to agent, checked: how it becomes the machine's [`Policy`].

use std::collections::BTreeMap;

use super::checks::Checks;
use super::duration::{DAY, SECOND};
use super::raw::{RawGuard, RawLlmBudget, RawPolicy, RawReward, RawTunable, RawWindows};
use super::rollout::{feedback, rollout, trial, watch};
use crate::fold::{RewardSpec, WindowKind, WindowSpec};
use crate::govern::{GuardRules, LlmBudget, Policy, Tunable};

/// The longest stretch of time anything may look back over: leap years included.
pub(super) const YEAR: i64 = 366 * DAY;

/// Panes (slides, or tumbling lengths) that may be open at once: each is an aggregate in memory, for
/// every version.
const MAX_PANES: i64 = 200;

const TRILLION: u64 = 1_000_000_000_000;

/// What `raw` means. Where something is impossible, `checks` says so and the result is of no use.
pub(super) fn resolve(raw: RawPolicy, checks: &mut Checks) -> Policy {
    let min_traces = checks.within("min_traces", raw.min_traces, 1..=1_000_000);
    Policy {
        windows: windows(&raw.windows, min_traces, checks),
        min_traces,
        cooldown: checks.duration("cooldown", &raw.cooldown, 0..=YEAR),
        reward: reward(&raw.reward, checks),
        rollout: rollout(&raw.rollout, checks),
        trial: trial(&raw.trial, checks),
        watch: watch(&raw.watch, checks),
        feedback: feedback(&raw.feedback, checks),
        guard: guard(raw.guard, checks),
        llm_budget: llm_budget(&raw.llm_budget, checks),
        guidance_key: checks.text("guidance_key", raw.guidance_key),
        step_key: checks.text("step_key", raw.step_key),
        retry_key: checks.text("retry_key", raw.retry_key),
        seed: raw.seed,
    }
}

fn windows(raw: &RawWindows, min_traces: u64, checks: &mut Checks) -> WindowSpec {
    let before = checks.problems.len();
    let length = checks.duration("windows.length", &raw.length, SECOND..=YEAR);
    let slide = checks.duration("windows.slide", &raw.slide, SECOND..=YEAR);
    let allowed_lateness =
        checks.duration("windows.allowed_lateness", &raw.allowed_lateness, 0..=YEAR);
    let kind = match raw.kind.as_str() {
        "tumbling" => {
            if allowed_lateness / length > MAX_PANES {
                let what = format!("must not be above {MAX_PANES} times windows.length");
                checks.problem("windows.allowed_lateness", what);
            }
            WindowKind::Tumbling { length }
        }
        "count" => {
            if raw.runs < min_traces {
                let reason = "or no window ever holds enough";
                let what = format!("must be at least min_traces ({min_traces}), {reason}");
                checks.problem("windows.runs", what);
            }
            WindowKind::Count { runs: raw.runs }
        }
        "sliding" => {
            // Where one is impossible by itself, whether they fit is no question.
            let each_is_possible = checks.problems.len() == before;
            if each_is_possible && length % slide != 0 {
                let what = format!("must go into windows.length ({}) evenly", raw.length);
                checks.problem("windows.slide", what);
            } else if each_is_possible && (length + allowed_lateness) / slide > MAX_PANES {
                let span = format!("{} and {} late", raw.length, raw.allowed_lateness);
                let what = format!("is too short: {span} hold more than {MAX_PANES} slides");
                checks.problem("windows.slide", what);
            }
            WindowKind::Sliding { length, slide }
        }
        other => {
            let what = format!("must be sliding, tumbling or count, not {other:?}");
            checks.problem("windows.kind", what);
            WindowKind::Sliding { length, slide }
        }
    };
    WindowSpec { kind, allowed_lateness }
}

fn reward(raw: &RawReward, checks: &mut Checks) -> RewardSpec {
    let spec = RewardSpec {
        success_weight: raw.success_weight,
        latency_weight: raw.latency_weight,
        attempts_weight: raw.attempts_weight,
        tokens_weight: raw.tokens_weight,
        latency_target: raw.latency_target,
        attempts_target: raw.attempts_target,
        tokens_target: raw.tokens_target,
    };
    // The spec names the field first, and knows best what is impossible.
    if let Some(problem) = spec.problem() {
        let (field, what) = problem.split_once(' ').unwrap_or(("", &problem));
        checks.problem(&format!("reward.{field}"), what);
    }
    spec
}

fn guard(raw: RawGuard, checks: &mut Checks) -> GuardRules {
    const MOST: u64 = 10_000_000;
    let mut count = |key, value, least| {
        let value = checks.within(key, value, least..=MOST);
        usize::try_from(value).unwrap_or(usize::MAX)
    };
    GuardRules {
        max_prompt_chars: count("guard.max_prompt_chars", raw.max_prompt_chars, 1),
        max_growth_chars: count("guard.max_growth_chars", raw.max_growth_chars, 0),
        max_bullets: count("guard.max_bullets", raw.max_bullets, 0),
        max_bullet_chars: count("guard.max_bullet_chars", raw.max_bullet_chars, 1),
        max_unproven_bullets: count("guard.max_unproven_bullets", raw.max_unproven_bullets, 0),
        edit_human_text: raw.edit_human_text,
        trusted_tools: raw.trusted_tools.split_whitespace().map(str::to_owned).collect(),
        tunables: tunables(raw.tunables, checks),
    }
}

fn llm_budget(raw: &RawLlmBudget, checks: &mut Checks) -> LlmBudget {
    let mut tokens = |limit| checks.within("llm_budget.tokens_per_day", limit, 0..=TRILLION);
    let tokens_per_day = raw.tokens_per_day.map(&mut tokens);
    let mut dollars = |limit| checks.within("llm_budget.usd_per_day", limit, 0.0..=1e6);
    let micros_per_day = raw.usd_per_day.map(&mut dollars).map(micros);
    let calls = checks.within("llm_budget.calls_per_request", raw.calls_per_request, 1..=1_000);
    let calls_per_request = u32::try_from(calls).unwrap_or(u32::MAX);
    LlmBudget { tokens_per_day, micros_per_day, calls_per_request }
}

/// Dollars, of which there are a million at most, in millionths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is below 0 or no number becomes 0, and the range is far below that of u64"
)]
pub(super) fn micros(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}

fn tunables(raw: BTreeMap<String, RawTunable>, checks: &mut Checks) -> BTreeMap<String, Tunable> {
    let mut tunables = BTreeMap::new();
    for (name, raw) in raw {
        match tunable(&raw) {
            Ok(tunable) => {
                tunables.insert(name, tunable);
            }
            Err(problem) => checks.problem_of("guard.tunables", &name, problem),
        }
    }
    tunables
}

fn tunable(raw: &RawTunable) -> Result<Tunable, &'static str> {
    let (Some(min), Some(max), Some(step)) = (raw.min, raw.max, raw.step) else {
        return Err("needs min, max and step");
    };
    let integer = raw.integer.unwrap_or(false);
    if min > max {
        Err("has its min above its max")
    } else if step <= 0.0 {
        Err("needs a step above 0")
    } else if integer && step < 1.0 {
        Err("needs a step of at least 1, its values being whole numbers")
    } else {
        Ok(Tunable { min, max, step, integer })
    }
}
