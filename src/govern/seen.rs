//! Which trace ids came by lately, so that a trace sent twice is counted once.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::base::Digest;

/// The last [`Seen::CAPACITY`] trace ids of one agent, as 64-bit hashes (32 KB when full). A trace
/// that is sent again after that many others counts again. Two ids that share a hash are taken for
/// one: at 4096 held, that loses one trace in about 4·10^15.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Seen(VecDeque<u64>);

impl Seen {
    const CAPACITY: usize = 4096;

    /// Notes `trace_id`; false if it was noted before.
    pub(super) fn insert(&mut self, trace_id: &str) -> bool {
        let hash = Digest::hash64(trace_id.as_bytes());
        if self.0.contains(&hash) {
            return false;
        }
        if self.0.len() == Self::CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(hash);
        true
    }
}
