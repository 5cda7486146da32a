//! One trace: what came of it, what it still waits for, and what becomes of it when the time is up.

use std::collections::{BTreeMap, BTreeSet};

use super::run::{Found, retries, run_id};
use super::stored::{Outcomes, Part, TraceChange, TraceKey, TracePiece};
use super::tree::{Spans, agents_above, is_agent};
use super::{Assembled, Out, Verdict};
use crate::base::EventTime;
use crate::decode::otlp::{Evaluation, Role, Rules, Span, SpanId, TraceId};
use crate::decode::{Reason, Reject};

/// About what a trace takes by itself: its own fields, the first nodes of its maps, and its places in the maps
/// of all traces.
const EMPTY: usize = size_of::<Open>() + 1_024;

/// The most spans of which is remembered whose run they were.
const MAX_CLAIMS: usize = 1_000;

/// The most runs that are told of one trace.
const MAX_RUNS: usize = 4_096;

/// A trace whose runs are not all told, or were lately.
#[derive(Debug)]
pub(super) struct Open {
    trace: TraceId,
    spans: Spans,
    /// When agents' spans arrived.
    arrived: BTreeMap<SpanId, EventTime>,
    evaluations: BTreeSet<Evaluation>,
    outcomes: Outcomes,
    weight: usize,
    stored: Stored,
}

/// What is stored of a trace, and what is not yet.
#[derive(Debug, Default)]
struct Stored {
    parts: u32,
    fresh: Part,
    outcomes: bool,
    outcomes_changed: bool,
    /// Parts that are to be taken out of the store.
    gone: u32,
}

/// Which traces are let go first where there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Nothing in it has to do with an agent, so far.
    Plain,
    /// Its runs are told.
    Told,
    /// It holds a part of a run.
    Run,
}

impl Open {
    pub(super) fn new(trace: TraceId) -> Self {
        Self {
            trace,
            spans: Spans::default(),
            arrived: BTreeMap::new(),
            evaluations: BTreeSet::new(),
            outcomes: Outcomes::default(),
            weight: EMPTY,
            stored: Stored::default(),
        }
    }

    /// About how many bytes of memory it takes.
    pub(super) fn weight(&self) -> usize {
        let told = self.outcomes.runs.len() * 96 + self.outcomes.claims.len() * 48;
        self.weight.saturating_add(told)
    }

    pub(super) fn class(&self) -> Class {
        let plain = |span: &Span| matches!(span.role, Role::Other);
        if !self.spans.values().all(plain) || !self.evaluations.is_empty() {
            Class::Run
        } else if self.outcomes.runs.is_empty() && !self.outcomes.given_up {
            Class::Plain
        } else {
            Class::Told
        }
    }

    pub(super) fn last(&self) -> EventTime {
        self.outcomes.last
    }

    /// Takes in a piece as it was stored.
    pub(super) fn restore(&mut self, part: Option<u32>, piece: TracePiece) {
        match piece {
            TracePiece::Part(Part { spans, evaluations, last }) => {
                for (at, span) in spans {
                    self.keep(span, at);
                }
                evaluations.into_iter().for_each(|one| self.wait(one));
                self.outcomes.last = self.outcomes.last.max(last);
                let parts = part.map_or(0, |part| part.saturating_add(1));
                self.stored.parts = self.stored.parts.max(parts);
            }
            TracePiece::Outcomes(outcomes) => {
                let last = self.outcomes.last.max(outcomes.last);
                self.outcomes = Outcomes { last, ..outcomes };
                self.stored.outcomes = true;
            }
        }
    }

    /// Takes a span that arrived at `at`.
    pub(super) fn take_span(&mut self, span: Span, at: EventTime, out: &mut Out) {
        self.outcomes.last = self.outcomes.last.max(at);
        let known = self.spans.get(&span.id).is_some_and(|known| !newer(&span, known));
        if known || self.is_told(span.id) {
            out.tally.duplicate += 1;
            return;
        }
        if is_agent(&span)
            && let Err(reject) = self.room_for_a_run()
        {
            out.given_up(self.trace, reject, 1);
            return;
        }
        self.stored.fresh.spans.push((at, span.clone()));
        self.stored.fresh.last = self.outcomes.last;
        self.keep(span, at);
    }

