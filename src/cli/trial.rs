//! A trial for people: where it stands, what it has seen, what comes next.

use super::output::{number, percent, table};
use crate::base::VersionNumber;
use crate::govern::{EvidenceView, MetricView, TrialKind, TrialView};

/// The trial in a few words, for a column.
pub(super) fn short(trial: &TrialView) -> String {
    match trial.kind {
        TrialKind::Trial => format!(
            "{} on trial, {}: {} units, e {}",
            trial.candidate,
            percent(Some(trial.share)),
            trial.candidate_arm.units,
            of_bar(trial.gain)
        ),
        TrialKind::Holdback => {
            format!("{} held back, {}", trial.baseline, percent(Some(trial.share)))
        }
    }
}

/// The version beside the active one.
pub(super) fn second(trial: &TrialView) -> VersionNumber {
    match trial.kind {
        TrialKind::Trial => trial.candidate,
        TrialKind::Holdback => trial.baseline,
    }
}

/// All of it, in lines.
pub(super) fn lines(trial: &TrialView) -> Vec<String> {
    let TrialView { candidate, baseline, .. } = trial;
    let begun = match trial.kind {
        TrialKind::Trial => format!("{candidate} on trial against {baseline}"),
        TrialKind::Holdback => format!("{candidate} active, {baseline} held back to compare"),
    };
    let raised = if trial.final_share > trial.share {
        format!(", to be raised to {}", percent(Some(trial.final_share)))
    } else {
        String::new()
    };
    let mut lines = vec![format!(
        "{begun} since {}, {} of the units{raised}",
        trial.begun,
        percent(Some(trial.share))
    )];
    let heading =
        ["", &candidate.to_string(), &baseline.to_string(), "DIFFERENCE", "AT ALL TIMES, 95 %"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    if let Some(row) = rows.first_mut() {
        row.extend([String::new(), "E HARM".to_owned(), "E NO WORSE".to_owned()]);
    }
    rows.push(vec![
        "units".to_owned(),
        trial.candidate_arm.units.to_string(),
        trial.baseline_arm.units.to_string(),
    ]);
    rows.extend(trial.metrics.iter().map(row));
    lines.extend(table(&rows).into_iter().map(|line| format!("  {line}")));
    if trial.kind == TrialKind::Trial {
        lines.push(format!("  gain: e-value {}", of_bar(trial.gain)));
    }
    lines.push(format!("  harm: e-value {}", of_bar(trial.harm)));
    lines.extend(left_out(trial));
    lines.push(format!("  next: {}", trial.next));
    lines
}

/// What does not count, or not as it says.
fn left_out(trial: &TrialView) -> Vec<String> {
    let mut lines = Vec::new();
    let excluded = trial.excluded;
    let counts = [
        (trial.pending, "wait for their deadline"),
        (excluded.early, "came before the agents followed"),
        (excluded.mixed, "ran both"),
        (excluded.continued, "went on from before"),
        (excluded.late, "came too late"),
    ];
    let told: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !told.is_empty() {
        lines.push(format!("  units not counted: {}", told.join(", ")));
    }
    if trial.strayed > 0 {
        lines.push(format!(
            "  {} units ran another version than theirs, and count for theirs",
            trial.strayed
        ));
    }
    if trial.late_labels > 0 {
        lines.push(format!(
            "  {} outcomes were said after their unit's deadline: too late for the trial",
            trial.late_labels
        ));
    }
    if trial.one_in > 1 {
        lines.push(format!("  one unit in {} takes part, chosen by hash", trial.one_in));
    }
    lines
}

fn row(metric: &MetricView) -> Vec<String> {
    let signed = |value: f64| format!("{value:+.3}");
    vec![
        metric.metric.clone(),
        number(metric.candidate, 3),
        number(metric.baseline, 3),
        metric.effect.map_or_else(|| "-".to_owned(), signed),
        format!("{:+.3} to {:+.3}", metric.low, metric.high),
        picture(metric),
        format!("{:.1}", metric.harm),
        metric.no_worse.map_or_else(|| "-".to_owned(), of_bar),
    ]
}

fn of_bar(evidence: EvidenceView) -> String {
    let shown = |value: f64| {
        if value >= 1000.0 { format!("{value:.0e}") } else { format!("{value:.1}") }
    };
    format!("{} of {}", shown(evidence.e_value), shown(evidence.bar))
}

/// The interval on a scale from −1 to 1, with a mark at no difference.
fn picture(metric: &MetricView) -> String {
    const HALF: i32 = 12;
    #[expect(clippy::cast_possible_truncation, reason = "-12 to 12")]
    let place = |value: f64| (value.clamp(-1.0, 1.0) * f64::from(HALF)).round() as i32;
    let (low, high) = (place(metric.low), place(metric.high));
    let mean = metric.effect.map(place);
    (-HALF..=HALF)
        .map(|at| match at {
            at if Some(at) == mean => '●',
            0 => '┼',
            at if (low..=high).contains(&at) => '─',
            _ => ' ',
        })
        .collect()
}
