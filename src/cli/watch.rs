//! `whetstone watch`: each agent's current version, then every update as it comes.

use std::time::Duration;

use super::Env;
use super::failure::Failure;
use super::output::{Tone, safe};
use crate::app::Orders;
use crate::base::AgentName;

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

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let log = env.log_to_read()?;
    let orders = Orders::new(&log);
    let mut next = 0;
    loop {
        let wait = if args.once { Duration::ZERO } else { Duration::from_secs(1) };
        let (updates, after) = orders.follow(next, wait).map_err(Failure::failed)?;
        next = after;
        for update in &updates {
            if args.agent.as_ref().is_some_and(|agent| *agent != update.agent) {
                continue;
            }
            if env.output.json {
                env.output.record(update)?;
                continue;
            }
            let active = &update.active;
            let name = env.output.paint(Tone::Strong, update.agent.as_str());
            let author = safe(&active.author.to_string());
            env.output.line(format!("{} {name} runs {} by {author}", update.at, active.number));
            for reason in &active.reasons {
                env.output
                    .line(env.output.paint(Tone::Faint, &format!("    {}", safe(&reason.change))));
            }
            if let Some(candidate) = update.candidate {
                env.output.line(format!("    {candidate} waits for approval"));
            }
        }
        if args.once && updates.is_empty() {
            return Ok(());
        }
    }
}
