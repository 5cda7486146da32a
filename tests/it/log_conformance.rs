//! What every log must do. Each case is generic over where the log is kept; an implementation runs
//! them all with `conformance_suite!(its_backing())`.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use whetstone::consume::{Consumer, Log, LogError, NewRecord, Record, Topic};

/// Where a log is kept. Opening it again after dropping every handle is what a restart is.
pub(crate) trait Backing: Sync {
    /// A new handle; handles may be open at once, as if in several processes.
    fn open(&self) -> Box<dyn Log>;
}

/// Makes a test of every case.
macro_rules! conformance_suite {
    ($backing:expr) => {
        $crate::log_conformance::conformance_suite! { $backing;
            an_empty_log_has_nothing_to_give
            records_are_read_as_they_were_appended
            reading_goes_on_from_any_offset
            time_never_runs_backwards_within_a_topic
            hostile_keys_and_values_come_back_byte_for_byte
            a_compacted_topic_keeps_the_latest_of_each_key
            a_group_starts_at_the_start_and_reads_in_order
            a_poll_gives_at_most_what_it_is_asked_for
            no_topic_starves_another
            a_group_goes_on_where_it_last_committed
            what_was_polled_but_not_committed_is_given_again
            a_commit_covers_all_polls_since_the_last
            outputs_and_position_come_together
            nobody_reads_half_a_step
            two_groups_do_not_disturb_each_other
            lag_counts_what_is_still_ahead
            a_group_never_has_two_members_that_commit
            leaving_a_group_lets_the_next_member_in
            a_poll_without_records_ends_at_its_timeout
            a_poll_wakes_on_an_append
            a_poll_wakes_on_an_append_through_another_handle
            a_wait_wakes_on_an_append_through_another_handle
            appends_at_once_are_all_kept_in_one_order
        }
    };
    ($backing:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            $crate::log_conformance::$case(&$backing);
        })*
    };
}
pub(crate) use conformance_suite;

/// Long enough for any machine; what is waited for comes much sooner.
pub(crate) const GENEROUS: Duration = Duration::from_secs(30);
/// No waiting: only what is there already.
pub(crate) const NOW: Duration = Duration::ZERO;

use Topic::{AgentEvents, AgentState, AgentTraces, Decisions, PromptCommands};

pub(crate) fn new(topic: Topic, key: &str, value: &str) -> NewRecord {
    NewRecord::new(topic, key, value)
}

pub(crate) fn values(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect()
}

fn append(log: &dyn Log, topic: Topic, values: impl IntoIterator<Item = u32>) {
    let records = values.into_iter().map(|value| new(topic, "key", &value.to_string()));
    log.append(records.collect()).unwrap();
}

fn read(log: &dyn Log, topic: Topic) -> Vec<String> {
    values(&log.read(topic, 0, usize::MAX).unwrap())
}

/// Everything there is for the consumer now.
pub(crate) fn drain(consumer: &mut dyn Consumer) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let records = consumer.poll(100, NOW).unwrap();
        if records.is_empty() {
            return all;
        }
        all.extend(values(&records));
    }
}

pub(crate) fn an_empty_log_has_nothing_to_give(backing: &dyn Backing) {
    let log = backing.open();
    log.append(Vec::new()).unwrap();
    for topic in Topic::ALL {
        assert_eq!(log.read(topic, 0, 10).unwrap(), []);
        assert_eq!(log.table(topic).unwrap(), []);
    }
    let mut consumer = log.subscribe("group", &Topic::ALL).unwrap();
    assert_eq!(consumer.poll(10, NOW).unwrap(), []);
    assert_eq!(consumer.lag().unwrap(), 0);
    consumer.commit(Vec::new()).unwrap();
}

pub(crate) fn records_are_read_as_they_were_appended(backing: &dyn Backing) {
    let log = backing.open();
    let mut first = new(AgentTraces, "diagnosis", "one");
    first.headers =
        vec![("format".to_owned(), "native".to_owned()), (String::new(), "ä".to_owned())];
    log.append(vec![first.clone(), new(Decisions, "", "other topic"), new(AgentTraces, "", "two")])
        .unwrap();
    log.append(vec![new(AgentTraces, "diagnosis", "three")]).unwrap();
    drop(log);

    let records = backing.open().read(AgentTraces, 0, 10).unwrap();
    assert_eq!(values(&records), ["one", "two", "three"]);
    assert!(records.is_sorted_by(|a, b| a.offset < b.offset), "offsets rise");
    assert_eq!(records[0].key, first.key);
    assert_eq!(records[0].headers, first.headers);
    assert_eq!(records[1].key, "");
    assert_eq!(records[1].headers, []);
}

