//! Makes every series appear at the start, at zero: what appears with its first count has no rate then,
//! and an alert on it misses what it is for.

use super::role::Context;
use crate::decode::{Outcome, Reason};
use crate::govern::{Decision, LabelTally};

/// The roles of this process, by name.
pub(super) fn appear(context: &Context, roles: &[&'static str]) {
    let metrics = &context.metrics;
    metrics.build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    metrics.start_time.set(seconds(context.clock.now().as_millis()));
    let limit = i64::try_from(context.config.otel.max_bytes).unwrap_or(i64::MAX);
    metrics.held_trace_limit.set(limit);
    for role in roles {
        of_role(context, role);
    }
    for reason in Reason::ALL {
        metrics.dead_letters.with_label_values(&[reason.as_str()]);
    }
    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Aborted, Outcome::Unknown];
    for outcome in outcomes {
        metrics.runs.with_label_values(&[outcome.name()]);
    }
    for (result, _) in LabelTally::default().results() {
        metrics.labels.with_label_values(&[result]);
    }
    for decision in Decision::KINDS {
        metrics.decisions.with_label_values(&[decision]);
    }
    by_one_label(context);
    by_two_labels(context);
}

fn of_role(context: &Context, role: &str) {
    let metrics = &context.metrics;
    for counter in [
        &metrics.records,
        &metrics.bytes,
        &metrics.outputs,
        &metrics.output_bytes,
        &metrics.restarts,
    ] {
        counter.with_label_values(&[role]);
    }
    for result in ["committed", "aborted"] {
        metrics.steps.with_label_values(&[role, result]);
    }
    for change in ["assigned", "revoked"] {
        metrics.rebalances.with_label_values(&[role, change]);
    }
    metrics.role_running.with_label_values(&[role]);
    metrics.restoring.with_label_values(&[role]);
    metrics.commit.with_label_values(&[role]);
    for gauge in [&metrics.last_poll, &metrics.last_commit, &metrics.record_age] {
        gauge.with_label_values(&[role]);
    }
}

fn by_one_label(context: &Context) {
    let metrics = &context.metrics;
    let known: [(_, &[&str]); 9] = [
        (&metrics.spans_left, &["duplicate", "unclaimed", "given_up"]),
        (&metrics.runs_refused, &["duplicate", "late", "unknown_version"]),
        (&metrics.runs_unlabelled, &["after_window", "given_up"]),
        (&metrics.optimizations, &["edits", "no_change"]),
        (&metrics.llm_fallbacks, &["model_unavailable"]),
        (&metrics.llm_tokens, &["input", "output"]),
        (
            &metrics.llm_calls,
            &["answered", "cached", "failed", "interrupted", "over_budget", "breaker_open"],
        ),
        (&metrics.gate, &["passed", "failed", "unanswered"]),
        (
            &metrics.projections,
            &["committed", "already_there", "unchanged", "human_edit_pending", "waiting"],
        ),
    ];
    for (counter, values) in known {
        for value in values {
            counter.with_label_values(&[value]);
        }
    }
}

fn by_two_labels(context: &Context) {
    let metrics = &context.metrics;
    for signal in ["traces", "logs"] {
        for result in ["taken", "refused", "unavailable"] {
            metrics.otlp_requests.with_label_values(&[signal, result]);
        }
        for result in ["kept", "refused", "ignored"] {
            metrics.otlp_items.with_label_values(&[signal, result]);
        }
    }
    for result in ["ignored", "refused"] {
        metrics.otlp_requests.with_label_values(&["metrics", result]);
    }
    for result in ["done", "failed"] {
        metrics.repo_syncs.with_label_values(&["fetch", result]);
        metrics.repo_syncs.with_label_values(&["push", result]);
    }
    metrics.repo_syncs.with_label_values(&["push", "rejected"]);
}

/// Milliseconds as Prometheus takes time: in seconds.
#[expect(clippy::cast_precision_loss, reason = "exact for some hundred thousand years")]
pub(super) fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
