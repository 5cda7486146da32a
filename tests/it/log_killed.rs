//! Exactly once, although the process that consumes is killed again and again at any instant.

use std::env;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use whetstone::base::SystemClock;
use whetstone::consume::{EmbeddedLog, Log, Topic};

use crate::log_conformance::{GENEROUS, join, new, poll, read, table, values};

const DIRECTORY: &str = "WHETSTONE_TEST_LOG_DIRECTORY";
const KILLS: u64 = 20;
const INPUTS_A_ROUND: u64 = 100;

fn open(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(dir, Arc::new(SystemClock)).unwrap()
}

/// Consume, transform, commit, until an input says to end. Only does something as a child process.
#[test]
fn the_process_to_be_killed() {
    let Some(dir) = env::var_os(DIRECTORY) else { return };
    let log = open(Path::new(&dir));
    let mut consumer = join(&log, "killed", &[Topic::AgentTraces]);
    let mut done = count(&log);
    loop {
        let records = poll(&mut *consumer, 1 + usize::try_from(done % 7).unwrap(), GENEROUS);
        done += records.len() as u64;
        let inputs = values(&records);
        let mut outputs: Vec<_> = inputs
            .iter()
            .map(|input| new(Topic::AgentEvents, "", &format!("{input} done")))
            .collect();
        outputs.push(new(Topic::AgentState, "count", &done.to_string()));
        consumer.commit(outputs).unwrap();
        if inputs.iter().any(|input| input == "end") {
            return;
        }
    }
}

fn spawn(dir: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "log_killed::the_process_to_be_killed"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn count(log: &dyn Log) -> u64 {
    table(log, Topic::AgentState)
        .first()
        .map_or(0, |state| String::from_utf8_lossy(&state.value).parse().unwrap())
}

#[test]
fn every_input_is_transformed_exactly_once_however_often_the_process_is_killed() {
    let dir = TempDir::new().unwrap();
    let log = open(dir.path());
    let (_never, moment) = mpsc::channel::<()>();
    for round in 0..KILLS {
        let first = round * INPUTS_A_ROUND;
        let inputs = first..first + INPUTS_A_ROUND;
        log.append(inputs.map(|n| new(Topic::AgentTraces, "", &n.to_string())).collect()).unwrap();

        let before = count(&log);
        let mut child = spawn(dir.path());
        let deadline = Instant::now() + GENEROUS;
        while count(&log) == before {
            assert!(Instant::now() < deadline, "the child does nothing");
            assert!(moment.recv_timeout(Duration::from_millis(5)).is_err());
        }
        // Nothing is waited for: this spreads the kills over a step, and more than one.
        let spread = Duration::from_micros(round * 7_919 % 6_000);
        assert!(moment.recv_timeout(spread).is_err());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    log.append(vec![new(Topic::AgentTraces, "", "end")]).unwrap();
    assert!(spawn(dir.path()).wait().unwrap().success());

    let total = KILLS * INPUTS_A_ROUND;
    let expected = (0..total).map(|n| n.to_string()).chain(["end".to_owned()]);
    let expected: Vec<_> = expected.map(|input| format!("{input} done")).collect();
    assert_eq!(values(&read(&log, Topic::AgentEvents)), expected);
    assert_eq!(count(&log), total + 1);
}
