//! Printing: JSON for scripts, text and colour for people. A closed pipe ends the output quietly.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use super::failure::Failure;
use crate::govern::Content;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Color {
    /// In a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// Where a command's results go.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) json: bool,
    color: bool,
}

/// What a piece of text means; only these are coloured.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tone {
    Good,
    Bad,
    Faint,
    Strong,
}

impl Output {
    pub(super) fn new(json: bool, color: Color) -> Self {
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
            }
        };
        Self { json, color: color && !json }
    }

    /// Whether standard output is a terminal that a live view can redraw.
    pub(super) fn is_live(&self) -> bool {
        !self.json && std::io::stdout().is_terminal()
    }

    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Prints one line.
    pub(super) fn line(&self, text: impl AsRef<str>) {
        let mut stdout = std::io::stdout().lock();
        // A reader that went away (`| head`) has read what it wanted.
        let _closed = writeln!(stdout, "{}", text.as_ref()).and_then(|()| stdout.flush());
    }

    /// Prints `value` as JSON, on many lines.
    pub(super) fn value(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string_pretty(value).map_err(Failure::failed)?);
        Ok(())
    }

    /// Prints `value` as JSON on one line: one of a stream.
    pub(super) fn record(&self, value: &impl Serialize) -> Result<(), Failure> {
        self.line(serde_json::to_string(value).map_err(Failure::failed)?);
        Ok(())
    }

    /// Prints what a version holds.
    pub(super) fn content(&self, content: &Content) {
        for (key, text) in &content.prompts {
            let heading = self.paint(Tone::Faint, &format!("--- {}", safe(key)));
            self.line(format!("\n{heading}\n{}", safe(text)));
        }
        self.line(self.paint(Tone::Faint, "--- config"));
        for (key, value) in &content.config {
            self.line(format!("{}: {}", safe(key), safe(&value.to_string())));
        }
    }

    /// Prints a remark to standard error, where it does not disturb a pipe.
    pub(super) fn remark(&self, text: impl AsRef<str>) {
        let _closed = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
    }

    pub(super) fn failure(&self, failure: &Failure) {
        let text = format!("error: {:#}", failure.error());
        self.remark(self.paint(Tone::Bad, &text));
    }
}

/// Text from outside, made safe for a terminal: no control characters but line break and tab.
pub(super) fn safe(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

/// Rows in columns, each as wide as its widest cell.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

/// Millionths of a US dollar as dollars, to a hundredth of a cent.
pub(super) fn dollars(micros: u64) -> String {
    let parts = micros.div_ceil(100);
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}

/// A share as `81.3 %`.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

/// A number with `digits` after the point.
pub(super) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}
