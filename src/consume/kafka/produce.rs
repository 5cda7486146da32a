//! Sending records, in a transaction or alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fail::fail_point;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::client::{self, MAX_RECORD_BYTES};
use super::cluster::Cluster;
use super::context::Context;
use super::receipt::Receipt;
use super::{LogError, NewRecord, problem};

/// For one exchange with a coordinator, tried again within it. After that the role starts again, as it
/// does for as long as it takes; a longer wait would only keep it from ending when it is told to.
const COORDINATOR: Duration = Duration::from_secs(15);
/// Between two looks at what is nearly done.
const SOON: Duration = Duration::from_micros(100);
/// Between two looks at a full queue.
const FULL: Duration = Duration::from_millis(20);

/// A producer whose records all belong to transactions.
pub(super) struct Transactions {
    cluster: Arc<Cluster>,
    producer: ThreadedProducer<Context>,
    /// For errors.
    group: String,
}

/// Input positions that a transaction carries, and whose they are.
pub(super) type Positions<'a> = (&'a TopicPartitionList, &'a ConsumerGroupMetadata);

/// Why a transaction came to nothing.
pub(super) enum Failure {
    /// The group is changing its generation, and the one given is no longer or not yet good.
    Regrouping(LogError),
    /// Anything else.
    Final(LogError),
}

impl From<LogError> for Failure {
    fn from(problem: LogError) -> Self {
        Self::Final(problem)
    }
}

impl From<Failure> for LogError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Regrouping(problem) | Failure::Final(problem) => problem,
        }
    }
}

impl Transactions {
    /// Takes over transactional id `id`: what its last owner left open is ended first.
    pub(super) fn open(cluster: &Arc<Cluster>, id: &str, group: &str) -> Result<Self, LogError> {
        let producer: ThreadedProducer<Context> = client::transactions(&cluster.settings, id)
            .create_with_context(Context::new(&cluster.settings))
            .map_err(|error| problem::config(&error))?;
        let this = Self { cluster: Arc::clone(cluster), producer, group: group.to_owned() };
        this.patiently(|| this.producer.init_transactions(COORDINATOR))
            .map_err(|error| this.failed(&error, &format!("begin with transactions as {id}")))?;
        Ok(this)
    }

    /// All of it, or nothing. After [`Failure::Regrouping`] it may be tried again.
    pub(super) fn run(
        &self,
        outputs: &[NewRecord],
        positions: Option<Positions<'_>>,
    ) -> Result<(), Failure> {
        self.producer
            .begin_transaction()
            .map_err(|error| self.failed(&error, "begin a transaction"))?;
        fail_point!("step-begun", |_| std::process::abort());
        let receipt = Arc::new(Receipt::default());
        let done = self.fill(outputs, positions, &receipt).and_then(|()| {
            self.settle(outputs.len(), &receipt);
            fail_point!("step-before-commit", |_| std::process::abort());
            self.patiently(|| self.producer.commit_transaction(COORDINATOR))
                .map_err(|error| self.failed(&error, "commit a transaction").into())
        });
        if let Err(failed) = done {
            self.give_up();
            // A delivery that failed says more than the transaction that failed with it.
            return Err(match (failed, receipt.failure()) {
                (_, Some((Code::MessageSizeTooLarge, _))) => {
                    too_large(&self.cluster, outputs).into()
                }
                (Failure::Final(LogError::Unavailable(_)), Some((code, why))) => {
                    problem::of_code_because(code, "commit a transaction", &why).into()
                }
                (failed, _) => failed,
            });
        }
        fail_point!("step-committed", |_| std::process::abort());
        Ok(())
    }

    fn fill(
        &self,
        outputs: &[NewRecord],
        positions: Option<Positions<'_>>,
        receipt: &Arc<Receipt>,
    ) -> Result<(), Failure> {
        for output in outputs {
            send(&self.cluster, &self.producer, output, receipt)?;
        }
        fail_point!("step-produced", |_| {
            // Some of the outputs have reached the brokers, and the positions never will.
            let _flushed = self.producer.flush(COORDINATOR);
            std::process::abort()
        });
        let Some((positions, member)) = positions else { return Ok(()) };
        self.patiently(|| self.producer.send_offsets_to_transaction(positions, member, COORDINATOR))
            .map_err(|error| {
                let failed = self.failed(&error, "add the positions to a transaction");
                match problem::code(&error) {
                    Some(Code::IllegalGeneration | Code::RebalanceInProgress) => {
                        Failure::Regrouping(failed)
                    }
                    _ => Failure::Final(failed),
                }
            })
    }

