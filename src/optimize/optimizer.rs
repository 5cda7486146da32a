//! Answers requests. It never fails: whatever goes wrong ends in the proposal, with its reason.

use std::sync::Arc;

use super::answer::Scope;
use super::consult::{Consultation, Heard};
use super::evidence::{Ask, Task};
use super::gate::Gate;
use super::judge::Judge;
use super::model::{LlmSettings, Model};
use super::patterns::{Finding, find};
use super::pool::Pool;
use super::strata::Strata;
use super::template::Template;
use super::usage::Usage;
use crate::base::{Clock, Digest};
use crate::govern::{Author, Considered, End, Half, Part, Proposal, Request};

/// Turns requests into proposals, with a model if there is one.
pub struct Optimizer {
    backend: Backend,
    effort: Effort,
    template: Template,
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
            Model::new(settings, clock)
                .map_or_else(Backend::Missing, |model| Backend::Ready(Box::new(model)))
        } else {
            Backend::Off
        };
        let (effort, template) = (Effort::default(), Template::default());
        Self { backend, effort, template, gate: None }
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

    /// The answer to `request`.
    pub async fn propose(&self, request: &Request) -> Proposal {
        let findings = find(request);
        let strata = Strata::of(request);
        let mut usage = Usage::default();
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
        let talk = Talk {
            scene,
            half,
            scope: &scope,
            judge,
            model,
            effort: self.effort,
            template: &self.template,
        };
        talk.hold(pool, usage).await
    }
}

/// What a request shows.
#[derive(Clone, Copy)]
struct Scene<'a> {
    request: &'a Request,
    findings: &'a [Finding],
    strata: &'a Strata,
}

/// All that is said with the model about one half.
struct Talk<'a> {
    scene: Scene<'a>,
    half: Half,
    scope: &'a Scope,
    judge: &'a Judge<'a>,
    model: &'a Model,
    effort: Effort,
    template: &'a Template,
}

impl Talk<'_> {
    async fn hold(&self, pool: &mut Pool<'_>, usage: &mut Usage) -> Option<(Author, String)> {
        let author = Author::Llm { model: self.model.name().to_owned() };
        let causes = self.causes(usage).await;
        let (mut no_change, mut served, mut failures) = (None, false, Vec::new());
        for task in self.tasks().iter().copied() {
            let by = match task {
                Task::EditOne => format!("{author}, one edit"),
                Task::Edit | Task::Critique => author.to_string(),
            };
            if let Some(objection) = self.model.objection() {
                failures.push(objection.clone());
                pool.none(by, End::Unanswered, objection);
                break;
            }
            usage.report.model = Some(self.model.name().to_owned());
            let mut refused = Vec::new();
            let heard = self.about(task, &causes).hold(&mut usage.report, &mut refused).await;
            pool.refuse(refused);
            self.model.note(match &heard {
                Heard::Failed { wait, .. } => Err(*wait),
                _ => Ok(()),
            });
            match heard {
                Heard::Edits(edits) => {
                    served = true;
                    pool.add(author.clone(), by, edits);
                }
                Heard::NoChange(reason) => {
                    served = true;
                    pool.none(by, End::NoChange, reason.clone());
                    no_change.get_or_insert(reason);
                }
                Heard::Refused(reason) => {
                    pool.none(by, End::Refused, reason.clone());
                    failures.push(reason);
                }
                Heard::Failed { reason, .. } => {
                    pool.none(by, End::Unanswered, reason.clone());
                    failures.push(reason);
                    break;
                }
            }
        }
        if served {
            usage.served();
        } else if let Some(reason) = failures.into_iter().next() {
            usage.failed(self.half, reason);
        }
        no_change.map(|reason| (author, reason))
    }

    fn tasks(&self) -> &'static [Task] {
        let several = self.half == Half::Prompts && self.effort.candidates > 1;
        if several { &[Task::Edit, Task::EditOne] } else { &[Task::Edit] }
    }

    /// What a first reading finds. It helps and no more: where it fails, edits are asked for without.
    async fn causes(&self, usage: &mut Usage) -> Vec<String> {
        let worth = self.effort.critique
            && self.half == Half::Prompts
            && self.scene.request.window.counts.failure > 0;
        if !worth || self.model.objection().is_some() {
            return Vec::new();
        }
        usage.report.model = Some(self.model.name().to_owned());
        match self.about(Task::Critique, &[]).critique(&mut usage.report).await {
            Ok(causes) => causes,
            Err(silence) => {
                tracing::debug!(reason = %silence.reason, "no causes are found ahead of the edits");
                Vec::new()
            }
        }
    }

    fn about<'b>(&'b self, task: Task, causes: &'b [String]) -> Consultation<'b> {
        let Scene { request, findings, strata } = self.scene;
        let (half, scope, template) = (self.half, self.scope, self.template);
        let tokens = self.effort.evidence_tokens;
        let ask = Ask { request, findings, strata, half, scope, task, causes, tokens, template };
        let seed = Digest::hash64(format!("{} {half:?} {task:?}", request.id).as_bytes());
        Consultation { model: self.model, judge: self.judge, ask, seed }
    }
}