    fn room_for_a_run(&self) -> Result<(), Reject> {
        if self.outcomes.given_up {
            let detail =
                "the agent's span came after its other spans were given up: raise otel.timeout";
            return Err(Reject::new(Reason::NoAgentSpan, detail));
        }
        if self.outcomes.runs.len().max(self.arrived.len()) >= MAX_RUNS {
            let detail = format!("a trace holds {MAX_RUNS} runs at most");
            return Err(Reject::new(Reason::TooManySpans, detail));
        }
        Ok(())
    }

    fn keep(&mut self, span: Span, at: EventTime) {
        if let Some(known) = self.spans.get(&span.id) {
            if !newer(&span, known) {
                return;
            }
            self.weight = self.weight.saturating_sub(known.weight());
        }
        if is_agent(&span) {
            let arrived = self.arrived.entry(span.id).or_insert(at);
            *arrived = (*arrived).min(at);
        } else {
            self.arrived.remove(&span.id);
        }
        self.weight = self.weight.saturating_add(span.weight());
        self.spans.insert(span);
    }

    /// Takes evaluations that came by themselves: each is said of its run at once, if that is told, or waits.
    pub(super) fn take_evaluations(
        &mut self,
        evaluations: Vec<Evaluation>,
        at: EventTime,
        out: &mut Out,
    ) {
        if evaluations.is_empty() {
            return;
        }
        self.outcomes.last = self.outcomes.last.max(at);
        let above = agents_above(&self.spans);
        for evaluation in evaluations {
            let run = self.run_of(&evaluation, &above).filter(|run| self.is_told(*run));
            if let Some(run) = run {
                out.made.extend(self.verdict(run, &evaluation).map(Assembled::Verdict));
                continue;
            }
            self.stored.fresh.evaluations.push(evaluation.clone());
            self.stored.fresh.last = self.outcomes.last;
            self.wait(evaluation);
        }
    }

    fn wait(&mut self, evaluation: Evaluation) {
        let weight = evaluation.weight();
        if self.evaluations.insert(evaluation) {
            self.weight = self.weight.saturating_add(weight);
        }
    }

    fn is_told(&self, run: SpanId) -> bool {
        self.outcomes.runs.contains_key(&run)
    }

    /// The agent's span of the run that an evaluation is about. Of the whole trace, that is the run at its
    /// root.
    fn run_of(&self, evaluation: &Evaluation, above: &BTreeMap<SpanId, SpanId>) -> Option<SpanId> {
        let Some(about) = evaluation.span else {
            let root = |span: &&Span| span.parent.is_none() && is_agent(span);
            let root = self.spans.values().find(root).map(|span| span.id);
            return root.or_else(|| self.only_run());
        };
        if self.is_told(about) || self.spans.get(&about).is_some_and(is_agent) {
            return Some(about);
        }
        let claimed = self.outcomes.claims.get(&about).or_else(|| above.get(&about)).copied();
        claimed.or_else(|| self.only_run())
    }

    /// The run of a trace that holds no other, nor anything of one.
    fn only_run(&self) -> Option<SpanId> {
        self.single().filter(|_| self.spans.is_empty())
    }

    fn verdict(&self, run: SpanId, evaluation: &Evaluation) -> Option<Verdict> {
        let agent = self.outcomes.runs.get(&run)?.clone()?;
        Some(Verdict {
            agent,
            trace_id: run_id(self.trace, run),
            outcome: evaluation.outcome,
            by: evaluation.name.clone(),
        })
    }

    /// When something is to be done about it next.
    pub(super) fn due(&self, rules: &Rules) -> EventTime {
        let pending = self.arrived.iter().filter(|(id, _)| !self.is_told(**id));
        if let Some(first) = pending.map(|(_, at)| *at).min() {
            return first.plus_millis(rules.grace);
        }
        let last = self.outcomes.last;
        if self.spans.is_empty() && self.evaluations.is_empty() {
            last.plus_millis(rules.remember)
        } else if self.is_whole() {
            last.plus_millis(rules.grace)
        } else {
            last.plus_millis(rules.timeout)
        }
    }

