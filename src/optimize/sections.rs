//! The evidence, section by section. Pure.
//!
//! Titles and figures are ours; tool names, error texts, excerpts, prompts and what earlier versions
//! changed are others' and go into fenced sections.

use std::fmt::Display;

use super::Finding;
use super::answer::Scope;
use super::budget::Keep;
use super::evidence::Section;
use crate::fold::{Exemplar, Reward, Sketch, Split};
use crate::govern::{Guidance, Half, Past, Request};

/// The most rows of a table.
const MAX_ROWS: usize = 12;
/// The most earlier versions.
const MAX_PAST: usize = 8;
/// The longest name of a tool or a key, in characters.
const MAX_NAME: usize = 60;

/// The sections for one half of `request`, in the order in which they are read.
pub(super) fn of(
    request: &Request,
    findings: &[Finding],
    half: Half,
    scope: &Scope,
) -> Vec<Section> {
    let mut sections = vec![
        Section::new("The agent", agent(request), 4),
        Section::new("Reward", reward(request), 4),
        Section::new("Runs", runs(request), 4),
        Section::fenced("Findings, the strongest first", lines(findings, |f| f.summary.clone()), 6),
        Section::fenced("Tools", tools(request), 6),
        Section::fenced("What failed runs ended with", signatures(request), 3),
    ];
    let exemplars = &request.window.exemplars;
    sections.extend(exemplars.worst.iter().map(|run| exemplar("Failed run", run)));
    sections.extend(exemplars.best.iter().map(|run| exemplar("Successful run", run)));
    sections.push(Section::fenced("Earlier versions and how they fared", history(request), 5));
    for (key, text) in &request.content.prompts {
        let weight = if half == Half::Prompts { 10 } else { 3 };
        let title = format!("Prompt {}", name(key));
        let section = Section::fenced(&title, text.clone(), weight);
        sections.push(Section { keep: Keep::Ends, ..section });
    }
    let config = serde_json::to_string_pretty(&request.content.config).unwrap_or_default();
    sections.push(Section::fenced("Config", config, 4));
    sections.extend(bullets(request, scope));
    sections.push(Section::new("What you may change", allowed(request, scope), 8));
    sections
}

fn agent(request: &Request) -> String {
    let Request { id, parent, .. } = request;
    format!("{}, running version {parent}.", id.agent)
}

fn reward(request: &Request) -> String {
    let (spec, window) = (&request.policy.reward, &request.window);
    let known = window.counts.known();
    let Some(mean) = window.mean_reward() else { return "No run has a known outcome.".to_owned() };
    let Reward { success, latency, attempts, tokens } = window.reward;
    let costs = [
        ("being quick", latency, spec.latency_weight, spec.latency_target, "seconds"),
        ("few tool calls", attempts, spec.attempts_weight, spec.attempts_target, "calls"),
        ("few tokens", tokens, spec.tokens_weight, spec.tokens_target, "tokens"),
    ];
    let best = spec.success_weight + costs.iter().map(|cost| cost.2.abs()).sum::<f64>();
    let of = |sum: i64, weight: f64| {
        format!("{:.3} of at most {:.3}", term(sum, known), weight.abs() / best)
    };
    let mut lines = vec![
        format!("Mean reward {mean:.3} of at most 1. It is the sum of:"),
        format!("- success: {}", of(success, spec.success_weight)),
    ];
    for (what, sum, weight, target, unit) in costs {
        if weight < 0.0 {
            let of = of(sum, weight);
            lines.push(format!(
                "- {what}, on successes only: {of}; nothing from {target} {unit} on"
            ));
        }
    }
    lines.join("\n")
}

/// The mean of one term of the reward.
#[expect(clippy::cast_precision_loss, reason = "sums and counts are below 2^52")]
fn term(sum: i64, runs: u64) -> f64 {
    sum as f64 / (runs.max(1) as f64 * Reward::ONE as f64)
}

fn runs(request: &Request) -> String {
    let window = &request.window;
    let counts = window.counts;
    let mut lines = vec![
        format!(
            "{} runs with known outcome: {} succeeded, {} failed ({} success).",
            counts.known(),
            counts.success,
            counts.failure,
            percent(counts.success_rate()),
        ),
        format!("Seconds: {}.", quantiles(&window.latency, 1000.0)),
        format!("Seconds of successes: {}.", quantiles(&window.latency_of_successes, 1000.0)),
        format!("Tool calls: {}.", quantiles(&window.attempts, 1.0)),
        format!("Rounds of successes: {}.", quantiles(&window.rounds_of_successes, 1.0)),
    ];
    let left_out = counts.aborted + counts.unknown;
    if left_out > 0 {
        lines.push(format!(
            "In no figure: {} broken by the infrastructure, {} without a label.",
            counts.aborted, counts.unknown
        ));
    }
    let splits = [
        ("used all the rounds they had", window.at_step_limit),
        ("were tried more than once", window.retried),
        ("used all the tries they had", window.at_retry_limit),
    ];
    let splits = splits.into_iter().filter(|(_, split)| split.total() > 0);
    lines.extend(splits.map(|(what, split)| format!("{} {what}.", of_outcome(split))));
    lines.join("\n")
}

