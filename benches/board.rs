//! How long it takes to look at many agents over HTTP.
//!
//! `cargo bench --bench board` writes a log of 3,000 agents (`AGENTS=…`), each of five versions and
//! runs of 30 hours, starts the server on it, and asks for one, which has the log read, for a page of 100,
//! for all in pages of 500, again, and again after one agent in a hundred has changed; then for a small
//! answer, again and again, while others ask for all. What is printed is measured, on the machine it runs on.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use whetstone::app::{effect_record, state_records};
use whetstone::base::{AgentName, EventTime, SystemClock, VersionNumber};
use whetstone::consume::{EmbeddedLog, Log as _, NewRecord};
use whetstone::decode::{Run, Trace};
use whetstone::govern::{Agent, CommandKind, Content, Effect, Event, EventBody, Policy};
use whetstone::simulate::simulated_agents;

type Failure = Box<dyn std::error::Error>;

const VERSIONS: u32 = 5;
const HOURS: u64 = 30;
const RUNS_AN_HOUR: u64 = 3;
const HOUR: i64 = 3_600_000;
const START: i64 = 1_770_000_000_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Ends the server when it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Server {
    /// A line of what the system says of the process's memory, in MiB.
    fn memory(&self, name: &str) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        let kib: f64 = line.split_whitespace().next().ok_or("no number")?.parse()?;
        Ok(kib / 1024.0)
    }
}

fn name(number: u64) -> Result<AgentName, Failure> {
    Ok(format!("agent-{number:06}").parse()?)
}

/// An agent's life, and the records that it left on the tables.
fn agent(number: u64, rng: &mut fastrand::Rng) -> Result<(Agent, Vec<NewRecord>), Failure> {
    let name = name(number)?;
    let mut agent = Agent::new(name.clone());
    let simulated = simulated_agents();
    let simulated = simulated.get(usize::try_from(number % 4)?).ok_or("four agents")?;
    let policy = Policy::default();
    let mut records = Vec::new();
    let mut take = |agent: &mut Agent, at: i64, body: EventBody| {
        let event = Event { agent: name.clone(), at: EventTime::from_millis(at), body };
        for effect in agent.apply(&event, &policy) {
            if let Effect::Version(_) = &effect {
                records.push(effect_record(&effect));
            }
        }
    };
    let (mut id, mut content) = (0, Content::default());
    for version in 1..=VERSIONS {
        let prompt = format!("{}# edit {version}\n", simulated.prompts_yaml());
        content = Content { prompts: [("system".to_owned(), prompt)].into(), ..content };
        let kind = CommandKind::Adopt { content: content.clone(), source: "bench".to_owned() };
        let command =
            whetstone::govern::Command { agent: name.clone(), by: "bench".to_owned(), kind };
        take(&mut agent, START, EventBody::Command(command));
    }
    for hour in 0..HOURS {
        for run in 0..RUNS_AN_HOUR {
            let at = START + i64::try_from(hour)? * HOUR + i64::try_from(run)? * 60_000;
            let version = (VersionNumber(VERSIONS), &content);
            let trace = simulated.run(id, version, EventTime::from_millis(at), rng);
            let run = Run::digest(&Trace { agent: name.clone(), ..trace });
            take(&mut agent, at, EventBody::Run(run));
            id += 1;
        }
    }
    records.extend(state_records(&mut agent));
    Ok((agent, records))
}

/// Writes the log; some of the agents are given back, to be changed later.
fn fill(dir: &Path, agents: u64) -> Result<(EmbeddedLog, Vec<Agent>), Failure> {
    let log = EmbeddedLog::open(dir, Arc::new(SystemClock))?;
    let (mut rng, mut kept) = (fastrand::Rng::with_seed(1), Vec::new());
    let (mut bytes, mut count) = (0, 0);
    for first in (0..agents).step_by(100) {
        let mut batch = Vec::new();
        for number in first..(first + 100).min(agents) {
            let (agent, records) = agent(number, &mut rng)?;
            batch.extend(records);
            if number % 100 == 7 {
                kept.push(agent);
            }
        }
        bytes += batch.iter().map(|record| record.key.len() + record.value.len()).sum::<usize>();
        count += batch.len();
        log.append(batch)?;
    }
    let megabytes = bytes as f64 / 1e6;
    writeln!(std::io::stdout(), "written:  {agents} agents, {count} records, {megabytes:.1} MB")?;
    Ok((log, kept))
}

