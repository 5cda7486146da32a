//! The aggregate role: owns the agents, folds events into them, lets their effects out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use super::codec;
use super::role::{Context, RoleError};
use crate::base::{AgentName, Metrics};
use crate::consume::{Log, NewRecord, Record, Topic};
use crate::govern::{Agent, Effect, Event, Tally, Version, VersionRecord};

const BATCH: usize = 512;

pub(super) fn run(context: &Context, ready: &AtomicBool) -> Result<(), RoleError> {
    let mut consumer = context.join("aggregate", &[Topic::AgentEvents])?;
    let mut agents = restore(context.log.as_ref())?;
    ready.store(true, Ordering::SeqCst);
    context.metrics.agents.set(i64::try_from(agents.len()).unwrap_or(i64::MAX));
    while let Some(records) = consumer.next(BATCH)? {
        let outputs = step(&mut agents, &records, context)?;
        consumer.commit(outputs)?;
        context.metrics.agents.set(i64::try_from(agents.len()).unwrap_or(i64::MAX));
    }
    Ok(())
}

/// The agents as their state topics tell them.
pub(super) fn restore(log: &dyn Log) -> Result<BTreeMap<AgentName, Agent>, RoleError> {
    let mut versions: BTreeMap<AgentName, Vec<Version>> = BTreeMap::new();
    for record in log.table(Topic::PromptVersions)? {
        let VersionRecord { version, .. } = codec::from_json(&record)?;
        versions.entry(codec::agent_of(&record)?).or_default().push(version);
    }
    let mut agents = BTreeMap::new();
    for record in log.table(Topic::AgentState)? {
        let agent = codec::from_state(&record)?;
        let name = agent.name().clone();
        let contents = versions.remove(&name).unwrap_or_default();
        let agent = agent.restore(contents).map_err(|missing| {
            let versions: Vec<_> = missing.iter().map(ToString::to_string).collect();
            RoleError::MissingVersions { agent: name.to_string(), versions: versions.join(", ") }
        })?;
        agents.insert(name, agent);
    }
    Ok(agents)
}

/// A batch of events in; effects and changed states out.
fn step(
    agents: &mut BTreeMap<AgentName, Agent>,
    records: &[Record],
    context: &Context,
) -> Result<Vec<NewRecord>, RoleError> {
    let mut outputs = Vec::new();
    let mut changed = BTreeSet::new();
    for record in records {
        let event: Event = codec::from_json(record)?;
        let policy = context.config.policy(&event.agent);
        let agent =
            agents.entry(event.agent.clone()).or_insert_with(|| Agent::new(event.agent.clone()));
        let before = agent.tally();
        for effect in agent.apply(&event, &policy) {
            if let Effect::Decision(decision) = &effect {
                let kind = decision.decision.as_str();
                context.metrics.decisions.with_label_values(&[kind]).inc();
                tracing::info!(agent = %event.agent, decision = kind, reason = %decision.reason);
            }
            outputs.push(codec::effect(&effect));
        }
        count_refused(&context.metrics, before, agent.tally());
        changed.insert(event.agent);
    }
    outputs.extend(changed.iter().filter_map(|name| agents.get(name)).map(codec::state));
    Ok(outputs)
}

fn count_refused(metrics: &Metrics, before: Tally, after: Tally) {
    let reasons = [
        ("duplicate", after.duplicate - before.duplicate),
        ("late", after.late - before.late),
        ("unknown_version", after.unknown_version - before.unknown_version),
    ];
    for (reason, count) in reasons {
        metrics.runs_refused.with_label_values(&[reason]).inc_by(count);
    }
}
