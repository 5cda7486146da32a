//! A message of rdkafka's as a record of ours.

use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// A producer may name a header as it likes, and rdkafka panics where the name is not UTF-8. One such
/// record must not stop us: that header is then left out and said to have been.
fn headers(headers: &BorrowedHeaders) -> Vec<(String, Vec<u8>)> {
    let one = |index| {
        let found = catch_unwind(AssertUnwindSafe(|| {
            let header = headers.try_get(index)?;
            Some((header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
        }));
        found.unwrap_or_else(|_| {
            Some(("whetstone-unreadable-header".to_owned(), index.to_string().into_bytes()))
        })
    };
    (0..headers.count()).filter_map(one).collect()
}
