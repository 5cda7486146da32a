//! Answers requests. It never fails: whatever goes wrong ends in the proposal, with its reason.

use std::sync::Arc;
use std::time::Duration;

use super::answer::Scope;
use super::evidence::{BUDGET_CHARS, Brief, brief};
use super::gate::Gate;
use super::judge::Judge;
use super::model::{CallLogError, LlmSettings, Model, Preview, Question, Said, preview};
use super::patterns::{Finding, find};
use crate::base::{Clock, Digest};
use crate::govern::{Answer, Author, Edit, Half, LlmReport, Part, Proposal, Proposed, Request};

/// The longest answer that a model is reminded of, in characters.
const MAX_REMINDER: usize = 4_000;

/// Turns requests into proposals, with a model if there is one.
pub struct Optimizer {
    backend: Backend,
    settings: LlmSettings,
    clock: Arc<dyn Clock>,
    gate: Option<Gate>,
}

enum Backend {
    /// Switched off.
    Off,
    /// Wanted, but out of reach: why.
    Missing(String),
    Ready(Box<Model>),
}

/// What came of asking the model for one half.
enum Consulted {
    Answered(Answer),
    /// Nothing usable: why, and how long the server wants to be left alone.
    Failed {
        reason: String,
        wait: Option<Duration>,
    },
    /// Nobody was asked: why not. It says nothing about the server.
    Unasked {
        reason: String,
    },
    /// Answers that may not stand: why not. The server itself is well.
    Refused {
        reason: String,
    },
}

impl Optimizer {
    /// An optimizer that asks the model of `settings`. A model that is out of reach is no error:
    /// see [`Optimizer::problem`].
    pub fn new(settings: LlmSettings, clock: Arc<dyn Clock>) -> Self {
        let backend = if settings.enabled {
            Model::new(settings.clone(), clock.clone())
                .map_or_else(Backend::Missing, |model| Backend::Ready(Box::new(model)))
        } else {
            Backend::Off
        };
        Self { backend, settings, clock, gate: None }
    }

    /// The same, with proposals tried on the operator's problems first.
    #[must_use]
    pub fn with_gate(mut self, gate: Option<Gate>) -> Self {
        self.gate = gate;
        self
    }

    /// Why the model cannot be asked at all, fit for people; `None` if it can, or is switched off.
    pub fn problem(&self) -> Option<String> {
        match &self.backend {
            Backend::Missing(problem) => Some(problem.clone()),
            Backend::Off | Backend::Ready(_) => None,
        }
    }

    /// Whether the model failed so often that it is left alone for now.
    pub fn is_resting(&self) -> bool {
        matches!(&self.backend, Backend::Ready(model) if model.objection().is_some())
    }

    /// The first call that `request` would lead to for each half. Sends and writes nothing.
    ///
    /// # Errors
    /// If the log of calls, which tells what was spent, cannot be read.
    pub fn preview(&self, request: &Request) -> Result<Vec<Preview>, CallLogError> {
        let (findings, mut report) = (find(request), LlmReport::default());
        let mut previews = Vec::new();
        for half in [Half::Prompts, Half::Config] {
            let scope = Scope::of(request, half).filter(|_| self.settings.enabled);
            let Some(scope) = scope else { continue };
            let Brief { system, evidence } = brief(request, &findings, half, &scope, BUDGET_CHARS);
            let (said, schema) = ([Said::Ours(evidence)], scope.schema());
            let (system, purpose) = (system.as_str(), purpose(half));
            let (said, schema, seed) = (&said, &schema, 0);
            let question = Question { request, purpose, sample: 0, system, said, schema, seed };
            previews.push(preview(&self.settings, &question, &mut report, self.clock.now())?);
        }
        Ok(previews)
    }

    /// The answer to `request`.
    pub async fn propose(&self, request: &Request) -> Proposal {
        let findings = find(request);
        let mut usage = Usage::default();
        if let Backend::Ready(model) = &self.backend {
            model.resume(request, &mut usage.report).await;
        }
        let prompts = Task::new(request, &findings, Half::Prompts);
        let prompt = self.part(&prompts, &mut usage).await;
        let config = Task::new(request, &findings, Half::Config);
        let config = self.part(&config, &mut usage).await;
        let proposal = Proposal {
            request: request.id.clone(),
            parent: request.parent,
            prompt,
            config,
            llm: usage.report(),
            findings: findings.into_iter().map(|finding| finding.summary).collect(),
            gate: None,
            gate_problem: None,
        };
        match &self.gate {
            Some(gate) => gate.judge(request, proposal).await,
            None => proposal,
        }
    }

    async fn part(&self, task: &Task<'_>, usage: &mut Usage) -> Part {
        let mut refused = Vec::new();
        match self.consult(task, usage, &mut refused).await {
            Some((model, answer)) => Part { author: Author::Llm { model }, answer, refused },
            None => task.fallback(refused),
        }
    }

