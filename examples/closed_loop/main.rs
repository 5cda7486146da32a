//! Does it help? A small agent that a real model drives, improved over some cycles from its own traces,
//! and scored before and after on held-out tasks.
//!
//! ```sh
//! cargo run --release --example closed_loop -- \
//!     --agent-endpoint http://127.0.0.1:8081/v1/ --agent-model qwen2.5-coder-0.5b \
//!     --optimizer-endpoint http://127.0.0.1:8082/v1/ --optimizer-model qwen2.5-coder-1.5b
//! ```
//!
//! The agent turns an operator's request into one JSON command. Its first prompt names the keys; a strict
//! API refuses what breaks rules that the prompt does not state, and says which. A run is a success if the
//! command that the API takes is the one that was meant.
//!
//! ```text
//!  task ─▶ agent ─▶ model          command: what the API takes
//!            │  ◀── command ─ refused, and why
//!            ▼
//!          traces ─▶ whetstone ─▶ config repo ─▶ the agent's next runs
//! ```
//!
//! Arms, each from the same start: `none` (the same prompt measured again: the noise), `oracle` (the rules,
//! written down by hand: the ceiling), `patterns` (Whetstone without a model), `trusting` (the same, with the
//! API's errors trusted to be the operator's own words) and `model` (with a model, and no such trust).
//! On two cores that others used too, a run was seen to take 1 to 3 seconds and a question to the
//! optimizer's model half a minute: the defaults come to some 650 runs and 20 questions.
//! `--cycles 2 --runs 20 --held-out 30` gives a first impression.
//!
//! Options: `--cycles 5 --runs 40 --held-out 60 --seed 1 --temperature 0.7 --set KEY=VALUE --json`.

mod agent;
mod args;
mod arm;
mod chat;
mod command;
mod progress;
mod score;
mod table;
mod task;
mod workspace;

use std::io::Write as _;

use clap::Parser as _;

use self::args::Args;
use self::arm::Bench;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut bench = Bench::new(&args)?;
    let mut reports = Vec::new();
    for arm in &args.arms {
        let report = Box::pin(bench.run(*arm)).await?;
        // A later arm may fail: what took minutes is not lost with it.
        let (before, after) = (&report.before, &report.after);
        let name = arm.name();
        writeln!(
            std::io::stderr().lock(),
            "{name}: {} of {} before, {} after",
            before.hits,
            before.cases,
            after.hits
        )?;
        reports.push(report);
    }
    let text =
        if args.json { serde_json::to_string_pretty(&reports)? } else { table::table(&reports)? };
    writeln!(std::io::stdout().lock(), "{}", text.trim_end())?;
    Ok(())
}
