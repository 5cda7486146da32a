//! The report for people: a table of the arms, and what each learnt, as text. Pure.

use std::fmt::{self, Write as _};

use whetstone::gauge::Proportion;

use crate::arm::{ArmReport, Cycle};

/// The errors a cycle shows; the commonest come first.
const ERRORS_SHOWN: usize = 4;

/// What `reports` say, a line an arm and then a paragraph for each that learnt.
///
/// # Errors
/// None: writing to a text cannot fail.
pub(crate) fn table(reports: &[ArmReport]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    writeln!(
        out,
        "{:<9} {:<26} {:<26} {:>7} {:>7} {:>6} {:>8} {:>14} {:>16} {:>7}",
        "ARM",
        "HELD-OUT BEFORE",
        "HELD-OUT AFTER",
        "CHANGE",
        "GAINED",
        "LOST",
        "P",
        "AGENT TOKENS",
        "OPTIMIZER TOKENS",
        "SECONDS"
    )?;
    for report in reports {
        writeln!(
            out,
            "{:<9} {:<26} {:<26} {:>+7.1} {:>7} {:>6} {:>8} {:>14} {:>16} {:>7.0}",
            report.arm.name(),
            score(report.before.hits, report.before.cases, report.before.success),
            score(report.after.hits, report.after.cases, report.after.success),
            100.0 * report.paired.difference,
            report.paired.gained,
            report.paired.lost,
            probability(report.paired.p),
            report.training_tokens,
            report.optimizer_tokens,
            report.seconds
        )?;
    }
    for report in reports.iter().filter(|report| !report.cycles.is_empty()) {
        writeln!(out, "\n{}", report.arm.name())?;
        for (number, cycle) in (1..).zip(&report.cycles) {
            paragraph(&mut out, number, cycle)?;
        }
        writeln!(out, "  the prompt at the end:")?;
        for line in report.system_prompt.lines() {
            writeln!(out, "    | {}", plain(line))?;
        }
    }
    Ok(out)
}

fn paragraph(out: &mut String, number: u32, cycle: &Cycle) -> fmt::Result {
    let learnt = &cycle.learnt;
    let training = &cycle.training;
    writeln!(
        out,
        "  cycle {number}: training {}; then {} characters, {} retries; {:.0} s and {:.0} s",
        score(training.hits, training.cases, training.success),
        cycle.prompt_chars,
        cycle.retries,
        cycle.training_seconds,
        cycle.learning_seconds
    )?;
    let mut errors: Vec<_> = cycle.errors.iter().collect();
    errors.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (error, count) in errors.into_iter().take(ERRORS_SHOWN) {
        writeln!(out, "    error    {count} x {}", plain(error))?;
    }
    for finding in &learnt.findings {
        writeln!(out, "    found    {}", plain(finding))?;
    }
    if let Some(version) = learnt.version {
        let author = learnt.author.as_deref().unwrap_or("nobody");
        let state = learnt.state.as_deref().unwrap_or("nowhere");
        writeln!(out, "    version  {version} by {}, {}", plain(author), plain(state))?;
    }
    for reason in &learnt.changes {
        writeln!(out, "    change   {}", plain(&reason.change))?;
        writeln!(out, "             {}", plain(&reason.why))?;
    }
    for refused in &learnt.refused {
        writeln!(out, "    refused  {}", plain(refused))?;
    }
    if let Some(fallback) = &learnt.llm.fallback {
        writeln!(out, "    no model {}", plain(fallback))?;
    }
    for decision in &learnt.decisions {
        writeln!(out, "    decided  {}", plain(decision))?;
    }
    Ok(())
}

fn score(hits: u64, cases: u64, success: Proportion) -> String {
    let Proportion { share, low, high } = success;
    format!("{hits}/{cases} {:.1} % ({:.1}-{:.1})", 100.0 * share, 100.0 * low, 100.0 * high)
}

fn probability(p: f64) -> String {
    if p < 0.0001 { "<0.0001".to_owned() } else { format!("{p:.4}") }
}

/// Without what a terminal would obey: a model wrote some of it.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