    /// Whether its root has come, and all its agents are told.
    fn is_whole(&self) -> bool {
        let root = self.spans.values().any(|span| span.parent.is_none());
        root && !self.outcomes.runs.is_empty()
    }

    /// Does what is due at `now`; true if the trace can be forgotten.
    pub(super) fn settle(&mut self, rules: &Rules, now: EventTime, out: &mut Out) -> bool {
        self.tell(rules, now, out);
        if self.arrived.keys().any(|id| !self.is_told(*id)) {
            return false;
        }
        let waits = if self.is_whole() { rules.grace } else { rules.timeout };
        let holds = !self.spans.is_empty() || !self.evaluations.is_empty();
        if holds && self.outcomes.last.plus_millis(waits) <= now {
            self.close(out);
        }
        let nothing = self.outcomes.runs.is_empty() && !self.outcomes.given_up;
        let over = self.outcomes.last.plus_millis(rules.remember) <= now;
        self.spans.is_empty() && self.evaluations.is_empty() && (nothing || over)
    }

    /// Tells the runs whose time is up.
    fn tell(&mut self, rules: &Rules, now: EventTime, out: &mut Out) {
        let due: Vec<(SpanId, EventTime)> = self
            .arrived
            .iter()
            .filter(|(id, at)| at.plus_millis(rules.grace) <= now && !self.is_told(**id))
            .map(|(id, at)| (*id, *at))
            .collect();
        if due.is_empty() {
            return;
        }
        let above = agents_above(&self.spans);
        let retries = retries(&self.spans);
        let mut below: BTreeMap<SpanId, Vec<&Span>> = BTreeMap::new();
        for (span, agent) in &above {
            below.entry(*agent).or_default().extend(self.spans.get(span));
        }
        let mut said: BTreeMap<SpanId, Vec<&Evaluation>> = BTreeMap::new();
        for evaluation in &self.evaluations {
            if let Some(run) = self.run_of(evaluation, &above) {
                said.entry(run).or_default().push(evaluation);
            }
        }
        let mut told = Vec::new();
        for (id, arrived) in due {
            let Some(agent) = self.spans.get(&id) else { continue };
            let Role::Agent(facts) = &agent.role else { continue };
            let evaluations = said.remove(&id).unwrap_or_default();
            let used: Vec<Evaluation> = evaluations.iter().map(|one| (*one).clone()).collect();
            let below = below.remove(&id).unwrap_or_default();
            let (spans, retries) = (below.len() + 1, retries.get(&id).copied().unwrap_or_default());
            let found = Found {
                trace: self.trace,
                agent,
                facts,
                spans: &self.spans,
                below,
                evaluations,
                retries,
            };
            let name = match found.told(rules, arrived) {
                Ok(trace) => {
                    let name = trace.agent.clone();
                    out.made.push(Assembled::Run(Box::new(trace)));
                    Some(name)
                }
                Err(reject) => {
                    out.given_up(self.trace, reject, spans);
                    None
                }
            };
            told.push((id, name, used));
        }
        for (id, name, used) in told {
            self.outcomes.runs.insert(id, name);
            self.stored.outcomes_changed = true;
            used.iter().for_each(|one| self.done_waiting(one));
        }
    }

