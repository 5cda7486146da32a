//! Which agents have changed since their state was stored, in the order in which they did. Knows no log: it tells how
//! far the log is stored of which nothing is missing.
//!
//! Under load an agent takes many events until its turn comes to be stored, and costs the log one state for all of
//! them. What a crash takes away is applied again: each agent knows how far it is.

use std::collections::VecDeque;
use std::time::Instant;

use super::counts::Counts;
use crate::base::AgentName;
use crate::consume::{Partition, Reached};

/// Agents to be stored, those that have waited longest first.
#[derive(Default)]
pub(super) struct Unstored {
    steps: VecDeque<Step>,
}

/// What a step began with, and whom it changed first.
pub(super) struct Step {
    /// How far the input was applied before it.
    begins: Reached,
    since: Instant,
    /// Those of whom all was stored before it, with their partition.
    agents: Vec<(i32, AgentName)>,
    /// What it did.
    counts: Counts,
}

impl Step {
    pub(super) fn new(begins: Reached, agents: Vec<(i32, AgentName)>, counts: Counts) -> Self {
        Self { begins, since: Instant::now(), agents, counts }
    }
}

impl Unstored {
    pub(super) fn push(&mut self, step: Step) {
        self.steps.push_back(step);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Since when the oldest step waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.steps.front().map(|step| step.since)
    }

    /// The agent whose turn it is.
    pub(super) fn next(&mut self) -> Option<(i32, AgentName)> {
        self.steps.iter_mut().find_map(|step| step.agents.pop())
    }

    /// Whether anybody's turn comes yet.
    pub(super) fn has_next(&self) -> bool {
        self.steps.iter().any(|step| !step.agents.is_empty())
    }

    /// Lets go of steps of which nobody is left to be stored: what they did, and how far all is stored then; `None`
    /// if that is as far as was read.
    pub(super) fn settle(&mut self) -> (Counts, Option<&Reached>) {
        let mut counts = Counts::default();
        while let Some(step) = self.steps.pop_front_if(|step| step.agents.is_empty()) {
            counts.add(step.counts);
        }
        (counts, self.steps.front().map(|step| &step.begins))
    }

    /// Forgets all that belongs to `partitions`, by their numbers.
    pub(super) fn forget(&mut self, partitions: &[Partition]) {
        for step in &mut self.steps {
            step.agents.retain(|(number, _)| partitions.iter().all(|gone| gone.number != *number));
            partitions.iter().for_each(|gone| step.begins.forget(*gone));
        }
    }
}
