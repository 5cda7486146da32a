//! `whetstone demo`: simulated agents on the real thing. Their traces go through the embedded log, the
//! four roles and a git repo in a directory; what the agents run next is what comes out.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::failure::Failure;
use super::output::{Tone, number, percent, safe, table};
use super::{Env, pause, runtime, trial};
use crate::app::{App, Orders, PromptSubscriber, agent_views, optimizer, repo_options};
use crate::base::{AgentName, Clock as _, EventTime, Metrics, SystemClock};
use crate::config::Config;
use crate::consume::{EmbeddedLog, Log};
use crate::decode::Report;
use crate::govern::AgentView;
use crate::publish::{ConfigRepo, RepoOptions};
use crate::simulate::{SimulatedAgent, simulated_agents};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone demo                        live, until Ctrl-C\n  \
    whetstone demo --once                 a few rounds, then a summary\n  \
    whetstone demo --once --dir ./play    keep the log and the git repo to look at\n\n\
    While it runs, its dashboard is at the address that it prints.\n\
    The agents are simulated, and so are their traces, times and gains; windows, optimizer, guard,\n\
    trials, versions and git commits are the real ones. No model is asked and nothing leaves the machine.")]
pub(super) struct Args {
    /// Run a fixed number of rounds, print a summary and end; without a terminal it always does
    #[arg(long)]
    once: bool,
    /// Where to keep log and repo; a temporary directory if not given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Rounds with --once
    #[arg(long, default_value_t = 20)]
    rounds: u32,
    /// Runs of each agent in a round
    #[arg(long, default_value_t = 60)]
    runs: u32,
    /// Seeds the simulated world
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Where the dashboard listens on this machine; another port if that one is taken
    #[arg(long, value_name = "PORT", default_value_t = 8087)]
    port: u16,
}

/// What the demo differs in from the defaults: its agents run once a minute for half a minute, and what
/// there is to gain or lose is large, so that trials may begin with more units and end soon.
const SETTINGS: [&str; 13] = [
    "rollout=trial",
    "trial.first_share=0.3",
    "trial.ramp_units=20",
    "trial.deadline=5m",
    "trial.max_units=400",
    "trial.patience=7d",
    "watch.holdback=0.1",
    "watch.holdback_units=20",
    "windows.kind=sliding",
    "windows.length=6h",
    "windows.slide=1h",
    "min_traces=100",
    "cooldown=1h",
];

pub(super) fn main(args: &Args, env: Env) -> Result<(), Failure> {
    let temporary = tempfile::tempdir().map_err(Failure::failed)?;
    let dir = args.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let config = settings(&dir)?;
    let agents = simulated_agents();
    let repo = prepare_repo(&config, &agents)?;
    let log: Arc<dyn Log> = Arc::new(
        EmbeddedLog::open(&config.data_dir, Arc::new(SystemClock)).map_err(Failure::failed)?,
    );
    let app = App {
        optimizer: Arc::new(optimizer(&config).map_err(Failure::usage)?),
        config: Arc::new(config),
        log: log.clone(),
        repo: Some(repo),
        clock: Arc::new(SystemClock),
        metrics: Metrics::new().map_err(Failure::failed)?,
    };
    let stop = CancellationToken::new();
    let runtime = runtime()?;
    let listener = runtime.block_on(listener(args.port)).map_err(Failure::failed)?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    env.output.remark(format!("simulated agents on the real thing; dashboard: http://{address}/"));
    let running = runtime.spawn_blocking({
        let (handle, stop) = (runtime.handle().clone(), stop.clone());
        move || handle.block_on(app.run(Some(listener), stop))
    });
    let mut world = World::new(agents, log, args, env);
    let enough = world.enough.clone();
    let interrupted = runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            enough.cancel();
        }
    });
    let shown = world.play(&running);
    interrupted.abort();
    stop.cancel();
    runtime.block_on(running).map_err(Failure::failed)?.map_err(Failure::failed)?;
    shown?;
    world.summary(args.dir.as_deref())
}

/// On this machine alone.
async fn listener(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
        Err(taken) if taken.kind() == ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
        }
        bound => bound,
    }
}

fn settings(dir: &Path) -> Result<Config, Failure> {
    let mut settings: Vec<String> = SETTINGS.map(str::to_owned).to_vec();
    settings.push("llm.enabled=false".to_owned());
    let mut config = Config::load(None, std::iter::empty(), &settings).map_err(Failure::failed)?;
    config.data_dir = dir.join("data");
    config.repo.path = Some(dir.join("repo"));
    Ok(config)
}

