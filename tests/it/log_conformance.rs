//! What every log must do. Each case is generic over where the log is kept; an implementation runs
//! them all with `conformance_suite!(its_backing())`.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use whetstone::consume::{
    Consumer, Log, NewRecord, Partition, Polled, Reached, Record, Share, Start, Subscription, Topic,
};

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
            following_gives_all_and_then_what_comes
            time_never_runs_backwards_within_a_topic
            hostile_keys_and_values_come_back_byte_for_byte
            a_compacted_topic_keeps_the_latest_of_each_key
            a_group_starts_at_the_start_and_reads_in_order
            a_poll_gives_at_most_what_it_is_asked_for
            a_topic_does_not_starve_another
            a_group_goes_on_where_it_last_committed
            what_was_polled_but_not_committed_is_given_again
            a_commit_covers_all_polls_since_the_last
            outputs_and_position_come_together
            nobody_reads_half_a_step
            two_groups_do_not_disturb_each_other
            lag_counts_what_is_still_ahead
            records_done_out_of_order_are_not_given_again
            what_is_done_ahead_is_bounded
            a_step_may_cover_what_was_polled_until_some_time_ago
            a_second_topic_comes_along_with_the_first
            a_group_goes_on_where_another_came_further
            a_tombstone_takes_a_key_away
            a_member_is_told_what_it_has_before_its_first_record
            following_begins_where_it_is_told_to
            leaving_a_group_lets_the_next_member_in
            a_poll_without_records_ends_at_its_timeout
            a_poll_wakes_on_an_append
            a_poll_wakes_on_an_append_through_another_handle
            a_follower_wakes_on_an_append_through_another_handle
            appends_at_once_are_all_kept_in_one_order
        }
    };
    ($backing:expr; $($case:ident)*) => {
        $(#[test]
        fn $case() {
            // None where the log's parts are not to be had, which has been said then.
            let Some(backing) = $backing else { return };
            $crate::log_conformance::$case(&backing);
        })*
    };
}
pub(crate) use conformance_suite;

/// Long enough for any machine; what is waited for comes much sooner.
pub(crate) const GENEROUS: Duration = Duration::from_secs(30);
/// No waiting: only what is there already.
pub(crate) const NOW: Duration = Duration::ZERO;
/// For what may have to come over a network.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

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

/// Everything that is on `topic` now.
pub(crate) fn read(log: &dyn Log, topic: Topic) -> Vec<Record> {
    let mut follower = log.follow(topic, Start::Earliest).unwrap();
    let mut all = Vec::new();
    let begun = Instant::now();
    while !follower.caught_up() {
        assert!(begun.elapsed() < GENEROUS, "it never catches up");
        all.extend(follower.poll(1000, SHORT).unwrap());
    }
    all.extend(follower.poll(1000, NOW).unwrap());
    all
}

fn read_values(log: &dyn Log, topic: Topic) -> Vec<String> {
    values(&read(log, topic))
}

pub(crate) fn table(log: &dyn Log, topic: Topic) -> Vec<Record> {
    log.table(topic, Share::All).unwrap()
}

/// The only member of a group, with everything.
pub(crate) fn join(log: &dyn Log, group: &str, topics: &[Topic]) -> Box<dyn Consumer> {
    let mut consumer = log.subscribe(group, topics).unwrap();
    let begun = Instant::now();
    let mut assigned = 0;
    while assigned < topics.len() {
        assert!(begun.elapsed() < GENEROUS, "it is given nothing");
        match consumer.poll(10, SHORT).unwrap() {
            Polled::Assigned(partitions) => assigned += partitions.len(),
            Polled::Records(records) => assert_eq!(records, [], "before it knows what it has"),
            Polled::Revoked(partitions) => panic!("{partitions:?}"),
        }
    }
    consumer
}

/// The next records; none if none come within `timeout`.
pub(crate) fn poll(consumer: &mut dyn Consumer, max: usize, timeout: Duration) -> Vec<Record> {
    match consumer.poll(max, timeout).unwrap() {
        Polled::Records(records) => records,
        change => panic!("{change:?}"),
    }
}

