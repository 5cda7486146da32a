//! Traces that producers place by agent, which the agents' owners read themselves: on a real broker, with producers that
//! do so and others that do not.

use std::collections::BTreeSet;

use rdkafka::producer::{BaseProducer, BaseRecord};
use serde_json::Value;
use whetstone::app::read_event;
use whetstone::consume::{KafkaLog, Topic, partition_of};
use whetstone::govern::EventBody;

use crate::kafka_poison::{
    counted, flush, header, letters, producer, refused, run, runtime, traces,
};
use crate::log_conformance::read;
use crate::server::Place;

const PARTITIONS: i32 = 5;
const KEYED: &str = "kafka.traces_keyed_by_agent=true";

/// Where the next run goes, by the run's number.
struct Sender {
    topic: String,
    producer: BaseProducer,
    sent: u64,
}

impl Sender {
    fn new(place: &Place) -> Self {
        Self { topic: traces(place), producer: producer(&[]), sent: 0 }
    }

    fn send(&self, partition: i32, value: &str) {
        let record = BaseRecord::<[u8], [u8]>::to(&self.topic).partition(partition);
        self.producer.send(record.payload(value.as_bytes())).map_err(|(error, _)| error).unwrap();
    }

    fn next(&mut self) -> Value {
        self.sent += 1;
        run(&self.sent.to_string())
    }

    /// So many runs where their agent is, and so many elsewhere.
    fn runs(&mut self, at_home: usize, astray: usize) {
        let home = partition_of(b"sim-triage", PARTITIONS);
        for number in 0..at_home + astray {
            let run = self.next().to_string();
            let partition = if number < at_home { home } else { (home + 1) % PARTITIONS };
            self.send(partition, &run);
        }
        flush(&self.producer);
    }
}

async fn metric(place: &Place, name: &str) -> u64 {
    let metrics = reqwest::get(place.url("/metrics")).await.unwrap().text().await.unwrap();
    let line = metrics.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap()
}

/// The ids of the runs that took the way through `agent-events`.
fn passed_on(place: &Place) -> BTreeSet<String> {
    let log = KafkaLog::open(place.kafka()).unwrap();
    let events = read(&log, Topic::AgentEvents);
    let run = |record| match read_event(record).unwrap().body {
        EventBody::Run(run) => Some(run.trace_id),
        _ => None,
    };
    let ids: Vec<_> = events.iter().filter_map(run).collect();
    let distinct: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(distinct.len(), ids.len(), "none twice: {ids:?}");
    distinct
}

#[test]
fn each_run_counts_once_wherever_it_comes_and_whoever_reads_it() {
    let partitions = format!("kafka.partitions={PARTITIONS}");
    let settings = ["kafka.create_topics=true", &partitions, KEYED];
    let Some(mut place) = Place::on_new_topics(&settings, module_path!()) else { return };
    runtime().block_on(async {
        let mut server = place.start().await;
        let mut sender = Sender::new(&place);
        sender.runs(20, 3);
        counted(&place, 23).await;
        assert_eq!(metric(&place, "whetstone_traces_passed_on_total").await, 3);
        let ids = |ids: &[u64]| ids.iter().map(u64::to_string).collect::<BTreeSet<_>>();
        assert_eq!(passed_on(&place), ids(&[21, 22, 23]));

        // What cannot be read, and several runs in one record, as decode would have them.
        let both = Value::Array(vec![sender.next(), sender.next()]).to_string();
        sender.send(0, "{\"agent\": ");
        sender.send(partition_of(b"sim-triage", PARTITIONS), &both);
        flush(&sender.producer);
        counted(&place, 25).await;
        refused(&place, 1).await;
        assert_eq!(header(&letters(&place)[0], "whetstone-reason"), b"malformed_json");
        assert_eq!(passed_on(&place), ids(&[21, 22, 23, 24, 25]));

        // Dead in the middle of it.
        sender.runs(200, 40);
        server.kill();
        let mut server = place.start().await;
        sender.runs(20, 4);
        counted(&place, 289).await;
        assert_eq!(letters(&place).len(), 1);

        // Somebody changes the setting while nobody runs, and changes it back.
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        place.settings.retain(|setting| setting != KEYED);
        let mut server = place.start().await;
        sender.runs(10, 10);
        counted(&place, 309).await;
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        place.settings.push(KEYED.to_owned());
        let mut server = place.start().await;
        sender.runs(10, 1);
        counted(&place, 320).await;
        assert_eq!(server.stop(), Some(0), "{}", place.server_log());
        assert_eq!(sender.sent, 320);
    });
}
