//! What benches on a broker of their own share.

use std::process::Command;

pub(crate) type Failure = Box<dyn std::error::Error>;

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Asks `deploy/dev/kafka` for something; the last line of its answer.
pub(crate) fn kafka(arguments: &[&str]) -> Result<String, Failure> {
    let root = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(format!("{root}/deploy/dev/kafka"))
        .args(arguments)
        .args(["--dir", &format!("{root}/target/kafka-bench")])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let output = String::from_utf8(output.stdout)?;
    Ok(output.lines().last().unwrap_or_default().to_owned())
}
