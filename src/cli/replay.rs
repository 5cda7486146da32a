//! `whetstone replay`: recorded runs of two versions as the arms of one trial, and its verdict.

use std::path::PathBuf;

use super::Env;
use super::failure::Failure;
use super::output::{Tone, safe};
use super::send::read_reports;
use super::trial;
use crate::base::AgentName;
use crate::decode::Format;
use crate::simulate::{Replay, replay};

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    whetstone replay --agent airline --baseline a.json --candidate b.json\n\n\
    The runs are taken as they are and nothing is sent or stored. That both versions ran at the same\n\
    time, on units drawn by lot, is supposed and not checked: where they did not, the verdict is worth\n\
    as much as any comparison of before and after. v1 is the baseline, v2 the candidate.")]
pub(super) struct Args {
    /// Files of the baseline's runs
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    baseline: Vec<PathBuf>,
    /// Files of the candidate's runs
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    candidate: Vec<PathBuf>,
    /// The files' format; detected if not given
    #[arg(long)]
    format: Option<Format>,
    /// The agent, whose rules for reward and trials apply
    #[arg(long)]
    agent: AgentName,
}

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let read = |paths| {
        read_reports(paths, args.format, Some(&args.agent), &env.output)
            .map(|read| read.runs(&env.output))
    };
    let (baseline, candidate) = (read(&args.baseline)?, read(&args.candidate)?);
    let policy = env.config.policy(&args.agent);
    let replay = replay(&args.agent, policy, (&baseline, &candidate)).map_err(Failure::failed)?;
    if env.output.json { json(&replay, env) } else { print(&replay, env) }
}

fn json(replay: &Replay, env: &Env) -> Result<(), Failure> {
    env.output.value(&serde_json::json!({
        "replayed": { "baseline": replay.runs.0, "candidate": replay.runs.1 },
        "verdict": replay.verdict.as_ref().map(|verdict| &verdict.decision),
        "reason": replay.verdict.as_ref().map(|verdict| &verdict.reason),
        "trial": replay.trial,
    }))
}

fn print(replay: &Replay, env: &Env) -> Result<(), Failure> {
    let (baseline, candidate) = replay.runs;
    env.output.line(format!(
        "Replayed {baseline} runs as v1, the baseline, and {candidate} as v2, the candidate."
    ));
    let verdict = match &replay.verdict {
        Some(verdict) => {
            format!("{}: {}", verdict.decision.replace('_', " "), safe(&verdict.reason))
        }
        None => "no verdict: that many runs prove neither a gain nor harm".to_owned(),
    };
    env.output.line(env.output.paint(Tone::Strong, &verdict));
    for line in replay.trial.iter().flat_map(trial::lines) {
        env.output.line(line);
    }
    Ok(())
}
