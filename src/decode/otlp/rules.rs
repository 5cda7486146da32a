//! What an operator says about spans: what tells how a run turned out, and how long to wait for what.

use crate::decode::Outcome;

/// How spans become runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Evaluations that say how a run turned out, by name; any, if none is named.
    pub evaluations: Vec<String>,
    /// The score from which an evaluation without a known label is a success.
    pub threshold: f64,
    /// Attributes of an agent's span that say how the run turned out, the first one first.
    pub outcome_attributes: Vec<String>,
    /// Values of `error.type` with which the infrastructure broke, not the agent.
    pub aborted_errors: Vec<String>,
    /// What a run is whose span has no status, where nothing else says how it turned out.
    pub unset: Outcome,
    /// Milliseconds after its agent's span arrived for which a run's other spans are waited for.
    pub grace: i64,
    /// Milliseconds after its last span arrived when a trace whose agents did not end is given up.
    pub timeout: i64,
    /// Milliseconds for which a trace whose runs are whole is remembered.
    pub remember: i64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            evaluations: Vec::new(),
            threshold: 0.5,
            outcome_attributes: Vec::new(),
            aborted_errors: Vec::new(),
            unset: Outcome::Unknown,
            grace: 10_000,
            timeout: 600_000,
            remember: 86_400_000,
        }
    }
}

impl Rules {
    pub(super) fn wants(&self, evaluation: &str) -> bool {
        self.evaluations.is_empty() || self.evaluations.iter().any(|wanted| wanted == evaluation)
    }

    pub(super) fn outcome_of_score(&self, score: f64) -> Outcome {
        if score >= self.threshold { Outcome::Success } else { Outcome::Failure }
    }
}