pub(crate) fn ahead(consumer: &mut dyn Consumer) -> u64 {
    consumer.lag().unwrap().iter().map(|(_, records)| records).sum()
}

/// Everything there is for the consumer now.
pub(crate) fn drain(consumer: &mut dyn Consumer) -> Vec<String> {
    let mut all = Vec::new();
    let begun = Instant::now();
    while ahead(consumer) > 0 {
        assert!(begun.elapsed() < GENEROUS, "it never ends");
        all.extend(values(&poll(consumer, 100, SHORT)));
    }
    all
}

pub(crate) fn an_empty_log_has_nothing_to_give(backing: &dyn Backing) {
    let log = backing.open();
    log.append(Vec::new()).unwrap();
    for topic in Topic::ALL {
        assert_eq!(read(&*log, topic), []);
        assert_eq!(table(&*log, topic), []);
    }
    let mut consumer = join(&*log, "group", &Topic::ALL);
    assert_eq!(poll(&mut *consumer, 10, NOW), []);
    assert_eq!(ahead(&mut *consumer), 0);
    consumer.commit(Vec::new()).unwrap();
}

pub(crate) fn records_are_read_as_they_were_appended(backing: &dyn Backing) {
    let log = backing.open();
    let mut first = new(AgentTraces, "diagnosis", "one");
    first.headers =
        vec![("format".to_owned(), "native".into()), (String::new(), vec![0xC3, 0x28, 0])];
    log.append(vec![first.clone(), new(Decisions, "", "other topic"), new(AgentTraces, "", "two")])
        .unwrap();
    log.append(vec![new(AgentTraces, "diagnosis", "three")]).unwrap();
    drop(log);

    let records = read(&*backing.open(), AgentTraces);
    assert_eq!(values(&records), ["one", "two", "three"]);
    assert!(records.is_sorted_by(|a, b| a.offset < b.offset), "offsets rise");
    assert_eq!(records[0].key, first.key);
    assert_eq!(records[0].headers, first.headers);
    assert_eq!(records[1].key, b"");
    assert_eq!(records[1].headers, []);
}

pub(crate) fn following_gives_all_and_then_what_comes(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..10);
    let mut follower = log.follow(AgentTraces, Start::Earliest).unwrap();
    let mut seen = Vec::new();
    while !follower.caught_up() {
        let records = follower.poll(3, SHORT).unwrap();
        assert!(records.len() <= 3);
        seen.extend(values(&records));
    }
    assert_eq!(seen, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(follower.poll(0, NOW).unwrap(), []);
    append(&*log, AgentTraces, [10]);
    assert_eq!(values(&follower.poll(3, GENEROUS).unwrap()), ["10"]);
}

pub(crate) fn following_begins_where_it_is_told_to(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, Decisions, 0..3);
    let mut latest = log.follow(Decisions, Start::Latest).unwrap();
    assert!(latest.caught_up());
    append(&*log, Decisions, 3..5);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(values(&latest.poll(10, GENEROUS).unwrap()));
    }
    assert_eq!(seen, ["3", "4"]);
    assert_eq!(read_values(&*log, Decisions).len(), 5);
}

pub(crate) fn time_never_runs_backwards_within_a_topic(backing: &dyn Backing) {
    let log = backing.open();
    (0..20).for_each(|value| append(&*log, AgentTraces, [value]));
    let records = read(&*log, AgentTraces);
    assert!(records.is_sorted_by_key(|record| record.at));
    assert!(records[0].at.as_millis() > 0);
}

