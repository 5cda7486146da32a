//! A server on Kafka, and what other producers may put before it: each record in a window or a dead
//! letter, the server alive, and every run counted once.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use whetstone::base::{EventTime, Metrics};
use whetstone::consume::{
    Consumer, Follower, KafkaLog, Log, LogError, NewRecord, Record, Share, Start, Subscription,
    Topic, partition_of,
};
use whetstone::serve::{ApiError, Server, serve};

use crate::broker::broker;
use crate::log_conformance::read;
use crate::server::Place;

const MB: usize = 1024 * 1024;

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn place(partitions: u32) -> Option<Place> {
    let partitions = format!("kafka.partitions={partitions}");
    Place::on_new_topics(&["kafka.create_topics=true", &partitions], module_path!())
}

pub(crate) fn run(id: &str) -> Value {
    json!({"agent": "sim-triage", "trace_id": id, "start": 1_770_000_000, "end": 1_770_000_009, "outcome": "success"})
}

/// Somebody else's producer.
pub(crate) fn producer(properties: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker("").unwrap().address);
    config.set("message.max.bytes", "100000000");
    for (property, value) in properties {
        config.set(*property, *value);
    }
    config.create().unwrap()
}

pub(crate) fn traces(place: &Place) -> String {
    format!("{}agent-traces", place.kafka().prefix)
}

pub(crate) fn flush(producer: &BaseProducer) {
    producer.flush(Duration::from_secs(30)).unwrap();
}

pub(crate) fn letters(place: &Place) -> Vec<Record> {
    read(&KafkaLog::open(place.kafka()).unwrap(), Topic::DeadLetters)
}

pub(crate) fn header<'a>(record: &'a Record, name: &str) -> &'a [u8] {
    let found = record.headers.iter().find(|(found, _)| found == name);
    found.map(|(_, value)| value.as_slice()).unwrap_or_default()
}

/// Waits until so many runs are counted; none may be counted twice.
pub(crate) async fn counted(place: &Place, runs: u64) {
    let view = place
        .until("/api/agents/sim-triage", |view| view["runs"]["windowed"].as_u64() >= Some(runs))
        .await;
    assert_eq!(view["runs"]["windowed"], runs, "{view:#}");
    assert_eq!(view["runs"]["duplicate"], 0, "{view:#}");
}

