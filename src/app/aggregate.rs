//! The aggregate role: owns the agents, folds events into them, lets their effects out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use super::codec;
use super::role::{Context, RoleError};
use crate::base::{AgentName, Metrics};
use crate::consume::{Log, NewRecord, Record, Topic};
use crate::govern::{Agent, Effect, Event, Pieces, Tally, Version, VersionRecord};

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
    let mut stored: BTreeMap<AgentName, Pieces> = BTreeMap::new();
    for record in log.table(Topic::AgentState)? {
        // An empty value took its key away.
        if record.value.is_empty() {
            continue;
        }
        let name = codec::agent_of(&record)?;
        codec::piece(&name, &record, stored.entry(name.clone()).or_default())?;
    }
    let mut agents = BTreeMap::new();
    for (name, pieces) in stored {
        let agent = Agent::assemble(name.clone(), pieces)
            .map_err(|problem| RoleError::State { agent: name.to_string(), problem })?;
        let contents = versions.remove(&name).unwrap_or_default();
        let agent = agent.restore(contents).map_err(|missing| {
            let versions: Vec<_> = missing.iter().map(ToString::to_string).collect();
            RoleError::MissingVersions { agent: name.to_string(), versions: versions.join(", ") }
        })?;
        agents.insert(name, agent);
    }
    Ok(agents)
}

/// A batch of events in; effects and what changed of the states out.
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
    for name in &changed {
        let Some(agent) = agents.get_mut(name) else { continue };
        outputs.extend(agent.take_changes().iter().map(|change| codec::change(name, change)));
    }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::{EventTime, ManualClock, VersionNumber};
    use crate::consume::EmbeddedLog;
    use crate::decode::Run;
    use crate::govern::{Content, EventBody, Policy};
    use crate::simulate::simulated_agents;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_restart_finds_the_agents_as_they_were_stored() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(EventTime::from_millis(0)));
        let log = EmbeddedLog::open(dir.path(), clock).unwrap();
        let (mut agents, content) = (BTreeMap::new(), Content::default());
        let mut rng = fastrand::Rng::with_seed(1);
        for hour in 0..60 {
            let at = EventTime::from_millis(1_700_000_000_000 + hour * HOUR);
            for (id, simulated) in (0..).zip(simulated_agents()) {
                let trace = simulated.run(
                    id * 1000 + hour.unsigned_abs(),
                    (VersionNumber(1), &content),
                    at,
                    &mut rng,
                );
                let run = Run { version: None, ..Run::digest(&trace) };
                let name = run.agent.clone();
                let agent = agents.entry(name.clone()).or_insert_with(|| Agent::new(name.clone()));
                let event = Event { agent: name.clone(), at, body: EventBody::Run(run) };
                agent.apply(&event, &Policy::default());
                let changes = agent.take_changes();
                log.append(changes.iter().map(|change| codec::change(&name, change)).collect())
                    .unwrap();
            }
            if hour % 20 == 19 {
                assert_eq!(
                    restore(&log).unwrap(),
                    agents,
                    "after {hour} hours, panes have expired"
                );
            }
        }
        assert!(agents.len() > 1);
    }

    #[test]
    fn an_agent_that_lost_its_head_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(EventTime::from_millis(0)));
        let log = EmbeddedLog::open(dir.path(), clock).unwrap();
        log.append(vec![NewRecord::new(Topic::AgentState, "triage/seen/0", [2, 0x90])]).unwrap();
        let problem = restore(&log).unwrap_err().to_string();
        assert!(
            problem.starts_with("the state of triage does not fit together: its head"),
            "{problem}"
        );
    }
}
