//! The aggregate role: owns the agents, folds events into them, lets their effects out.
//!
//! An agent lives where its partition of `agent-events` is. A partition that comes brings its agents
//! with it, from the log's tables, before its first record; one that goes takes them along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::codec;
use super::restore::restore;
use super::role::{Context, Member, RoleError, STEP_RECORDS};
use crate::base::{AgentName, Metrics};
use crate::consume::{NewRecord, Partition, Polled, Record, Share, Topic};
use crate::govern::{Agent, Effect, Event, Standing, Tally};

/// Agents by partition.
type Owned = BTreeMap<i32, BTreeMap<AgentName, Agent>>;

pub(super) fn run(context: &Context, ready: &AtomicBool) -> Result<(), RoleError> {
    let mut consumer = context.join("aggregate", &[Topic::AgentEvents])?;
    let mut owned = Owned::new();
    let mut standing = Standing::default();
    while let Some(polled) = consumer.next(STEP_RECORDS)? {
        match polled {
            Polled::Assigned(partitions) => {
                ready.store(false, Ordering::SeqCst);
                context.restoring("aggregate", || {
                    take_over(&mut owned, &partitions, &consumer, context)
                })?;
                standing = stand(&owned);
                ready.store(true, Ordering::SeqCst);
            }
            Polled::Revoked(partitions) => {
                for partition in partitions {
                    owned.remove(&partition.number);
                }
                standing = stand(&owned);
            }
            Polled::Records(records) => {
                let mut counts = Counts::default();
                let outputs = step(&mut owned, &records, context, &mut counts)?;
                consumer.commit(outputs)?;
                // Only now: a step that came to nothing is made again, and would be counted twice.
                counts.show(&context.metrics);
                standing += counts.came;
                standing -= counts.went;
            }
        }
        show(standing, &context.metrics);
        let agents = owned.values().map(BTreeMap::len).sum::<usize>();
        context.metrics.agents.set(i64::try_from(agents).unwrap_or(i64::MAX));
    }
    Ok(())
}

fn stand(owned: &Owned) -> Standing {
    let mut sum = Standing::default();
    owned.values().flat_map(BTreeMap::values).for_each(|agent| sum += agent.standing());
    sum
}

fn show(standing: Standing, metrics: &Metrics) {
    let Standing { paused, trials, holdbacks, candidates, requests, waiting } = standing;
    metrics.agents_paused.set(paused);
    metrics.trials.set(trials);
    metrics.holdbacks.set(holdbacks);
    metrics.candidates.set(candidates);
    metrics.optimizations_open.set(requests);
    metrics.runs_waiting.set(waiting);
}

/// Brings in the agents of `partitions`.
fn take_over(
    owned: &mut Owned,
    partitions: &[Partition],
    consumer: &Member,
    context: &Context,
) -> Result<(), RoleError> {
    let started = Instant::now();
    let numbers: Vec<_> = partitions.iter().map(|partition| partition.number).collect();
    for number in &numbers {
        owned.entry(*number).or_default();
    }
    if numbers.is_empty() {
        return Ok(());
    }
    let restored = restore(context.log.as_ref(), Share::Of(&numbers))?;
    let agents: usize = restored.values().map(BTreeMap::len).sum();
    for (number, agents) in &restored {
        let astray = agents.keys().find(|name| !consumer.owns(Topic::AgentEvents, name.as_str()));
        if let Some(agent) = astray {
            return Err(RoleError::Astray { agent: agent.to_string(), partition: *number });
        }
    }
    owned.extend(restored);
    let seconds = started.elapsed().as_secs_f64();
    context.metrics.restore.observe(seconds);
    tracing::info!(partitions = numbers.len(), agents, seconds, "restored");
    Ok(())
}

/// A batch of events in; effects and what changed of the states out.
fn step(
    owned: &mut Owned,
    records: &[Record],
    context: &Context,
    counts: &mut Counts,
) -> Result<Vec<NewRecord>, RoleError> {
    let mut outputs = Vec::new();
    let mut changed = BTreeSet::new();
    for record in records {
        let event: Event = codec::from_json(record)?;
        let policy = context.config.policy(&event.agent);
        let agents = owned.entry(record.partition).or_default();
        let agent =
            agents.entry(event.agent.clone()).or_insert_with(|| Agent::new(event.agent.clone()));
        let before = agent.tally();
        if changed.insert((record.partition, event.agent.clone())) {
            counts.went += agent.standing();
        }
        for effect in agent.apply(&event, &policy) {
            if let Effect::Decision(decision) = &effect {
                let kind = decision.decision.as_str();
                counts.decisions.push(kind.to_owned());
                tracing::info!(agent = %event.agent, decision = kind, reason = %decision.reason);
            }
            outputs.push(codec::effect(&effect));
        }
        counts.add(before, agent.tally());
    }
    for (partition, name) in &changed {
        let agents = owned.get_mut(partition);
        let Some(agent) = agents.and_then(|agents| agents.get_mut(name)) else { continue };
        counts.came += agent.standing();
        outputs.extend(codec::state(agent));
    }
    Ok(outputs)
}

/// What a step did, for those who count.
#[derive(Default)]
struct Counts {
    decisions: Vec<String>,
    tally: Tally,
    /// What was under way for the agents of the step before it, and what is after it.
    went: Standing,
    came: Standing,
}

impl Counts {
    fn add(&mut self, before: Tally, after: Tally) {
        let Tally { duplicate, late, unknown_version, labels, .. } = &mut self.tally;
        *duplicate += after.duplicate - before.duplicate;
        *late += after.late - before.late;
        *unknown_version += after.unknown_version - before.unknown_version;
        labels.add(after.labels.since(before.labels));
    }

    fn show(&self, metrics: &Metrics) {
        for decision in &self.decisions {
            metrics.decisions.with_label_values(&[decision]).inc();
        }
        let Tally { duplicate, late, unknown_version, labels, .. } = self.tally;
        let refused =
            [("duplicate", duplicate), ("late", late), ("unknown_version", unknown_version)];
        for (reason, count) in refused {
            metrics.runs_refused.with_label_values(&[reason]).inc_by(count);
        }
        for (result, count) in labels.results() {
            metrics.labels.with_label_values(&[result]).inc_by(count);
        }
        metrics.runs_labelled.inc_by(labels.labelled);
        let unlabelled = [("after_window", labels.after_window), ("given_up", labels.given_up)];
        for (reason, count) in unlabelled {
            metrics.runs_unlabelled.with_label_values(&[reason]).inc_by(count);
        }
    }
}