/// A server that is ready, and its address. It has a role, since it needs one, that never looks at agents.
async fn start(dir: &Path) -> Result<(Server, String), Failure> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}");
    let settings = [
        format!("data_dir={}", dir.display()),
        format!("http.listen=127.0.0.1:{port}"),
        "llm.enabled=false".to_owned(),
        "roles.aggregate=false".to_owned(),
        "roles.optimize=false".to_owned(),
        "roles.publish=false".to_owned(),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_whetstone"));
    command.arg("run").args(settings.iter().flat_map(|setting| ["--set", setting]));
    let log = std::fs::File::create(dir.join("log"))?;
    let server = Server(command.stdout(Stdio::null()).stderr(log).spawn()?);
    let begun = Instant::now();
    while !reqwest::get(format!("{url}/readyz")).await.is_ok_and(|r| r.status().is_success()) {
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(std::fs::read_to_string(dir.join("log"))?.into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok((server, url))
}

/// One page: what it says, and how many bytes it has.
async fn page(client: &Client, url: &str, query: &str) -> Result<(Value, usize), Failure> {
    let request = client.get(format!("{url}/api/agents?{query}"));
    let body = request.send().await?.error_for_status()?.bytes().await?;
    Ok((serde_json::from_slice(&body)?, body.len()))
}

/// How many bytes a page has for one who takes it packed.
async fn packed(client: &Client, url: &str, query: &str) -> Result<usize, Failure> {
    let request = client.get(format!("{url}/api/agents?{query}"));
    let answer = request.header("Accept-Encoding", "gzip").send().await?.error_for_status()?;
    Ok(answer.bytes().await?.len())
}

/// All of them in pages: how many, and their bytes.
async fn all(client: &Client, url: &str) -> Result<(usize, usize), Failure> {
    let (mut agents, mut bytes, mut after) = (0, 0, String::new());
    loop {
        let (said, weight) = page(client, url, &format!("limit=500{after}")).await?;
        agents += said["items"].as_array().map_or(0, Vec::len);
        bytes += weight;
        let Some(next) = said["next"].as_str() else { return Ok((agents, bytes)) };
        after = format!("&after={next}");
    }
}

/// Has each of `agents` paused, and waits until that is seen.
async fn change(
    client: &Client,
    url: &str,
    log: &EmbeddedLog,
    agents: Vec<Agent>,
) -> Result<(), Failure> {
    let mut records = Vec::new();
    let last = agents.last().ok_or("no agents")?.name().clone();
    for mut agent in agents {
        let by = "bench".to_owned();
        let command = whetstone::govern::Command {
            agent: agent.name().clone(),
            by,
            kind: CommandKind::Pause,
        };
        let at = EventTime::from_millis(START);
        let event = Event { agent: command.agent.clone(), at, body: EventBody::Command(command) };
        agent.apply(&event, &Policy::default());
        records.extend(state_records(&mut agent));
    }
    log.append(records)?;
    loop {
        let answer = client.get(format!("{url}/api/agents/{last}")).send().await?;
        if answer.json::<Value>().await?["paused"] == true {
            return Ok(());
        }
    }
}

fn main() -> Result<(), Failure> {
    tokio::runtime::Runtime::new()?.block_on(run())
}

/// The longest that one small answer took while all agents were asked for, none of them put together yet.
async fn beside(dir: &Path) -> Result<Duration, Failure> {
    let (_server, url) = start(dir).await?;
    let client = Client::new();
    let others = async {
        page(&client, &url, "limit=1").await?;
        let two = tokio::try_join!(all(&client, &url), all(&client, &url));
        two.map(drop)
    };
    tokio::pin!(others);
    let (own, mut longest) = (Client::new(), Duration::ZERO);
    page(&own, &url, "limit=1").await?;
    loop {
        let one = async {
            let begun = Instant::now();
            page(&own, &url, "limit=1").await?;
            Ok::<_, Failure>(begun.elapsed())
        };
        tokio::select! {
            done = &mut others => return done.map(|()| longest),
            took = one => longest = longest.max(took?),
        }
    }
}

async fn run() -> Result<(), Failure> {
    let agents = setting("AGENTS", 3_000);
    let dir = tempfile::tempdir()?;
    let (log, kept) = fill(dir.path(), agents)?;
    let mut out = std::io::stdout();
    let (server, url) = start(dir.path()).await?;
    // It would unpack what it gets, and say nothing of it.
    let client = Client::builder().no_gzip().build()?;
    writeln!(out, "before:   {:.0} MiB resident", server.memory("VmRSS:")?)?;
    let begun = Instant::now();
    page(&client, &url, "limit=1").await?;
    writeln!(out, "read:     {:?} until the first answer", begun.elapsed())?;
    let begun = Instant::now();
    let (_, bytes) = page(&client, &url, "limit=100").await?;
    let took = begun.elapsed();
    let packed_bytes = packed(&client, &url, "limit=100").await?;
    writeln!(out, "first:    {took:?}, {bytes} bytes, {packed_bytes} packed")?;
    for what in ["all:     ", "again:   "] {
        let begun = Instant::now();
        let (found, bytes) = all(&client, &url).await?;
        writeln!(out, "{what} {:?}, {found} agents, {bytes} bytes", begun.elapsed())?;
    }
    let begun = Instant::now();
    let (_, bytes) = page(&client, &url, "limit=500").await?;
    let plain = begun.elapsed();
    let begun = Instant::now();
    let packed_bytes = packed(&client, &url, "limit=500").await?;
    let took = begun.elapsed();
    writeln!(
        out,
        "page:     500 in {plain:?} and {bytes} bytes, {took:?} and {packed_bytes} packed"
    )?;
    let resident = (server.memory("VmRSS:")?, server.memory("VmHWM:")?);
    writeln!(out, "after:    {:.0} MiB resident, {:.0} MiB at most", resident.0, resident.1)?;
    change(&client, &url, &log, kept).await?;
    let begun = Instant::now();
    all(&client, &url).await?;
    writeln!(out, "changed:  {:?}, one agent in a hundred", begun.elapsed())?;
    drop(server);
    writeln!(out, "beside:   {:?} at most for a page of one", beside(dir.path()).await?)?;
    Ok(())
}