fn prepare_repo(config: &Config, agents: &[SimulatedAgent]) -> Result<ConfigRepo, Failure> {
    let Some(options) = repo_options(&config.repo) else {
        return Err(Failure::Failed(anyhow::anyhow!("the demo has no repo")));
    };
    let RepoOptions { path, configs, .. } = &options;
    let folder = path.join(configs);
    std::fs::create_dir_all(&folder).map_err(Failure::failed)?;
    for agent in agents {
        let prompts = folder.join(format!("{}_agent_prompts.yaml", agent.name));
        if prompts.exists() {
            continue;
        }
        std::fs::write(prompts, agent.prompts_yaml()).map_err(Failure::failed)?;
        let config = folder.join(format!("{}_agent_config.yaml", agent.name));
        std::fs::write(config, agent.config_yaml()).map_err(Failure::failed)?;
    }
    ConfigRepo::init(options).map_err(Failure::failed)
}

/// The simulated world and what is seen of it.
struct World {
    agents: Vec<SimulatedAgent>,
    log: Arc<dyn Log>,
    env: Env,
    rng: Rng,
    now: EventTime,
    /// Runs taken in before this process began.
    earlier: u64,
    sent: u64,
    per_round: u32,
    rounds: Option<u32>,
    /// Cancelled by Ctrl-C: the round is finished, then comes the summary.
    enough: CancellationToken,
    prompts: Option<PromptSubscriber>,
    rewards: BTreeMap<AgentName, Vec<f64>>,
}

/// Simulated milliseconds between two runs of an agent.
const BETWEEN_RUNS: i64 = 60_000;

type Running = tokio::task::JoinHandle<Result<(), crate::app::RoleError>>;

impl World {
    fn new(agents: Vec<SimulatedAgent>, log: Arc<dyn Log>, args: &Args, env: Env) -> Self {
        // Where nobody watches, nobody ends it either.
        let once = args.once || !env.output.is_live();
        Self {
            agents,
            log,
            env,
            rng: Rng::with_seed(args.seed),
            now: begin(),
            earlier: 0,
            sent: 0,
            per_round: args.runs,
            rounds: once.then_some(args.rounds),
            enough: CancellationToken::new(),
            prompts: None,
            rewards: BTreeMap::new(),
        }
    }

    /// Rounds, until enough or until the app has ended.
    fn play(&mut self, running: &Running) -> Result<(), Failure> {
        self.env.output.remark("Ctrl-C ends");
        let views = self.settle(running, |world, views| {
            views.iter().filter(|view| view.active.is_some()).count() == world.agents.len()
        })?;
        // With --dir used again, simulated time goes on where it stood.
        self.earlier = taken_in(&views);
        let stood = views.iter().filter_map(|view| view.watermark).max();
        self.now = self.now.max(stood.unwrap_or_default());
        let mut round = 0;
        let last = self.rounds.unwrap_or(u32::MAX);
        while round < last && !running.is_finished() && !self.enough.is_cancelled() {
            round += 1;
            self.subscribe()?;
            self.send()?;
            let views = self.settle(running, |world, views| {
                taken_in(views) >= world.earlier + world.sent
                    && views.iter().all(|view| view.optimizing.is_none())
            })?;
            self.show(round, &views);
            // A person watches: a round a second. A script does not.
            if self.rounds.is_none() || self.env.output.is_live() {
                pause(Duration::from_millis(700));
            }
        }
        Ok(())
    }

    /// Waits until `done`, and gives the agents as they then stand.
    fn settle(
        &self,
        running: &Running,
        done: impl Fn(&Self, &[AgentView]) -> bool,
    ) -> Result<Vec<AgentView>, Failure> {
        loop {
            let views = agent_views(self.log.as_ref()).map_err(Failure::failed)?;
            if done(self, &views) || running.is_finished() {
                return Ok(views);
            }
            pause(Duration::from_millis(50));
        }
    }

    /// Takes in what the agents should run now, as any subscriber would.
    fn subscribe(&mut self) -> Result<(), Failure> {
        let prompts = match &mut self.prompts {
            Some(prompts) => prompts,
            none => none.insert(PromptSubscriber::new(self.log.as_ref()).map_err(Failure::failed)?),
        };
        while !prompts.next(Duration::ZERO).map_err(Failure::failed)?.is_empty() {}
        Ok(())
    }