pub(crate) fn hostile_keys_and_values_come_back_byte_for_byte(backing: &dyn Backing) {
    let log = backing.open();
    let value: Vec<u8> = (0..=255).chain([0, 0xC3, 0x28]).collect();
    let key = "a'; DROP TABLE records; --\0\u{202e}ä";
    log.append(vec![
        NewRecord::new(AgentTraces, key, value.clone()),
        NewRecord::new(AgentState, key, [0]),
        NewRecord::new(AgentTraces, [0xFF, 0, 0xC3], Vec::new()),
    ])
    .unwrap();
    let records = read(&*log, AgentTraces);
    assert_eq!((records[0].key.as_slice(), &records[0].value), (key.as_bytes(), &value));
    assert_eq!((&records[1].key, &records[1].value), (&vec![0xFF, 0, 0xC3], &Vec::new()));
    let record = &table(&*log, AgentState)[0];
    assert_eq!((record.key.as_slice(), record.value.as_slice()), (key.as_bytes(), [0].as_slice()));
}

pub(crate) fn a_compacted_topic_keeps_the_latest_of_each_key(backing: &dyn Backing) {
    let log = backing.open();
    log.append(vec![new(AgentState, "a", "a1"), new(AgentState, "b", "b1")]).unwrap();
    log.append(vec![new(AgentState, "a", "a2"), new(AgentState, "a", "a3")]).unwrap();
    log.append(vec![new(AgentTraces, "a", "t1"), new(AgentTraces, "a", "t2")]).unwrap();
    let first = table(&*log, AgentState);
    assert_eq!(values(&first), ["b1", "a3"]);
    assert!(first.is_sorted_by(|a, b| a.offset < b.offset));
    assert_eq!(read_values(&*log, AgentTraces), ["t1", "t2"], "other topics keep everything");
    assert_eq!(table(&*log, AgentTraces), []);

    log.append(vec![new(AgentState, "b", "b2")]).unwrap();
    let newest = table(&*log, AgentState);
    assert_eq!(values(&newest), ["a3", "b2"]);
    assert!(newest[1].offset > first[1].offset, "an offset is never used again");
    assert_eq!(values(&table(&*backing.open(), AgentState)), ["a3", "b2"]);
    assert_eq!(log.table(AgentState, Share::Of(&[])).unwrap(), []);
    assert_eq!(log.table(AgentState, Share::Of(&[0])).unwrap(), newest);
}

pub(crate) fn a_tombstone_takes_a_key_away(backing: &dyn Backing) {
    let log = backing.open();
    log.append(vec![new(AgentState, "a", "a1"), new(AgentState, "b", "b1")]).unwrap();
    log.append(vec![NewRecord::tombstone(AgentState, "a")]).unwrap();
    assert_eq!(values(&table(&*log, AgentState)), ["b1"]);
    let last = read(&*log, AgentState).pop().unwrap();
    assert_eq!((last.key.as_slice(), last.value.as_slice()), (b"a".as_slice(), b"".as_slice()));
    log.append(vec![new(AgentState, "a", "a2")]).unwrap();
    assert_eq!(values(&table(&*log, AgentState)), ["b1", "a2"]);
}

pub(crate) fn a_member_is_told_what_it_has_before_its_first_record(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..3);
    let mut consumer = log.subscribe("group", &[AgentTraces]).unwrap();
    assert!(!consumer.owns(AgentEvents, "a"));
    let begun = Instant::now();
    let told = loop {
        match consumer.poll(10, SHORT).unwrap() {
            Polled::Assigned(partitions) => break partitions,
            other => assert_eq!(other, Polled::Records(Vec::new())),
        }
        assert!(begun.elapsed() < GENEROUS);
    };
    assert_eq!(told, [Partition { topic: AgentTraces, number: 0 }]);
    assert!(consumer.owns(AgentTraces, "a") && !consumer.owns(AgentEvents, "a"));
    assert_eq!(poll(&mut *consumer, 0, SHORT), [], "asked for nothing");
    assert_eq!(drain(&mut *consumer), ["0", "1", "2"]);
}

