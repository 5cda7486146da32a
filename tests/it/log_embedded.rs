//! The embedded log: every log's duties, and what is its own: locks, errors, retention.

use std::fs;
use std::sync::Arc;

use tempfile::TempDir;
use whetstone::base::{EventTime, ManualClock, SystemClock};
use whetstone::consume::{EmbeddedLog, Log, LogError, NewRecord, Topic};

use crate::log_conformance::{
    Backing, NOW, conformance_suite, drain, join, new, poll, read, table, values,
};

use Topic::{AgentEvents, AgentState, AgentTraces, Decisions};

/// A directory that goes when the test ends.
pub(crate) struct Embedded(TempDir);

impl Embedded {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
}

impl Backing for Embedded {
    fn open(&self) -> Box<dyn Log> {
        Box::new(EmbeddedLog::open(self.0.path(), Arc::new(SystemClock)).unwrap())
    }
}

conformance_suite!(Some(Embedded::new()));

fn problem<T>(result: Result<T, LogError>) -> String {
    result.err().map(|error| error.to_string()).unwrap_or_default()
}

/// Asserts that what failed says `part`.
#[track_caller]
fn check_says<T>(result: Result<T, LogError>, part: &str) {
    let problem = problem(result);
    assert!(problem.contains(part), "{problem:?} does not say {part:?}");
}

#[test]
fn a_directory_that_cannot_be_used_is_named_with_what_to_do() {
    let dir = TempDir::new().unwrap();
    let open = |path: &str| EmbeddedLog::open(&dir.path().join(path), Arc::new(SystemClock));
    fs::write(dir.path().join("file"), "").unwrap();
    check_says(open("file"), "file: it is not a directory: set data_dir to one");
    check_says(open("file/below"), "it is not a directory");

    check_says(
        EmbeddedLog::open_read_only(&dir.path().join("nowhere")),
        "there is no whetstone.db in it: is data_dir right?",
    );
    assert!(!dir.path().join("nowhere").exists(), "looking makes nothing");

    fs::create_dir(dir.path().join("other")).unwrap();
    fs::write(dir.path().join("other/whetstone.db"), "x".repeat(8192)).unwrap();
    check_says(open("other"), "the file is damaged or no log");
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = TempDir::new().unwrap();
    drop(EmbeddedLog::open(dir.path(), Arc::new(SystemClock)).unwrap());
    let file = dir.path().join(EmbeddedLog::FILE);
    rusqlite::Connection::open(&file).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for result in [
        EmbeddedLog::open(dir.path(), Arc::new(SystemClock)),
        EmbeddedLog::open_read_only(dir.path()),
    ] {
        check_says(result, "a newer whetstone wrote it (format 99, this one reads 2): upgrade");
    }
}

#[test]
fn a_reader_sees_what_is_appended_and_may_append_nothing() {
    let backing = Embedded::new();
    let log = backing.open();
    log.append(vec![new(AgentTraces, "", "one")]).unwrap();
    drop(log);
    let reader = EmbeddedLog::open_read_only(backing.0.path()).unwrap();
    assert_eq!(values(&read(&reader, AgentTraces)), ["one"]);
    backing.open().append(vec![new(AgentTraces, "", "two")]).unwrap();
    assert_eq!(values(&read(&reader, AgentTraces)), ["one", "two"]);
    check_says(reader.append(vec![new(AgentTraces, "", "three")]), "for reading only");
    check_says(reader.subscribe("group", &[AgentTraces]).map(drop), "for reading only");
}