/// Waits until so many records could not be read.
pub(crate) async fn refused(place: &Place, letters: u64) {
    for _ in 0..3000 {
        let metrics = reqwest::get(place.url("/metrics")).await.unwrap().text().await.unwrap();
        let counts =
            metrics.lines().filter(|line| line.starts_with("whetstone_dead_letters_total{"));
        let counts = counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        if counts.sum::<u64>() >= letters {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {letters} dead letters: {}", place.server_log());
}

#[test]
fn a_dead_letter_is_the_record_as_it_came_and_its_neighbours_are_counted() {
    let Some(place) = place(1) else { return };
    runtime().block_on(async {
        let mut server = place.start().await;
        let (topic, producer) = (traces(&place), producer(&[]));
        let hostile = OwnedHeaders::new()
            .insert(Header { key: "note", value: Some(&b"\xff\x00\xfe"[..]) })
            .insert(Header { key: "note", value: None::<&[u8]> })
            .insert(Header { key: "agent", value: Some(&b"\xff"[..]) });
        let (one, two, three) = (run("1").to_string(), run("2").to_string(), run("3").to_string());
        let plain = |value| BaseRecord::<[u8], [u8]>::to(&topic).payload(value);
        let send = |record| producer.send(record).map_err(|(error, _)| error).unwrap();
        send(plain(one.as_bytes()).timestamp(0));
        send(plain(b"{\"agent\": ").key(b"\xff\xfekey").headers(hostile));
        send(BaseRecord::to(&topic).key(b"null"));
        send(plain(two.as_bytes()).timestamp(i64::MAX));
        send(plain(b"").key(b"empty"));
        send(plain(three.as_bytes()).timestamp(1).key(b"\x00"));
        flush(&producer);
        counted(&place, 3).await;

        let letters = letters(&place);
        let shown = |letter: &Record| {
            let text = |name| String::from_utf8_lossy(header(letter, name)).into_owned();
            assert_eq!(text("whetstone-topic"), "agent-traces");
            assert_eq!(text("whetstone-partition"), "0");
            assert!(!text("whetstone-detail").is_empty(), "{letter:?}");
            (
                letter.key.clone(),
                letter.value.clone(),
                text("whetstone-offset"),
                text("whetstone-reason"),
            )
        };
        let expected = [
            (&b"\xff\xfekey"[..], &b"{\"agent\": "[..], "1", "malformed_json"),
            (b"null", b"", "2", "malformed_json"),
            (b"empty", b"", "4", "malformed_json"),
        ];
        let expected = expected.map(|(key, value, offset, reason)| {
            (key.to_vec(), value.to_vec(), offset.to_owned(), reason.to_owned())
        });
        assert_eq!(letters.iter().map(shown).collect::<Vec<_>>(), expected);
        let kept: Vec<_> = letters[0].headers.iter().take(3).cloned().collect();
        let note = |value: &[u8]| ("note".to_owned(), value.to_vec());
        assert_eq!(kept, [note(b"\xff\x00\xfe"), note(b""), ("agent".to_owned(), vec![0xff])]);
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
    });
}

#[test]
fn a_header_whose_name_is_no_text_stops_nobody_and_says_nothing() {
    let Some(place) = place(1) else { return };
    if Command::new("kcat").arg("-V").output().is_err() {
        // Not by eprintln, which the test harness keeps to itself.
        writeln!(std::io::stderr(), "skipped: {} (kcat is missing)", module_path!()).unwrap();
        return;
    }
    runtime().block_on(async {
        let mut server = place.start().await;
        let produce = |value: &str| {
            use std::os::unix::ffi::OsStringExt as _;
            let name = std::ffi::OsString::from_vec(b"\xff\xfe=1".to_vec());
            let mut kcat = Command::new("kcat")
                .args(["-q", "-P", "-b", &broker("").unwrap().address, "-t", &traces(&place)])
                .args(["-H", "first=1", "-H"])
                .arg(name)
                .args(["-H", "last=2"])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            kcat.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
            assert!(kcat.wait().unwrap().success());
        };
        produce(&run("1").to_string());
        produce("{\"no\": \"run\"}");
        produce(&run("2").to_string());
        counted(&place, 2).await;
        let letters = letters(&place);
        assert_eq!(letters.len(), 1);
        let names: Vec<_> = letters[0].headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..3], ["first", "whetstone-unreadable-header", "last"]);
        assert_eq!(header(&letters[0], "whetstone-unreadable-header"), b"1");
        assert!(!place.server_log().contains("panicked"), "{}", place.server_log());
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
    });
}

/// So many bytes that hardly compress and are no JSON.
fn noise(bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    std::iter::once(b'{')
        .chain(std::iter::repeat_with(|| random.u8(b' '..=b'~')))
        .take(bytes)
        .collect()
}