    /// Each run under the version that it is given.
    fn send(&mut self) -> Result<(), Failure> {
        let Some(prompts) = &self.prompts else { return Ok(()) };
        let mut reports = Vec::new();
        for _ in 0..self.per_round {
            self.now = self.now.plus_millis(BETWEEN_RUNS);
            for agent in &self.agents {
                self.sent += 1;
                // What came before keeps ids apart when --dir is used again.
                let id = self.earlier + self.sent;
                let unit = SimulatedAgent::unit(id);
                let Some(version) = prompts.version_for(&agent.name, &unit) else { continue };
                let under = (version.number, &version.content);
                let trace = agent.run(id, under, self.now, &mut self.rng);
                reports.push(Report::Run(trace));
            }
        }
        Orders::new(self.log.as_ref()).send(&reports).map_err(Failure::failed)
    }

    fn show(&mut self, round: u32, views: &[AgentView]) {
        for view in views {
            let rewards = self.rewards.entry(view.agent.clone()).or_default();
            let active = view.versions.iter().find(|version| Some(version.version) == view.active);
            // A version that has just come in has no runs yet: the curve waits for them.
            rewards.extend(active.and_then(|version| version.mean_reward));
        }
        let output = &self.env.output;
        if output.json {
            return;
        }
        if output.is_live() {
            output.line("\u{1b}[2J\u{1b}[H");
        }
        output.line(output.paint(Tone::Faint, &format!("round {round}: simulated agents")));
        let mut rows = vec![
            ["AGENT", "RUNS", "VERSION", "SUCCESS", "REWARD", "", "TRIAL, OR LAST CHANGE"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for view in views {
            let Some(active) = view.versions.iter().find(|v| Some(v.version) == view.active) else {
                continue;
            };
            let change = active.changes.last().map_or("", String::as_str);
            let change = match &view.trial {
                Some(trial) => trial::short(trial),
                None => safe(change).chars().take(56).collect(),
            };
            let rewards = self.rewards.get(&view.agent).map(Vec::as_slice).unwrap_or_default();
            rows.push(vec![
                view.agent.to_string(),
                view.runs.windowed.to_string(),
                active.version.to_string(),
                percent(active.success_rate),
                number(active.mean_reward, 3),
                sparkline(rewards),
                change,
            ]);
        }
        for line in table(&rows) {
            output.line(line);
        }
    }

    /// Before and after, from the versions' own figures.
    fn summary(&self, dir: Option<&Path>) -> Result<(), Failure> {
        let views = agent_views(self.log.as_ref()).map_err(Failure::failed)?;
        let output = &self.env.output;
        if output.json {
            return output.value(&serde_json::json!({ "simulated": true, "agents": views }));
        }
        output.line(output.paint(Tone::Strong, "\nSummary (simulated agents)"));
        for view in &views {
            output.line(format!("\n{}", output.paint(Tone::Strong, view.agent.as_str())));
            for version in &view.versions {
                let changes = safe(&version.changes.join("; "));
                output.line(format!(
                    "  {:<4} {:<11} {:>5} runs  {:>7} successful  reward {}  {}",
                    version.version.to_string(),
                    version.state,
                    version.runs.known(),
                    percent(version.success_rate),
                    number(version.mean_reward, 3),
                    changes
                ));
                if let Some(reason) = &version.state_reason {
                    output.line(output.paint(Tone::Faint, &format!("       {}", safe(reason))));
                }
            }
        }
        match dir {
            Some(dir) => output.line(format!(
                "\nThe versions are commits: git -C {} log --stat",
                dir.join("repo").display()
            )),
            None => output.line("\nWith --dir DIR the log and the git repo are kept to look at."),
        }
        Ok(())
    }
}

/// Ten days ago at midnight: on one day all demos of a seed are the same.
fn begin() -> EventTime {
    const DAY: i64 = 24 * 3_600_000;
    let today = SystemClock.now().as_millis().div_euclid(DAY);
    EventTime::from_millis((today - 10) * DAY)
}

/// Runs that have come through, whatever became of them.
fn taken_in(views: &[AgentView]) -> u64 {
    let done = |view: &AgentView| view.runs.windowed + view.runs.late + view.runs.duplicate;
    views.iter().map(done).sum()
}

/// The last 16 values as bars.
fn sparkline(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let tail = values.iter().skip(values.len().saturating_sub(16));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
    let bar = |value: &f64| BARS.get((value.clamp(0.0, 0.999) * 8.0) as usize).copied();
    tail.map(|value| bar(value).unwrap_or(' ')).collect()
}
