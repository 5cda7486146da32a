//! Agents put together again from the log's tables.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

use super::codec;
use super::role::RoleError;
use crate::base::AgentName;
use crate::consume::{Log, Record, Share, Topic};
use crate::govern::{Agent, Pieces, Version, VersionRecord};

/// Agents by partition.
type Restored = BTreeMap<i32, BTreeMap<AgentName, Agent>>;

/// Parts of named partitions that are restored at a time: as many as there are cores, and no more than this.
const MOST_AT_A_TIME: usize = 8;
/// Parts that each of those does, so that not all that was read is held beside what was made of it.
const ONE_AFTER_ANOTHER: usize = 2;

/// The agents of `share`, by partition.
///
/// # Errors
/// If the log fails, or holds what this version cannot read.
pub fn restore(log: &dyn Log, share: Share<'_>) -> Result<Restored, RoleError> {
    let Share::Of(numbers) = share else { return part(log, share) };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get).min(MOST_AT_A_TIME);
    let parts = numbers.chunks(numbers.len().div_ceil(cores * ONE_AFTER_ANOTHER).max(1));
    let parts = Mutex::new(parts);
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        let mut restored = Restored::new();
        while let Some(numbers) = next() {
            restored.extend(part(log, Share::Of(numbers))?);
        }
        Ok(restored)
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..cores.min(numbers.len())).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all = all.and_then(|mut all: Restored| {
                all.extend(other?);
                Ok(all)
            });
        }
        all
    })
}

fn part(log: &dyn Log, share: Share<'_>) -> Result<Restored, RoleError> {
    // States first: whatever version one of them speaks of was committed no later than itself.
    let states = log.table(Topic::AgentState, share)?;
    let versions = log.table(Topic::PromptVersions, share)?;
    assemble(states, versions)
}

/// The agents that `states` and `versions` tell of, by the partition of their state.
///
/// # Errors
/// As [`restore`].
pub(super) fn assemble(
    states: impl IntoIterator<Item = impl Borrow<Record>>,
    versions: impl IntoIterator<Item = impl Borrow<Record>>,
) -> Result<Restored, RoleError> {
    let mut contents: BTreeMap<AgentName, Vec<Version>> = BTreeMap::new();
    for record in versions {
        let record = record.borrow();
        let VersionRecord { version, .. } = codec::from_json(record)?;
        contents.entry(codec::agent_of(record)?).or_default().push(version);
    }
    let mut stored: BTreeMap<(i32, AgentName), Pieces> = BTreeMap::new();
    for record in states {
        let record = record.borrow();
        let name = codec::agent_of(record)?;
        let pieces = stored.entry((record.partition, name.clone())).or_default();
        codec::piece(&name, record, pieces)?;
    }
    let mut agents = Restored::new();
    for ((partition, name), pieces) in stored {
        let agent = Agent::assemble(name.clone(), pieces)
            .map_err(|problem| RoleError::State { agent: name.to_string(), problem })?;
        let contents = contents.remove(&name).unwrap_or_default();
        let agent = agent.restore(contents).map_err(|missing| {
            let versions: Vec<_> = missing.iter().map(ToString::to_string).collect();
            RoleError::MissingVersions { agent: name.to_string(), versions: versions.join(", ") }
        })?;
        agents.entry(partition).or_default().insert(name, agent);
    }
    Ok(agents)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::{EventTime, ManualClock, VersionNumber};
    use crate::consume::{EmbeddedLog, NewRecord};
    use crate::decode::Run;
    use crate::govern::{Content, Event, EventBody, Policy};
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
                let restored = restore(&log, Share::All).unwrap().remove(&0).unwrap();
                assert_eq!(restored, agents, "after {hour} hours, panes have expired");
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
        let problem = restore(&log, Share::All).unwrap_err().to_string();
        assert!(
            problem.starts_with("the state of triage does not fit together: its head"),
            "{problem}"
        );
    }
}
