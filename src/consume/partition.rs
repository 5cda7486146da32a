//! Which partition an agent's records belong to: explicit, so that all of them meet in one place,
//! whatever a client would do by default.

use std::fmt;

use super::Topic;

/// A partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic.
    pub topic: Topic,
    /// Counted from 0.
    pub number: i32,
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.number)
    }
}

/// The partition, of `count`, that records keyed `agent` or `agent/…` belong to.
///
/// It is where Java's producers put a record that is keyed by the agent's name alone: murmur2 with
/// Kafka's seed, the sign bit cleared (`Utils.murmur2` and `BuiltInPartitioner.partitionForKey` of
/// Apache Kafka).
pub fn partition_of(key: &[u8], count: i32) -> i32 {
    let agent = key.split(|byte| *byte == b'/').next().unwrap_or_default();
    let positive = murmur2(agent) & 0x7fff_ffff;
    i32::try_from(positive).unwrap_or_default().checked_rem(count).unwrap_or_default()
}

/// 32-bit MurmurHash2 by Austin Appleby, in the public domain, with the seed that Kafka gives it.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let (words, rest) = data.as_chunks::<4>();
    let mut hash = words.iter().fold(SEED ^ length, |hash, word| {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(M);
        word ^= word >> 24;
        hash.wrapping_mul(M) ^ word.wrapping_mul(M)
    });
    if !rest.is_empty() {
        for (shift, byte) in [0, 8, 16].into_iter().zip(rest) {
            hash ^= u32::from(*byte) << shift;
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_hashes_as_kafkas_own_clients_do() {
        // From Apache Kafka's UtilsTest.testMurmur2.
        let check = |text: &str, hash: i32| {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text:?}");
        };
        check("21", -973_932_308);
        check("foobar", -790_332_482);
        check("a-little-bit-long-string", -985_981_536);
        check("a-little-bit-longer-string", -1_486_304_829);
        check("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971);
        check("abc", 479_470_107);
    }

    #[test]
    fn all_that_is_of_one_agent_goes_to_one_partition() {
        for count in [1, 3, 12, 100] {
            let own = partition_of(b"mitigation", count);
            assert!((0..count).contains(&own));
            assert_eq!(partition_of(b"mitigation/7", count), own);
            assert_eq!(partition_of(b"mitigation/pane/7/0", count), own);
        }
        assert_eq!(partition_of(b"", 0), 0);
    }
}
