//! The aggregate role: owns the agents, folds events into them, lets their effects out.
//!
//! An agent lives where its partition of `agent-events` is. A partition that comes brings its agents
//! with it, from the log's tables, before its first record; one that goes takes them along.
//!
//! An effect leaves at once, in one step with the state of its agent. What has no effect yet is stored when there is
//! time, and soon enough: the group's position is where everything before is stored, and an agent that is given
//! again what it has taken knows it (`govern::Applied`). What is applied anew after a crash had no effect, so that
//! whatever comes of it then is new.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::codec;
use super::decode::{Kind, cutting};
use super::keyed::{self, Keyed};
use super::owned::{Made, Owned};
use super::restore::restore;
use super::role::{Context, Member, RoleError};
use super::unstored::{Step, Unstored};
use crate::base::{AgentName, Metrics};
use crate::consume::{
    LogError, NewRecord, Partition, Polled, Reached, Record, Share, Subscription, Topic,
};
use crate::govern::{Input, Standing};

/// The most records of a step: few enough that they are near the processor, since a step need not be committed.
const RECORDS: usize = 1024;
/// How long it waits for records when all is stored.
const POLL: Duration = Duration::from_millis(200);
/// How long state waits at most to be stored while nothing comes.
const QUIET: Duration = Duration::from_millis(100);
/// How long it may wait for its turn while much does: bounds what a crash has to be applied again.
const STALE: Duration = Duration::from_secs(15);
/// Storing state takes one part in so many of the time, unless that would make it stale.
const SHARE: u32 = 10;
/// Bytes of state after which a step ends.
const SLICE_BYTES: usize = 4 * 1024 * 1024;

pub(super) fn run(context: &Context, ready: &AtomicBool) -> Result<(), RoleError> {
    cutting(|most| fold(context, most, ready))
}

fn fold(context: &Context, most: usize, ready: &AtomicBool) -> Result<(), RoleError> {
    let mut role = Aggregate::start(context, most)?;
    while !context.stop.is_cancelled() {
        role.turn(ready)?;
        show(role.owned.standing(), &context.metrics);
        let agents = role.owned.len();
        context.metrics.agents.set(i64::try_from(agents).unwrap_or(i64::MAX));
    }
    role.store_all()
}

struct Aggregate<'a> {
    context: &'a Context,
    consumer: Member,
    /// Bytes of a record that its dead letter holds.
    most: usize,
    owned: Owned,
    unstored: Unstored,
    /// When state is to be stored again.
    due: Instant,
}

impl<'a> Aggregate<'a> {
    fn start(context: &'a Context, most: usize) -> Result<Self, RoleError> {
        let keyed = context.config.keyed_traces;
        let subscription = Subscription {
            group: "aggregate",
            topics: &[Topic::AgentEvents],
            beside: keyed.then_some(Topic::AgentTraces),
            after: keyed.then_some((Topic::AgentTraces, "decode")),
        };
        let consumer = context.join_as("aggregate", &subscription)?;
        let (owned, unstored) = (Owned::default(), Unstored::default());
        Ok(Self { context, consumer, most, owned, unstored, due: Instant::now() })
    }

    fn turn(&mut self, ready: &AtomicBool) -> Result<(), RoleError> {
        let wait = if self.is_stored() {
            POLL
        } else {
            self.due.saturating_duration_since(Instant::now()).min(QUIET)
        };
        let begins = self.consumer.reached();
        match self.consumer.poll(RECORDS, wait)? {
            Polled::Assigned(partitions) => {
                ready.store(false, Ordering::SeqCst);
                self.context.restoring("aggregate", || self.take_over(&partitions))?;
                ready.store(true, Ordering::SeqCst);
            }
            Polled::Revoked(partitions) => {
                self.owned.forget(&partitions);
                self.unstored.forget(&partitions);
            }
            Polled::Records(records) if records.is_empty() => self.store_all()?,
            Polled::Records(records) => self.step(begins, &records)?,
        }
        if !self.is_stored() && Instant::now() >= self.due {
            self.store()?;
        }
        while self.unstored.since().is_some_and(|since| since.elapsed() > STALE) {
            self.store()?;
        }
        Ok(())
    }

    /// Whether nothing that was read is missing from what is stored.
    fn is_stored(&self) -> bool {
        self.unstored.is_empty() && !self.consumer.has_taken()
    }

