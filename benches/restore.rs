//! How long it takes to restore the state of many agents from a real broker, and what they take of memory.
//!
//! `cargo bench --bench restore` starts the broker of `deploy/dev/kafka`, writes the state of 100,000
//! simulated agents (`AGENTS=…` for other numbers, e.g. `AGENTS=1000,10000,1000000`; `RUNS=…` for more than 5 runs
//! each), and restores it as an owner of all partitions does. What is printed is measured, on the machine it runs on;
//! the broker shares it. Memory is what the process grew by, with Whetstone's allocator, and with what reading left
//! unused.

mod common;

use std::io::Write as _;
use std::time::Instant;

use whetstone::app::{restore, state_records};
use whetstone::base::{AgentName, EventTime, VersionNumber};
use whetstone::consume::{KafkaLog, KafkaSettings, Log as _, Share};
use whetstone::decode::{Run, Trace};
use whetstone::govern::{Agent, CommandKind, Content, Effect, Event, EventBody, Policy};
use whetstone::simulate::simulated_agents;

use common::{Failure, kafka, setting};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Failure> {
    let agents = std::env::var("AGENTS").unwrap_or_else(|_| "100000".to_owned());
    for agents in agents.split(',') {
        kafka(&["clean"])?;
        let address = kafka(&["start"])?;
        let result = run(&address, agents.parse()?);
        kafka(&["clean"])?;
        result?;
    }
    Ok(())
}

/// Bytes of memory that this process has now.
fn resident() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}

/// An agent with a version and some runs, and the records that its life left on the tables.
fn agent(
    number: u64,
    runs: u64,
    rng: &mut fastrand::Rng,
) -> Result<Vec<whetstone::consume::NewRecord>, Failure> {
    let name: AgentName = format!("agent-{number:06}").parse()?;
    let mut agent = Agent::new(name.clone());
    let simulated = simulated_agents();
    let simulated = simulated.get(usize::try_from(number % 4)?).ok_or("four agents")?;
    let prompts = [("system".to_owned(), simulated.prompts_yaml())];
    let content = Content { prompts: prompts.into(), ..Content::default() };
    let start = EventTime::from_millis(1_770_000_000_000);
    let adopt = CommandKind::Adopt { content: content.clone(), source: "bench".to_owned() };
    let command =
        whetstone::govern::Command { agent: name.clone(), by: "bench".to_owned(), kind: adopt };
    let policy = Policy::default();
    let mut records = Vec::new();
    let mut events =
        vec![Event { agent: name.clone(), at: start, body: EventBody::Command(command) }];
    for id in 0..runs {
        let at = start.plus_millis(i64::try_from(id)? * 60_000);
        let trace = simulated.run(id, (VersionNumber(1), &content), at, rng);
        let run = Run::digest(&Trace { agent: name.clone(), ..trace });
        events.push(Event { agent: name.clone(), at, body: EventBody::Run(run) });
    }
    for event in &events {
        for effect in agent.apply(event, &policy) {
            if let Effect::Version(_) = &effect {
                records.push(whetstone::app::effect_record(&effect));
            }
        }
    }
    records.extend(state_records(&mut agent));
    Ok(records)
}

fn run(address: &str, agents: u64) -> Result<(), Failure> {
    let runs = setting("RUNS", 5);
    let dir = tempfile::tempdir()?;
    let log = KafkaLog::open(KafkaSettings::new(address, dir.path()))?;
    log.create_topics()?;
    let mut out = std::io::stdout();
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut bytes, mut records) = (0, 0);
    let begun = Instant::now();
    for first in (0..agents).step_by(500) {
        let mut batch = Vec::new();
        for number in first..(first + 500).min(agents) {
            batch.extend(agent(number, runs, &mut rng)?);
        }
        bytes += batch.iter().map(|record| record.key.len() + record.value.len()).sum::<usize>();
        records += batch.len();
        log.append(batch)?;
    }
    let megabytes = bytes as f64 / 1e6;
    writeln!(
        out,
        "written:  {agents} agents of {runs} runs, {records} records, {megabytes:.1} MB, {:.1} s",
        begun.elapsed().as_secs_f64()
    )?;
    let partitions: Vec<i32> = (0..KafkaSettings::new("", "").partitions).collect();
    let (before, begun) = (resident()?, Instant::now());
    let restored = restore(&log, Share::Of(&partitions))?;
    let took = begun.elapsed().as_secs_f64();
    let count: usize = restored.values().map(std::collections::BTreeMap::len).sum();
    writeln!(
        out,
        "restored: {count} agents, {took:.2} s, {:.1} MB/s, {:.0} agents/s, {:.0} bytes of state and {:.0} of memory each",
        megabytes / took,
        count as f64 / took,
        bytes as f64 / agents as f64,
        resident()?.saturating_sub(before) as f64 / agents as f64,
    )?;
    if u64::try_from(count)? != agents {
        return Err(format!("{count} of {agents} agents came back").into());
    }
    Ok(())
}
