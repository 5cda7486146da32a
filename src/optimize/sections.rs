//! The evidence, section by section. Pure.
//!
//! Titles and figures are ours; tool names, error texts, excerpts, prompts and what earlier versions
//! changed are others' and go into fenced sections.

use std::collections::BTreeSet;
use std::fmt::Display;

use super::Finding;
use super::answer::Scope;
use super::budget::Keep;
use super::critique::Cause;
use super::evidence::{Ask, Section};
use super::lineage::told;
use super::strata::{Better, Strata};
use crate::fold::{Exemplar, Reward, Sketch, Split};
use crate::govern::{BulletRecord, Fate, Half, Past, Request};

/// The most rows of a table.
const MAX_ROWS: usize = 12;
/// The most earlier versions.
const MAX_PAST: usize = 8;
/// The longest name of a tool or a key, in characters.
const MAX_NAME: usize = 60;
/// The most failed runs that are shown, each of another way to fail if there are so many, and the most
/// successes beside them.
const MAX_FAILED: usize = 4;
const MAX_SUCCEEDED: usize = 2;

/// The keys of all sections, in the order in which they are read.
pub(super) const KEYS: [&str; 12] = [
    "agent", "reward", "runs", "findings", "tools", "failures", "contrast", "history", "causes",
    "prompts", "config", "allowed",
];

/// What is shown for a change that helps with one way to fail: the figures would only distract.
const FOCUSED: [&str; 7] =
    ["agent", "failures", "contrast", "history", "causes", "prompts", "allowed"];

/// The sections for one half of a request, in the order in which they are read.
pub(super) fn of(ask: &Ask<'_>) -> Vec<Section> {
    let Ask { request, findings, strata, half, scope, causes, .. } = *ask;
    let mut sections = vec![
        Section::new("agent", "The agent", agent(request), 4),
        Section::new("reward", "Reward", reward(request), 4),
        Section::new("runs", "Runs", runs(request), 4),
        Section::fenced("findings", "Findings, the strongest first", found(findings), 6),
        Section::fenced("tools", "Tools", tools(request), 6),
        Section::fenced(
            "failures",
            "Ways to fail, the commonest first",
            failures(strata, ask.focus()),
            6,
        ),
    ];
    sections.extend(contrast(request, strata, ask.focus()));
    let history = history(request, strata);
    sections.push(Section::fenced("history", "Earlier versions and how they fared", history, 6));
    let read = lines(causes, Cause::line);
    sections.push(Section::fenced("causes", "What a first reading of all this found", read, 6));
    for (key, text) in &request.content.prompts {
        let weight = if half == Half::Prompts { 10 } else { 3 };
        let title = format!("Prompt {}", name(key));
        let section = Section::fenced("prompts", &title, text.clone(), weight);
        sections.push(Section { keep: Keep::Ends, ..section });
    }
    let config = serde_json::to_string_pretty(&request.content.config).unwrap_or_default();
    sections.push(Section::fenced("config", "Config", config, 4));
    sections.extend(bullets(request, scope));
    sections.push(Section::new("allowed", "What you may change", allowed(request, scope), 8));
    if ask.focus().is_some() {
        sections.retain(|section| FOCUSED.contains(&section.key));
    }
    sections
}

