//! The agents of the partitions that a member has, and what is under way for them. Folds events into them; knows
//! neither when they are stored nor the log.

use std::collections::{BTreeMap, HashMap};

use super::codec;
use super::counts::Counts;
use crate::base::AgentName;
use crate::consume::{NewRecord, Partition};
use crate::govern::{Agent, Effect, Event, Input, Policy, Standing};

/// Agents by partition.
#[derive(Default)]
pub(super) struct Owned {
    partitions: BTreeMap<i32, HashMap<AgentName, Held>>,
    standing: Standing,
}

/// An agent in memory.
struct Held {
    /// Boxed, so that a table that grows moves no agents.
    agent: Box<Agent>,
    /// Whether it has changed since it was stored.
    unstored: bool,
}

/// What a step makes.
#[derive(Default)]
pub(super) struct Made {
    /// What must leave, and whose state must be stored with it.
    pub(super) outputs: Vec<NewRecord>,
    pub(super) loud: Vec<(i32, AgentName)>,
    /// Agents that were stored as they were before this step.
    pub(super) changed: Vec<(i32, AgentName)>,
    pub(super) counts: Counts,
    /// Decisions by kind, for those who count.
    pub(super) decisions: Vec<String>,
}

impl Owned {
    /// Agents as they were restored, and partitions that have none.
    pub(super) fn insert(
        &mut self,
        partitions: &[Partition],
        restored: BTreeMap<i32, BTreeMap<AgentName, Agent>>,
    ) {
        for partition in partitions {
            self.partitions.entry(partition.number).or_default();
        }
        for (number, agents) in restored {
            let held = agents.into_iter().map(|(name, agent)| {
                self.standing += agent.standing();
                (name, Held { agent: Box::new(agent), unstored: false })
            });
            self.partitions.insert(number, held.collect());
        }
    }

    pub(super) fn forget(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            let gone = self.partitions.remove(&partition.number).unwrap_or_default();
            gone.values().for_each(|held| self.standing -= held.agent.standing());
        }
    }

    /// Whether `agent` is in `partition`.
    pub(super) fn has(&self, partition: i32, agent: &AgentName) -> bool {
        self.partitions.get(&partition).is_some_and(|agents| agents.contains_key(agent))
    }

    /// How many agents there are.
    pub(super) fn len(&self) -> usize {
        self.partitions.values().map(HashMap::len).sum()
    }

    /// What is under way for all of them.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Applies the event at `place` of `input` to its agent, unless that was done before.
    pub(super) fn apply(
        &mut self,
        (partition, input, place): (i32, Input, u64),
        event: &Event,
        policy: &Policy,
        made: &mut Made,
    ) {
        let agents = self.partitions.entry(partition).or_default();
        // Only a new agent's name is copied.
        if !agents.contains_key(&event.agent) {
            let agent = Box::new(Agent::new(event.agent.clone()));
            agents.insert(event.agent.clone(), Held { agent, unstored: false });
        }
        let Some(Held { agent, unstored }) = agents.get_mut(&event.agent) else { return };
        if !agent.comes(input, place) {
            return;
        }
        let (tally, standing) = (agent.tally(), agent.standing());
        let effects = agent.apply(event, policy);
        made.counts.note(tally, agent.tally());
        self.standing -= standing;
        self.standing += agent.standing();
        if !std::mem::replace(unstored, true) {
            made.changed.push((partition, event.agent.clone()));
        }
        if !effects.is_empty() {
            made.loud.push((partition, event.agent.clone()));
        }
        for effect in effects {
            if let Effect::Decision(decision) = &effect {
                let kind = decision.decision.as_str();
                tracing::info!(agent = %event.agent, decision = kind, reason = %decision.reason);
                made.decisions.push(kind.to_owned());
            }
            made.outputs.push(codec::effect(&effect));
        }
    }

    pub(super) fn is_unstored(&self, (partition, agent): &(i32, AgentName)) -> bool {
        let agents = self.partitions.get(partition);
        agents.and_then(|agents| agents.get(agent)).is_some_and(|held| held.unstored)
    }

    /// What stores `agent` of `partition`; nothing if it is stored as it is, or gone.
    pub(super) fn store(&mut self, (partition, agent): &(i32, AgentName)) -> Vec<NewRecord> {
        let agents = self.partitions.get_mut(partition);
        let Some(held) = agents.and_then(|agents| agents.get_mut(agent)) else { return Vec::new() };
        if !std::mem::take(&mut held.unstored) {
            return Vec::new();
        }
        codec::state(&mut held.agent)
    }

    /// Lets agents begin anew whose records are gone: those that are further in `input` than its partition reaches,
    /// which ends at `end`. How many there were.
    pub(super) fn begin_anew(&mut self, partition: i32, input: Input, end: u64) -> usize {
        let agents = self.partitions.get_mut(&partition).into_iter().flat_map(HashMap::values_mut);
        let beyond = agents.filter(|held| held.agent.applied().of(input) > end);
        beyond.map(|held| held.agent.begin_anew(input)).count()
    }
}
