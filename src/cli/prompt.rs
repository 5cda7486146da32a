//! `whetstone prompt`: which version a unit gets, why, and what that version says.

use std::time::Duration;

use super::Env;
use super::failure::Failure;
use super::output::{Tone, percent, safe};
use crate::app::PromptSubscriber;
use crate::base::AgentName;
use crate::govern::PromptUpdate;
use crate::serve::{Assigned, Because, parse_unit};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone prompt mitigation --unit run-17\n  \
    whetstone prompt mitigation --unit run-17 --json | jq .content.prompts")]
pub(super) struct Args {
    /// The agent
    agent: AgentName,
    /// The id of the session that the run belongs to, or of the run itself where it belongs to none
    #[arg(long, value_name = "ID", value_parser = parse_unit)]
    unit: String,
}

/// How long the reading may take.
const CATCH_UP: Duration = Duration::from_secs(60);

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let log = env.log_to_read()?;
    let mut prompts = PromptSubscriber::new(log.as_ref()).map_err(Failure::failed)?;
    // The version of a while ago may be one that was taken back.
    if !prompts.catch_up(CATCH_UP).map_err(Failure::failed)? {
        let seconds = CATCH_UP.as_secs();
        return Err(Failure::Failed(anyhow::anyhow!(
            "what is current could not be read in {seconds} s: try again in a moment"
        )));
    }
    let update = prompts.current(&args.agent).ok_or_else(|| {
        Failure::Failed(anyhow::anyhow!(
            "no version of agent {}: it needs its files in the config repo; `whetstone status` lists the agents",
            args.agent
        ))
    })?;
    let assigned = Assigned::of(update, &args.unit);
    if env.output.json {
        return env.output.value(&assigned);
    }
    let title = format!("{} {} for {}", assigned.agent, assigned.version, safe(&assigned.unit));
    env.output.line(env.output.paint(Tone::Strong, &title));
    env.output.line(format!("because   {}", why(assigned.because, update)));
    env.output.content(&assigned.content);
    Ok(())
}

fn why(because: Because, update: &PromptUpdate) -> String {
    let Some(second) = &update.split else {
        return "it is active, and no other is out".to_owned();
    };
    let (number, share) = (second.version.number, percent(Some(second.split.share())));
    match because {
        Because::Active => {
            format!("it is active, and the unit is not among the {share} that get {number}")
        }
        Because::Trial => format!("it is on trial, and the unit is among the {share} that try it"),
        Because::Holdback => {
            format!("it is held back to compare, and the unit is among the {share} that keep it")
        }
    }
}
