//! All that is said with the model about one half of a request: what it reads first, and its candidates.

use super::answer::Scope;
use super::consult::{Consultation, Heard};
use super::critique::Cause;
use super::curate::Maker;
use super::evidence::{Ask, Task};
use super::judge::Judge;
use super::model::Model;
use super::optimizer::Effort;
use super::patterns::Finding;
use super::pool::Pool;
use super::strata::Strata;
use super::template::Template;
use super::usage::Usage;
use crate::base::Digest;
use crate::govern::{Author, End, Half, Request};
use crate::hygiene::Redactor;

/// How evidence is laid out.
#[derive(Clone, Copy)]
pub(super) struct Layout<'a> {
    pub(super) effort: Effort,
    pub(super) template: &'a Template,
    pub(super) redactor: &'a Redactor,
}

/// What a request shows.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) request: &'a Request,
    pub(super) findings: &'a [Finding],
    pub(super) strata: &'a Strata,
}

impl<'a> Scene<'a> {
    pub(super) fn ask(
        self,
        (half, scope): (Half, &'a Scope),
        task: Task,
        causes: &'a [Cause],
        Layout { effort, template, redactor }: Layout<'a>,
    ) -> Ask<'a> {
        let Self { request, findings, strata } = self;
        let tokens = effort.evidence_tokens;
        Ask { request, findings, strata, half, scope, task, causes, tokens, template, redactor }
    }
}

impl Effort {
    /// What is asked about one half, in order.
    pub(super) fn tasks(self, half: Half, scene: Scene<'_>) -> Vec<Task> {
        let prompts = half == Half::Prompts;
        let failed = scene.request.window.counts.failure > 0;
        let causes = (prompts && self.critique && failed).then_some(Task::Critique);
        let one = (prompts && self.candidates > 1).then_some(Task::EditOne);
        causes.into_iter().chain([Task::Edit]).chain(one).collect()
    }
}

/// All that is said with the model about one half.
pub(super) struct Talk<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) half: Half,
    pub(super) scope: &'a Scope,
    /// The scope where one edit is asked for.
    pub(super) one: &'a Scope,
    pub(super) judge: &'a Judge<'a>,
    pub(super) model: &'a Model,
    pub(super) layout: Layout<'a>,
}

impl Talk<'_> {
    /// Fills `pool` with what the model offers. What it says if it finds that nothing should change.
    pub(super) async fn hold(
        &self,
        pool: &mut Pool<'_>,
        usage: &mut Usage,
    ) -> Option<(Author, String)> {
        let author = Author::Llm { model: self.model.name().to_owned() };
        let causes = self.causes(usage).await;
        let advice: Vec<_> = causes.iter().filter_map(Cause::edit).collect();
        pool.offer(author.clone(), format!("{author}, its causes"), advice, Maker::Model);
        let (mut no_change, mut served, mut failures) = (None, pool.has_any(), Vec::new());
        let tasks = self.layout.effort.tasks(self.half, self.scene);
        for task in tasks.into_iter().filter(|task| *task != Task::Critique) {
            let by = match task {
                Task::EditOne => format!("{author}, one edit"),
                Task::Edit | Task::Critique => author.to_string(),
            };
            if let Some(objection) = self.model.objection() {
                usage.report.breaker_open += 1;
                failures.push(objection.clone());
                pool.none(by, End::Unanswered, objection);
                break;
            }
            usage.report.model = Some(self.model.name().to_owned());
            let mut refused = Vec::new();
            let heard = self.about(task, &causes).hold(&mut usage.report, &mut refused).await;
            pool.refuse(refused);
            match &heard {
                Heard::Failed { wait, .. } => self.model.note(Err(*wait)),
                Heard::Unreadable(_) => self.model.note(Err(None)),
                Heard::Unasked(_) => {}
                Heard::Edits(_) | Heard::NoChange(_) | Heard::Refused(_) => self.model.note(Ok(())),
            }
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
                Heard::Unreadable(reason) => {
                    pool.none(by, End::Unanswered, reason.clone());
                    failures.push(reason);
                }
                Heard::Failed { reason, .. } | Heard::Unasked(reason) => {
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

    /// What a first reading finds. It helps and no more: where it fails, edits are asked for without.
    async fn causes(&self, usage: &mut Usage) -> Vec<Cause> {
        let worth = self.layout.effort.tasks(self.half, self.scene).contains(&Task::Critique);
        if !worth || self.model.objection().is_some() {
            return Vec::new();
        }
        usage.report.model = Some(self.model.name().to_owned());
        match self.about(Task::Critique, &[]).critique(&mut usage.report).await {
            Ok(causes) => causes,
            Err(silence) => {
                // A server that fails, or asks to be left alone, is not asked on for the edits' sake.
                if silence.asked {
                    self.model.note(Err(silence.wait));
                }
                tracing::debug!(reason = %silence.reason, "no causes are found ahead of the edits");
                Vec::new()
            }
        }
    }

    fn about<'b>(&'b self, task: Task, causes: &'b [Cause]) -> Consultation<'b> {
        let scope = if task == Task::EditOne { self.one } else { self.scope };
        let ask = self.scene.ask((self.half, scope), task, causes, self.layout);
        let seed = format!("{} {:?} {task:?}", ask.request.id, self.half);
        let seed = Digest::hash64(seed.as_bytes());
        Consultation { model: self.model, judge: self.judge, ask, seed }
    }
}
