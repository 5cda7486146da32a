//! A rolling restart under load: every run counted once, and how long the longest pause was.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use whetstone::base::{AgentName, EventTime, VersionNumber};
use whetstone::consume::{KafkaLog, Log, NewRecord, Topic, partition_of};
use whetstone::decode::Trace;
use whetstone::govern::{AgentView, Content};
use whetstone::simulate::{SimulatedAgent, simulated_agents};

use crate::chaos::{INSTANCES, PARTITIONS, World, until, wait};
use crate::killed::setting;
use crate::log_conformance::read;

/// One agent a partition, so that a pause of any of them shows.
fn agents() -> Vec<AgentName> {
    let named = (0..).map(|n| format!("agent-{n}"));
    let mut free: Vec<_> = (0..PARTITIONS).collect();
    let takes = named.filter(|name| {
        let partition = partition_of(name.as_bytes(), PARTITIONS);
        let found = free.iter().position(|free| *free == partition);
        found.map(|index| free.remove(index)).is_some()
    });
    let count = usize::try_from(PARTITIONS).unwrap();
    takes.take(count).map(|name| name.parse().unwrap()).collect()
}

/// What is sent to each of the agents, and how often.
struct Load<'a> {
    log: &'a KafkaLog,
    agents: Vec<AgentName>,
    simulated: SimulatedAgent,
    sent: u64,
}

impl Load<'_> {
    /// One run for each agent.
    fn send(&mut self) {
        let now = EventTime::from_millis(jiff::Timestamp::now().as_millisecond());
        let mut rng = fastrand::Rng::with_seed(self.sent);
        let content = (VersionNumber(1), &Content::default());
        let record = |agent: &AgentName| {
            let run = self.simulated.run(self.sent, content, now, &mut rng);
            let run = Trace { agent: agent.clone(), version: None, ..run };
            NewRecord::new(Topic::AgentTraces, "", serde_json::to_vec(&run).unwrap())
        };
        self.log.append(self.agents.iter().map(record).collect()).unwrap();
        self.sent += 1;
    }

    fn has_counted(&self, views: &[AgentView], runs: u64) -> bool {
        let ours = views.iter().filter(|view| self.agents.contains(&view.agent));
        ours.filter(|view| view.runs.windowed >= runs).count() == self.agents.len()
    }
}

#[test]
fn a_rolling_restart_under_load_counts_every_run_once() {
    let rounds = setting("WHETSTONE_TEST_ROLLS", 1);
    let Some(world) = World::new("rolling", module_path!()) else { return };
    let log = world.log();
    log.create_topics().unwrap();
    let mut instances: Vec<_> = (0..INSTANCES).map(|number| world.instance(number)).collect();
    instances.iter_mut().for_each(|instance| world.start(instance, ""));
    let simulated = simulated_agents().remove(0);
    let mut load = Load { log: &log, agents: agents(), simulated, sent: 0 };
    // Until all are at work: what comes then is the load.
    load.send();
    until(&world, &log, "the first runs are counted", |views| load.has_counted(views, 1));
    let begun = Instant::now();
    let load_begins = jiff::Timestamp::now().as_millisecond();
    std::thread::scope(|scope| {
        let rolling = scope.spawn(|| {
            for instance in (0..rounds).flat_map(|_| 0..INSTANCES) {
                wait(Duration::from_secs(3));
                instances[instance].end("-TERM");
                world.start(&mut instances[instance], "");
            }
            wait(Duration::from_secs(5));
        });
        while !rolling.is_finished() {
            load.send();
            wait(Duration::from_millis(20));
        }
        rolling.join().unwrap();
    });
    let seconds = begun.elapsed().as_secs_f64();
    let sent = load.sent;
    let views = until(&world, &log, "all runs are counted", |views| load.has_counted(views, sent));
    for view in views.iter().filter(|view| load.agents.contains(&view.agent)) {
        assert_eq!(view.runs.windowed, sent, "{}: {:?}", view.agent, view.runs);
    }
    let (restarts, runs) = (rounds * INSTANCES as u64, sent * load.agents.len() as u64);
    eprintln!("{restarts} restarts in {seconds:.0} s, {runs} runs, each counted once");
    print_pauses(&log, load_begins);
    instances.iter_mut().for_each(|instance| instance.end("-TERM"));
}

/// An agent's head is written with each of its steps: the longest time between two is the pause.
fn print_pauses(log: &KafkaLog, load_begins: i64) {
    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    let mut pauses: BTreeMap<i32, i64> = BTreeMap::new();
    for record in read(log, Topic::AgentState) {
        let at = record.at.as_millis();
        if let Some(before) = last.insert(record.partition, at)
            && before >= load_begins
        {
            let pause = pauses.entry(record.partition).or_default();
            *pause = (*pause).max(at - before);
        }
    }
    let seconds = |millis: i64| millis as f64 / 1000.0;
    for (partition, pause) in &pauses {
        eprintln!("partition {partition}: longest pause {:.2} s", seconds(*pause));
    }
    let longest = pauses.values().max().unwrap();
    eprintln!("longest pause of any partition: {:.2} s", seconds(*longest));
}