pub(crate) fn a_step_may_cover_what_was_polled_until_some_time_ago(backing: &dyn Backing) {
    let output = |value: &str| vec![new(Decisions, "", value)];
    {
        let log = backing.open();
        append(&*log, AgentTraces, 0..9);
        let mut consumer = join(&*log, "group", &[AgentTraces]);
        let mut take = |count: usize| {
            let mut left = count;
            while left > 0 {
                left -= poll(&mut *consumer, left, GENEROUS).len();
            }
            consumer.reached()
        };
        let (three, _five) = (take(3), take(2));
        let at = three.of(Partition { topic: AgentTraces, number: 0 });
        assert_eq!(at, Some(read(&*log, AgentTraces)[3].offset));
        assert_eq!(three.of(Partition { topic: Decisions, number: 0 }), None);
        consumer.commit_until(&Reached::default(), output("nothing")).unwrap();
        consumer.commit_until(&three, output("three")).unwrap();
        // Those that were not polled, and a marker perhaps.
        assert!((4..=5).contains(&ahead(&mut *consumer)), "{}", ahead(&mut *consumer));
        consumer.commit_until(&Reached::default(), output("still three")).unwrap();
    }
    let log = backing.open();
    assert_eq!(read_values(&*log, Decisions), ["nothing", "three", "still three"]);
    let mut consumer = join(&*log, "group", &[AgentTraces]);
    assert_eq!(drain(&mut *consumer), ["3", "4", "5", "6", "7", "8"]);
    consumer.commit(Vec::new()).unwrap();
    drop(consumer);
    assert_eq!(drain(&mut *join(&*log, "group", &[AgentTraces])), [""; 0]);
}

pub(crate) fn a_second_topic_comes_along_with_the_first(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentEvents, 0..2);
    append(&*log, AgentTraces, 2..4);
    let subscription = Subscription {
        group: "group",
        topics: &[AgentEvents],
        beside: Some(AgentTraces),
        ..Subscription::default()
    };
    for _restart in 0..2 {
        let mut consumer = log.join(&subscription).unwrap();
        let begun = Instant::now();
        let mut told = loop {
            match consumer.poll(10, SHORT).unwrap() {
                Polled::Assigned(partitions) => break partitions,
                other => assert_eq!(other, Polled::Records(Vec::new())),
            }
            assert!(begun.elapsed() < GENEROUS);
        };
        told.sort_unstable();
        assert_eq!(told, [AgentTraces, AgentEvents].map(|topic| Partition { topic, number: 0 }));
        assert_eq!(consumer.home(AgentTraces, "a").unwrap().number, 0);
        let mut values = drain(&mut *consumer);
        values.sort_unstable();
        assert_eq!(values, ["0", "1", "2", "3"], "nothing was committed");
    }
    let mut consumer = log.join(&subscription).unwrap();
    while !matches!(consumer.poll(10, SHORT).unwrap(), Polled::Assigned(_)) {}
    assert_eq!(drain(&mut *consumer).len(), 4);
    consumer.commit(Vec::new()).unwrap();
    append(&*log, AgentTraces, 4..5);
    assert_eq!(drain(&mut *consumer), ["4"]);
    assert_eq!(ahead(&mut *consumer), 0);
}

pub(crate) fn a_group_goes_on_where_another_came_further(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..6);
    let work = |subscription: &Subscription<'_>, count: usize| {
        let mut consumer = log.join(subscription).unwrap();
        while !matches!(consumer.poll(10, SHORT).unwrap(), Polled::Assigned(_)) {}
        let mut done = Vec::new();
        while done.len() < count {
            let records = poll(&mut *consumer, count - done.len(), GENEROUS);
            done.extend(values(&records));
        }
        consumer.commit(Vec::new()).unwrap();
        done
    };
    let topics = &[AgentTraces];
    let one = Subscription { group: "one", topics, ..Subscription::default() };
    let two =
        Subscription { group: "two", topics, after: Some((AgentTraces, "one")), beside: None };
    let back = Subscription { after: Some((AgentTraces, "two")), ..one };
    assert_eq!(work(&one, 2), ["0", "1"]);
    assert_eq!(work(&two, 2), ["2", "3"], "where it was never before");
    assert_eq!(work(&back, 1), ["4"], "where it was before");
    assert_eq!(work(&back, 1), ["5"], "where it came further itself");
    append(&*log, AgentTraces, 6..7);
    assert_eq!(work(&two, 1), ["6"]);
}