async fn post(place: &Place, body: Vec<u8>) -> (u16, Value) {
    let request = Client::new().post(place.url("/api/traces")).body(body);
    let answer = request.header("Content-Type", "application/json").send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[test]
fn what_is_too_large_over_http_is_refused_and_what_just_fits_is_kept_whole() {
    let Some(place) = place(1) else { return };
    runtime().block_on(async {
        let mut server = place.start().await;
        let fits = noise(8 * MB - 10);
        assert_eq!(post(&place, fits.clone()).await, (202, json!({"accepted": 1})));
        let (status, answer) = post(&place, noise(8 * MB + 1)).await;
        assert_eq!(status, 413, "{answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains("agent-traces") && error.contains("send smaller runs"), "{error}");
        // One of several: none is taken.
        let several = [run("1").to_string().into_bytes(), noise(8 * MB + 1)].join(&b'\n');
        assert_eq!(post(&place, several).await.0, 413);
        assert_eq!(post(&place, run("2").to_string().into_bytes()).await.0, 202);
        counted(&place, 1).await;
        let letters = letters(&place);
        assert_eq!(letters.len(), 1);
        assert!(letters[0].value == fits, "as it came");
        assert_eq!(header(&letters[0], "whetstone-cut-from-bytes"), b"");
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
    });
}

#[test]
fn what_is_larger_than_a_dead_letter_may_be_is_cut_and_stops_nobody() {
    let Some(place) = place(1) else { return };
    runtime().block_on(async {
        let mut server = place.start().await;
        let topic = traces(&place);
        // The brokers measure what is sent, which may be much less than what it holds.
        let producer = producer(&[("compression.type", "gzip")]);
        let send = |value: &[u8], headers| {
            let record = BaseRecord::<[u8], [u8]>::to(&topic).key(b"key").payload(value);
            producer.send(record.headers(headers)).map_err(|(error, _)| error).unwrap();
            flush(&producer);
        };
        let none = OwnedHeaders::new;
        let note = |value: &[u8]| none().insert(Header { key: "note", value: Some(value) });
        send(run("1").to_string().as_bytes(), none());
        send(&vec![b'['; 12 * MB], note(b"kept"));
        send(run("2").to_string().as_bytes(), none());
        // All of it in a header, which is not part of what is measured before it is sent.
        send(b"{", note(&noise(8 * MB)));
        send(run("3").to_string().as_bytes(), none());
        counted(&place, 3).await;
        let letters = letters(&place);
        let sizes: Vec<_> = letters
            .iter()
            .map(|letter| {
                let from = String::from_utf8_lossy(header(letter, "whetstone-cut-from-bytes"));
                (letter.value.len(), from.parse().unwrap_or_default())
            })
            .collect();
        assert_eq!(sizes, [(256 * 1024, 12 * MB + 11), (1, 8 * MB + 8)]);
        assert_eq!(header(&letters[0], "note"), b"kept");
        assert_eq!(header(&letters[1], "note"), b"");
        assert!(letters.iter().all(|letter| letter.key == b"key"));
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
    });
}

#[test]
fn an_order_too_large_for_an_event_is_a_dead_letter() {
    let Some(place) = place(1) else { return };
    runtime().block_on(async {
        let mut server = place.start().await;
        let producer = producer(&[("compression.type", "gzip")]);
        let order = json!({"agent": "sim-triage", "by": "x".repeat(9 * MB), "command": "pause"});
        let topic = format!("{}prompt-commands", place.kafka().prefix);
        let order = order.to_string();
        let record = BaseRecord::<[u8], [u8]>::to(&topic).payload(order.as_bytes());
        producer.send(record).map_err(|(error, _)| error).unwrap();
        flush(&producer);
        refused(&place, 1).await;
        assert_eq!(post(&place, run("1").to_string().into_bytes()).await.0, 202);
        counted(&place, 1).await;
        let letters = letters(&place);
        assert_eq!(letters.len(), 1);
        assert_eq!(header(&letters[0], "whetstone-topic"), b"prompt-commands");
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
    });
}

#[test]
fn runs_of_one_agent_meet_in_one_partition_however_they_were_keyed() {
    const PARTITIONS: i32 = 5;
    let Some(place) = place(5) else { return };
    runtime().block_on(async {
        let mut server = place.start().await;
        let topic = traces(&place);
        let mut ids = 0..;
        let mut next = || run(&ids.next().unwrap().to_string()).to_string();
        let partitioners =
            ["murmur2_random", "murmur2", "consistent", "consistent_random", "fnv1a", "random"];
        for partitioner in partitioners {
            let producer = producer(&[("partitioner", partitioner)]);
            for key in [&b"sim-triage"[..], b"sim-triage/1", b"sim-repair", b"\xff", b""] {
                let value = next();
                let record = BaseRecord::<[u8], [u8]>::to(&topic).key(key);
                producer.send(record.payload(value.as_bytes())).map_err(|(e, _)| e).unwrap();
            }
            flush(&producer);
        }
        let producer = producer(&[]);
        for partition in 0..PARTITIONS {
            let value = next();
            let record = BaseRecord::<[u8], [u8]>::to(&topic).partition(partition);
            let record = record.key(b"sim-triage").payload(value.as_bytes());
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        flush(&producer);
        let sent: u64 = next().len().min(1) as u64 * 35;
        counted(&place, sent).await;
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());

        let log = KafkaLog::open(place.kafka()).unwrap();
        let mut spread: BTreeMap<i32, u32> = BTreeMap::new();
        for record in read(&log, Topic::AgentTraces) {
            *spread.entry(record.partition).or_default() += 1;
        }
        assert_eq!(spread.len(), 5, "they came in everywhere: {spread:?}");
        let events = read(&log, Topic::AgentEvents);
        let of_triage = events.iter().filter(|event| event.key == b"sim-triage");
        let of_triage: Vec<_> = of_triage.collect();
        let own = partition_of(b"sim-triage", PARTITIONS);
        assert!(of_triage.len() as u64 >= sent);
        assert!(of_triage.iter().all(|event| event.partition == own), "{of_triage:?}");
    });
}

/// A log that fails in one way.
pub(crate) struct Failing(pub(crate) fn() -> LogError);

impl Log for Failing {
    fn append(&self, _: Vec<NewRecord>) -> Result<(), LogError> {
        Err(self.0())
    }

    fn join(&self, _: &Subscription<'_>) -> Result<Box<dyn Consumer>, LogError> {
        Err(self.0())
    }

    fn follow(&self, _: Topic, _: Start) -> Result<Box<dyn Follower>, LogError> {
        Err(self.0())
    }

    fn table(&self, _: Topic, _: Share<'_>) -> Result<Vec<Record>, LogError> {
        Err(self.0())
    }

    fn trim(&self, _: EventTime) -> Result<u64, LogError> {
        Err(self.0())
    }
}

#[test]
fn a_failure_of_the_log_has_the_status_that_tells_a_client_whether_to_try_again() {
    let check = async |failure: fn() -> LogError, status: u16| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/", listener.local_addr().unwrap());
        let server = Server {
            prompts: Arc::new(move |_, _| Err(ApiError::from(failure()))),
            ..Server::new(Arc::new(Failing(failure)), Metrics::new().unwrap())
        };
        let asked = async {
            let post = Client::new().post(format!("{url}traces")).json(&run("1"));
            let ask = Client::new().get(format!("{url}agents/a/prompt?unit=u"));
            for request in [post, ask] {
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), status, "{}", failure());
                let answer: Value = answer.json().await.unwrap();
                let error = answer["error"].as_str().unwrap();
                assert!(error.starts_with(&failure().to_string()), "{error}");
            }
        };
        tokio::select! {
            ended = serve(server, listener, CancellationToken::new()) => panic!("{ended:?}"),
            () = asked => {}
        }
    };
    runtime().block_on(async {
        let large = || LogError::TooLarge { topic: "agent-traces".to_owned(), bytes: 9 };
        check(large, 413).await;
        check(|| LogError::Unavailable("no answer".to_owned()), 503).await;
        let lost = || LogError::Lost { group: "g".to_owned(), why: "gone".to_owned() };
        check(lost, 503).await;
        check(|| LogError::Refused("no".to_owned()), 500).await;
        check(|| LogError::Store("disk full".to_owned()), 500).await;
    });
}