#[test]
fn a_group_never_has_two_members_that_commit() {
    let backing = Embedded::new();
    let (log, other) = (backing.open(), backing.open());
    log.append(vec![new(AgentTraces, "", "0"), new(AgentTraces, "", "1")]).unwrap();
    for second in [&log, &other] {
        let mut zombie = join(&*log, "group", &[AgentTraces]);
        drain(&mut *zombie);
        let output = |value| vec![new(Decisions, "", value)];
        match second.subscribe("group", &[AgentTraces]) {
            Err(error) => {
                assert!(matches!(error, LogError::Open { .. }), "{error}");
                zombie.commit(output("done")).unwrap();
            }
            Ok(mut successor) => {
                drain(&mut *successor);
                successor.commit(output("done")).unwrap();
                let refused = zombie.commit(output("refused"));
                assert!(matches!(refused, Err(LogError::Fenced { .. })), "{refused:?}");
            }
        }
    }
    assert_eq!(values(&read(&*log, Decisions)), ["done", "done"]);
}

#[test]
fn a_second_member_is_told_who_is_there_already() {
    let backing = Embedded::new();
    let log = backing.open();
    let member = log.subscribe("aggregate", &[AgentTraces]).unwrap();
    check_says(
        backing.open().subscribe("aggregate", &[AgentTraces]).map(drop),
        "this process already consumes group \"aggregate\"",
    );
    drop(member);
    check_says(log.subscribe("../aggregate", &[AgentTraces]).map(drop), "is not a name");
}

#[test]
fn a_zombie_whose_lock_was_lost_is_fenced() {
    let backing = Embedded::new();
    let log = backing.open();
    log.append(vec![new(AgentTraces, "", "one")]).unwrap();
    let mut zombie = join(&*log, "group", &[AgentTraces]);
    drain(&mut *zombie);
    fs::remove_file(backing.0.path().join("group-group.lock")).unwrap();

    let mut successor = join(&*log, "group", &[AgentTraces]);
    let refused = zombie.commit(vec![new(Decisions, "", "zombie"), new(AgentState, "a", "zombie")]);
    assert!(matches!(refused, Err(LogError::Fenced { .. })), "before the successor commits");
    assert_eq!(drain(&mut *successor), ["one"]);
    successor.commit(vec![new(Decisions, "", "successor")]).unwrap();
    assert!(matches!(zombie.commit(Vec::new()), Err(LogError::Fenced { .. })), "and after it");
    assert_eq!(values(&read(&*log, Decisions)), ["successor"]);
    assert_eq!(table(&*log, AgentState), []);
}

#[test]
fn a_clock_that_runs_backwards_moves_no_record_back() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::default());
    let log = EmbeddedLog::open(dir.path(), Arc::clone(&clock) as _).unwrap();
    for now in [5_000, 3_000, 6_000] {
        clock.set(EventTime::from_millis(now));
        log.append(vec![new(AgentTraces, "", "")]).unwrap();
    }
    let times: Vec<_> = read(&log, AgentTraces).iter().map(|r| r.at.as_millis()).collect();
    assert_eq!(times, [5_000, 5_000, 6_000]);
}

#[test]
fn only_what_is_old_and_consumed_by_every_group_is_trimmed() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::default());
    let log = EmbeddedLog::open(dir.path(), Arc::clone(&clock) as _).unwrap();
    for now in 1..=4 {
        clock.set(EventTime::from_millis(now));
        let value = now.to_string();
        let topics = [AgentTraces, AgentEvents, AgentState, Decisions];
        log.append(topics.map(|topic| new(topic, &value, &value)).to_vec()).unwrap();
    }
    let held = |topic| values(&read(&log, topic));
    let old = EventTime::from_millis(4);
    let mut quick = join(&log, "quick", &[AgentTraces]);
    let mut slow = join(&log, "slow", &[AgentTraces]);
    drain(&mut *quick);
    quick.commit(Vec::new()).unwrap();
    assert_eq!(poll(&mut *slow, 2, NOW).len(), 2);
    slow.commit(Vec::new()).unwrap();

    assert_eq!(log.trim(old).unwrap(), 2 + 3);
    assert_eq!(held(AgentTraces), ["3", "4"], "the slow group has still to read 3");
    assert_eq!(held(AgentEvents), ["1", "2", "3", "4"], "nobody has ever consumed it");
    assert_eq!(held(AgentState), ["1", "2", "3", "4"], "compacted");
    assert_eq!(held(Decisions), ["4"], "by age alone");

    assert_eq!(drain(&mut *slow), ["3", "4"]);
    slow.commit(Vec::new()).unwrap();
    assert_eq!(log.trim(EventTime::from_millis(100)).unwrap(), 2 + 1);
    log.append(vec![new(AgentTraces, "", "5")]).unwrap();
    assert_eq!(read(&log, AgentTraces)[0].offset, 4, "no offset is used again");
    assert_eq!(drain(&mut *slow), ["5"]);
}

