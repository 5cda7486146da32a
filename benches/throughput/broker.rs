//! The broker of deploy/dev, for this bench alone.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The folder of whatever this bench leaves.
pub(crate) fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/throughput")
}

/// `program` on `cpus` alone, if any are named. It does not outlive this process, however that ends.
pub(crate) fn pinned(program: impl AsRef<std::ffi::OsStr>, cpus: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(cpus) = cpus {
        command.args(["taskset", "--cpu-list", cpus]);
    }
    command.arg(program);
    command
}

pub(crate) struct Broker {
    pub(crate) address: String,
    pub(crate) pid: u32,
    /// The broker ends when this does.
    script: Child,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/dev/kafka")
}

fn folder() -> PathBuf {
    place().join("kafka")
}

/// Takes away what a broker left, several GB with the usual loads.
fn clean() -> Result<()> {
    let done = Command::new(script()).args(["clean", "--dir"]).arg(folder()).output()?;
    if !done.status.success() {
        bail!("{}", String::from_utf8_lossy(&done.stderr));
    }
    Ok(())
}

impl Broker {
    /// A new one, with nothing on it.
    pub(crate) fn start(cpus: Option<&str>) -> Result<Self> {
        clean()?;
        let mut command = pinned(script(), cpus);
        let mut script = command
            .args(["run", "--dir"])
            .arg(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start deploy/dev/kafka")?;
        let output = script.stdout.take().context("the broker's script says nothing")?;
        let mut pid = None;
        for line in BufReader::new(output).lines() {
            let line = line?;
            match line.split_once('=') {
                Some(("pid", number)) => pid = number.parse().ok(),
                Some(_) => {}
                None => {
                    let pid = pid.context("the broker's script names no pid")?;
                    return Ok(Self { address: line, pid, script });
                }
            }
        }
        bail!("deploy/dev/kafka ended with {}", script.wait()?);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        self.script.wait().ok();
        // What stays is taken away by the next start.
        clean().ok();
    }
}