/// Those that claim something: what only describes the window stands in the other sections.
fn found(findings: &[Finding]) -> String {
    let claims = findings.iter().filter(|finding| finding.strength > 0.0);
    lines(claims, |finding| finding.summary.clone())
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
        format!("Tries of successes: {}.", quantiles(&window.tries_of_successes, 1.0)),
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

fn failures(strata: &Strata, focus: Option<usize>) -> String {
    let shown = strata.list.iter().enumerate();
    let shown = shown.filter(|(place, _)| focus.is_none_or(|focus| focus == *place));
    let mut text = lines(shown, |(_, stratum)| {
        format!(
            "{}: {} of {} failures ended with: {}",
            stratum.label, stratum.failures, strata.failures, stratum.cluster.template
        )
    });
    let named: u64 = strata.list.iter().map(|stratum| stratum.failures).sum();
    let rest = strata.failures.saturating_sub(named);
    if rest > 0 && !strata.list.is_empty() && focus.is_none() {
        text.push_str(&format!("\n- {rest} of {} failures ended otherwise", strata.failures));
    }
    text
}

/// Failed runs, the commonest ways to fail first, against successes; none twice.
fn contrast(request: &Request, strata: &Strata, focus: Option<usize>) -> Vec<Section> {
    let exemplars = &request.window.exemplars;
    let of_way = |place: usize| {
        let each = exemplars.of_signature.iter().filter_map(|(_, kept)| kept.as_ref());
        let own = each.chain(&exemplars.worst).filter(move |run| way(strata, run) == Some(place));
        own.max_by_key(|run| run.rank)
    };
    let of_others =
        exemplars.worst.iter().filter(|run| focus.is_none() || way(strata, run) == focus);
    let kept = exemplars.of_signature.iter().filter_map(|(_, kept)| kept.as_ref());
    let alike = kept.filter(|run| focus.is_some() && way(strata, run) == focus);
    let ways = (0..strata.list.len()).filter(|place| focus.is_none_or(|focus| focus == *place));
    let telling = ways.filter_map(of_way).chain(alike).chain(of_others);
    let mut shown: BTreeSet<&str> = BTreeSet::new();
    let mut failed = Vec::new();
    for run in telling {
        if failed.len() < MAX_FAILED && shown.insert(run.excerpt.as_str()) {
            failed.push(run);
        }
    }
    let mut succeeded: Vec<_> = exemplars.best.iter().collect();
    succeeded.retain(|run| shown.insert(run.excerpt.as_str()));
    succeeded.truncate(MAX_SUCCEEDED);
    let failed = failed.into_iter().map(|run| {
        let way = way(strata, run).and_then(|place| strata.list.get(place));
        let kind = way.map_or("Failed run".to_owned(), |way| format!("Failed run, {}", way.label));
        exemplar(&kind, run)
    });
    failed.chain(succeeded.into_iter().map(|run| exemplar("Successful run", run))).collect()
}

fn way(strata: &Strata, run: &Exemplar) -> Option<usize> {
    strata.of_signature(run.signature.as_deref()?)
}

fn exemplar(kind: &str, run: &Exemplar) -> Section {
    let title = format!("{kind}: {:.0} s, {} tool calls", run.latency, run.attempts);
    Section::fenced("contrast", &title, run.excerpt.clone(), 4)
}

fn history(request: &Request, strata: &Strata) -> String {
    let skipped = request.history.len().saturating_sub(MAX_PAST);
    let mut text = lines(request.history.iter().skip(skipped), |past| {
        let Past { number, state, author, changes, runs, mean_reward, fate, why, .. } = past;
        let reward = mean_reward.map_or("?".to_owned(), |reward| format!("{reward:.3}"));
        let fate = match (fate, why) {
            (Fate::Open, _) => String::new(),
            (fate, None) => format!("; {}", fate.words()),
            (fate, Some(why)) => format!("; {}: {why}", fate.words()),
        };
        format!(
            "{number}, {state}, by {author}: {} runs, success {}, mean reward {reward}{fate}; changed: {}",
            runs.known(),
            percent(runs.success_rate()),
            changes.join("; "),
        )
    });
    let front = strata.front(request);
    let better = lines(&front, |better| {
        let Better { past, stratum, then, now } = better;
        let label = strata.list.get(*stratum).map_or("?", |stratum| stratum.label.as_str());
        format!(
            "{} failed less by {label}: {} of its runs, now {}; it said: {}",
            past.number,
            percent(Some(*then)),
            percent(Some(*now)),
            past.added.join("; ")
        )
    });
    if !better.is_empty() {
        text.push('\n');
        text.push_str(&better);
    }
    let failed: Vec<_> = request.history.iter().filter(|past| past.fate.is_bad()).collect();
    if !failed.is_empty() {
        text.push_str("\nDo not propose again what failed: ");
        let said =
            |past: &&Past| one_line_of(&format!("{}: {}", told(past), past.changes.join("; ")));
        text.push_str(&failed.iter().map(said).collect::<Vec<_>>().join(". "));
    }
    text
}

/// The learned bullets and what stands behind each, where they may be changed.
fn bullets(request: &Request, scope: &Scope) -> Option<Section> {
    let Scope::Prompts(_) = scope else { return None };
    let body = lines(&request.bullets, |bullet| {
        let BulletRecord { id, text, since, fate, with, without } = bullet;
        let since = since.map(|since| format!(" since {since}")).unwrap_or_default();
        let stands = match fate {
            Fate::Proven => "proven",
            Fate::Vouched => "accepted by a person",
            _ => "unproven",
        };
        format!(
            "{id} ({stands}{since}; success {} of {} runs with it, {} of {} without): {text}",
            percent(with.success_rate()),
            with.total(),
            percent(without.success_rate()),
            without.total(),
        )
    });
    Some(Section::fenced("prompts", "Learned bullets by id", body, 6))
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
    format!("- {}", one_line_of(&text.to_string()))
}

fn one_line_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