pub(crate) fn reading_goes_on_from_any_offset(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..10);
    let mut offset = 0;
    let mut seen = Vec::new();
    loop {
        let records = log.read(AgentTraces, offset, 3).unwrap();
        assert!(records.len() <= 3);
        let Some(last) = records.last() else { break };
        offset = last.offset + 1;
        seen.extend(values(&records));
    }
    assert_eq!(seen, read(&*log, AgentTraces));
    assert_eq!(log.read(AgentTraces, u64::MAX, 3).unwrap(), []);
    assert_eq!(log.read(AgentTraces, 0, 0).unwrap(), []);
}

pub(crate) fn time_never_runs_backwards_within_a_topic(backing: &dyn Backing) {
    let log = backing.open();
    (0..20).for_each(|value| append(&*log, AgentTraces, [value]));
    let records = log.read(AgentTraces, 0, 100).unwrap();
    assert!(records.is_sorted_by_key(|record| record.at));
    assert!(records[0].at.as_millis() > 0);
}

pub(crate) fn hostile_keys_and_values_come_back_byte_for_byte(backing: &dyn Backing) {
    let log = backing.open();
    let value: Vec<u8> = (0..=255).chain([0, 0xC3, 0x28]).collect();
    let key = "a'; DROP TABLE records; --\0\u{202e}ä";
    log.append(vec![
        NewRecord::new(AgentTraces, key, value.clone()),
        NewRecord::new(AgentState, key, Vec::new()),
    ])
    .unwrap();
    let record = &log.read(AgentTraces, 0, 1).unwrap()[0];
    assert_eq!((record.key.as_str(), &record.value), (key, &value));
    let record = &log.table(AgentState).unwrap()[0];
    assert_eq!((record.key.as_str(), record.value.as_slice()), (key, [].as_slice()));
}

pub(crate) fn a_compacted_topic_keeps_the_latest_of_each_key(backing: &dyn Backing) {
    let log = backing.open();
    log.append(vec![new(AgentState, "a", "a1"), new(AgentState, "b", "b1")]).unwrap();
    log.append(vec![new(AgentState, "a", "a2"), new(AgentState, "a", "a3")]).unwrap();
    log.append(vec![new(AgentTraces, "a", "t1"), new(AgentTraces, "a", "t2")]).unwrap();
    let table = log.table(AgentState).unwrap();
    assert_eq!(values(&table), ["b1", "a3"]);
    assert!(table.is_sorted_by(|a, b| a.offset < b.offset));
    assert_eq!(read(&*log, AgentTraces), ["t1", "t2"], "other topics keep everything");
    assert_eq!(log.table(AgentTraces).unwrap(), []);

    log.append(vec![new(AgentState, "b", "b2")]).unwrap();
    let newest = log.table(AgentState).unwrap();
    assert_eq!(values(&newest), ["a3", "b2"]);
    assert!(newest[1].offset > table[1].offset, "an offset is never used again");
    assert_eq!(values(&backing.open().table(AgentState).unwrap()), ["a3", "b2"]);
}

pub(crate) fn a_group_starts_at_the_start_and_reads_in_order(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..5);
    let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
    assert_eq!(drain(&mut *consumer), ["0", "1", "2", "3", "4"]);
    append(&*log, AgentTraces, 5..7);
    append(&*log, Decisions, 7..9);
    assert_eq!(drain(&mut *consumer), ["5", "6"], "nothing of a topic it did not ask for");
}

pub(crate) fn a_poll_gives_at_most_what_it_is_asked_for(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..5);
    append(&*log, PromptCommands, 0..5);
    let mut consumer = log.subscribe("group", &[AgentTraces, PromptCommands]).unwrap();
    let mut polled = 0;
    while polled < 10 {
        let records = consumer.poll(3, GENEROUS).unwrap();
        assert!((1..=3).contains(&records.len()));
        polled += records.len();
    }
    assert_eq!(polled, 10);
}

pub(crate) fn no_topic_starves_another(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..100);
    append(&*log, PromptCommands, [1000]);
    let mut consumer = log.subscribe("group", &[AgentTraces, PromptCommands]).unwrap();
    let first: Vec<_> = (0..4).flat_map(|_| consumer.poll(10, GENEROUS).unwrap()).collect();
    assert!(values(&first).contains(&"1000".to_owned()), "a command waits behind a backlog");
}

