//! What a trace costs in the pure core.
//!
//! `cargo bench --bench core` takes the time of each operation, by Criterion. `cargo bench --bench core -- instructions`
//! counts its instructions instead, by Valgrind's callgrind: the same number for the same binary, whatever else the
//! machine does and whichever it is of its kind (`--json` for programs).
#![expect(clippy::expect_used, reason = "a bench may stop where its own data is wrong")]

mod instructions;
mod operations;

use std::process::ExitCode;

use criterion::{Criterion, Throughput};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    if let Some(name) = arguments.iter().find_map(|argument| argument.strip_prefix("--only=")) {
        return instructions::child(name);
    }
    if has("instructions") {
        return instructions::count(has("--json"));
    }
    let mut criterion = Criterion::default().configure_from_args();
    for mut operation in operations::operations() {
        let mut group = criterion.benchmark_group("core");
        group.throughput(Throughput::Elements(operation.times));
        group.bench_function(operation.name, |b| b.iter(|| (operation.work)()));
        group.finish();
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}