    /// Lets go of what is held: all that belongs to a run has been told.
    fn close(&mut self, out: &mut Out) {
        let above = agents_above(&self.spans);
        for evaluation in std::mem::take(&mut self.evaluations) {
            let run = self.run_of(&evaluation, &above).or_else(|| self.single());
            match run.and_then(|run| self.verdict(run, &evaluation)) {
                Some(verdict) => out.made.push(Assembled::Verdict(verdict)),
                None => {
                    let what = if evaluation.span.is_none() && self.outcomes.runs.len() > 1 {
                        "is about a trace of several runs: say which span is meant, or which agent"
                    } else {
                        "is about a span whose run never came, or is forgotten by now"
                    };
                    let detail = format!("evaluation {:?} {what}", evaluation.name);
                    out.given_up(self.trace, Reject::new(Reason::NoTrace, detail), 0);
                }
            }
        }
        let of_run = |span: &Span| matches!(span.role, Role::Tool(_) | Role::Llm(_));
        let astray = |span: &&Span| of_run(span) && !above.contains_key(&span.id);
        let (astray, plain) =
            (self.spans.values().filter(astray).count(), self.outcomes.runs.is_empty());
        out.tally.unclaimed += if plain { self.spans.len() - astray } else { 0 } as u64;
        if astray > 0 {
            let detail =
                format!("{astray} calls of tools and models, and no agent's span above them");
            out.given_up(self.trace, Reject::new(Reason::NoAgentSpan, detail), astray);
            self.outcomes.given_up |= plain;
        }
        if self.outcomes.runs.len() > 1 {
            let claims = above.iter().filter(|(_, run)| self.is_told(**run)).take(MAX_CLAIMS);
            self.outcomes.claims = claims.map(|(span, run)| (*span, *run)).collect();
        }
        self.clear();
    }

    /// The run of a trace that holds no other.
    fn single(&self) -> Option<SpanId> {
        let mut runs = self.outcomes.runs.keys();
        runs.next().copied().filter(|_| runs.next().is_none())
    }

    fn done_waiting(&mut self, evaluation: &Evaluation) {
        if self.evaluations.remove(evaluation) {
            self.weight = self.weight.saturating_sub(evaluation.weight());
        }
    }

    fn clear(&mut self) {
        self.spans.clear();
        self.arrived.clear();
        self.evaluations.clear();
        self.weight = EMPTY;
        self.stored.fresh = Part::default();
        self.stored.gone = self.stored.parts;
        self.stored.parts = 0;
        self.stored.outcomes_changed = true;
    }

    /// Gives everything up, to make room.
    pub(super) fn give_up(&mut self, out: &mut Out) {
        if self.class() == Class::Run {
            let detail = format!(
                "{} spans given up unfinished, as too many others were held: raise otel.memory_mib, or send \
                 fewer",
                self.spans.len()
            );
            out.given_up(self.trace, Reject::new(Reason::TooManySpans, detail), self.spans.len());
        } else {
            out.tally.unclaimed += self.spans.len() as u64;
        }
        self.clear();
    }

    /// What is to be stored now; takes that for done from here on.
    pub(super) fn take_changes(&mut self, forgotten: bool) -> Vec<TraceChange> {
        let key = |part| TraceKey { trace: self.trace, part };
        let gone = |part| TraceChange { key: key(part), piece: None };
        let parts = std::mem::take(&mut self.stored.gone);
        let mut changes: Vec<_> = (self.stored.parts..parts).map(|part| gone(Some(part))).collect();
        if forgotten {
            changes.extend((0..self.stored.parts).map(|part| gone(Some(part))));
            changes.extend(self.stored.outcomes.then(|| gone(None)));
            return changes;
        }
        for part in std::mem::take(&mut self.stored.fresh).split() {
            changes.push(TraceChange {
                key: key(Some(self.stored.parts)),
                piece: Some(TracePiece::Part(part)),
            });
            self.stored.parts = self.stored.parts.saturating_add(1);
        }
        let outcomes = &self.outcomes;
        let any = !outcomes.runs.is_empty() || outcomes.given_up;
        if std::mem::take(&mut self.stored.outcomes_changed) && any {
            let piece = Some(TracePiece::Outcomes(outcomes.clone()));
            changes.push(TraceChange { key: key(None), piece });
            self.stored.outcomes = true;
        }
        changes
    }
}

/// Whether `span` tells more than `known`, which has its id: a span that is sent when it starts is sent again
/// when it ends. Of two that end together, which one is kept depends on what they say alone.
fn newer(span: &Span, known: &Span) -> bool {
    let text = |span: &Span| serde_json::to_string(span).unwrap_or_default();
    span != known && (span.end, text(span)) > (known.end, text(known))
}