pub(crate) fn a_group_goes_on_where_it_last_committed(backing: &dyn Backing) {
    {
        let log = backing.open();
        append(&*log, AgentTraces, 0..3);
        append(&*log, PromptCommands, 10..12);
        let mut consumer = log.subscribe("group", &[AgentTraces, PromptCommands]).unwrap();
        assert_eq!(drain(&mut *consumer).len(), 5);
        consumer.commit(Vec::new()).unwrap();
    }
    let log = backing.open();
    append(&*log, AgentTraces, 3..5);
    let mut consumer = log.subscribe("group", &[AgentTraces, PromptCommands]).unwrap();
    assert_eq!(drain(&mut *consumer), ["3", "4"]);
}

pub(crate) fn what_was_polled_but_not_committed_is_given_again(backing: &dyn Backing) {
    {
        let log = backing.open();
        append(&*log, AgentTraces, 0..4);
        let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
        assert_eq!(values(&consumer.poll(2, GENEROUS).unwrap()), ["0", "1"]);
        consumer.commit(Vec::new()).unwrap();
        assert_eq!(values(&consumer.poll(2, GENEROUS).unwrap()), ["2", "3"]);
    }
    let log = backing.open();
    let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
    assert_eq!(drain(&mut *consumer), ["2", "3"]);
}

pub(crate) fn a_commit_covers_all_polls_since_the_last(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..6);
    let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
    for _ in 0..2 {
        assert_eq!(consumer.poll(2, GENEROUS).unwrap().len(), 2);
    }
    consumer.commit(vec![new(Decisions, "", "four done")]).unwrap();
    drop(consumer);
    let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
    assert_eq!(drain(&mut *consumer), ["4", "5"]);
    assert_eq!(read(&*log, Decisions), ["four done"]);
}

pub(crate) fn outputs_and_position_come_together(backing: &dyn Backing) {
    {
        let log = backing.open();
        append(&*log, AgentTraces, 0..2);
        let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
        drain(&mut *consumer);
        let outputs = vec![new(AgentEvents, "", "event"), new(AgentState, "a", "state")];
        consumer.commit(outputs).unwrap();
    }
    let log = backing.open();
    assert_eq!(read(&*log, AgentEvents), ["event"]);
    assert_eq!(values(&log.table(AgentState).unwrap()), ["state"]);
    let mut consumer = log.subscribe("group", &[AgentTraces, AgentEvents]).unwrap();
    assert_eq!(drain(&mut *consumer), ["event"], "its own output, in a topic new to it");
}

pub(crate) fn nobody_reads_half_a_step(backing: &dyn Backing) {
    const STEP: u32 = 7;
    let (log, other) = (backing.open(), backing.open());
    let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || {
            for step in 0..20 {
                let outputs = (0..STEP).map(|n| new(AgentEvents, "", &format!("{step}.{n}")));
                consumer.commit(outputs.collect()).unwrap();
            }
        });
        let mut seen = 0;
        while seen < 20 * STEP as usize {
            seen = other.read(AgentEvents, 0, usize::MAX).unwrap().len();
            assert_eq!(seen % STEP as usize, 0);
        }
    });
}

pub(crate) fn two_groups_do_not_disturb_each_other(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..3);
    let mut one = log.subscribe("one", &[AgentTraces]).unwrap();
    let mut two = log.subscribe("two", &[AgentTraces]).unwrap();
    assert_eq!(drain(&mut *one).len(), 3);
    one.commit(Vec::new()).unwrap();
    assert_eq!(drain(&mut *two).len(), 3);
    drop((one, two));
    assert_eq!(drain(&mut *log.subscribe("one", &[AgentTraces]).unwrap()).len(), 0);
    assert_eq!(drain(&mut *log.subscribe("two", &[AgentTraces]).unwrap()).len(), 3);
}

pub(crate) fn lag_counts_what_is_still_ahead(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..5);
    append(&*log, PromptCommands, 0..2);
    let mut consumer = log.subscribe("group", &[AgentTraces, PromptCommands]).unwrap();
    assert_eq!(consumer.lag().unwrap(), 7);
    let polled = consumer.poll(3, GENEROUS).unwrap().len() as u64;
    assert_eq!(consumer.lag().unwrap(), 7 - polled);
    drain(&mut *consumer);
    assert_eq!(consumer.lag().unwrap(), 0);
    append(&*log, AgentTraces, 0..4);
    assert_eq!(consumer.lag().unwrap(), 4);
}

