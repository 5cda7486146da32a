//! The command line: one file a command. Reads arguments and environment, prints, sets the exit code;
//! decides nothing.

mod calls;
mod check;
mod demo;
mod diff;
mod failure;
mod feedback;
mod logging;
mod optimize;
mod orders;
mod output;
mod prompt;
mod replay;
mod run;
mod send;
mod sent;
mod show;
mod simulate;
mod spending;
mod status;
mod trial;
mod versions;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};

use self::failure::Failure;
use self::logging::{LogFormat, Spans};
use self::output::Output;
use crate::base::SystemClock;
use crate::config::{self, Config};
use crate::consume::{EmbeddedLog, KafkaLog, KafkaSettings, Log};

/// Sharpens AI agents' prompts and configs from their own execution traces.
#[derive(Debug, Parser)]
#[command(
    name = "whetstone",
    version,
    max_term_width = 100,
    after_help = "Examples:\n  \
        whetstone demo                        watch simulated agents get better, nothing needed\n  \
        whetstone optimize --traces runs.jsonl --repo ./agents   one learning cycle over a file\n  \
        whetstone run                         take traces on http://127.0.0.1:8087 and keep learning\n  \
        whetstone status                      what each agent runs and how it fares\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong use or configuration."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// The configuration file; every key is explained in configs/whetstone.yaml
    #[arg(long, global = true, env = "WHETSTONE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one configuration key, e.g. --set llm.model=gpt-4o-mini (repeatable)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Print JSON for scripts
    #[arg(long, global = true)]
    json: bool,
    /// How the log on standard error is written
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text,
        env = "WHETSTONE_LOG_FORMAT")]
    log_format: LogFormat,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = output::Color::Auto)]
    color: output::Color,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Simulated agents that get better before your eyes; needs nothing
    Demo(demo::Args),
    /// Take traces and keep learning until stopped
    Run(run::Args),
    /// One learning cycle over files of traces
    Optimize(optimize::Args),
    /// Send files of traces or of feedback, or follow a directory
    Send(send::Args),
    /// What each agent runs and how it fares
    Status(status::Args),
    /// An agent's versions
    Versions(versions::Args),
    /// One version: why it was made and what it holds
    Show(show::Args),
    /// Which version a run gets, why, and what it says
    Prompt(prompt::Args),
    /// What changed between two versions
    Diff(diff::Args),
    /// Make a candidate the active version, on trial or not
    #[command(visible_alias = "promote")]
    Approve(orders::Approve),
    /// Refuse a candidate
    Reject(orders::Reject),
    /// Make an earlier version the active one again
    Rollback(orders::Rollback),
    /// Stop optimizing an agent
    Pause(orders::Pause),
    /// Start optimizing it again
    Resume(orders::Resume),
    /// Print each agent's current version, then every update as it comes
    Watch(watch::Args),
    /// Recorded runs of two versions as the arms of one trial
    Replay(replay::Args),
    /// How often trials decide rightly, on simulated agents whose truth is known
    Simulate(simulate::Args),
    /// The calls to the model that were made, and what they cost
    Calls(calls::Args),
    /// Check configuration, config repo and model key
    Check(check::Args),
}

/// What a command works with.
struct Env {
    config: Config,
    output: Output,
    /// Kept for as long as there may be spans.
    _spans: Option<Spans>,
}

impl Env {
    fn log(&self) -> Result<Arc<dyn Log>, Failure> {
        Ok(match &self.config.log {
            config::Log::Embedded => {
                let log = EmbeddedLog::open(&self.config.data_dir, Arc::new(SystemClock));
                Arc::new(log.map_err(Failure::failed)?)
            }
            config::Log::Kafka { settings, .. } => Arc::new(kafka(settings)?),
        })
    }

    /// The log for looking only: makes nothing where there is none.
    fn log_to_read(&self) -> Result<Box<dyn Log>, Failure> {
        Ok(match &self.config.log {
            config::Log::Embedded => {
                let log = EmbeddedLog::open_read_only(&self.config.data_dir);
                Box::new(log.map_err(Failure::failed)?)
            }
            config::Log::Kafka { settings, .. } => Box::new(kafka(settings)?),
        })
    }
}

fn kafka(settings: &KafkaSettings) -> Result<KafkaLog, Failure> {
    KafkaLog::open(settings.clone()).map_err(Failure::failed)
}

/// Lets some time pass, about: where there is nothing to wait for but the clock.
fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    // Only tests are built with any.
    let _failpoints = fail::has_failpoints().then(fail::FailScenario::setup);
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(help) => {
            // Nothing is left to do where even the help cannot be printed.
            let _unprintable = help.print();
            return if help.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let output = Output::new(cli.global.json, cli.global.color);
    match dispatch(cli, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

fn dispatch(cli: Cli, output: &Output) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    let quiet = matches!(command, Command::Demo(_) | Command::Watch(_));
    let level = if quiet { "warn" } else { "warn,whetstone=info" };
    let serves = matches!(command, Command::Run(_));
    let env = || -> Result<Env, Failure> {
        // A variable that is no text cannot be one of ours.
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let environment = std::env::vars_os().filter_map(text);
        let config = Config::load(global.config.as_deref(), environment, &global.settings)
            .map_err(Failure::usage)?;
        let telemetry = config.telemetry.as_ref().filter(|_| serves);
        let spans = logging::start(level, global.log_format, telemetry)?;
        Ok(Env { config, output: output.clone(), _spans: spans })
    };
    match command {
        Command::Demo(args) => demo::main(&args, env()?),
        Command::Run(args) => run::main(&args, env()?),
        Command::Optimize(args) => optimize::main(&args, env()?),
        Command::Send(args) => send::main(&args, &env()?),
        Command::Status(args) => status::main(&args, &env()?),
        Command::Versions(args) => versions::main(&args, &env()?),
        Command::Show(args) => show::main(&args, &env()?),
        Command::Prompt(args) => prompt::main(&args, &env()?),
        Command::Diff(args) => diff::main(&args, &env()?),
        Command::Approve(args) => orders::approve(args, &env()?),
        Command::Reject(args) => orders::reject(args, &env()?),
        Command::Rollback(args) => orders::rollback(args, &env()?),
        Command::Pause(args) => orders::pause(args, &env()?),
        Command::Resume(args) => orders::resume(args, &env()?),
        Command::Replay(args) => replay::main(&args, &env()?),
        Command::Simulate(args) => simulate::main(&args, &env()?),
        Command::Watch(args) => watch::main(&args, &env()?),
        Command::Calls(args) => calls::main(&args, &env()?),
        Command::Check(args) => check::main(&args, &env()?),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::failed)
}
