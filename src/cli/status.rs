//! `whetstone status`: what each agent runs and how it fares.

use super::Env;
use super::failure::Failure;
use super::output::{Tone, number, percent, table};
use super::{spending, trial};
use crate::app::agent_views;
use crate::base::{AgentName, Clock as _, Day, SystemClock};
use crate::govern::AgentView;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  whetstone status\n  whetstone status mitigation     with its trial, if one is under way, and what the model cost\n  whetstone status --json"
)]
pub(super) struct Args {
    /// Only this agent
    agent: Option<AgentName>,
}

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let log = env.log_to_read()?;
    let mut views = agent_views(log.as_ref()).map_err(Failure::failed)?;
    if let Some(agent) = &args.agent {
        views.retain(|view| view.agent == *agent);
        if views.is_empty() {
            return Err(Failure::Failed(anyhow::anyhow!(
                "no agent {agent}: `whetstone status` lists those that have sent traces or stand in the repo"
            )));
        }
    }
    if env.output.json {
        return env.output.value(&views);
    }
    if views.is_empty() {
        env.output.line(
            "No agents yet. Send traces with `whetstone send FILE`, or try `whetstone demo`.",
        );
        return Ok(());
    }
    let heading = ["AGENT", "VERSION", "RUNS", "SUCCESS", "REWARD", "P50 s", "ABORTED", "STATE"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for view in &views {
        let figures = &view.recent;
        rows.push(vec![
            view.agent.to_string(),
            view.active.map_or_else(|| "-".to_owned(), |number| number.to_string()),
            figures.runs.known().to_string(),
            percent(figures.success_rate),
            number(figures.mean_reward, 3),
            number(figures.latency_p50, 1),
            figures.runs.aborted.to_string(),
            state(view),
        ]);
    }
    for (index, line) in table(&rows).into_iter().enumerate() {
        let line = if index == 0 { env.output.paint(Tone::Faint, &line) } else { line };
        env.output.line(line);
    }
    if let Some(line) = waiting(&views) {
        env.output.line(line);
    }
    if args.agent.is_some() {
        let trials = views.iter().filter_map(|view| view.trial.as_deref());
        for line in trials.flat_map(trial::lines) {
            env.output.line(line);
        }
        for line in views.iter().flat_map(spending::lines) {
            env.output.line(line);
        }
    } else if let Some(total) = spending::total(&views, Day::of(SystemClock.now())) {
        env.output.line(total);
    }
    Ok(())
}

/// How many runs wait for a label, where any do.
fn waiting(views: &[AgentView]) -> Option<String> {
    let waiting = views.iter().filter(|view| view.waiting > 0);
    let told: Vec<_> = waiting.map(|view| format!("{} of {}", view.waiting, view.agent)).collect();
    (!told.is_empty()).then(|| format!("Runs that wait for their outcome: {}", told.join(", ")))
}

/// What is going on, in a few words.
fn state(view: &AgentView) -> String {
    if view.active.is_none() {
        "not in the repo".to_owned()
    } else if let Some(trial) = &view.trial {
        trial::short(trial)
    } else if let Some(candidate) = view.candidate {
        format!("{candidate} waits for approval")
    } else if view.paused {
        "paused".to_owned()
    } else if view.optimizing.is_some() {
        "optimizing".to_owned()
    } else {
        "learning".to_owned()
    }
}
