//! How long it takes from the trace that makes a window ready until its request is on the topic.
//!
//! `cargo bench --bench latency` starts the broker of `deploy/dev/kafka` and a server, gives each of 500 agents
//! (`AGENTS=…`) a version and all but one of the runs that it needs, and then, beside a load of 1,000 traces a second of
//! other agents (`LOAD=…`), the last one, one agent after another. `KEYED=true` has agents' owners read traces
//! themselves. What is printed is measured, on the machine it runs on, from the append's return to the record's arrival
//! at a reader; broker, server and load share it.

mod common;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use whetstone::base::{AgentName, EventTime, VersionNumber};
use whetstone::consume::{Follower, KafkaLog, KafkaSettings, Log as _, NewRecord, Start, Topic};
use whetstone::decode::Trace;
use whetstone::govern::{CommandKind, Content};
use whetstone::simulate::simulated_agents;

use common::{Failure, kafka, setting};

const NEEDED: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Failure> {
    kafka(&["clean"])?;
    let address = kafka(&["start"])?;
    let result = run(&address);
    kafka(&["clean"])?;
    result
}

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn server(address: &str, dir: &std::path::Path, keyed: bool) -> Result<Server, Failure> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whetstone"));
    command.arg("run").stdout(Stdio::null()).stderr(std::fs::File::create(dir.join("said"))?);
    for setting in [
        format!("data_dir={}", dir.join("data").display()),
        "log.kind=kafka".to_owned(),
        format!("kafka.brokers={address}"),
        format!("kafka.traces_keyed_by_agent={keyed}"),
        "http.listen=127.0.0.1:0".to_owned(),
        "llm.enabled=false".to_owned(),
        "roles.optimize=false".to_owned(),
        format!("min_traces={NEEDED}"),
        "cooldown=0s".to_owned(),
    ] {
        command.args(["--set", &setting]);
    }
    Ok(Server(command.spawn()?))
}

fn named(number: u64) -> Result<AgentName, Failure> {
    Ok(format!("agent-{number:05}").parse()?)
}

fn now() -> EventTime {
    EventTime::from_millis(jiff::Timestamp::now().as_millisecond())
}

/// Run `id` of `agent`, keyed by its name.
fn trace(agent: &AgentName, id: u64) -> Result<NewRecord, Failure> {
    let agents = simulated_agents();
    let simulated = agents.first().ok_or("an agent")?;
    let mut rng = fastrand::Rng::with_seed(id);
    let run = simulated.run(id, (VersionNumber(1), &Content::default()), now(), &mut rng);
    let run = Trace { agent: agent.clone(), ..run };
    Ok(NewRecord::new(Topic::AgentTraces, agent.as_str(), serde_json::to_vec(&run)?))
}

fn run(address: &str) -> Result<(), Failure> {
    let (agents, load, keyed) = (
        setting("AGENTS", 500),
        setting("LOAD", 1000),
        std::env::var("KEYED").is_ok_and(|keyed| keyed == "true"),
    );
    let dir = tempfile::tempdir()?;
    let mut settings = KafkaSettings::new(address, dir.path());
    // As whoever keys traces by agent has to.
    settings.properties.insert("partitioner".to_owned(), "murmur2_random".to_owned().into());
    let log = KafkaLog::open(settings)?;
    log.create_topics()?;
    let _server = server(address, dir.path(), keyed)?;
    prepare(&log, agents)?;
    let mut requests = log.follow(Topic::OptimizationRequests, Start::Earliest)?;
    let stop = AtomicBool::new(false);
    let mut millis = std::thread::scope(|scope| {
        scope.spawn(|| others(&log, load, &stop).map_err(|error| error.to_string()));
        let measured = measure(&log, requests.as_mut(), agents);
        stop.store(true, Ordering::SeqCst);
        measured
    })?;
    millis.sort_by(f64::total_cmp);
    let at = |share: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = ((millis.len() as f64 - 1.0) * share).round() as usize;
        millis.get(index).copied().unwrap_or(f64::NAN)
    };
    writeln!(
        std::io::stdout(),
        "{} windows, {load} traces/s beside them, keyed: {keyed}; from trace to request: p50 {:.1} ms, p90 {:.1}, \
         p99 {:.1}, most {:.1}",
        millis.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    )?;
    Ok(())
}

/// Versions, and all runs but the last, of which each is seen to be counted.
fn prepare(log: &KafkaLog, agents: u64) -> Result<(), Failure> {
    let content = Content {
        prompts: [("system".to_owned(), "Find the cause.\n".to_owned())].into(),
        ..Content::default()
    };
    let adopt = CommandKind::Adopt { content, source: "bench".to_owned() };
    let mut orders = Vec::new();
    for number in 0..agents {
        let kind = adopt.clone();
        let order =
            whetstone::govern::Command { agent: named(number)?, by: "bench".to_owned(), kind };
        let value = serde_json::to_vec(&order)?;
        orders.push(NewRecord::new(Topic::PromptCommands, named(number)?.as_str(), value));
    }
    log.append(orders)?;
    let counted = |wanted: u64| {
        let begun = Instant::now();
        loop {
            let views = whetstone::app::agent_views(log)?;
            let views =
                views.iter().filter(|view| view.active.is_some() && view.runs.windowed >= wanted);
            if views.count() as u64 >= agents {
                return Ok::<_, Failure>(());
            }
            if begun.elapsed() > PATIENCE {
                return Err("the server does not count them".into());
            }
            std::thread::park_timeout(Duration::from_millis(200));
        }
    };
    counted(0)?;
    for id in 0..NEEDED - 1 {
        let records = (0..agents).map(|number| trace(&named(number)?, id));
        log.append(records.collect::<Result<_, Failure>>()?)?;
    }
    counted(NEEDED - 1)
}

/// What else there is to do.
fn others(log: &KafkaLog, load: u64, stop: &AtomicBool) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut sent = 0;
    while !stop.load(Ordering::SeqCst) {
        let due = u64::try_from(begun.elapsed().as_millis())? * load / 1000;
        let records = (sent..due).map(|id| trace(&format!("other-{}", id % 1000).parse()?, id));
        let records: Vec<_> = records.collect::<Result<_, Failure>>()?;
        sent = due;
        if !records.is_empty() {
            log.append(records)?;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

fn measure(log: &KafkaLog, requests: &mut dyn Follower, agents: u64) -> Result<Vec<f64>, Failure> {
    let mut seen: BTreeMap<Vec<u8>, Instant> = BTreeMap::new();
    let mut millis = Vec::new();
    let mut rng = fastrand::Rng::with_seed(1);
    for number in 0..agents {
        let agent = named(number)?;
        log.append(vec![trace(&agent, NEEDED)?])?;
        let begun = Instant::now();
        while !seen.contains_key(agent.as_str().as_bytes()) {
            for record in requests.poll(10, Duration::from_millis(100))? {
                seen.insert(record.key, Instant::now());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("no request of {agent}").into());
            }
        }
        let at = seen.get(agent.as_str().as_bytes()).ok_or("it was seen")?;
        millis.push(at.duration_since(begun).as_secs_f64() * 1000.0);
        std::thread::park_timeout(Duration::from_millis(rng.u64(0..30)));
    }
    Ok(millis)
}
