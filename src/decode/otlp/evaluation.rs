//! How an evaluation says a run turned out.
//!
//! Sources: OpenTelemetry's `gen_ai.evaluation.result` event (semantic conventions v1.41,
//! docs/gen-ai/gen-ai-events.md), and OpenInference's `evaluations.<i>.evaluation.*` and
//! `annotations.<i>.annotation.*` attributes (spec/annotations.md), which mean the same.

use serde::{Deserialize, Serialize};

use super::SpanId;
use super::attributes::Attributes;
use super::rules::Rules;
use crate::decode::Outcome;
use crate::decode::text::identity;

/// The event's name, as OpenTelemetry has it.
pub(super) const EVENT: &str = "gen_ai.evaluation.result";

/// The most evaluations that are taken from one span.
pub(super) const MAX: usize = 8;

const GOOD: [&str; 12] = [
    "pass",
    "passed",
    "success",
    "succeeded",
    "correct",
    "true",
    "yes",
    "good",
    "ok",
    "relevant",
    "positive",
    "thumbs_up",
];
const BAD: [&str; 12] = [
    "fail",
    "failed",
    "failure",
    "incorrect",
    "false",
    "no",
    "bad",
    "error",
    "wrong",
    "irrelevant",
    "negative",
    "thumbs_down",
];

/// One evaluation of a span, and what it says of the run that the span is a part of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Evaluation {
    /// What was evaluated, where it is known; the whole trace otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<SpanId>,
    /// Its name.
    pub name: String,
    /// What it says.
    pub outcome: Outcome,
}

impl Evaluation {
    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.name.len()
    }
}

/// The names under which one evaluation's facts stand.
struct Names {
    name: String,
    score: String,
    label: String,
    error: String,
}

/// An event's or a log record's evaluation. `None` if it is none that the operator asked for, if it
/// failed itself, or if it says nothing that can be understood.
pub(super) fn of_event(
    attributes: Attributes<'_>,
    span: Option<SpanId>,
    rules: &Rules,
) -> Option<Evaluation> {
    let name = |end: &str| format!("gen_ai.evaluation.{end}");
    let names = Names {
        name: name("name"),
        score: name("score.value"),
        label: name("score.label"),
        error: "error.type".to_owned(),
    };
    read(attributes, &names, span, rules)
}

/// The evaluations in a span's own attributes.
pub(super) fn of_span(attributes: Attributes<'_>, span: SpanId, rules: &Rules) -> Vec<Evaluation> {
    if !attributes.any_starts_with(&[
        "evaluations.",
        "annotations.",
        "trace.evaluations.",
        "trace.annotations.",
    ]) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for scope in ["", "trace."] {
        for (list, item) in [("evaluations", "evaluation"), ("annotations", "annotation")] {
            for index in 0..MAX {
                let name = |end: &str| format!("{scope}{list}.{index}.{item}.{end}");
                let names = Names {
                    name: name("name"),
                    score: name("score"),
                    label: name("label"),
                    error: name("error"),
                };
                let about = Some(span).filter(|_| scope.is_empty());
                found.extend(read(attributes, &names, about, rules));
            }
        }
    }
    found.truncate(MAX);
    found
}

fn read(
    attributes: Attributes<'_>,
    names: &Names,
    span: Option<SpanId>,
    rules: &Rules,
) -> Option<Evaluation> {
    let name = attributes.text(&[&names.name])?;
    if !rules.wants(&name) || attributes.text(&[&names.error]).is_some() {
        return None;
    }
    let label = attributes.text(&[&names.label]).and_then(|label| outcome_of_label(&label));
    let score = || attributes.number(&[&names.score]).map(|score| rules.outcome_of_score(score));
    let outcome = label.or_else(score)?;
    Some(Evaluation { span, name: identity(&name), outcome })
}

/// What a word says, if it is one of those that are known.
pub(super) fn outcome_of_label(label: &str) -> Option<Outcome> {
    let label = label.trim().to_ascii_lowercase();
    if GOOD.contains(&label.as_str()) {
        Some(Outcome::Success)
    } else if BAD.contains(&label.as_str()) {
        Some(Outcome::Failure)
    } else if label == "aborted" {
        Some(Outcome::Aborted)
    } else {
        None
    }
}