pub(crate) fn records_done_out_of_order_are_not_given_again(backing: &dyn Backing) {
    {
        let log = backing.open();
        append(&*log, AgentTraces, 0..6);
        let mut consumer = join(&*log, "group", &[AgentTraces]);
        let mut records = Vec::new();
        while records.len() < 5 {
            let left = 5 - records.len();
            records.extend(poll(&mut *consumer, left, GENEROUS));
        }
        let output = |value: &str| vec![new(Decisions, "", value)];
        consumer.commit_these(&[records[3].place()], output("3 done")).unwrap();
        let two = [records[0].place(), records[4].place()];
        consumer.commit_these(&two, output("0 and 4 done")).unwrap();
    }
    let log = backing.open();
    assert_eq!(read_values(&*log, Decisions), ["3 done", "0 and 4 done"]);
    let mut consumer = join(&*log, "group", &[AgentTraces]);
    assert_eq!(drain(&mut *consumer), ["1", "2", "5"]);
    consumer.commit(Vec::new()).unwrap();
    drop(consumer);
    assert_eq!(drain(&mut *join(&*log, "group", &[AgentTraces])).len(), 0);
}

pub(crate) fn what_is_done_ahead_is_bounded(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..300);
    let mut consumer = join(&*log, "group", &[AgentTraces]);
    let first = loop {
        if let Some(first) = poll(&mut *consumer, 1, GENEROUS).pop() {
            break first;
        }
    };
    let mut done = 0;
    let begun = Instant::now();
    while begun.elapsed() < GENEROUS {
        let records = poll(&mut *consumer, 50, SHORT);
        if records.is_empty() && done >= 200 {
            break;
        }
        done += records.len();
        let places: Vec<_> = records.iter().map(Record::place).collect();
        consumer.commit_these(&places, Vec::new()).unwrap();
    }
    assert_eq!(done, 200, "nothing more is given");
    consumer.commit_these(&[first.place()], Vec::new()).unwrap();
    assert_eq!(drain(&mut *consumer).len(), 99);
}

pub(crate) fn a_group_starts_at_the_start_and_reads_in_order(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..5);
    let mut consumer = join(&*log, "group", &[AgentTraces]);
    assert_eq!(drain(&mut *consumer), ["0", "1", "2", "3", "4"]);
    append(&*log, AgentTraces, 5..7);
    append(&*log, Decisions, 7..9);
    assert_eq!(drain(&mut *consumer), ["5", "6"], "nothing of a topic it did not ask for");
}

pub(crate) fn a_poll_gives_at_most_what_it_is_asked_for(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..5);
    append(&*log, PromptCommands, 0..5);
    let mut consumer = join(&*log, "group", &[AgentTraces, PromptCommands]);
    let mut polled = 0;
    while polled < 10 {
        let records = poll(&mut *consumer, 3, GENEROUS);
        assert!((1..=3).contains(&records.len()));
        polled += records.len();
    }
    assert_eq!(polled, 10);
}

/// A log on other machines fetches ahead, and a record waits behind what is fetched already.
pub(crate) fn a_topic_does_not_starve_another(backing: &dyn Backing) {
    let log = backing.open();
    // Incompressible: what compresses well comes in larger pieces.
    let mut rng = fastrand::Rng::with_seed(7);
    let mut value = || (0..2000).map(|_| rng.u8(..)).collect::<Vec<_>>();
    let backlog: Vec<_> =
        (0..20_000).map(|_| NewRecord::new(AgentTraces, "key", value())).collect();
    log.append(backlog).unwrap();
    append(&*log, PromptCommands, [1000]);
    let mut consumer = join(&*log, "group", &[AgentTraces, PromptCommands]);
    let mut first = 0;
    while !poll(&mut *consumer, 500, GENEROUS).iter().any(|r| r.topic == PromptCommands) {
        first += 500;
        assert!(first <= 15_000, "a command waits behind a whole backlog");
    }
}

