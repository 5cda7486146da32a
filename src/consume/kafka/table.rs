//! The latest record of every key of a compacted topic: how a member restores its state.
//!
//! A predecessor that died in the middle of a step leaves a transaction open, and what was committed
//! after it began cannot be read until the brokers have ended it. A reader that stopped at what can be
//! read now would miss that, and go on from stale state. So the end is taken with uncommitted records
//! counted in, and reading goes on until everything before it can be and has been read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::follow::Tail;
use super::{Follower as _, LogError, Record, Share, Start, Topic};

/// How long nothing may come while something is still to be read. The brokers end an open transaction
/// well before.
const NO_PROGRESS: Duration = Duration::from_secs(60);
const BATCH: usize = 10_000;
const POLL: Duration = Duration::from_millis(500);

pub(super) fn read(
    cluster: &Arc<Cluster>,
    topic: Topic,
    share: Share<'_>,
) -> Result<Vec<Record>, LogError> {
    if !topic.compacted() {
        return Ok(Vec::new());
    }
    let mut tail = Tail::new(cluster, topic, Start::Earliest, share)?;
    let mut latest: HashMap<Vec<u8>, Record> = HashMap::new();
    let mut moved = Instant::now();
    while !tail.caught_up() {
        let behind = tail.behind();
        let records = tail.poll(BATCH, POLL)?;
        if !records.is_empty() || tail.behind() < behind {
            moved = Instant::now();
        } else if moved.elapsed() > NO_PROGRESS {
            let name = cluster.name(topic);
            return Err(LogError::Unavailable(format!(
                "cannot read {name} to its end: nothing more came for {} s in {behind} partitions. \
                 If that stays so, a transaction hangs there that the brokers have lost sight of: \
                 `kafka-transactions.sh find-hanging` names it and `abort` ends it",
                NO_PROGRESS.as_secs()
            )));
        }
        for record in records {
            if record.value.is_empty() {
                latest.remove(&record.key);
            } else {
                latest.insert(record.key.clone(), record);
            }
        }
    }
    let mut records: Vec<_> = latest.into_values().collect();
    records.sort_unstable_by_key(|record| (record.partition, record.offset));
    Ok(records)
}
