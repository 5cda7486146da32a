//! The `whetstone` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    whetstone::cli::main()
}