pub(crate) fn a_group_goes_on_where_it_last_committed(backing: &dyn Backing) {
    {
        let log = backing.open();
        append(&*log, AgentTraces, 0..3);
        append(&*log, PromptCommands, 10..12);
        let mut consumer = join(&*log, "group", &[AgentTraces, PromptCommands]);
        assert_eq!(drain(&mut *consumer).len(), 5);
        consumer.commit(Vec::new()).unwrap();
    }
    let log = backing.open();
    append(&*log, AgentTraces, 3..5);
    let mut consumer = join(&*log, "group", &[AgentTraces, PromptCommands]);
    assert_eq!(drain(&mut *consumer), ["3", "4"]);
}

pub(crate) fn what_was_polled_but_not_committed_is_given_again(backing: &dyn Backing) {
    {
        let log = backing.open();
        append(&*log, AgentTraces, 0..4);
        let mut consumer = join(&*log, "group", &[AgentTraces]);
        assert_eq!(values(&poll(&mut *consumer, 2, GENEROUS)), ["0", "1"]);
        consumer.commit(Vec::new()).unwrap();
        assert_eq!(values(&poll(&mut *consumer, 2, GENEROUS)), ["2", "3"]);
    }
    let log = backing.open();
    let mut consumer = join(&*log, "group", &[AgentTraces]);
    assert_eq!(drain(&mut *consumer), ["2", "3"]);
}

pub(crate) fn a_commit_covers_all_polls_since_the_last(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..6);
    let mut consumer = join(&*log, "group", &[AgentTraces]);
    for _ in 0..2 {
        assert_eq!(poll(&mut *consumer, 2, GENEROUS).len(), 2);
    }
    consumer.commit(vec![new(Decisions, "", "four done")]).unwrap();
    drop(consumer);
    let mut consumer = join(&*log, "group", &[AgentTraces]);
    assert_eq!(drain(&mut *consumer), ["4", "5"]);
    assert_eq!(read_values(&*log, Decisions), ["four done"]);
}

pub(crate) fn outputs_and_position_come_together(backing: &dyn Backing) {
    {
        let log = backing.open();
        append(&*log, AgentTraces, 0..2);
        let mut consumer = join(&*log, "group", &[AgentTraces]);
        drain(&mut *consumer);
        let outputs = vec![new(AgentEvents, "", "event"), new(AgentState, "a", "state")];
        consumer.commit(outputs).unwrap();
    }
    let log = backing.open();
    assert_eq!(read_values(&*log, AgentEvents), ["event"]);
    assert_eq!(values(&table(&*log, AgentState)), ["state"]);
    let mut consumer = join(&*log, "group", &[AgentTraces, AgentEvents]);
    assert_eq!(drain(&mut *consumer), ["event"], "its own output, in a topic new to it");
}

pub(crate) fn nobody_reads_half_a_step(backing: &dyn Backing) {
    const STEP: u32 = 7;
    let (log, other) = (backing.open(), backing.open());
    let mut consumer = join(&*log, "group", &[AgentTraces]);
    thread::scope(|scope| {
        scope.spawn(move || {
            for step in 0..20 {
                let outputs = (0..STEP).map(|n| new(AgentEvents, "", &format!("{step}.{n}")));
                consumer.commit(outputs.collect()).unwrap();
            }
        });
        let mut seen = 0;
        while seen < 20 * STEP as usize {
            seen = read(&*other, AgentEvents).len();
            assert_eq!(seen % STEP as usize, 0);
        }
    });
}

pub(crate) fn two_groups_do_not_disturb_each_other(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..3);
    let mut one = join(&*log, "one", &[AgentTraces]);
    let mut two = join(&*log, "two", &[AgentTraces]);
    assert_eq!(drain(&mut *one).len(), 3);
    one.commit(Vec::new()).unwrap();
    assert_eq!(drain(&mut *two).len(), 3);
    drop((one, two));
    assert_eq!(drain(&mut *join(&*log, "one", &[AgentTraces])).len(), 0);
    assert_eq!(drain(&mut *join(&*log, "two", &[AgentTraces])).len(), 3);
}

