//! Spans to runs: a trace arrives in several records, out of order, in part more than once, its root last.
//! An agent's run is told when its own span has come and a grace period has passed, or given up by name.
//!
//! ```text
//!  spans ─▶ trace ── agent's span + grace ─▶ run        then, for a while:  late evaluation ─▶ verdict
//!              └──── timeout, or no room ──▶ given up
//! ```
//!
//! Pure: time comes in with what is called. The same spans give the same runs, however they are split,
//! doubled and mixed, as long as all of a run's have come when its grace period ends
//! (`tests/it/assembly.rs`). Memory is bounded: where too much is held, traces are let go, those first in
//! which nothing has to do with an agent.

mod open;
mod run;
mod stored;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use self::open::{Class, Open};
pub use self::stored::{Outcomes, Part, TraceChange, TraceKey, TracePiece, UnknownTraceKey};
use super::otlp::{Batch, Rules, TraceId};
use super::{Outcome, Reject, Trace};
use crate::base::{AgentName, EventTime};

/// What came of spans.
#[derive(Clone, Debug, PartialEq)]
pub enum Assembled {
    /// A run that is whole.
    Run(Box<Trace>),
    /// What an evaluation says of a run that was told before.
    Verdict(Verdict),
    /// Spans that make no run.
    GivenUp(GivenUp),
}

/// How a run turned out, by an evaluation that came after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The run's agent.
    pub agent: AgentName,
    /// The run's id.
    pub trace_id: String,
    /// How it turned out.
    pub outcome: Outcome,
    /// The evaluation's name.
    pub by: String,
}

/// Spans of one trace that make no run, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The trace.
    pub trace: TraceId,
    /// Why.
    pub reject: Reject,
    /// How many spans.
    pub spans: usize,
}

/// What became of spans that are in no run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Came before, or belong to a run that was told.
    pub duplicate: u64,
    /// Have nothing to do with an agent.
    pub unclaimed: u64,
}

/// What leaves within one step.
#[derive(Debug, Default)]
struct Out {
    made: Vec<Assembled>,
    tally: Tally,
}

impl Out {
    fn given_up(&mut self, trace: TraceId, reject: Reject, spans: usize) {
        self.made.push(Assembled::GivenUp(GivenUp { trace, reject, spans }));
    }
}

/// The traces of one partition. Stored piece by piece, see [`Assembly::take_changes`].
#[derive(Debug)]
pub struct Assembly {
    rules: Rules,
    traces: BTreeMap<TraceId, Open>,
    /// Where each stands in the two orders below.
    filed: BTreeMap<TraceId, (EventTime, Class, EventTime, usize)>,
    due: BTreeSet<(EventTime, TraceId)>,
    ages: BTreeSet<(Class, EventTime, TraceId)>,
    weight: usize,
    changed: BTreeSet<TraceId>,
    gone: Vec<TraceChange>,
    out: Out,
}

impl Assembly {
    /// None yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            traces: BTreeMap::new(),
            filed: BTreeMap::new(),
            due: BTreeSet::new(),
            ages: BTreeSet::new(),
            weight: 0,
            changed: BTreeSet::new(),
            gone: Vec::new(),
            out: Out::default(),
        }
    }

    /// Takes in a piece as it was stored. Pieces may come in any order.
    pub fn restore(&mut self, key: TraceKey, piece: TracePiece) {
        let open = self.traces.entry(key.trace).or_insert_with(|| Open::new(key.trace));
        open.restore(key.part, piece);
        self.file(key.trace);
    }

    /// Takes what arrived at `at` of one trace.
    pub fn take(&mut self, batch: Batch, at: EventTime) {
        let Batch { trace, spans, evaluations } = batch;
        let open = self.traces.entry(trace).or_insert_with(|| Open::new(trace));
        for span in spans {
            open.take_span(span, at, &mut self.out);
        }
        open.take_evaluations(evaluations, at, &mut self.out);
        self.changed.insert(trace);
        self.file(trace);
    }

    /// Does what is due at `now`, and makes room where more than `most` bytes are held.
    pub fn advance(&mut self, now: EventTime, most: usize) {
        while let Some((at, trace)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            let Some(open) = self.traces.get_mut(&trace) else {
                self.due.remove(&(at, trace));
                continue;
            };
            let forgotten = open.settle(&self.rules, now, &mut self.out);
            self.changed.insert(trace);
            if forgotten {
                self.forget(trace);
            } else {
                self.file(trace);
            }
        }
        while self.weight > most {
            let Some((_, _, trace)) = self.ages.first().copied() else { return };
            if let Some(open) = self.traces.get_mut(&trace) {
                open.give_up(&mut self.out);
            }
            self.forget(trace);
        }
    }

    /// What was made since this was last asked.
    pub fn take_made(&mut self) -> (Vec<Assembled>, Tally) {
        let Out { made, tally } = std::mem::take(&mut self.out);
        (made, tally)
    }

    /// The pieces that changed since this was last asked, or since they were read. They count as stored
    /// from here on: whoever cannot store them has to restore everything anew.
    pub fn take_changes(&mut self) -> Vec<TraceChange> {
        let mut changes = std::mem::take(&mut self.gone);
        for trace in std::mem::take(&mut self.changed) {
            if let Some(open) = self.traces.get_mut(&trace) {
                changes.extend(open.take_changes(false));
            }
        }
        changes
    }

    /// Traces held, those included whose runs are told and that are remembered.
    pub fn len(&self) -> usize {
        self.traces.len()
    }

    /// Whether no trace is held.
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// About how many bytes of memory they take.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// When there is something to do next.
    pub fn next_due(&self) -> Option<EventTime> {
        self.due.first().map(|(at, _)| *at)
    }

    fn file(&mut self, trace: TraceId) {
        self.unfile(trace);
        let Some(open) = self.traces.get(&trace) else { return };
        let place = (open.due(&self.rules), open.class(), open.last(), open.weight());
        let (due, class, last, weight) = place;
        self.due.insert((due, trace));
        self.ages.insert((class, last, trace));
        self.weight = self.weight.saturating_add(weight);
        self.filed.insert(trace, place);
    }

    fn unfile(&mut self, trace: TraceId) {
        let Some((due, class, last, weight)) = self.filed.remove(&trace) else { return };
        self.due.remove(&(due, trace));
        self.ages.remove(&(class, last, trace));
        self.weight = self.weight.saturating_sub(weight);
    }

    fn forget(&mut self, trace: TraceId) {
        self.unfile(trace);
        if let Some(mut open) = self.traces.remove(&trace) {
            self.gone.extend(open.take_changes(true));
        }
        self.changed.remove(&trace);
    }
}
