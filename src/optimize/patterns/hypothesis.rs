//! What may go with an outcome, and what of it holds in this window.

use super::draft::{Draft, Want};
use super::guideline::Guideline;
use super::significance::{Contrast, Toward, hold};
use crate::govern::Guidance;

/// Smaller differences in the success rate are not worth a sentence, however certain.
const MIN_EFFECT: f64 = 0.15;

/// What a finding is called by which a learnt bullet is taken back.
pub(super) const REVERSED: &str = "guidance_reversed";

/// A property of runs that may go with an outcome.
pub(super) struct Hypothesis {
    pub(super) kind: &'static str,
    /// The property, e.g. "use of `get_traces`".
    pub(super) property: String,
    pub(super) contrast: Contrast,
    pub(super) toward: Toward,
    pub(super) wants: Vec<Want>,
}

impl Hypothesis {
    /// This one, and its reverse if an earlier version has learnt `guideline` from it.
    pub(super) fn or_reversed(
        mut self,
        guideline: Option<Guideline>,
        learnt: &Guidance,
    ) -> impl Iterator<Item = Self> {
        let ids = guideline.as_ref().map(|guideline| guideline.said_by(learnt));
        let ids = ids.unwrap_or_default();
        let reversed = (!ids.is_empty()).then(|| Self {
            kind: REVERSED,
            property: format!("{}, against {},", self.property, ids.join(" and ")),
            contrast: self.contrast,
            toward: self.toward.other(),
            wants: ids.into_iter().map(Want::Drop).collect(),
        });
        self.wants.extend(guideline.map(Want::Say));
        std::iter::once(self).chain(reversed)
    }

    fn draft(self, tests: usize) -> Draft {
        let Contrast { with, without } = self.contrast;
        let p_value = self.contrast.p_value(self.toward);
        let p_value =
            if p_value < 0.0001 { "< 0.0001".to_owned() } else { format!("= {p_value:.4}") };
        let summary = format!(
            "{} goes with {}: {} of {} runs with it succeeded, {} of {} without \
             (p {p_value}, one of {tests} tests)",
            self.property,
            self.toward.name(),
            with.success,
            with.total(),
            without.success,
            without.total(),
        );
        Draft {
            kind: self.kind,
            summary,
            runs: with.total() + without.total(),
            strength: self.contrast.effect(self.toward).clamp(0.0, 1.0),
            wants: self.wants,
        }
    }
}

/// The hypotheses that hold and matter, all of them judged together.
pub(super) fn proven(hypotheses: Vec<Hypothesis>) -> impl Iterator<Item = Draft> {
    let tests = hypotheses.len();
    let held = hold(hypotheses.iter().map(|h| (&h.contrast, h.toward)));
    hypotheses
        .into_iter()
        .zip(held)
        .filter(|(h, held)| *held && h.contrast.effect(h.toward) >= MIN_EFFECT)
        .map(move |(h, _)| h.draft(tests))
}
