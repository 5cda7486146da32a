//! `whetstone versions`: an agent's versions, where each stands and how it fared.

use super::Env;
use super::failure::Failure;
use super::output::{Tone, number, percent, safe, table};
use super::trial;
use crate::app::agent_views;
use crate::base::AgentName;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  whetstone versions mitigation\n  whetstone versions mitigation --json"
)]
pub(super) struct Args {
    /// The agent
    agent: AgentName,
}

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let log = env.log_to_read()?;
    let views = agent_views(log.as_ref()).map_err(Failure::failed)?;
    let view = views.into_iter().find(|view| view.agent == args.agent);
    let (versions, trial) = view.map(|view| (view.versions, view.trial)).unwrap_or_default();
    if env.output.json {
        return env.output.value(&versions);
    }
    if versions.is_empty() {
        return Err(Failure::Failed(anyhow::anyhow!("{} has no versions", args.agent)));
    }
    let heading = ["VERSION", "STATE", "FROM", "AUTHOR", "RUNS", "SUCCESS", "REWARD", "CHANGES"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for version in &versions {
        let changes: String = safe(&version.changes.join("; ")).chars().take(60).collect();
        let trial = trial.as_ref().filter(|trial| trial::second(trial) == version.version);
        let state = match trial {
            Some(trial) => format!("{} {}", version.state, percent(Some(trial.share))),
            None => version.state.clone(),
        };
        rows.push(vec![
            version.version.to_string(),
            state,
            version.parent.map_or_else(|| "-".to_owned(), |parent| parent.to_string()),
            safe(&version.author),
            version.runs.known().to_string(),
            percent(version.success_rate),
            number(version.mean_reward, 3),
            changes,
        ]);
    }
    for (index, line) in table(&rows).into_iter().enumerate() {
        let line = if index == 0 { env.output.paint(Tone::Faint, &line) } else { line };
        env.output.line(line);
    }
    Ok(())
}
