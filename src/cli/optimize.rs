//! `whetstone optimize`: one learning cycle over files of traces.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::failure::Failure;
use super::output::{Tone, number, percent, safe};
use super::send::read_reports;
use super::{Env, runtime, sent};
use crate::app::{AgentReport, CycleOptions, CycleReport, CycleStatus, MetaAgent};
use crate::base::AgentName;
use crate::decode::{Format, Trace};
use crate::govern::Rollout;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone optimize --traces runs.jsonl --repo ./agents\n  \
    whetstone optimize --traces a.json b.json --format tau2-bench --agent retail --repo ./agents --llm off\n  \
    whetstone optimize --traces runs.jsonl --repo ./agents --dry-run     what would be sent, and what it may cost\n  \
    whetstone optimize --traces runs.jsonl --repo ./agents --llm qwen2.5-coder-0.5b \\\n      \
        --set llm.endpoint=http://127.0.0.1:8089/v1/ --json\n\n\
    New versions are committed to the repo at once: review the commit, or take it back with git revert;\n\
    with --rollout manual only the version file is written.")]
pub(super) struct Args {
    /// Files of traces
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    traces: Vec<PathBuf>,
    /// The files' format; detected if not given
    #[arg(long)]
    format: Option<Format>,
    /// The git repo with the agents' configs
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Only this agent; also names the agent of formats that name none
    #[arg(long)]
    agent: Option<AgentName>,
    /// The model to ask, or `off` for patterns alone
    #[arg(long, value_name = "off|MODEL")]
    llm: Option<String>,
    /// How new versions reach the agents
    #[arg(long, value_parser = rollout, default_value = "immediate", value_name = "immediate|manual")]
    rollout: Rollout,
    /// Count runs that name no version for the active one, whenever they ran
    #[arg(long)]
    attribute_to_active: bool,
    /// Show what the model would be asked, and what that may cost; send nothing and write nothing
    #[arg(long)]
    dry_run: bool,
}

fn rollout(text: &str) -> Result<Rollout, String> {
    match text {
        "immediate" => Ok(Rollout::Immediate),
        "manual" => Ok(Rollout::Manual),
        _ => Err("use immediate or manual".to_owned()),
    }
}

pub(super) fn main(args: &Args, mut env: Env) -> Result<(), Failure> {
    if let Some(repo) = &args.repo {
        env.config.repo.path = Some(repo.clone());
    }
    match args.llm.as_deref() {
        Some("off") => env.config.llm.enabled = false,
        Some(model) => {
            env.config.llm.enabled = true;
            model.clone_into(&mut env.config.llm.model);
        }
        None => {}
    }
    let read = read_reports(&args.traces, args.format, args.agent.as_ref(), &env.output)?;
    let traces = read.runs(&env.output);
    let options = CycleOptions {
        only: args.agent.clone(),
        rollout: Some(args.rollout),
        attribute_to_active: args.attribute_to_active,
    };
    let mut learner =
        MetaAgent::new(env.config.clone()).map_err(Failure::usage)?.with_options(options);
    if args.dry_run {
        return dry_run(&learner, &traces, &env);
    }
    let progress = spinner(&format!("learning from {} runs", traces.len()));
    let report = runtime()?.block_on(learner.start_learning_cycle(traces));
    progress.finish_and_clear();
    let report = report.map_err(Failure::failed)?;
    if env.output.json { env.output.value(&report) } else { print(&report, &env) }
}

fn dry_run(learner: &MetaAgent, traces: &[Trace], env: &Env) -> Result<(), Failure> {
    let output = &env.output;
    let previews = learner.preview(traces).map_err(Failure::failed)?;
    if output.json {
        return output.value(&previews);
    }
    let calls: Vec<_> = previews.values().flat_map(|preview| &preview.calls).collect();
    let tokens: u64 = calls.iter().map(|call| call.estimate.tokens()).sum();
    let costs: Option<u64> = calls.iter().map(|call| call.estimate.cost_micros).sum();
    output.line(format!(
        "dry run: {} calls for {} agents, at most {tokens} tokens and {}; retries and corrections come on top",
        calls.len(),
        previews.len(),
        sent::cost(costs)
    ));
    if !env.config.llm.enabled {
        output.line("no model is asked: it is switched off");
    }
    for (name, preview) in &previews {
        if let Some(reason) = &preview.reason {
            let name = output.paint(Tone::Strong, name.as_str());
            output.line(format!("\n{name}  nothing is asked: {}", safe(reason)));
        }
        for call in &preview.calls {
            sent::preview(output, call);
        }
    }
    Ok(())
}

fn spinner(message: &str) -> ProgressBar {
    // Hidden by indicatif where standard error is no terminal.
    let bar = ProgressBar::new_spinner().with_message(message.to_owned());
    bar.set_style(ProgressStyle::default_spinner());
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn print(report: &CycleReport, env: &Env) -> Result<(), Failure> {
    let output = &env.output;
    let status = match report.status {
        CycleStatus::Completed => "completed",
        CycleStatus::InsufficientTraces => "insufficient traces",
    };
    output.line(format!(
        "{status}: {} runs analysed, {} findings, {} model answers used, {} agents updated",
        report.traces_analyzed,
        report.patterns_identified,
        report.llm_optimizations,
        report.updates_applied
    ));
    for (name, agent) in &report.agents {
        let runs = agent.figures.runs;
        output.line(format!(
            "\n{}  {} runs, {} successful, reward {}, p50 {} s, {} aborted, {} unlabelled",
            output.paint(Tone::Strong, name.as_str()),
            runs.known(),
            percent(agent.figures.success_rate),
            number(agent.figures.mean_reward, 3),
            number(agent.figures.latency_p50, 1),
            runs.aborted,
            runs.unknown
        ));
        print_agent(agent, env);
    }
    Ok(())
}

fn print_agent(agent: &AgentReport, env: &Env) {
    let output = &env.output;
    for finding in &agent.findings {
        output.line(output.paint(Tone::Faint, &format!("  found    {}", safe(finding))));
    }
    if let (Some(version), Some(author)) = (agent.version, &agent.author) {
        let line = format!("  version  {version} by {}", safe(author));
        output.line(output.paint(Tone::Good, &line));
    }
    for change in &agent.changes {
        output.line(format!("  change   {}", safe(&change.change)));
        output.line(output.paint(Tone::Faint, &format!("           {}", safe(&change.why))));
    }
    for refused in &agent.refused {
        output.line(output.paint(Tone::Bad, &format!("  refused  {}", safe(refused))));
    }
    for one in &agent.considered {
        let changes = one.changes.join("; ");
        let line = format!(
            "  {:<12} {}: {}; {}",
            one.end.name(),
            safe(&one.by),
            safe(&changes),
            safe(&one.why)
        );
        output.line(output.paint(Tone::Faint, &line));
    }
    if agent.llm.calls + agent.llm.cached > 0 {
        let llm = &agent.llm;
        let line = format!(
            "  model    {} calls, {} answers from the log, {} tokens, {}",
            llm.calls,
            llm.cached,
            llm.input_tokens + llm.output_tokens,
            sent::cost(llm.cost_micros)
        );
        output.line(output.paint(Tone::Faint, &line));
    }
    if let Some(fallback) = &agent.llm.fallback {
        output.line(output.paint(Tone::Faint, &format!("  no model {}", safe(fallback))));
    }
    for decision in &agent.decisions {
        output.line(output.paint(Tone::Faint, &format!("  decided  {}", safe(decision))));
    }
}
