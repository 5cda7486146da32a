//! One contender's turn at one load: started, watched until all is committed, ended, and its windows checked.

use std::fs::File;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::broker::{Broker, pinned};
use crate::cluster::Cluster;
use crate::contenders::{Finish, Kind, Plan, Turn};
use crate::measure::usage;
use crate::produce::Produced;
use crate::progress::Stage;

const LOOK: Duration = Duration::from_millis(50);
/// How long one that was told to end may take.
const ENDED: Duration = Duration::from_secs(30);

/// What a turn showed. Seconds and CPU are from the first look that saw records committed, so that no start is
/// in them, and `records` are those that came after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// Seconds until that first look.
    pub(crate) startup: f64,
    pub(crate) records: u64,
    pub(crate) seconds: f64,
    /// Seconds of the contender on a core.
    pub(crate) cpu: f64,
    /// Seconds of the broker on a core.
    pub(crate) broker_cpu: f64,
    /// Bytes of resident memory at the peak, over the whole turn.
    pub(crate) peak: u64,
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    /// Tells it to end, and waits until it has.
    fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).context("a pid")?;
        kill_process(pid, Signal::TERM)?;
        let begun = Instant::now();
        while self.0.try_wait()?.is_none() {
            if begun.elapsed() > ENDED {
                bail!("it did not end within {ENDED:?}");
            }
            std::thread::park_timeout(LOOK);
        }
        Ok(())
    }
}

/// Whatever comes of it, nothing is left for the next turn to meet; what a failed one kept and said stays in its
/// folder.
pub(crate) fn take(
    kind: Kind,
    turn: &Turn<'_>,
    (broker, cluster): (&Broker, &Cluster),
    produced: &Produced,
) -> Result<Measured> {
    std::fs::create_dir_all(&turn.dir)?;
    let plan = kind.plan(turn)?;
    if let Some(topic) = &plan.topic {
        cluster.create_topic(topic)?;
    }
    let result = attempt(&plan, turn, broker, produced);
    if let Finish::Drained(stages) = &plan.finish {
        // The others have groups of this turn's own.
        let mut groups = stages.iter().map(Stage::group).filter(|group| *group != turn.id);
        groups.try_for_each(|group| cluster.delete_group(group))?;
    }
    cluster.delete_topics(Some(&turn.load.topic()))?;
    if result.is_ok() {
        std::fs::remove_dir_all(&turn.dir)?;
    }
    result
}

fn attempt(plan: &Plan, turn: &Turn<'_>, broker: &Broker, produced: &Produced) -> Result<Measured> {
    let mut running = start(plan, turn)?;
    let watch = Watch { turn, broker, pid: running.0.id(), begun: Instant::now(), peak: 0 };
    let measured = watch.until(&plan.finish);
    let measured = measured.map_err(|problem| anyhow!("{problem:#}{}", last_words(turn)))?;
    match &plan.finish {
        // Before it is told to end, as it might commit the rest only then.
        Finish::Drained(_) => {
            plan.answer.check(turn.brokers, produced)?;
            running.stop()?;
        }
        Finish::Ends => {
            let status = running.0.wait()?;
            ensure!(status.success(), "it ended with {status}{}", last_words(turn));
            plan.answer.check(turn.brokers, produced)?;
        }
    }
    Ok(measured)
}

fn start(plan: &Plan, turn: &Turn<'_>) -> Result<Running> {
    let said = File::create(turn.said())?;
    let mut command = pinned(&plan.program, turn.options.contender_cpus());
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("WHETSTONE_"));
    ours.for_each(|(name, _)| {
        command.env_remove(name);
    });
    let child = command
        .args(&plan.arguments)
        .envs(plan.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(&turn.dir)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .spawn()
        .with_context(|| format!("start {}", plan.program.display()))?;
    Ok(Running(child))
}

/// The end of what it said, for whoever has to find out what is wrong.
fn last_words(turn: &Turn<'_>) -> String {
    let said = std::fs::read(turn.said()).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said.lines().rev().take(20).collect();
    lines.into_iter().rev().map(|line| format!("\n  | {line}")).collect()
}

/// A moment of a turn.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    records: u64,
    cpu: f64,
    broker: f64,
    ended: bool,
}

struct Watch<'a> {
    turn: &'a Turn<'a>,
    broker: &'a Broker,
    pid: u32,
    begun: Instant,
    peak: u64,
}

impl Watch<'_> {
    fn until(mut self, finish: &Finish) -> Result<Measured> {
        let mut first = None;
        loop {
            let records = self.records(finish)?;
            let drained = match finish {
                Finish::Drained(stages) if records >= self.turn.load.traces => all_drained(stages)?,
                Finish::Drained(_) | Finish::Ends => false,
            };
            let look = self.look(records)?;
            if records > 0 || look.ended {
                first = first.or(Some(look));
            }
            let done = match finish {
                Finish::Drained(_) if look.ended => bail!("it ended before all was committed"),
                Finish::Drained(_) => drained,
                Finish::Ends => look.ended,
            };
            if let Some(first) = first.filter(|_| done) {
                return self.measured(first, look, finish);
            }
            if self.begun.elapsed() > self.turn.options.limit() {
                let limit = self.turn.options.limit;
                match finish {
                    Finish::Drained(_) => bail!("{records} records after {limit} s"),
                    Finish::Ends => bail!("not done after {limit} s"),
                }
            }
            std::thread::park_timeout(LOOK);
        }
    }

    /// How many it has committed; or 1 as soon as it says that it has one, where it tells no more.
    fn records(&self, finish: &Finish) -> Result<u64> {
        match finish {
            Finish::Drained(stages) => stages.first().map_or(Ok(0), Stage::done),
            Finish::Ends => {
                let said = std::fs::read_to_string(self.turn.said())?;
                Ok(u64::from(said.lines().any(|line| line == "first")))
            }
        }
    }

    fn look(&mut self, records: u64) -> Result<Look> {
        let at = Instant::now();
        let (own, broker) = (usage(self.pid)?, usage(self.broker.pid)?);
        self.peak = self.peak.max(own.peak);
        Ok(Look { at, records, cpu: own.cpu, broker: broker.cpu, ended: own.ended })
    }

    fn measured(&self, first: Look, last: Look, finish: &Finish) -> Result<Measured> {
        let all = self.turn.load.traces;
        let before = match finish {
            Finish::Drained(_) => first.records,
            Finish::Ends => 0,
        };
        // Else there is nothing to measure: the load is too small for this contender.
        ensure!(before < all, "it had committed all at the first look: use a larger load");
        Ok(Measured {
            startup: (first.at - self.begun).as_secs_f64(),
            records: all - before,
            seconds: (last.at - first.at).as_secs_f64(),
            cpu: last.cpu - first.cpu,
            broker_cpu: last.broker - first.broker,
            peak: self.peak,
        })
    }
}

fn all_drained(stages: &[Stage]) -> Result<bool> {
    for stage in stages {
        if !stage.is_drained()? {
            return Ok(false);
        }
    }
    Ok(true)
}
