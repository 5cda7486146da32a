//! Retention: what is old and needed by nobody goes.

use rusqlite::params;

use super::store::Store;
use super::{LogError, Topic};
use crate::base::EventTime;

/// Records a step deletes at most, so that trimming holds nobody up for long.
const BATCH: u64 = 1_000;

/// Deletes what [`super::EmbeddedLog::trim`] says, and counts it.
pub(super) fn trim(store: &Store, older_than: EventTime) -> Result<u64, LogError> {
    let mut trimmed = 0;
    for topic in Topic::ALL {
        loop {
            let batch = trim_batch(store, topic, older_than)?;
            trimmed += batch;
            if batch < BATCH {
                break;
            }
        }
    }
    Ok(trimmed)
}

fn trim_batch(store: &Store, topic: Topic, older_than: EventTime) -> Result<u64, LogError> {
    // `at` never falls within a topic, so the first record that is too young ends the search.
    let delete = if topic.compacted() {
        // Tombstones: whoever was to learn that a key is gone had time to.
        "DELETE FROM records WHERE topic = ?1 AND at < ?2 AND offset IN
            (SELECT offset FROM records WHERE topic = ?1 AND at < ?2 AND value = x'' LIMIT ?3)"
    } else if matches!(topic, Topic::Decisions | Topic::DeadLetters) {
        "DELETE FROM records WHERE topic = ?1 AND at < ?2 AND offset IN
            (SELECT offset FROM records WHERE topic = ?1 ORDER BY offset LIMIT ?3)"
    } else {
        "DELETE FROM records WHERE topic = ?1 AND at < ?2 AND offset IN
            (SELECT offset FROM records WHERE topic = ?1
             AND offset < (SELECT min(next) FROM groups WHERE topic = ?1)
             ORDER BY offset LIMIT ?3)"
    };
    let batch = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let deleted = store.write(|step| {
        let values = params![topic.name(), older_than.as_millis(), batch];
        Ok(step.sql().prepare_cached(delete)?.execute(values)?)
    })?;
    Ok(u64::try_from(deleted).unwrap_or_default())
}
