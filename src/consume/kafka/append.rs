//! Appending without consuming: what comes in over HTTP or from the command line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::{Producer as _, ThreadedProducer};

use super::cluster::Cluster;
use super::context::Context;
use super::produce::{Transactions, send, too_large};
use super::receipt::Receipt;
use super::{LogError, NewRecord, client, problem};

/// The client gives every record an answer before this, if only that its time is up.
const DELIVERY_AND_MORE: Duration = Duration::from_secs(60);

type Single = ThreadedProducer<Context>;

/// Appends for a process. One record needs no transaction to be whole; several do, and each of those
/// waits for the one before.
pub(super) struct Appender {
    cluster: Arc<Cluster>,
    single: Mutex<Option<Arc<Single>>>,
    several: Mutex<Option<Transactions>>,
}

impl Appender {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster, single: Mutex::default(), several: Mutex::default() }
    }

    pub(super) fn append(&self, records: &[NewRecord]) -> Result<(), LogError> {
        match records {
            [] => Ok(()),
            [one] => self.append_one(one),
            several => self.append_several(several),
        }
    }

    fn append_several(&self, records: &[NewRecord]) -> Result<(), LogError> {
        let mut open = self.several.lock().unwrap_or_else(PoisonError::into_inner);
        let transactions = match open.take() {
            Some(transactions) => transactions,
            None => {
                // Nobody takes this over: what a dead process leaves open ends by its time-out.
                let id =
                    format!("{}append-{:016x}", self.cluster.settings.prefix, fastrand::u64(..));
                Transactions::open(&self.cluster, &id, "append")?
            }
        };
        transactions.run(records, None)?;
        *open = Some(transactions);
        Ok(())
    }

    fn append_one(&self, record: &NewRecord) -> Result<(), LogError> {
        let producer = self.single()?;
        let appended = self.send_one(&producer, record);
        // Some refusals are final for a producer. A new one may do better, once somebody has seen to it.
        if appended.is_err()
            && let Some((code, why)) = producer.client().fatal_error()
        {
            *self.single.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let doing = format!("append to {}", self.cluster.name(record.topic));
            return Err(problem::of_code_because(code, &doing, &why));
        }
        appended
    }

    fn send_one(&self, producer: &Single, record: &NewRecord) -> Result<(), LogError> {
        let receipt = Arc::new(Receipt::default());
        send(&self.cluster, producer, record, &receipt)?;
        let doing = format!("append to {}", self.cluster.name(record.topic));
        if !receipt.wait(1, DELIVERY_AND_MORE) {
            return Err(LogError::Unavailable(format!("cannot {doing}: no answer")));
        }
        match receipt.failure() {
            None => Ok(()),
            Some((Code::MessageSizeTooLarge, _)) => {
                Err(too_large(&self.cluster, std::slice::from_ref(record)))
            }
            Some((code, why)) => Err(problem::of_code_because(code, &doing, &why)),
        }
    }

    fn single(&self) -> Result<Arc<Single>, LogError> {
        let mut single = self.single.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(single) = &*single {
            return Ok(Arc::clone(single));
        }
        let producer: Single = client::producer(&self.cluster.settings)
            .create_with_context(Context::new(&self.cluster.settings))
            .map_err(|error| problem::config(&error))?;
        Ok(Arc::clone(single.insert(Arc::new(producer))))
    }
}
