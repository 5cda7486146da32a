//! Counts instructions: runs this same binary under Valgrind once for each operation, and counts only what happens in
//! [`measured`].

use std::hint::black_box;
use std::io::Write as _;
use std::process::{Command, ExitCode};

use crate::operations::{Operation, operations};

/// Collecting is on in here alone, found by its name.
#[inline(never)]
fn measured(operation: &mut Operation) -> u64 {
    black_box((operation.work)())
}

/// Does operation `name` once, for whoever counts.
pub(crate) fn child(name: &str) -> ExitCode {
    let found = operations().into_iter().find(|operation| operation.name == name);
    let Some(mut operation) = found else { return ExitCode::FAILURE };
    // What is made once is not part of it.
    (operation.work)();
    measured(&mut operation);
    ExitCode::SUCCESS
}

pub(crate) fn count(json: bool) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let mut counts = serde_json::Map::new();
    for Operation { name, times, .. } in operations() {
        let count = match instructions(name) {
            Ok(count) => count / times,
            Err(problem) => {
                writeln!(std::io::stderr(), "{name}: {problem}").ok();
                return ExitCode::FAILURE;
            }
        };
        counts.insert(name.to_owned(), count.into());
        if !json {
            writeln!(out, "{name:<20} {count:>9} instructions each, of {times}").ok();
        }
    }
    if json {
        writeln!(out, "{}", serde_json::Value::Object(counts)).ok();
    }
    ExitCode::SUCCESS
}

fn instructions(name: &str) -> Result<u64, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = dir.path().join("counts");
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args([
            "--tool=callgrind",
            "--collect-atstart=no",
            "--toggle-collect=*instructions*measured*",
        ])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(this)
        .arg(format!("--only={name}"))
        .output()
        .map_err(|error| {
            format!("valgrind, which counts, cannot be started: {error}; install it")
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse().ok());
    count.filter(|count| *count > 0).ok_or_else(|| format!("nothing was counted: {said}"))
}
