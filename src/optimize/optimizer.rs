//! Answers requests. It never fails: whatever goes wrong ends in the proposal, with its reason.

use std::sync::Arc;

use super::answer::Scope;
use super::evidence::{Brief, Task, brief};
use super::gate::Gate;
use super::judge::Judge;
use super::model::{CallLogError, LlmSettings, Model, Preview, Question, Said, preview};
use super::patterns::find;
use super::pool::Pool;
use super::strata::Strata;
use super::talk::{Layout, Scene, Talk};
use super::template::{Template, TemplateError};
use super::usage::Usage;
use crate::base::Clock;
use crate::govern::{Author, Considered, Half, LlmReport, Part, Proposal, Request};
use crate::hygiene::Redactor;

/// Turns requests into proposals, with a model if there is one.
pub struct Optimizer {
    backend: Backend,
    settings: LlmSettings,
    clock: Arc<dyn Clock>,
    effort: Effort,
    template: Template,
    redactor: Redactor,
    gate: Option<Gate>,
}

/// How much is asked of the model for one half of a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Whether it is asked for causes before it is asked for edits of the prompts.
    pub critique: bool,
    /// Candidates of the prompts: 1, or 2, of which the second makes a single change. With 2, what the
    /// rules and earlier versions offer competes too.
    pub candidates: u32,
    /// The longest evidence, in tokens.
    pub evidence_tokens: usize,
}

enum Backend {
    /// Switched off.
    Off,
    /// Wanted, but out of reach: why.
    Missing(String),
    Ready(Box<Model>),
}

impl Default for Effort {
    /// The least: one call for each half.
    fn default() -> Self {
        Self { critique: false, candidates: 1, evidence_tokens: 4_000 }
    }
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
        let (effort, template) = (Effort::default(), Template::default());
        let redactor = Redactor::default();
        Self { backend, settings, clock, effort, template, redactor, gate: None }
    }

    /// The same, with more or less asked of the model.
    #[must_use]
    pub fn with_effort(mut self, effort: Effort) -> Self {
        self.effort = effort;
        self
    }

    /// The same, with the evidence laid out by `template`.
    #[must_use]
    pub fn with_template(mut self, template: Template) -> Self {
        self.template = template;
        self
    }

    /// The same, with what `redactor` knows hidden from the model.
    #[must_use]
    pub fn with_redactor(mut self, redactor: Redactor) -> Self {
        self.redactor = redactor;
        self
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

    /// The calls that `request` would lead to, as far as they do not hang on an answer: what is found out
    /// by the first reading is missing in those that follow. Sends and writes nothing.
    ///
    /// # Errors
    /// If the log of calls, which tells what was spent, cannot be read; if the evidence cannot be laid
    /// out.
    pub fn preview(&self, request: &Request) -> Result<Vec<Preview>, PreviewError> {
        let (findings, strata, mut report) =
            (find(request), Strata::of(request), LlmReport::default());
        let mut previews = Vec::new();
        for half in [Half::Prompts, Half::Config] {
            let Some(scope) = Scope::of(request, half).filter(|_| self.settings.enabled) else {
                continue;
            };
            let scene = Scene { request, findings: &findings, strata: &strata };
            for task in self.effort.tasks(half, scene) {
                let scope = if task == Task::EditOne { scope.for_one() } else { scope.clone() };
                let ask = scene.ask((half, &scope), task, &[], self.layout());
                let Brief { system, evidence, .. } = brief(&ask)?;
                let schema = ask.schema();
                let (said, purpose) = ([Said::Ours(evidence)], ask.purpose());
                let (system, said, schema) = (system.as_str(), &said, &schema);
                let question =
                    Question { request, purpose, sample: 0, system, said, schema, seed: 0 };
                previews.push(preview(&self.settings, &question, &mut report, self.clock.now())?);
            }
        }
        Ok(previews)
    }

    /// The answer to `request`.
    pub async fn propose(&self, request: &Request) -> Proposal {
        let findings = find(request);
        let strata = Strata::of(request);
        let mut usage = Usage::default();
        if let Backend::Ready(model) = &self.backend {
            model.resume(request, &mut usage.report).await;
        }
        let scene = Scene { request, findings: &findings, strata: &strata };
        let (prompt, mut considered) = self.part(scene, Half::Prompts, &mut usage).await;
        let (config, more) = self.part(scene, Half::Config, &mut usage).await;
        considered.extend(more);
        let proposal = Proposal {
            request: request.id.clone(),
            parent: request.parent,
            prompt,
            config,
            considered,
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

    fn layout(&self) -> Layout<'_> {
        let Self { effort, template, redactor, .. } = self;
        Layout { effort: *effort, template, redactor }
    }

    async fn part(
        &self,
        scene: Scene<'_>,
        half: Half,
        usage: &mut Usage,
    ) -> (Part, Vec<Considered>) {
        let judge = Judge::new(scene.request, half);
        let mut pool = Pool::new((scene.request, half), scene.findings, scene.strata, &judge);
        let no_change = self.consult(scene, (half, &judge), &mut pool, usage).await;
        // A model that sees no reason to change outweighs no finding that holds: trials decide.
        if self.effort.candidates > 1 || !(pool.has_any() || no_change.is_some()) {
            pool.add_patterns();
            pool.add_revived();
        }
        let none = || (Author::Patterns, "no finding justifies a change".to_owned());
        let (part, considered) = pool.close(no_change.unwrap_or_else(none));
        let by_model = matches!(part.author, Author::Llm { .. });
        usage.report.optimizations += u32::from(by_model && !part.answer.edits().is_empty());
        (part, considered)
    }

    /// Asks the model for candidates, if there is anything to ask and anyone to ask. What it says if it
    /// finds that nothing should change.
    async fn consult(
        &self,
        scene: Scene<'_>,
        (half, judge): (Half, &Judge<'_>),
        pool: &mut Pool<'_>,
        usage: &mut Usage,
    ) -> Option<(Author, String)> {
        let scope = Scope::of(scene.request, half)?;
        let model = match &self.backend {
            Backend::Off => return None,
            Backend::Missing(problem) => {
                usage.failed(half, problem.clone());
                return None;
            }
            Backend::Ready(model) => model,
        };
        let layout = self.layout();
        let one = scope.for_one();
        let talk = Talk { scene, half, scope: &scope, one: &one, judge, model, layout };
        talk.hold(pool, usage).await
    }
}

/// Why it cannot be told what would be asked.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The log of calls cannot be read.
    #[error(transparent)]
    Calls(#[from] CallLogError),
    /// The evidence cannot be laid out.
    #[error(transparent)]
    Template(#[from] TemplateError),
}
