//! A rolling restart under load: every run counted once, and how long the longest pause was.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use whetstone::base::{AgentName, EventTime, VersionNumber};
use whetstone::consume::{Log, NewRecord, Topic, partition_of};
use whetstone::govern::{AgentView, Content};
use whetstone::simulate::simulated_agents;

use crate::broker::broker;
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

#[test]
fn a_rolling_restart_under_load_counts_every_run_once() {
    if broker(module_path!()).is_none() {
        return;
    }
    let rounds = setting("WHETSTONE_TEST_ROLLS", 1);
    let world = World::new("rolling");
    let log = world.log();
    log.create_topics().unwrap();
    let mut instances: Vec<_> = (0..INSTANCES).map(|number| world.instance(number)).collect();
    for instance in &mut instances {
        world.start(instance, "");
    }
    let agents = agents();
    let content = Content::default();
    let simulated = simulated_agents();
    let mut sent = 0;
    let send = |sent: &mut u64| {
        let now = EventTime::from_millis(jiff::Timestamp::now().as_millisecond());
        let mut rng = fastrand::Rng::with_seed(*sent);
        let record = |agent: &AgentName| {
            let run = simulated[0].run(*sent, (VersionNumber(1), &content), now, &mut rng);
            let run = whetstone::decode::Trace { agent: agent.clone(), version: None, ..run };
            NewRecord::new(Topic::AgentTraces, "", serde_json::to_vec(&run).unwrap())
        };
        log.append(agents.iter().map(record).collect()).unwrap();
        *sent += 1;
    };
    // Until all are at work: what comes then is the load.
    send(&mut sent);
    let counted = |views: &[AgentView], runs: u64| {
        let ours = views.iter().filter(|view| agents.contains(&view.agent));
        ours.filter(|view| view.runs.windowed >= runs).count() == agents.len()
    };
    until(&world, &log, "the first runs are counted", |views| counted(views, 1));
    let begun = Instant::now();
    let load_begins = jiff::Timestamp::now().as_millisecond();
    std::thread::scope(|scope| {
        let rolling = scope.spawn(|| {
            for _ in 0..rounds {
                for instance in &mut instances {
                    wait(Duration::from_secs(3));
                    instance.end("-TERM");
                    world.start(instance, "");
                }
            }
            wait(Duration::from_secs(5));
        });
        while !rolling.is_finished() {
            send(&mut sent);
            wait(Duration::from_millis(20));
        }
        rolling.join().unwrap();
    });
    let seconds = begun.elapsed().as_secs_f64();
    let views = until(&world, &log, "all runs are counted", |views| counted(views, sent));
    for view in views.iter().filter(|view| agents.contains(&view.agent)) {
        assert_eq!(view.runs.windowed, sent, "{}: {:?}", view.agent, view.runs);
    }
    // An agent's head is written with each of its steps: the longest time between two is the pause.
    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    let mut pauses: BTreeMap<i32, i64> = BTreeMap::new();
    for record in read(&log, Topic::AgentState) {
        let at = record.at.as_millis();
        if let Some(before) = last.insert(record.partition, at)
            && before >= load_begins
        {
            let pause = pauses.entry(record.partition).or_default();
            *pause = (*pause).max(at - before);
        }
    }
    let total = sent * agents.len() as u64;
    eprintln!("{} restarts in {seconds:.0} s, {total} runs, each counted once", rounds * 3);
    for (partition, pause) in &pauses {
        eprintln!("partition {partition}: longest pause {:.2} s", *pause as f64 / 1000.0);
    }
    let longest = pauses.values().max().unwrap();
    eprintln!("longest pause of any partition: {:.2} s", *longest as f64 / 1000.0);
    for instance in &mut instances {
        instance.end("-TERM");
    }
}
