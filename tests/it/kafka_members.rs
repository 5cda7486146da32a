//! Members of a group on Kafka: shared work, members that come, go, hang and die in the middle of a
//! step. Each input is transformed exactly once, by whoever has it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use whetstone::consume::{
    Consumer, KafkaLog, KafkaSettings, Log, LogError, NewRecord, Partition, Polled, Reached,
    Record, Subscription, Topic, partition_of,
};

use crate::broker::OnKafka;
use crate::log_conformance::{GENEROUS, SHORT, drain, join, new, poll, read, table, values};

use Topic::{AgentEvents, AgentState, AgentTraces, Decisions};

/// Sessions as short as the broker allows, so that the dead are noticed soon.
fn be_impatient(settings: &mut KafkaSettings) {
    for (name, value) in [("session.timeout.ms", "1500"), ("heartbeat.interval.ms", "300")] {
        settings.properties.insert(name.to_owned(), value.to_owned().into());
    }
}

/// A handle as another instance has it.
fn another(on_kafka: &OnKafka, name: &str) -> KafkaLog {
    let instance = Some(name.to_owned());
    KafkaLog::open(KafkaSettings { instance, ..on_kafka.settings.clone() }).unwrap()
}

fn fill(log: &dyn Log, inputs: std::ops::Range<u32>) {
    for first in inputs.clone().step_by(100) {
        let batch = first..(first + 100).min(inputs.end);
        log.append(batch.map(|n| new(AgentTraces, &format!("k{n}"), &n.to_string())).collect())
            .unwrap();
    }
}

/// One step: polls, and commits one output for each input. What it has, and how many it did.
fn work(consumer: &mut dyn Consumer, max: usize) -> u32 {
    match consumer.poll(max, SHORT).unwrap() {
        Polled::Records(records) => {
            let output =
                |record: &Record| new(AgentEvents, "a", &values(std::slice::from_ref(record))[0]);
            consumer.commit(records.iter().map(output).collect()).unwrap();
            u32::try_from(records.len()).unwrap()
        }
        Polled::Assigned(_) | Polled::Revoked(_) => 0,
    }
}

fn check_each_once(log: &dyn Log, inputs: u32) {
    let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
    for value in values(&read(log, AgentEvents)) {
        *counts.entry(value.parse().unwrap()).or_default() += 1;
    }
    let wrong: Vec<_> = (0..inputs)
        .map(|n| (n, counts.get(&n).copied().unwrap_or_default()))
        .filter(|(_, times)| *times != 1)
        .collect();
    assert!(wrong.is_empty(), "not once: {wrong:?}");
    assert_eq!(counts.len(), inputs as usize);
}