    /// What the model answers, and its name; `None` if there is nothing to ask, no one to ask, or
    /// nothing usable came of it.
    async fn consult(
        &self,
        task: &Task<'_>,
        usage: &mut Usage,
        refused: &mut Vec<String>,
    ) -> Option<(String, Answer)> {
        let Task { request, findings, half, judge } = task;
        let half = *half;
        let scope = Scope::of(request, half)?;
        let model = match &self.backend {
            Backend::Off => return None,
            Backend::Missing(problem) => return usage.failed(half, problem.clone()),
            Backend::Ready(model) => model,
        };
        if let Some(objection) = model.objection() {
            usage.report.breaker_open += 1;
            return usage.failed(half, objection);
        }
        let brief = brief(request, findings, half, &scope, BUDGET_CHARS);
        let seed = Digest::hash64(format!("{} {half:?}", request.id).as_bytes());
        let consultation = Consultation { model, request, half, judge, scope: &scope, brief, seed };
        match consultation.hold(&mut usage.report, refused).await {
            Consulted::Answered(answer) => {
                model.note(Ok(()));
                usage.served += 1;
                usage.report.optimizations += u32::from(!answer.edits().is_empty());
                Some((model.name().to_owned(), answer))
            }
            Consulted::Refused { reason } => {
                model.note(Ok(()));
                usage.failed(half, reason)
            }
            Consulted::Unasked { reason } => usage.failed(half, reason),
            Consulted::Failed { reason, wait } => {
                model.note(Err(wait));
                usage.failed(half, reason)
            }
        }
    }
}

/// One half of a request.
struct Task<'a> {
    request: &'a Request,
    findings: &'a [Finding],
    half: Half,
    judge: Judge<'a>,
}

impl<'a> Task<'a> {
    fn new(request: &'a Request, findings: &'a [Finding], half: Half) -> Self {
        Self { request, findings, half, judge: Judge::new(request, half) }
    }

    /// The edits of the patterns, or why there are none.
    fn fallback(&self, mut refused: Vec<String>) -> Part {
        let of_half = |edit: &&Proposed| {
            let config = matches!(edit.edit, Edit::SetConfig { .. });
            config == (self.half == Half::Config)
        };
        let edits = self.findings.iter().flat_map(|finding| &finding.edits).filter(of_half);
        let (edits, left_out) = self.judge.select(edits.cloned().collect());
        refused.extend(left_out);
        let answer = if edits.is_empty() {
            Answer::NoChange { reason: "no finding justifies a change".to_owned() }
        } else {
            Answer::Edits { edits }
        };
        Part { author: Author::Patterns, answer, refused }
    }
}

/// What calls for `half` are for, as the log of calls says it.
fn purpose(half: Half) -> &'static str {
    match half {
        Half::Prompts => "prompts",
        Half::Config => "config",
    }
}

/// How the model was used, over both halves.
#[derive(Default)]
struct Usage {
    report: LlmReport,
    /// Halves that the model answered.
    served: usize,
    /// Halves that it did not, and why.
    failed: Vec<(Half, String)>,
}

impl Usage {
    fn failed<T>(&mut self, half: Half, reason: String) -> Option<T> {
        self.failed.push((half, reason));
        None
    }

    /// What holds for all that was asked is said once.
    fn report(self) -> LlmReport {
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

/// One conversation with the model about one half.
struct Consultation<'a> {
    model: &'a Model,
    request: &'a Request,
    half: Half,
    judge: &'a Judge<'a>,
    scope: &'a Scope,
    brief: Brief,
    seed: u64,
}

impl Consultation<'_> {
    async fn hold(self, report: &mut LlmReport, refused: &mut Vec<String>) -> Consulted {
        let schema = self.scope.schema();
        let mut said = vec![Said::Ours(self.brief.evidence)];
        let mut attempts = self.model.max_attempts();
        report.model = Some(self.model.name().to_owned());
        let mut corrected = false;
        loop {
            let system = &self.brief.system;
            let (request, purpose, seed) = (self.request, purpose(self.half), self.seed);
            let (said_so_far, schema) = (&said, &schema);
            let question =
                Question { request, purpose, sample: 0, system, said: said_so_far, schema, seed };
            let reply = match self.model.ask(&question, &mut attempts, report).await {
                Ok(reply) => reply,
                Err(silence) if !silence.asked => {
                    return Consulted::Unasked { reason: silence.reason };
                }
                Err(silence) => {
                    return Consulted::Failed { reason: silence.reason, wait: silence.wait };
                }
            };
            let problem = match self.scope.parse(&reply.text) {
                Ok(answer) => match self.judge.check_answer(&answer) {
                    Ok(()) => return Consulted::Answered(answer),
                    Err(reasons) => {
                        let reason = reasons.join("; ");
                        refused.push(format!("the model's answer: {reason}"));
                        if corrected || attempts == 0 {
                            let reason = format!("the model's edits were refused: {reason}");
                            return Consulted::Refused { reason };
                        }
                        corrected = true;
                        reason
                    }
                },
                Err(problem) => {
                    let cut =
                        if reply.cut_off { " (it was cut off at the token limit)" } else { "" };
                    if attempts == 0 {
                        let reason =
                            format!("the model's answer could not be read: {problem}{cut}");
                        return Consulted::Failed { reason, wait: None };
                    }
                    format!("{problem}{cut}")
                }
            };
            // The last answer and what is wrong with it; earlier ones would only use up room.
            said.truncate(1);
            said.push(Said::Theirs(reply.text.chars().take(MAX_REMINDER).collect()));
            said.push(Said::Ours(format!(
                "This answer was refused: {problem}. Answer again in full, with one JSON object, \
                 without what was refused, or with no edits and a no_change_reason."
            )));
        }
    }
}