pub(crate) fn a_group_never_has_two_members_that_commit(backing: &dyn Backing) {
    let (log, other) = (backing.open(), backing.open());
    append(&*log, AgentTraces, 0..2);
    for second in [&log, &other] {
        let mut zombie = log.subscribe("group", &[AgentTraces]).unwrap();
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
    assert_eq!(read(&*log, Decisions), ["done", "done"]);
}

pub(crate) fn leaving_a_group_lets_the_next_member_in(backing: &dyn Backing) {
    let (log, other) = (backing.open(), backing.open());
    append(&*log, AgentTraces, 0..2);
    for log in [&log, &other, &log] {
        let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
        assert_eq!(drain(&mut *consumer).len(), 2);
    }
}

pub(crate) fn a_poll_without_records_ends_at_its_timeout(backing: &dyn Backing) {
    let log = backing.open();
    let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
    let (start, timeout) = (Instant::now(), Duration::from_millis(120));
    assert_eq!(consumer.poll(10, timeout).unwrap(), []);
    assert!(start.elapsed() >= timeout);
    let start = Instant::now();
    log.wait(timeout);
    assert!(start.elapsed() >= timeout);
}

/// `appender` appends while `log` polls: the poll ends long before its timeout.
fn check_wakes(log: &dyn Log, appender: &dyn Log) {
    let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
    let (polling, is_polling) = mpsc::channel();
    thread::scope(|scope| {
        let polled = scope.spawn(move || {
            polling.send(()).unwrap();
            let start = Instant::now();
            (consumer.poll(10, GENEROUS).unwrap(), start.elapsed())
        });
        is_polling.recv_timeout(GENEROUS).unwrap();
        append(appender, AgentTraces, [7]);
        let (records, elapsed) = polled.join().unwrap();
        assert_eq!(values(&records), ["7"]);
        assert!(elapsed < GENEROUS / 3, "{elapsed:?}");
    });
}

pub(crate) fn a_poll_wakes_on_an_append(backing: &dyn Backing) {
    let log = backing.open();
    check_wakes(&*log, &*log);
}

pub(crate) fn a_poll_wakes_on_an_append_through_another_handle(backing: &dyn Backing) {
    check_wakes(&*backing.open(), &*backing.open());
}

pub(crate) fn a_wait_wakes_on_an_append_through_another_handle(backing: &dyn Backing) {
    let (log, other) = (backing.open(), backing.open());
    let (woken, has_woken) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            log.wait(GENEROUS);
            woken.send(start.elapsed()).unwrap();
        });
        // An append before the wait begins does not end it, so go on until one has.
        let elapsed = loop {
            append(&*other, AgentTraces, [1]);
            if let Ok(elapsed) = has_woken.recv_timeout(Duration::from_millis(10)) {
                break elapsed;
            }
        };
        assert!(elapsed < GENEROUS / 3, "{elapsed:?}");
    });
}

pub(crate) fn appends_at_once_are_all_kept_in_one_order(backing: &dyn Backing) {
    const EACH: u32 = 25;
    let handles = [backing.open(), backing.open()];
    thread::scope(|scope| {
        for thread in 0..4_u32 {
            let log = &handles[thread as usize % 2];
            scope.spawn(move || {
                for n in 0..EACH {
                    append(&**log, AgentEvents, [thread * 1000 + n]);
                    let state = new(AgentState, &thread.to_string(), &n.to_string());
                    log.append(vec![state]).unwrap();
                }
            });
        }
    });
    let records = handles[0].read(AgentEvents, 0, usize::MAX).unwrap();
    assert_eq!(records, handles[1].read(AgentEvents, 0, usize::MAX).unwrap());
    assert!(records.is_sorted_by(|a, b| a.offset < b.offset));
    for thread in 0..4 {
        let of_thread = |value: &u32| value / 1000 == thread;
        let seen: Vec<u32> =
            values(&records).iter().map(|v| v.parse().unwrap()).filter(of_thread).collect();
        assert_eq!(seen, (thread * 1000..thread * 1000 + EACH).collect::<Vec<_>>());
    }
    assert_eq!(values(&handles[1].table(AgentState).unwrap()), ["24"; 4]);
}
