//! What a process takes, by what the system says of it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};

/// Of a process and all that descend from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Seconds on a core, those of descendants that have ended included.
    pub(crate) cpu: f64,
    /// The sum of each one's peak of resident memory so far, in bytes; 0 once it has ended.
    pub(crate) peak: u64,
    /// Whether the process itself has ended.
    pub(crate) ended: bool,
}

/// Linux counts in these whatever it runs on.
const TICKS_A_SECOND: f64 = 100.0;

struct Stat {
    state: char,
    parent: u32,
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = (11..=14).map(number).sum::<Option<u64>>()?;
    let parent = u32::try_from(number(1)?).ok()?;
    Some(Stat { state: fields.first()?.chars().next()?, parent, ticks })
}

fn peak(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// What `root` has taken so far.
pub(crate) fn usage(root: u32) -> Result<Usage> {
    let numbers = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let all: BTreeMap<_, _> = numbers.filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let ended = all.get(&root).with_context(|| format!("process {root} is gone"))?.state == 'Z';
    let mut usage = Usage { ended, ..Usage::default() };
    for (pid, stat) in &all {
        let ancestors = std::iter::successors(Some(*pid), |pid| Some(all.get(pid)?.parent));
        if ancestors.take(64).any(|ancestor| ancestor == root) {
            #[expect(clippy::cast_precision_loss, reason = "ticks are far below 2^52")]
            let ticks = stat.ticks as f64;
            usage.cpu += ticks / TICKS_A_SECOND;
            usage.peak += peak(*pid).unwrap_or_default();
        }
    }
    Ok(usage)
}
