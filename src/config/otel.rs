//! What the section `otel` means.

use super::Otel;
use super::checks::Checks;
use super::duration::{DAY, HOUR, SECOND};
use super::raw::{RawOtel, RawOtelOutcome};
use crate::decode::{Outcome, otlp};

const MIB: usize = 1024 * 1024;

/// What `raw` means. Where something is impossible, `checks` says so and the result is of no use.
pub(super) fn resolve(raw: &RawOtel, checks: &mut Checks) -> Otel {
    let memory = checks.within("otel.memory_mib", raw.memory_mib, 1..=65_536);
    Otel {
        rules: rules(raw, checks),
        max_bytes: usize::try_from(memory).unwrap_or(usize::MAX).saturating_mul(MIB),
    }
}

fn rules(raw: &RawOtel, checks: &mut Checks) -> otlp::Rules {
    let RawOtelOutcome { evaluations, threshold, attributes, aborted_errors, unset } = &raw.outcome;
    let before = checks.problems.len();
    let grace = checks.duration("otel.grace", &raw.grace, 0..=HOUR);
    let timeout = checks.duration("otel.timeout", &raw.timeout, SECOND..=7 * DAY);
    let remember = checks.duration("otel.remember", &raw.remember, 60 * SECOND..=30 * DAY);
    // Where one is impossible by itself, how they compare is no question.
    let each_is_possible = checks.problems.len() == before;
    if each_is_possible && timeout < grace {
        let what = format!("must be at least otel.grace ({}), not {}", raw.grace, raw.timeout);
        checks.problem("otel.timeout", what);
    }
    if each_is_possible && remember < timeout {
        let what = format!("must be at least otel.timeout ({}), not {}", raw.timeout, raw.remember);
        checks.problem("otel.remember", what);
    }
    otlp::Rules {
        evaluations: names("otel.outcome.evaluations", evaluations, checks),
        threshold: checks.within("otel.outcome.threshold", *threshold, -1e6..=1e6),
        outcome_attributes: names("otel.outcome.attributes", attributes, checks),
        aborted_errors: names("otel.outcome.aborted_errors", aborted_errors, checks),
        unset: unset_means(unset, checks),
        grace,
        timeout,
        remember,
    }
}

/// The names in `text`, in quotes where they hold blanks.
fn names(key: &str, text: &str, checks: &mut Checks) -> Vec<String> {
    shlex::split(text).unwrap_or_else(|| {
        checks.problem(key, "has a quote that does not end");
        Vec::new()
    })
}

fn unset_means(text: &str, checks: &mut Checks) -> Outcome {
    match text {
        "unknown" => Outcome::Unknown,
        "success" => Outcome::Success,
        "failure" => Outcome::Failure,
        other => {
            let what = format!("must be unknown, success or failure, not {other:?}");
            checks.problem("otel.outcome.unset", what);
            Outcome::Unknown
        }
    }
}
