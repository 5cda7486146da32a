//! `whetstone calls`: the calls to the model that this data directory's log knows of.

use super::Env;
use super::failure::Failure;
use super::output::{Tone, dollars, number, safe, table};
use super::sent;
use crate::app::call_folder;
use crate::base::{AgentName, Day};
use crate::optimize::{LoggedCall, read_calls};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone calls\n  \
    whetstone calls --agent mitigation --day 2026-01-31\n  \
    whetstone calls 3f9a1c22            one call in full, by the beginning of its hash\n  \
    whetstone calls --json\n\n\
    The log is in data_dir/llm-calls, of this instance alone; llm.keep_calls says for how long.")]
pub(super) struct Args {
    /// Show calls with this hash in full; its beginning is enough
    hash: Option<String>,
    /// Only calls for this agent
    #[arg(long)]
    agent: Option<AgentName>,
    /// Only calls of this day, in UTC
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<Day>,
}

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let folder = call_folder(&env.config);
    let mut calls = read_calls(&folder, args.day).map_err(Failure::failed)?;
    calls.retain(|logged| {
        let call = &logged.call;
        args.agent.as_ref().is_none_or(|agent| *agent == call.agent)
            && args.hash.as_ref().is_none_or(|hash| call.hash.as_str().starts_with(hash.as_str()))
    });
    if let Some(hash) = args.hash.as_ref().filter(|_| calls.is_empty()) {
        return Err(Failure::Failed(anyhow::anyhow!(
            "no call {hash:?}: `whetstone calls` lists those in {}",
            folder.display()
        )));
    }
    if env.output.json {
        return env.output.value(&calls);
    }
    if args.hash.is_some() {
        for logged in &calls {
            print(logged, env);
        }
    } else if calls.is_empty() {
        env.output.line(format!("No calls in {}.", folder.display()));
    } else {
        list(&calls, env);
    }
    Ok(())
}

fn list(calls: &[LoggedCall], env: &Env) {
    let heading = [
        "TIME", "AGENT", "REQUEST", "PURPOSE", "MODEL", "TOKENS", "USD", "SECONDS", "ENDED", "HASH",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for LoggedCall { call, answer } in calls {
        let [tokens, usd, seconds] = match answer {
            Some(answer) => [
                format!("{} + {}", answer.input_tokens, answer.output_tokens),
                answer.cost_micros.map_or_else(|| "?".to_owned(), dollars),
                number(Some(answer.seconds), 1),
            ],
            None => {
                let estimate = &call.estimate;
                let usd = estimate.cost_micros.map_or_else(|| "?".to_owned(), dollars);
                let tokens = format!("{} + {}", estimate.input_tokens, estimate.output_tokens);
                [format!("≤ {tokens}"), format!("≤ {usd}"), "-".to_owned()]
            }
        };
        rows.push(vec![
            call.at.to_string(),
            call.agent.to_string(),
            safe(&call.request),
            safe(&call.purpose),
            safe(&call.sent.model),
            tokens,
            usd,
            seconds,
            ended(answer.as_ref().map(|answer| answer.failure.as_deref())).to_owned(),
            call.hash.short().to_owned(),
        ]);
    }
    for (index, line) in table(&rows).into_iter().enumerate() {
        let line = if index == 0 { env.output.paint(Tone::Faint, &line) } else { line };
        env.output.line(line);
    }
}

fn ended(failure: Option<Option<&str>>) -> &'static str {
    match failure {
        Some(None) => "answered",
        Some(Some(_)) => "failed",
        None => "open",
    }
}

fn print(logged: &LoggedCall, env: &Env) {
    let LoggedCall { call, answer } = logged;
    let output = &env.output;
    let title = format!("{}, {} for {}", call.agent, call.purpose, call.request);
    output.line(output.paint(Tone::Strong, &safe(&title)));
    output.line(format!("  hash      {}", call.hash));
    output.line(format!("  made      {}", call.at));
    output.line(format!(
        "  estimate  at most {} tokens read, {} written, {}",
        call.estimate.input_tokens,
        call.estimate.output_tokens,
        sent::cost(call.estimate.cost_micros)
    ));
    match answer {
        None => output.line("  ended     not: it is under way, or whoever made it is gone"),
        Some(answer) => {
            let how = answer.failure.as_deref().unwrap_or("answered");
            output.line(format!("  ended     {}: {}", answer.at, safe(how)));
            output.line(format!(
                "  used      {} tokens read, {} written, {}{}",
                answer.input_tokens,
                answer.output_tokens,
                sent::cost(answer.cost_micros),
                if answer.estimated { ", as estimated" } else { "" }
            ));
        }
    }
    sent::sent(output, &call.sent);
    if let Some(text) = answer.as_ref().and_then(|answer| answer.text.as_ref()) {
        sent::text(output, "answer", text);
    }
    output.line("");
}
