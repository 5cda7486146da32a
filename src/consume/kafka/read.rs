//! A message of rdkafka's as a record of ours.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message as _};

use super::cluster::Cluster;
use super::{LogError, Record};
use crate::base::EventTime;

/// The record that `message` is.
pub(super) fn record(cluster: &Cluster, message: &BorrowedMessage<'_>) -> Result<Record, LogError> {
    let topic = cluster
        .topic(message.topic())
        .ok_or_else(|| LogError::Corrupt(format!("a record of {:?}", message.topic())))?;
    let offset = u64::try_from(message.offset())
        .map_err(|_| LogError::Corrupt(format!("offset {} of {topic}", message.offset())))?;
    Ok(Record {
        topic,
        partition: message.partition(),
        offset,
        at: EventTime::from_millis(message.timestamp().to_millis().unwrap_or_default()),
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().unwrap_or_default().to_vec(),
        headers: message.headers().map(headers).unwrap_or_default(),
    })
}

thread_local! {
    /// Whether this thread reads a header, whose panics are expected and say nothing.
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics over a header's name off standard error, which one producer could fill with them. All
/// others are reported as before.
fn expect_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !READING.get() {
                before(panic);
            }
        }));
    });
}

/// A producer may name a header as it likes, and rdkafka panics where the name is not UTF-8. One such
/// record must not stop us: that header is then left out and said to have been.
fn headers(headers: &BorrowedHeaders) -> Vec<(String, Vec<u8>)> {
    expect_panics();
    let one = |index| {
        READING.set(true);
        let found = catch_unwind(AssertUnwindSafe(|| {
            let header = headers.try_get(index)?;
            Some((header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
        }));
        READING.set(false);
        found.unwrap_or_else(|_| {
            Some(("whetstone-unreadable-header".to_owned(), index.to_string().into_bytes()))
        })
    };
    (0..headers.count()).filter_map(one).collect()
}