#[test]
fn members_that_come_and_go_lose_and_repeat_nothing() {
    const INPUTS: u32 = 3_000;
    let all = AtomicU32::new(0);
    let Some(on_kafka) = OnKafka::new(6, module_path!()) else { return };
    let log = on_kafka.log();
    fill(&log, 0..INPUTS);
    std::thread::scope(|scope| {
        for number in 0..3 {
            let (on_kafka, all) = (&on_kafka, &all);
            scope.spawn(move || {
                let log = another(on_kafka, &format!("member-{number}"));
                let begun = Instant::now();
                // Each leaves in the middle and comes back, at other times.
                for life in 0..3 {
                    let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
                    let (mut own, enough) = (0, 200 + 130 * number);
                    while all.load(Ordering::SeqCst) < INPUTS && (life == 2 || own < enough) {
                        assert!(begun.elapsed() < GENEROUS * 2);
                        let done = work(&mut *consumer, 37);
                        own += done;
                        all.fetch_add(done, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    check_each_once(&log, INPUTS);
}

#[test]
fn a_second_member_gets_its_share_and_owns_what_it_is_told() {
    let Some(on_kafka) = OnKafka::new(4, module_path!()) else { return };
    let (log, other) = (another(&on_kafka, "one"), another(&on_kafka, "two"));
    let mut one = log.subscribe("group", &[AgentEvents]).unwrap();
    let mut two = other.subscribe("group", &[AgentEvents]).unwrap();
    let mut shares = [0_usize; 2];
    let begun = Instant::now();
    while shares != [2, 2] {
        assert!(begun.elapsed() < GENEROUS, "{shares:?}");
        for (consumer, share) in [&mut one, &mut two].into_iter().zip(&mut shares) {
            match consumer.poll(1, SHORT).unwrap() {
                Polled::Assigned(partitions) => *share += partitions.len(),
                Polled::Revoked(partitions) => *share -= partitions.len(),
                Polled::Records(records) => assert_eq!(records, []),
            }
        }
    }
    for number in 0..50 {
        let agent = format!("agent-{number}");
        let owners = [&one, &two].map(|consumer| consumer.owns(AgentEvents, &agent));
        assert_eq!(owners.iter().filter(|owns| **owns).count(), 1, "{agent}");
    }
    log.append((0..50).map(|n| new(AgentEvents, &format!("agent-{n}"), "x")).collect()).unwrap();
    let mut seen = 0;
    while seen < 50 {
        assert!(begun.elapsed() < GENEROUS);
        for consumer in [&mut one, &mut two] {
            let Polled::Records(records) = consumer.poll(50, SHORT).unwrap() else { continue };
            for record in records {
                assert!(consumer.owns(AgentEvents, &record.key_text()));
                assert_eq!(record.partition, partition_of(&record.key, 4));
                seen += 1;
            }
        }
    }
}

#[test]
fn a_topic_that_comes_along_is_shared_out_as_the_other_is() {
    let Some(on_kafka) = OnKafka::new(4, module_path!()) else { return };
    let logs = ["one", "two"].map(|name| another(&on_kafka, name));
    let subscription = Subscription {
        group: "group",
        topics: &[AgentEvents],
        beside: Some(AgentTraces),
        ..Subscription::default()
    };
    let mut members: Vec<_> = logs.iter().map(|log| log.join(&subscription).unwrap()).collect();
    let mut shares: Vec<BTreeSet<_>> = vec![BTreeSet::new(); 2];
    let begun = Instant::now();
    let together = |share: &BTreeSet<Partition>| {
        let numbers =
            |topic| share.iter().filter(move |one| one.topic == topic).map(|one| one.number);
        assert!(numbers(AgentEvents).eq(numbers(AgentTraces)), "{share:?}");
    };
    let turn = |members: &mut Vec<Box<dyn Consumer>>, shares: &mut Vec<BTreeSet<_>>| {
        for (consumer, share) in members.iter_mut().zip(shares) {
            match consumer.poll(1, SHORT).unwrap() {
                Polled::Assigned(partitions) => share.extend(partitions),
                Polled::Revoked(gone) => share.retain(|partition| !gone.contains(partition)),
                Polled::Records(records) => assert_eq!(records, []),
            }
            together(share);
        }
    };
    while shares.iter().any(|share| share.len() != 4) {
        assert!(begun.elapsed() < GENEROUS, "{shares:?}");
        turn(&mut members, &mut shares);
    }
    // The other one leaves, and all comes to the one that stays.
    drop(members.pop());
    shares.pop();
    while shares[0].len() != 8 {
        assert!(begun.elapsed() < GENEROUS * 2, "{shares:?}");
        turn(&mut members, &mut shares);
    }
    let log = &logs[0];
    log.append((0..20).map(|n| new(AgentTraces, &n.to_string(), "x")).collect()).unwrap();
    let mut seen = 0;
    while seen < 20 {
        assert!(begun.elapsed() < GENEROUS * 3, "{seen} of 20");
        seen += poll(&mut *members[0], 50, SHORT).len();
    }
    members[0].commit(Vec::new()).unwrap();
}

#[test]
fn a_topic_that_comes_along_must_have_as_many_partitions() {
    let Some(on_kafka) = OnKafka::new(2, module_path!()) else { return };
    let log = another(&on_kafka, "one");
    let topics = &[AgentEvents];
    let uneven = Subscription {
        group: "group",
        topics,
        beside: Some(Topic::OptimizationRequests),
        ..Subscription::default()
    };
    grow(&on_kafka, Topic::OptimizationRequests, 3);
    let refused = log.join(&uneven).err().map(|problem| problem.to_string()).unwrap_or_default();
    assert!(refused.contains("kafka.traces_keyed_by_agent"), "{refused}");
}

#[test]
fn a_halted_member_that_is_given_more_goes_on_with_all_of_it() {
    let Some(on_kafka) = OnKafka::new(2, module_path!()) else { return };
    let (log, other) = (another(&on_kafka, "stays"), another(&on_kafka, "leaves"));
    let mut stays = log.subscribe("group", &[AgentEvents]).unwrap();
    let mut leaves = Some(other.subscribe("group", &[AgentEvents]).unwrap());
    let begun = Instant::now();
    let mut shares = [0_usize; 2];
    let mut had_one = false;
    // Asking for nothing halts it, before and after it is given the other's partition.
    while !(had_one && shares[0] == 2) {
        assert!(begun.elapsed() < GENEROUS, "{shares:?}");
        let members = [Some(&mut stays), leaves.as_mut()].into_iter().flatten();
        for (consumer, share) in members.zip(&mut shares) {
            match consumer.poll(0, SHORT).unwrap() {
                Polled::Assigned(partitions) => *share += partitions.len(),
                Polled::Revoked(partitions) => *share -= partitions.len(),
                Polled::Records(records) => assert_eq!(records, []),
            }
        }
        if shares == [1, 1] {
            had_one = true;
            leaves = None;
        }
    }
    log.append((0..40).map(|n| new(AgentEvents, &format!("agent-{n}"), "x")).collect()).unwrap();
    let mut seen = 0;
    while seen < 40 {
        assert!(begun.elapsed() < GENEROUS, "{seen} of 40: a partition stands still");
        seen += poll(&mut *stays, 50, SHORT).len();
    }
}

#[test]
fn who_hung_for_too_long_commits_nothing() {
    let Some(mut on_kafka) = OnKafka::new(1, module_path!()) else { return };
    be_impatient(&mut on_kafka.settings);
    let patience = ("max.poll.interval.ms".to_owned(), "2000".to_owned().into());
    on_kafka.settings.properties.extend([patience]);
    let log = another(&on_kafka, "hangs");
    log.append(vec![new(AgentTraces, "", "input")]).unwrap();
    let mut hangs = join(&log, "group", &[AgentTraces]);
    assert_eq!(drain(&mut *hangs), ["input"]);

    // It does not poll while another one joins, is given the partition, and does the work.
    let other = another(&on_kafka, "takes-over");
    let mut takes_over = join(&other, "group", &[AgentTraces]);
    assert_eq!(drain(&mut *takes_over), ["input"]);
    takes_over.commit(vec![new(Decisions, "", "successor")]).unwrap();

    let late = vec![new(Decisions, "", "late"), new(AgentState, "a", "late")];
    // Not even a step that moves no position.
    let refused = hangs.commit_until(&Reached::default(), late).unwrap_err();
    assert!(matches!(refused, LogError::Lost { .. }), "{refused}");
    assert!(refused.is_passing());
    assert_eq!(values(&read(&log, Decisions)), ["successor"]);
    assert_eq!(table(&log, AgentState), []);
}

#[test]
fn of_two_with_one_name_the_older_is_fenced() {
    let Some(on_kafka) = OnKafka::new(1, module_path!()) else { return };
    let log = another(&on_kafka, "same");
    log.append(vec![new(AgentTraces, "", "input")]).unwrap();
    let mut older = join(&log, "group", &[AgentTraces]);
    assert_eq!(drain(&mut *older), ["input"]);
    let _newer = another(&on_kafka, "same").subscribe("group", &[AgentTraces]).unwrap();
    let refused = older.commit(vec![new(Decisions, "", "older")]).unwrap_err();
    assert!(matches!(refused, LogError::Fenced { .. }), "{refused}");
    assert!(refused.to_string().contains("kafka.instance"), "{refused}");
    assert_eq!(values(&read(&log, Decisions)), [""; 0]);
}

#[test]
fn what_was_done_ahead_is_not_done_again_by_the_next_owner() {
    let Some(on_kafka) = OnKafka::new(1, module_path!()) else { return };
    let log = another(&on_kafka, "first");
    fill(&log, 0..5);
    let mut first = join(&log, "group", &[AgentTraces]);
    let mut records = Vec::new();
    while records.len() < 5 {
        records.extend(poll(&mut *first, 5, GENEROUS));
    }
    first.commit_these(&[records[1].place(), records[3].place()], Vec::new()).unwrap();
    drop(first);
    let mut next = join(&another(&on_kafka, "next"), "group", &[AgentTraces]);
    assert_eq!(drain(&mut *next), ["0", "2", "4"]);
}

const BROKERS: &str = "WHETSTONE_TEST_MEMBER_BROKERS";
const PREFIX: &str = "WHETSTONE_TEST_MEMBER_PREFIX";
const DIRECTORY: &str = "WHETSTONE_TEST_MEMBER_DIRECTORY";

/// Works until it is killed or kills itself. Only does something as a child process.
#[test]
fn the_member_to_be_killed() {
    let Ok(brokers) = std::env::var(BROKERS) else { return };
    let _failpoints = fail::FailScenario::setup();
    let directory = std::env::var(DIRECTORY).unwrap();
    let prefix = std::env::var(PREFIX).unwrap();
    let mut settings = KafkaSettings { prefix, ..KafkaSettings::new(brokers, directory) };
    be_impatient(&mut settings);
    let log = KafkaLog::open(settings).unwrap();
    let mut consumer = join(&log, "group", &[AgentTraces]);
    let count = |log: &KafkaLog| {
        table(log, AgentState)
            .first()
            .map_or(0, |r| String::from_utf8_lossy(&r.value).parse().unwrap())
    };
    // Its state is restored when it has its partition, and before its first record.
    let mut done: u32 = count(&log);
    loop {
        let records = poll(&mut *consumer, 10, SHORT);
        done += u32::try_from(records.len()).unwrap();
        let mut outputs: Vec<_> =
            values(&records).iter().map(|value| new(AgentEvents, "a", value)).collect();
        if !outputs.is_empty() {
            outputs.push(new(AgentState, "count", &done.to_string()));
        }
        consumer.commit(outputs).unwrap();
    }
}

/// Each half of the step, before and after: whoever dies there leaves nothing half done.
#[test]
fn who_dies_anywhere_in_the_step_leaves_it_whole_or_undone() {
    const INPUTS: u32 = 400;
    let Some(on_kafka) = OnKafka::new(1, module_path!()) else { return };
    let log = on_kafka.log();
    let mut filled = 0;
    let points = ["step-begun", "step-produced", "step-before-commit", "step-committed"];
    for point in points.iter().cycle().take(2 * points.len()) {
        fill(&log, filled..filled + INPUTS / 8);
        filled += INPUTS / 8;
        // At the second step, so that there is something before it.
        let mut child = child(&on_kafka, &format!("{point}=1*off->return"));
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < GENEROUS, "{point}: it does not die");
            assert!(poll_nothing(&log));
        }
    }
    let mut last = child(&on_kafka, "");
    let begun = Instant::now();
    while table(&log, AgentState).first().map(|r| r.value.clone()) != Some(b"400".to_vec()) {
        assert!(
            begun.elapsed() < GENEROUS * 2,
            "not all is done: {:?}",
            values(&table(&log, AgentState))
        );
    }
    last.kill().unwrap();
    last.wait().unwrap();
    assert_eq!(filled, INPUTS);
    check_each_once(&log, INPUTS);
}

/// Lets a moment pass by asking the brokers something.
fn poll_nothing(log: &dyn Log) -> bool {
    log.follow(Decisions, whetstone::consume::Start::Latest)
        .unwrap()
        .poll(1, SHORT)
        .unwrap()
        .is_empty()
}

fn child(on_kafka: &OnKafka, failpoints: &str) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kafka_members::the_member_to_be_killed"])
        .env(BROKERS, &on_kafka.settings.brokers)
        .env(PREFIX, &on_kafka.settings.prefix)
        .env(DIRECTORY, on_kafka.dir.path())
        .env("FAILPOINTS", failpoints)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A predecessor of another name that died with its transaction open: what was committed after it
/// began cannot be read yet, and a restore that did not wait would go on from stale state.
#[test]
fn a_restore_waits_for_a_dead_ones_transaction_to_end() {
    let Some(on_kafka) = OnKafka::new(1, module_path!()) else { return };
    let log = on_kafka.log();
    fill(&log, 0..20);
    let mut dead = child(&on_kafka, "step-before-commit=return");
    let begun = Instant::now();
    while dead.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < GENEROUS);
        assert!(poll_nothing(&log));
    }
    // Committed, and behind the open transaction.
    log.append(vec![new(AgentState, "other", "newest")]).unwrap();
    let restored = table(&log, AgentState);
    assert_eq!(values(&restored), ["newest"], "with what is behind it, and without the dead one's");
}

/// The end of a compacted topic may be markers, or gaps where records were: a restore ends all the same.
#[test]
fn a_restore_ends_where_compaction_took_the_last_records() {
    let Some(on_kafka) = OnKafka::new(1, module_path!()) else { return };
    let log = on_kafka.log();
    set_topic(
        &on_kafka,
        AgentState,
        &[
            ("segment.ms", "100"),
            ("min.cleanable.dirty.ratio", "0.0"),
            ("delete.retention.ms", "0"),
            ("min.compaction.lag.ms", "0"),
            ("max.compaction.lag.ms", "100"),
        ],
    );
    for n in 0..30 {
        let record = |key: &str| new(AgentState, key, &n.to_string());
        log.append(vec![record("a"), record("b")]).unwrap();
        assert!(poll_nothing(&log));
    }
    log.append(vec![NewRecord::tombstone(AgentState, "a"), NewRecord::tombstone(AgentState, "b")])
        .unwrap();
    let begun = Instant::now();
    // Until compaction has been there: fewer records than were written.
    while read(&log, AgentState).len() > 30 {
        assert_eq!(table(&log, AgentState), []);
        assert!(begun.elapsed() < GENEROUS * 2, "never compacted");
    }
    log.append(vec![new(AgentState, "c", "1"), NewRecord::tombstone(AgentState, "c")]).unwrap();
    assert_eq!(table(&log, AgentState), []);
}

fn grow(on_kafka: &OnKafka, topic: Topic, partitions: usize) {
    use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
    let admin: AdminClient<_> = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &on_kafka.settings.brokers)
        .create()
        .unwrap();
    let name = format!("{}{topic}", on_kafka.settings.prefix);
    let more = NewPartitions::new(&name, partitions);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let grown = runtime.block_on(admin.create_partitions([&more], &AdminOptions::new()));
    assert!(grown.unwrap().iter().all(Result::is_ok));
}

fn set_topic(on_kafka: &OnKafka, topic: Topic, settings: &[(&str, &str)]) {
    use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
    let name = format!("{}{topic}", on_kafka.settings.prefix);
    let admin: AdminClient<_> = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", &on_kafka.settings.brokers)
        .create()
        .unwrap();
    let mut change =
        AlterConfig::new(ResourceSpecifier::Topic(&name)).set("cleanup.policy", "compact");
    for (key, value) in settings {
        change = change.set(key, value);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = AdminOptions::new().request_timeout(Some(Duration::from_secs(20)));
    let changed = runtime.block_on(admin.alter_configs([&change], &options)).unwrap();
    changed.into_iter().for_each(|result| drop(result.unwrap()));
}
