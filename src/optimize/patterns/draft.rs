//! A finding before it is known which of its edits fit.

use serde_json::Value;

use super::guideline::Guideline;

/// What a rule found and would like to change.
pub(super) struct Draft {
    /// As in [`Finding`](super::Finding).
    pub(super) kind: &'static str,
    /// As in [`Finding`](super::Finding); also the reason of each edit.
    pub(super) summary: String,
    /// As in [`Finding`](super::Finding).
    pub(super) runs: u64,
    /// As in [`Finding`](super::Finding).
    pub(super) strength: f64,
    /// Most wanted first.
    pub(super) wants: Vec<Want>,
}

/// A change that a rule would like.
pub(super) enum Want {
    /// Say this, unless it is said already.
    Say(Guideline),
    /// Take back the bullet with this id.
    Drop(String),
    /// Set this config value.
    Set(String, Value),
}

impl Draft {
    /// A finding that only describes the window.
    pub(super) fn figure(kind: &'static str, summary: String, runs: u64) -> Self {
        Self { kind, summary, runs, strength: 0.0, wants: Vec::new() }
    }
}
