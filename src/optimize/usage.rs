//! How the model was used for one request, over both halves. Pure.

use crate::govern::{Half, LlmReport};

/// What is counted while a request is worked on.
#[derive(Default)]
pub(super) struct Usage {
    pub(super) report: LlmReport,
    /// Halves that the model answered.
    served: usize,
    /// Halves that it did not, and why.
    failed: Vec<(Half, String)>,
}

impl Usage {
    pub(super) fn served(&mut self) {
        self.served += 1;
    }

    pub(super) fn failed(&mut self, half: Half, reason: String) {
        self.failed.push((half, reason));
    }

    /// What holds for all that was asked is said once.
    pub(super) fn report(self) -> LlmReport {
        let Self { mut report, served, failed } = self;
        let same = failed.windows(2).all(|pair| matches!(pair, [(_, a), (_, b)] if a == b));
        let said = failed.iter().map(|(half, reason)| match half {
            Half::Prompts => format!("prompts: {reason}"),
            Half::Config => format!("config: {reason}"),
        });
        report.fallback = match failed.first() {
            None => None,
            Some((_, reason)) if same && served == 0 => Some(reason.clone()),
            Some(_) => Some(said.collect::<Vec<_>>().join("; ")),
        };
        report
    }
}