fn tools(request: &Request) -> String {
    let window = &request.window;
    let mut tools: Vec<_> = window.tools.iter().collect();
    tools.sort_by(|(a, x), (b, y)| y.used.total().cmp(&x.used.total()).then_with(|| a.cmp(b)));
    tools.truncate(MAX_ROWS);
    lines(tools, |(tool, stats)| {
        let repeats = window.repeats.get(tool).copied().unwrap_or_default();
        let repeats = match repeats.total() {
            0 => String::new(),
            _ => format!("; {} called it 3 times or more in a row alike", of_outcome(repeats)),
        };
        format!(
            "{}: success {} with it ({} runs), {} without it; {} calls, {} failed{repeats}",
            name(tool),
            percent(stats.used.success_rate()),
            stats.used.total(),
            percent(window.without_tool(stats).success_rate()),
            stats.calls,
            stats.errors,
        )
    })
}

fn signatures(request: &Request) -> String {
    let mut signatures: Vec<_> = request.window.signatures.iter().collect();
    signatures.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    signatures.truncate(MAX_ROWS / 2);
    lines(signatures, |(signature, count)| format!("{count} times: {signature}"))
}

fn exemplar(kind: &str, run: &Exemplar) -> Section {
    let title = format!("{kind}: {:.0} s, {} tool calls", run.latency, run.attempts);
    Section::fenced(&title, run.excerpt.clone(), 3)
}

fn history(request: &Request) -> String {
    let skipped = request.history.len().saturating_sub(MAX_PAST);
    lines(request.history.iter().skip(skipped), |past| {
        let Past { number, state, author, changes, runs, mean_reward, .. } = past;
        let reward = mean_reward.map_or("?".to_owned(), |reward| format!("{reward:.3}"));
        format!(
            "{number}, {state}, by {author}: {} runs, success {}, mean reward {reward}; changed: {}",
            runs.known(),
            percent(runs.success_rate()),
            changes.join("; "),
        )
    })
}

/// The learned bullets, where they may be changed.
fn bullets(request: &Request, scope: &Scope) -> Option<Section> {
    let Scope::Prompts(_) = scope else { return None };
    let prompt = request.content.prompts.get(&request.policy.guidance_key)?;
    let guidance = Guidance::parse(prompt);
    let body = lines(guidance.bullets(), |bullet| format!("{}: {}", bullet.id, bullet.text));
    Some(Section::fenced("Learned bullets by id", body, 6))
}

fn allowed(request: &Request, scope: &Scope) -> String {
    let rules = &request.policy.guard;
    match scope {
        Scope::Prompts(ops) => {
            let mut lines = vec![
                format!("Operations: {}.", ops.join(", ")),
                format!(
                    "At most {} bullets of at most {} characters; prompts may grow by at most {} \
                     characters in all.",
                    rules.max_bullets, rules.max_bullet_chars, rules.max_growth_chars
                ),
            ];
            if ops.contains(&"replace_text") {
                lines.push(
                    "replace_text: `old` must stand exactly once in the prompt `key`; every \
                     placeholder in braces must stay as it is."
                        .to_owned(),
                );
            }
            lines.join("\n")
        }
        Scope::Config(keys) => lines(keys, |key| {
            let now = request.content.config.get(key).map(ToString::to_string);
            let range = rules.tunables.get(key).map(|tunable| {
                let kind = if tunable.integer { "whole numbers" } else { "numbers" };
                let (min, max, step) = (tunable.min, tunable.max, tunable.step);
                format!("{kind} from {min} to {max}, changed by at most {step}")
            });
            let (now, range) = (now.unwrap_or_default(), range.unwrap_or_default());
            format!("{}: now {now:.40}; {range}", name(key))
        }),
    }
}

fn quantiles(sketch: &Sketch, unit: f64) -> String {
    let at = |q: f64| sketch.quantile(q).map(|value| value / unit);
    match (at(0.5), at(0.95)) {
        (Some(median), Some(high)) => {
            format!("half below {median:.1}, 95 % below {high:.1}")
        }
        _ => "unknown".to_owned(),
    }
}

fn of_outcome(split: Split) -> String {
    format!("{} failures and {} successes", split.failure, split.success)
}

fn percent(share: Option<f64>) -> String {
    share.map_or("?".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

/// A name of bounded length on one line.
fn name(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// A list, an item a line, whatever line breaks the items had.
fn lines<T>(items: impl IntoIterator<Item = T>, text: impl Fn(T) -> String) -> String {
    let line = |item: T| one_line(&text(item));
    items.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

fn one_line(text: &impl Display) -> String {
    let text = text.to_string();
    format!("- {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
}
