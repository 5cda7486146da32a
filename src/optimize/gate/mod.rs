//! The offline gate: asks a program or a service of the operator what it thinks of a candidate, before
//! any live run sees it. It may delay a proposal or withhold its edits, never change them; and what it
//! hears is outside text, which it bounds and makes safe.

mod command;
mod http;
mod verdict;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use fastrand::Rng;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::model::pause;
use crate::base::Digest;
use crate::govern::{Answer, Content, GateReport, Part, Proposal, Request, apply_edits, check};
use crate::hygiene::redact;
pub use command::Program;
pub use http::Service;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// The shortest value that is taken for a secret, in characters. A named variable may well hold a plain
/// number, which would be found in every count.
const MIN_SECRET: usize = 6;

/// The answer to come.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Unasked>> + Send + 'a>>;

/// Something that can be asked about a candidate.
pub trait Hook: Send + Sync {
    /// What it is, fit for people; shows no secret.
    fn name(&self) -> String;

    /// Why it cannot be asked at all, as far as that is seen without asking.
    fn problem(&self) -> Option<String>;

    /// Secrets that its answers may repeat by mistake.
    fn secrets(&self) -> Vec<&SecretString>;

    /// Gives it `input` and brings its answer, as it is. Dropping the future ends the work.
    fn ask<'a>(&'a self, input: &'a [u8]) -> Answering<'a>;
}

/// Why there is no verdict. It says nothing about the candidate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unasked {
    /// For people, with what to do.
    pub reason: String,
    /// Whether asking again soon may help.
    pub passing: bool,
}

impl Unasked {
    fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: true }
    }

    fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: false }
    }

    fn too_long() -> Self {
        Self::lasting(format!(
            "its answer is longer than {MAX_ANSWER} bytes: keep it to the verdict"
        ))
    }
}

/// How long and how often a hook is asked.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For one try.
    pub timeout: Duration,
    /// Tries, the first included; 0 counts as 1.
    pub attempts: u32,
    /// The pause after the first failure; it doubles.
    pub first_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(10), attempts: 2, first_pause: Duration::from_secs(2) }
    }
}

/// A hook, and how it is asked.
pub struct Gate {
    hook: Box<dyn Hook>,
    patience: Patience,
}

impl Gate {
    /// A gate that asks `hook`.
    pub fn new(hook: impl Hook + 'static, patience: Patience) -> Self {
        Self { hook: Box::new(hook), patience }
    }

    /// What is asked, fit for people.
    pub fn name(&self) -> String {
        self.hook.name()
    }

    /// Why it cannot be asked at all, as far as that is seen without asking.
    pub fn problem(&self) -> Option<String> {
        self.hook.problem()
    }

    /// `proposal` with the verdict on its edits; without its edits if there is none to be had.
    pub async fn judge(&self, request: &Request, proposal: Proposal) -> Proposal {
        let edits = proposal.prompt.answer.edits().iter().chain(proposal.config.answer.edits());
        let edits: Vec<_> = edits.map(|proposed| &proposed.edit).collect();
        if edits.is_empty() {
            return proposal;
        }
        let candidate = match candidate(request, edits) {
            Ok(candidate) => candidate,
            Err(problem) => {
                return withhold(proposal, format!("the gate was not asked: {problem}"));
            }
        };
        let verdict = match verdict::input(request, &candidate) {
            Ok(input) => {
                let span = tracing::debug_span!("gate", answered = Empty);
                let verdict = self.verdict(&input, request).instrument(span.clone()).await;
                span.record("answered", verdict.is_ok());
                verdict
            }
            Err(problem) => Err(Unasked::lasting(problem.to_string())),
        };
        match verdict {
            Ok(report) => Proposal { gate: Some(report), ..proposal },
            Err(unasked) => {
                withhold(proposal, format!("the gate could not be asked: {}", unasked.reason))
            }
        }
    }

    async fn verdict(&self, input: &[u8], request: &Request) -> Result<GateReport, Unasked> {
        let mut rng = Rng::with_seed(Digest::hash64(request.id.to_string().as_bytes()));
        let mut failures = 0;
        loop {
            let problem = match self.once(input).await {
                Ok(report) => return Ok(report),
                Err(problem) => problem,
            };
            failures += 1;
            let Unasked { reason, passing } = problem;
            let reason = GateReport::one_line(&self.hide(&reason));
            tracing::warn!(request = %request.id, gate = %self.name(), %reason, "the gate gave no verdict");
            if !passing || failures >= self.patience.attempts {
                return Err(Unasked { reason, passing });
            }
            tokio::time::sleep(pause(self.patience.first_pause, failures, &mut rng)).await;
        }
    }

    async fn once(&self, input: &[u8]) -> Result<GateReport, Unasked> {
        let started = Instant::now();
        let timeout = self.patience.timeout;
        let answer = match tokio::time::timeout(timeout, self.hook.ask(input)).await {
            Ok(answer) => answer?,
            Err(_elapsed) => {
                let reason = format!(
                    "it took longer than {timeout:?}: make it quicker or raise gate.timeout"
                );
                return Err(Unasked::passing(reason));
            }
        };
        let verdict = verdict::read(&answer)?;
        let detail = GateReport::one_line(&self.hide(&verdict.detail.unwrap_or_default()));
        Ok(GateReport {
            passed: verdict.passed,
            score: verdict.score,
            baseline_score: verdict.baseline_score,
            problems: verdict.problems,
            detail,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    fn hide(&self, text: &str) -> String {
        hide(text, &self.hook.secrets())
    }
}

/// `text` without `secrets`, and without what looks like one.
fn hide(text: &str, secrets: &[&SecretString]) -> String {
    let known = secrets.iter().map(|secret| secret.expose_secret());
    let known = known.filter(|secret| secret.chars().count() >= MIN_SECRET);
    let text = known.fold(text.to_owned(), |text, secret| text.replace(secret, "[hidden]"));
    redact(&text).into_owned()
}

/// What `edits` make of the request's content, if it may be tried at all.
fn candidate(request: &Request, edits: Vec<&crate::govern::Edit>) -> Result<Content, String> {
    let (guidance, guard) = (&request.policy.guidance_key, &request.policy.guard);
    let content =
        apply_edits(&request.content, guidance, edits).map_err(|problem| problem.to_string())?;
    match check(&request.content, &content, guard, guidance, &Default::default()) {
        Ok(()) => Ok(content),
        Err(violations) => {
            let texts: Vec<_> = violations.iter().map(ToString::to_string).collect();
            Err(texts.join("; "))
        }
    }
}

/// `proposal` without its edits: nothing ships that was not tried.
fn withhold(proposal: Proposal, reason: String) -> Proposal {
    let without = |part: Part| match part.answer {
        Answer::Edits { .. } => {
            Part { answer: Answer::NoChange { reason: reason.clone() }, ..part }
        }
        Answer::NoChange { .. } => part,
    };
    let (prompt, config) = (without(proposal.prompt), without(proposal.config));
    Proposal { prompt, config, gate_problem: Some(reason), ..proposal }
}