#[test]
fn more_than_one_batch_is_trimmed() {
    let dir = TempDir::new().unwrap();
    let log = EmbeddedLog::open(dir.path(), Arc::new(ManualClock::default())).unwrap();
    log.append(vec![new(Decisions, "", ""); 2_500]).unwrap();
    assert_eq!(log.trim(EventTime::from_millis(1)).unwrap(), 2_500);
    assert_eq!(read(&log, Decisions), []);
}

#[test]
fn a_tombstone_is_forgotten_when_it_is_old() {
    let dir = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::default());
    let log = EmbeddedLog::open(dir.path(), Arc::clone(&clock) as _).unwrap();
    log.append(vec![new(AgentState, "a", "1"), NewRecord::tombstone(AgentState, "b")]).unwrap();
    clock.set(EventTime::from_millis(10));
    log.append(vec![NewRecord::tombstone(AgentState, "c")]).unwrap();
    assert_eq!(log.trim(EventTime::from_millis(5)).unwrap(), 1);
    let keys: Vec<_> = read(&log, AgentState).into_iter().map(|record| record.key).collect();
    assert_eq!(keys, [b"a", b"c"]);
}

#[test]
fn a_log_of_the_first_layout_is_brought_up_to_date() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join(EmbeddedLog::FILE);
    let old = rusqlite::Connection::open(&file).unwrap();
    old.execute_batch(
        r#"
        CREATE TABLE topics (
            topic TEXT PRIMARY KEY, next INTEGER NOT NULL, last_at INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE records (
            topic TEXT NOT NULL, offset INTEGER NOT NULL, at INTEGER NOT NULL, key TEXT NOT NULL,
            value BLOB NOT NULL, headers TEXT NOT NULL, compacted INTEGER NOT NULL,
            PRIMARY KEY (topic, offset)
        ) STRICT;
        CREATE UNIQUE INDEX latest ON records (topic, key) WHERE compacted;
        CREATE TABLE groups (
            name TEXT NOT NULL, topic TEXT NOT NULL, next INTEGER NOT NULL, epoch INTEGER NOT NULL,
            PRIMARY KEY (name, topic)
        ) STRICT, WITHOUT ROWID;
        INSERT INTO topics VALUES ('agent-traces', 3, 5), ('agent-state', 1, 5);
        INSERT INTO records VALUES
            ('agent-traces', 1, 4, 'ä', x'31', '[]', 0),
            ('agent-traces', 2, 5, '', x'32', '[["agent","a"]]', 0),
            ('agent-state', 0, 5, 'a', x'33', '[]', 1);
        INSERT INTO groups VALUES ('group', 'agent-traces', 2, 1);
        PRAGMA user_version = 1;
        "#,
    )
    .unwrap();
    drop(old);
    check_says(EmbeddedLog::open_read_only(dir.path()), "an older whetstone wrote it");
    let log = EmbeddedLog::open(dir.path(), Arc::new(SystemClock)).unwrap();
    let records = read(&log, AgentTraces);
    assert_eq!(values(&records), ["1", "2"]);
    assert_eq!(records[0].key_text(), "ä");
    assert_eq!(records[1].header("agent"), Some("a"));
    assert_eq!(drain(&mut *join(&log, "group", &[AgentTraces])), ["2"]);
    log.append(vec![new(AgentState, "a", "4")]).unwrap();
    assert_eq!(values(&table(&log, AgentState)), ["4"]);
}
