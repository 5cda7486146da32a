//! `approve`, `reject`, `rollback`, `pause`, `resume`: one record on prompt-commands each, and the
//! decision that answers it.

use std::time::Duration;

use super::Env;
use super::failure::Failure;
use super::output::{Tone, safe};
use crate::app::Orders;
use crate::base::{AgentName, VersionNumber};
use crate::govern::{Command, CommandKind, Decision, Half};

/// How many waits an order is given to be answered.
const WAITS: u32 = 100;
const WAIT: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  whetstone approve mitigation v4        also one on trial, without waiting for its proof"
)]
pub(super) struct Approve {
    /// The agent
    agent: AgentName,
    /// The candidate
    version: VersionNumber,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  whetstone reject mitigation v4 --reason 'contradicts the runbook'"
)]
pub(super) struct Reject {
    /// The agent
    agent: AgentName,
    /// The candidate
    version: VersionNumber,
    /// Why, for the record
    #[arg(long, default_value = "no reason given")]
    reason: String,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone rollback mitigation                  to the version active before\n  \
    whetstone rollback mitigation v2 --reason 'v4 made it slower'\n  \
    whetstone rollback mitigation v2 --only config")]
pub(super) struct Rollback {
    /// The agent
    agent: AgentName,
    /// The version to go back to; the one active before if not given
    version: Option<VersionNumber>,
    /// Take back prompts or config alone, as a new version
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// Why, for the record
    #[arg(long, default_value = "no reason given")]
    reason: String,
    #[command(flatten)]
    who: Who,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Only {
    Prompts,
    Config,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whetstone pause mitigation")]
pub(super) struct Pause {
    /// The agent
    agent: AgentName,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  whetstone resume mitigation")]
pub(super) struct Resume {
    /// The agent
    agent: AgentName,
    #[command(flatten)]
    who: Who,
}

#[derive(Debug, clap::Args)]
struct Who {
    /// Who orders it, for the record
    #[arg(long, env = "USER", default_value = "operator")]
    by: String,
}

pub(super) fn approve(args: Approve, env: &Env) -> Result<(), Failure> {
    give(env, &args.agent, args.who, CommandKind::Approve { version: args.version })
}

pub(super) fn reject(args: Reject, env: &Env) -> Result<(), Failure> {
    let kind = CommandKind::Reject { version: args.version, reason: args.reason };
    give(env, &args.agent, args.who, kind)
}

pub(super) fn rollback(args: Rollback, env: &Env) -> Result<(), Failure> {
    let only = args.only.map(|only| match only {
        Only::Prompts => Half::Prompts,
        Only::Config => Half::Config,
    });
    let kind = CommandKind::Rollback { to: args.version, only, reason: args.reason };
    give(env, &args.agent, args.who, kind)
}

pub(super) fn pause(args: Pause, env: &Env) -> Result<(), Failure> {
    give(env, &args.agent, args.who, CommandKind::Pause)
}

pub(super) fn resume(args: Resume, env: &Env) -> Result<(), Failure> {
    give(env, &args.agent, args.who, CommandKind::Resume)
}

/// Gives the order and waits a while for its answer.
fn give(env: &Env, agent: &AgentName, who: Who, kind: CommandKind) -> Result<(), Failure> {
    let log = env.log()?;
    let orders = Orders::new(log.as_ref());
    let mut decisions = orders.decisions().map_err(Failure::failed)?;
    let command = Command { agent: agent.clone(), by: who.by, kind };
    orders.give(&command).map_err(Failure::failed)?;
    for _ in 0..WAITS {
        let made = decisions.next(WAIT).map_err(Failure::failed)?;
        let answers = |decision: &&Decision| {
            decision.agent == *agent && answers(&command.kind, &decision.decision)
        };
        if let Some(decision) = made.iter().find(answers) {
            return report(env, decision);
        }
    }
    env.output.remark("Ordered. It takes effect when `whetstone run` runs on this data directory.");
    Ok(())
}

fn answers(kind: &CommandKind, decision: &str) -> bool {
    let expected = match kind {
        CommandKind::Approve { .. } => "approved",
        CommandKind::Reject { .. } => "rejected",
        CommandKind::Rollback { .. } => "rolled_back",
        CommandKind::Pause => "paused",
        CommandKind::Resume => "resumed",
        CommandKind::Adopt { .. } => "adopted",
        CommandKind::Recall { .. } => "recalled",
        CommandKind::Optimize => "no_change",
    };
    decision == expected || decision == "command_refused"
}

fn report(env: &Env, decision: &Decision) -> Result<(), Failure> {
    if env.output.json {
        env.output.value(decision)?;
    }
    if decision.decision == "command_refused" {
        return Err(Failure::Failed(anyhow::anyhow!("refused: {}", safe(&decision.reason))));
    }
    if !env.output.json {
        let version = decision.version.map_or_else(String::new, |number| format!(" {number}"));
        let text = format!("{}{version} {}", decision.agent, decision.decision.replace('_', " "));
        env.output.line(env.output.paint(Tone::Good, &text));
    }
    Ok(())
}
