//! Bytewax: python/bytewax_windows.py.

use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Finish, Plan, Turn, here, python, quietly};
use crate::answer::Answer;
use crate::windows::{Key, Sums};

pub(super) fn plan(turn: &Turn<'_>) -> Result<Plan> {
    let program = python().join("bin/python");
    let state = turn.dir.join("recovery");
    std::fs::create_dir(&state)?;
    quietly(Command::new(&program).args(["-m", "bytewax.recovery"]).arg(&state).arg("1"))?;
    let out = format!("{}-windows", turn.id);
    let told = [turn.told(), vec![format!("out={out}")]].concat().join(" ");
    let state = state.display().to_string();
    let threads = turn.options.threads.to_string();
    let words = ["-m", "bytewax.run", "bytewax_windows", "-r", &state];
    // Ten seconds between snapshots, which are kept no longer than needed.
    let more = ["-s", "10", "-b", "0", "-w", &threads];
    Ok(Plan {
        program,
        arguments: words.iter().chain(&more).map(|word| (*word).to_owned()).collect(),
        variables: vec![
            ("BENCH", told),
            ("PYTHONPATH", here().join("python").display().to_string()),
        ],
        topic: Some(out.clone()),
        finish: Finish::Ends,
        answer: Answer::Table { topic: out, read },
    })
}

/// `AGENT/START` and a list of three numbers.
fn read(key: &[u8], value: Option<&[u8]>) -> Result<Option<(Key, Option<Sums>)>> {
    let (agent, start) = std::str::from_utf8(key)?.split_once('/').context("a key of two parts")?;
    let key = (agent.to_owned(), start.parse()?);
    let (runs, successes, reward) = serde_json::from_slice(value.context("a window")?)?;
    Ok(Some((key, Some(Sums { runs, successes, reward }))))
}