    /// A batch of events in; effects out, with the states of those that had any.
    fn step(&mut self, begins: Reached, records: &[Record]) -> Result<(), RoleError> {
        let mut made = Made::default();
        let mut passed_on = Vec::new();
        for record in records {
            let (event, input) = if record.topic == Topic::AgentTraces {
                match keyed::read(record, self.most, |agent| self.is_home(agent, record))? {
                    Keyed::Event(event, kind) => {
                        made.counts.read(kind);
                        (*event, Input::Traces)
                    }
                    Keyed::Elsewhere(outputs) => {
                        passed_on.extend(outputs);
                        continue;
                    }
                }
            } else {
                (codec::read_event(record)?, Input::Events)
            };
            let policy = self.context.config.policy(&event.agent);
            self.owned.apply((record.partition, input, record.offset), &event, policy, &mut made);
        }
        self.hand_out(begins, made, passed_on)
    }

    /// Agents come to a partition only where they are at home.
    fn is_home(&self, agent: &AgentName, record: &Record) -> Result<bool, LogError> {
        if self.owned.has(record.partition, agent) {
            return Ok(true);
        }
        let home = self.consumer.home(Topic::AgentEvents, agent.as_str())?;
        Ok(home.number == record.partition)
    }

    fn hand_out(
        &mut self,
        begins: Reached,
        made: Made,
        passed_on: Vec<(NewRecord, Kind)>,
    ) -> Result<(), RoleError> {
        let Made { mut outputs, loud, mut changed, mut counts, decisions } = made;
        for agent in &loud {
            outputs.extend(self.owned.store(agent));
        }
        changed.retain(|agent| self.owned.is_unstored(agent));
        let precise = !passed_on.is_empty();
        for (output, kind) in passed_on {
            counts.pass_on(kind);
            outputs.push(output);
        }
        self.unstored.push(Step::new(begins, changed, counts));
        if precise {
            // Nobody knows these when they come again: they leave in the step that says they were read.
            self.finish(outputs)?;
        } else if !outputs.is_empty() {
            self.commit(outputs)?;
        }
        for decision in &decisions {
            self.context.metrics.decisions.with_label_values(&[decision]).inc();
        }
        Ok(())
    }

    /// Stores some of what has waited longest.
    fn store(&mut self) -> Result<(), RoleError> {
        let begun = Instant::now();
        let state = self.slice();
        self.commit(state)?;
        self.due = Instant::now() + begun.elapsed() * (SHARE - 1);
        Ok(())
    }

    /// What stores those that have waited longest.
    fn slice(&mut self) -> Vec<NewRecord> {
        let (mut outputs, mut bytes): (Vec<NewRecord>, _) = (Vec::new(), 0);
        while bytes < SLICE_BYTES
            && let Some(agent) = self.unstored.next()
        {
            let state = self.owned.store(&agent);
            bytes += state.iter().map(|piece| piece.key.len() + piece.value.len()).sum::<usize>();
            outputs.extend(state);
        }
        outputs
    }

    /// Stores all, and lets `outputs` out in the last step.
    fn finish(&mut self, outputs: Vec<NewRecord>) -> Result<(), RoleError> {
        let mut state = self.slice();
        while self.unstored.has_next() {
            self.commit(state)?;
            state = self.slice();
        }
        state.extend(outputs);
        Ok(self.commit(state)?)
    }

    fn store_all(&mut self) -> Result<(), RoleError> {
        if self.is_stored() { Ok(()) } else { self.finish(Vec::new()) }
    }

    /// The step: what comes before anything that is not stored is done.
    fn commit(&mut self, outputs: Vec<NewRecord>) -> Result<(), LogError> {
        let (counts, reached) = self.unstored.settle();
        match reached {
            Some(reached) => self.consumer.commit_until(reached, outputs)?,
            None => self.consumer.commit(outputs)?,
        }
        counts.show(&self.context.metrics);
        Ok(())
    }

    /// Brings in the agents of `partitions`.
    fn take_over(&mut self, partitions: &[Partition]) -> Result<(), RoleError> {
        let started = Instant::now();
        let numbers: Vec<_> = partitions.iter().map(|partition| partition.number).collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let restored = restore(self.context.log.as_ref(), Share::Of(&numbers))?;
        let agents: usize = restored.values().map(|agents| agents.len()).sum();
        for (number, agents) in &restored {
            let ours = |name: &str| self.consumer.owns(Topic::AgentEvents, name);
            if let Some(agent) = agents.keys().find(|name| !ours(name.as_str())) {
                return Err(RoleError::Astray { agent: agent.to_string(), partition: *number });
            }
        }
        self.owned.insert(partitions, restored);
        self.check_ends(partitions)?;
        let seconds = started.elapsed().as_secs_f64();
        self.context.metrics.restore.observe(seconds);
        tracing::info!(partitions = numbers.len(), agents, seconds, "restored");
        Ok(())
    }