    /// Waits until nothing is on its way. A commit would do so too, but looks only every 100 ms, which was most of
    /// a step. Whatever does not arrive fails there.
    fn settle(&self, outputs: usize, receipt: &Receipt) {
        if !receipt.wait(outputs, COORDINATOR) {
            return;
        }
        // The last report is taken away a moment after it was given.
        let begun = Instant::now();
        while self.producer.in_flight_count() > 0 && begun.elapsed() < FULL {
            std::thread::park_timeout(SOON);
        }
    }

    /// What is open is aborted now rather than after its time is up: until then, nobody reads past it.
    /// If that fails too, it is what happens.
    fn give_up(&self) {
        if let Err(error) = self.producer.abort_transaction(COORDINATOR) {
            tracing::debug!(%error, "could not abort a transaction; the brokers will");
        }
    }

    fn failed(&self, error: &KafkaError, doing: &str) -> LogError {
        problem::of_step(error, &self.group, doing)
    }

    /// Does `work` again for as long as that may help.
    fn patiently(&self, work: impl Fn() -> KafkaResult<()>) -> KafkaResult<()> {
        let begun = Instant::now();
        loop {
            match work() {
                Err(KafkaError::Transaction(error))
                    if error.is_retriable()
                        && !error.txn_requires_abort()
                        && !error.is_fatal()
                        && begun.elapsed() < COORDINATOR =>
                {
                    self.producer.poll(FULL);
                }
                result => return result,
            }
        }
    }
}

/// One of `records` was more than its topic takes: the largest, as far as can be told.
pub(super) fn too_large(cluster: &Cluster, records: &[NewRecord]) -> LogError {
    let bytes = |record: &NewRecord| record.key.len() + record.value.len();
    match records.iter().max_by_key(|record| bytes(record)) {
        Some(largest) => {
            let topic = cluster.name(largest.topic).to_owned();
            LogError::TooLarge { topic, bytes: bytes(largest) }
        }
        None => problem::of_code(Code::MessageSizeTooLarge, "send"),
    }
}

/// Puts `record` on its way. Waits while the queue is full.
pub(super) fn send(
    cluster: &Cluster,
    producer: &ThreadedProducer<Context>,
    record: &NewRecord,
    receipt: &Arc<Receipt>,
) -> Result<(), LogError> {
    let name = cluster.name(record.topic);
    let bytes = record.key.len() + record.value.len();
    if bytes > MAX_RECORD_BYTES {
        return Err(LogError::TooLarge { topic: name.to_owned(), bytes });
    }
    let mut message: BaseRecord<'_, [u8], [u8], Arc<Receipt>> =
        BaseRecord::with_opaque_to(name, Arc::clone(receipt));
    if let Some(partition) = cluster.placement(record)? {
        message = message.partition(partition);
    }
    if !record.key.is_empty() {
        message = message.key(&record.key);
    }
    if !(record.topic.compacted() && record.value.is_empty()) {
        message = message.payload(&record.value);
    }
    if !record.headers.is_empty() {
        message = message.headers(headers(&record.headers));
    }
    let begun = Instant::now();
    loop {
        match producer.send(message) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(Code::QueueFull), back))
                if begun.elapsed() < COORDINATOR =>
            {
                message = back;
                producer.poll(FULL);
            }
            Err((KafkaError::MessageProduction(Code::MessageSizeTooLarge), _)) => {
                return Err(LogError::TooLarge { topic: name.to_owned(), bytes });
            }
            Err((error, _)) => return Err(problem::of(&error, &format!("send to {name}"))),
        }
    }
}

fn headers(headers: &[(String, Vec<u8>)]) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |owned, (key, value)| {
        // Names are C strings on the way.
        let key = key.replace('\0', "\u{fffd}");
        owned.insert(Header { key: &key, value: Some(value) })
    })
}
