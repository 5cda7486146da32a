//! `whetstone watch`: each agent's current version, then every update as it comes.

use std::time::Duration;

use super::Env;
use super::failure::Failure;
use super::output::{Tone, percent, safe};
use crate::app::PromptSubscriber;
use crate::base::AgentName;
use crate::govern::PromptUpdate;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  whetstone watch\n  whetstone watch mitigation --json | jq .active.content.prompts"
)]
pub(super) struct Args {
    /// Only this agent
    agent: Option<AgentName>,
    /// Print what is current and end
    #[arg(long)]
    once: bool,
}

/// How long the first reading may take.
const CATCH_UP: Duration = Duration::from_secs(60);

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let log = env.log_to_read()?;
    let mut prompts = PromptSubscriber::new(log.as_ref()).map_err(Failure::failed)?;
    if !prompts.catch_up(CATCH_UP).map_err(Failure::failed)? {
        env.output.remark("not everything could be read yet; what follows may be older than it is");
    }
    for update in prompts.all() {
        show(update, args, env)?;
    }
    if args.once {
        return Ok(());
    }
    loop {
        for update in prompts.next(Duration::from_secs(1)).map_err(Failure::failed)? {
            show(&update, args, env)?;
        }
    }
}

fn show(update: &PromptUpdate, args: &Args, env: &Env) -> Result<(), Failure> {
    if args.agent.as_ref().is_some_and(|agent| *agent != update.agent) {
        return Ok(());
    }
    if env.output.json {
        return env.output.record(update);
    }
    let active = &update.active;
    let name = env.output.paint(Tone::Strong, update.agent.as_str());
    let author = safe(&active.author.to_string());
    env.output.line(format!("{} {name} runs {} by {author}", update.at, active.number));
    for reason in &active.reasons {
        env.output.line(env.output.paint(Tone::Faint, &format!("    {}", safe(&reason.change))));
    }
    if let Some(second) = &update.split {
        let (number, share) = (second.version.number, percent(Some(second.split.share())));
        env.output.line(format!("    and {number} for {share} of the units"));
    } else if let Some(candidate) = update.candidate {
        env.output.line(format!("    {candidate} waits for approval"));
    }
    Ok(())
}