    /// An input that was deleted and made anew counts from 0 again. Its records are not those that agents have
    /// taken, though they stand at the same places.
    fn check_ends(&mut self, partitions: &[Partition]) -> Result<(), LogError> {
        let reached = self.consumer.reached();
        for (partition, lag) in self.consumer.lag()? {
            let input =
                if partition.topic == Topic::AgentTraces { Input::Traces } else { Input::Events };
            let Some(at) = reached.of(partition).filter(|_| partitions.contains(&partition)) else {
                continue;
            };
            let agents = self.owned.begin_anew(partition.number, input, at.saturating_add(lag));
            if agents > 0 {
                tracing::warn!(%partition, agents, "lost records that agents have taken; what it holds counts");
            }
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::base::{EventTime, ManualClock, VersionNumber};
    use crate::config::Config;
    use crate::consume::{EmbeddedLog, Log};
    use crate::decode::{Run, Trace};
    use crate::govern::{Agent, Command, CommandKind, Content, Event, EventBody, Policy};
    use crate::simulate::simulated_agents;

    const AT: i64 = 1_770_000_000_000;
    const AGENTS: usize = 3;

    /// What happens to the role between records.
    #[derive(Clone, Debug)]
    enum Turn {
        /// So many come.
        Records(u8),
        /// It is time to store some.
        Store,
        /// It dies, and another one goes on.
        Crash,
        /// Nothing comes for a while.
        Quiet,
    }

    fn turn() -> impl Strategy<Value = Turn> {
        prop_oneof![
            4 => (1..9_u8).prop_map(Turn::Records),
            2 => Just(Turn::Store),
            1 => Just(Turn::Crash),
            1 => Just(Turn::Quiet),
        ]
    }

    fn context(log: Arc<dyn Log>, config: Config) -> Context {
        let clock = Arc::new(ManualClock::at(EventTime::from_millis(AT)));
        let (metrics, stop) = (Metrics::new().unwrap(), CancellationToken::new());
        Context { log, config: Arc::new(config), clock, metrics, stop }
    }

    /// A role as it starts, in no hurry to store anything by itself.
    fn started(context: &Context) -> Aggregate<'_> {
        let mut role = Aggregate::start(context, usize::MAX).unwrap();
        role.turn(&AtomicBool::new(false)).unwrap();
        role.due = Instant::now() + Duration::from_secs(3600);
        role
    }

    fn trace(id: u64, rng: &mut fastrand::Rng) -> Trace {
        let agents = simulated_agents();
        let agent = &agents[rng.usize(..AGENTS)];
        let content = (VersionNumber(1), &Content::default());
        let at = EventTime::from_millis(AT + i64::try_from(id).unwrap() * 60_000);
        // One in a few comes twice.
        let run = agent.run(id - u64::from(rng.u8(..5) == 0), content, at, rng);
        Trace { version: None, ..run }
    }

    /// Runs, and now and then an order, which has an effect.
    fn event(id: u64, rng: &mut fastrand::Rng) -> Event {
        let trace = trace(id, rng);
        let (agent, at) = (trace.agent.clone(), EventTime::from_millis(AT));
        let body = if rng.u8(..8) == 0 {
            let kind = [CommandKind::Pause, CommandKind::Resume, CommandKind::Optimize];
            let kind = kind[rng.usize(..3)].clone();
            EventBody::Command(Command { agent: agent.clone(), by: "ada".to_owned(), kind })
        } else {
            EventBody::Run(Run::digest(&trace))
        };
        Event { agent, at, body }
    }

    /// The agents, and what they let out, if nothing ever fails.
    fn plainly(events: &[(Input, u64, Event)]) -> (BTreeMap<AgentName, Agent>, usize) {
        let (mut agents, mut effects) = (BTreeMap::new(), 0);
        for (input, place, event) in events {
            let new = || Agent::new(event.agent.clone());
            let agent: &mut Agent = agents.entry(event.agent.clone()).or_insert_with(new);
            assert!(agent.comes(*input, *place));
            effects += agent.apply(event, &Policy::default()).len();
        }
        (agents, effects)
    }

    fn decisions(log: &dyn Log) -> usize {
        let mut follower = log.follow(Topic::Decisions, crate::consume::Start::Earliest).unwrap();
        follower.poll(10_000, Duration::ZERO).unwrap().len()
    }

    fn play(context: &Context, turns: &[Turn], left: usize) {
        let mut role = Some(started(context));
        let mut left = left;
        for turn in turns {
            let on = role.as_mut().unwrap();
            match turn {
                Turn::Records(count) if left > 0 => {
                    let begins = on.consumer.reached();
                    let polled = on.consumer.poll(usize::from(*count), Duration::ZERO).unwrap();
                    let Polled::Records(records) = polled else { panic!("{polled:?}") };
                    left -= records.len().min(left);
                    on.step(begins, &records).unwrap();
                }
                Turn::Records(_) => {}
                Turn::Store => on.store().unwrap(),
                Turn::Quiet => on.store_all().unwrap(),
                Turn::Crash => {
                    drop(role.take());
                    role = Some(started(context));
                    left = usize::MAX;
                }
            }
        }
        // Whatever is left comes in the end.
        let mut on = role.take().unwrap();
        loop {
            let begins = on.consumer.reached();
            match on.consumer.poll(7, Duration::ZERO).unwrap() {
                Polled::Records(records) if records.is_empty() => break,
                Polled::Records(records) => on.step(begins, &records).unwrap(),
                change => panic!("{change:?}"),
            }
        }
        on.store_all().unwrap();
        assert_eq!(on.consumer.lag().unwrap().iter().map(|(_, lag)| lag).sum::<u64>(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// Every event counts once and every effect leaves once, wherever the role dies and whenever it stores.
        #[test]
        fn a_role_that_dies_anywhere_ends_where_one_that_does_not_would(
            seed: u64,
            turns in prop::collection::vec(turn(), 1..40),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let clock = Arc::new(ManualClock::at(EventTime::from_millis(AT)));
            let log = Arc::new(EmbeddedLog::open(dir.path(), clock).unwrap());
            let mut rng = fastrand::Rng::with_seed(seed);
            let events: Vec<_> = (1..100).map(|id| event(id, &mut rng)).collect();
            log.append(events.iter().map(codec::event).collect()).unwrap();
            let context = context(log.clone(), Config::default());
            play(&context, &turns, usize::MAX);

            let mut follower = log.follow(Topic::AgentEvents, crate::consume::Start::Earliest).unwrap();
            let places = follower.poll(1000, Duration::ZERO).unwrap();
            let placed = places.iter().map(|record| (Input::Events, record.offset));
            let placed: Vec<_> =
                placed.zip(events).map(|((input, place), event)| (input, place, event)).collect();
            let (expected, effects) = plainly(&placed);
            let restored = restore(log.as_ref(), Share::All).unwrap().remove(&0).unwrap();
            prop_assert_eq!(restored, expected);
            prop_assert_eq!(decisions(log.as_ref()), effects);
        }
    }

    #[test]
    fn records_that_begin_anew_are_not_taken_for_those_that_were_applied() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(EventTime::from_millis(AT)));
        let mut rng = fastrand::Rng::with_seed(3);
        let events: Vec<_> = (1..40).map(|id| event(id, &mut rng)).collect();
        let log = Arc::new(EmbeddedLog::open(dir.path(), clock.clone()).unwrap());
        log.append(events.iter().map(codec::event).collect()).unwrap();
        let (config, quiet) = (Config::default(), [Turn::Quiet]);
        play(&context(log.clone(), config.clone()), &quiet, usize::MAX);
        let states = log.table(Topic::AgentState, Share::All).unwrap();

        // Somebody made the log anew and put the state back.
        let other = tempfile::tempdir().unwrap();
        let anew = Arc::new(EmbeddedLog::open(other.path(), clock).unwrap());
        let back =
            states.into_iter().map(|state| NewRecord::new(state.topic, state.key, state.value));
        anew.append(back.collect()).unwrap();
        let before = restore(anew.as_ref(), Share::All).unwrap().remove(&0).unwrap();
        play(&context(anew.clone(), config.clone()), &quiet, usize::MAX);
        let fresh = event(1000, &mut rng);
        anew.append(vec![codec::event(&fresh)]).unwrap();
        play(&context(anew.clone(), config), &quiet, usize::MAX);
        let after = restore(anew.as_ref(), Share::All).unwrap().remove(&0).unwrap();
        let changed = |name: &AgentName| after[name] != before[name];
        assert!(changed(&fresh.agent), "the first record of the new log counts");
    }
}