pub(crate) fn lag_counts_what_is_still_ahead(backing: &dyn Backing) {
    let log = backing.open();
    append(&*log, AgentTraces, 0..5);
    append(&*log, PromptCommands, 0..2);
    let mut consumer = join(&*log, "group", &[AgentTraces, PromptCommands]);
    // The markers of two transactions may count.
    let some = |records, ahead: u64| assert!((records..=records + 2).contains(&ahead), "{ahead}");
    some(7, ahead(&mut *consumer));
    let polled = poll(&mut *consumer, 3, GENEROUS).len() as u64;
    some(7 - polled, ahead(&mut *consumer));
    drain(&mut *consumer);
    assert_eq!(ahead(&mut *consumer), 0);
    append(&*log, AgentTraces, 0..4);
    some(4, ahead(&mut *consumer));
}

pub(crate) fn leaving_a_group_lets_the_next_member_in(backing: &dyn Backing) {
    let (log, other) = (backing.open(), backing.open());
    append(&*log, AgentTraces, 0..2);
    for log in [&log, &other, &log] {
        let mut consumer = join(&**log, "group", &[AgentTraces]);
        assert_eq!(drain(&mut *consumer).len(), 2);
    }
}

pub(crate) fn a_poll_without_records_ends_at_its_timeout(backing: &dyn Backing) {
    let log = backing.open();
    let mut consumer = join(&*log, "group", &[AgentTraces]);
    let (start, timeout) = (Instant::now(), Duration::from_millis(120));
    assert_eq!(poll(&mut *consumer, 10, timeout), []);
    assert!(start.elapsed() >= timeout);
    let mut follower = log.follow(AgentTraces, Start::Earliest).unwrap();
    let start = Instant::now();
    assert_eq!(follower.poll(10, timeout).unwrap(), []);
    assert!(start.elapsed() >= timeout);
}

/// `appender` appends while `log` polls: the poll ends long before its timeout.
fn check_wakes(log: &dyn Log, appender: &dyn Log) {
    let mut consumer = join(log, "group", &[AgentTraces]);
    let (polling, is_polling) = mpsc::channel();
    thread::scope(|scope| {
        let polled = scope.spawn(move || {
            polling.send(()).unwrap();
            let start = Instant::now();
            (poll(&mut *consumer, 10, GENEROUS), start.elapsed())
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

pub(crate) fn a_follower_wakes_on_an_append_through_another_handle(backing: &dyn Backing) {
    let (log, other) = (backing.open(), backing.open());
    let mut follower = log.follow(AgentTraces, Start::Latest).unwrap();
    let (following, is_following) = mpsc::channel();
    thread::scope(|scope| {
        let followed = scope.spawn(move || {
            following.send(()).unwrap();
            let start = Instant::now();
            (follower.poll(10, GENEROUS).unwrap(), start.elapsed())
        });
        is_following.recv_timeout(GENEROUS).unwrap();
        append(&*other, AgentTraces, [1]);
        let (records, elapsed) = followed.join().unwrap();
        assert_eq!(values(&records), ["1"]);
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
    let records = read(&*handles[0], AgentEvents);
    assert_eq!(records, read(&*handles[1], AgentEvents));
    assert!(records.is_sorted_by(|a, b| a.offset < b.offset));
    for thread in 0..4 {
        let of_thread = |value: &u32| value / 1000 == thread;
        let seen: Vec<u32> =
            values(&records).iter().map(|v| v.parse().unwrap()).filter(of_thread).collect();
        assert_eq!(seen, (thread * 1000..thread * 1000 + EACH).collect::<Vec<_>>());
    }
    assert_eq!(values(&table(&*handles[1], AgentState)), ["24"; 4]);
}
