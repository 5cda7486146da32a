//! Which version a run gets, while two are out: decided by hash, so that whoever knows the record on
//! `prompt-updates` decides the same, in any language, and nobody has to be asked.
//!
//! ```text
//! bucket = floor( H / 2^32 · 10000 ),   H = the first 4 bytes, big-endian, of SHA-256( salt NUL agent NUL unit )
//! ```
//!
//! The unit is the session that a run belongs to, or the run's own id where it belongs to none: a unit
//! sees one version for as long as the split lasts, and a growing share takes no unit back.

use serde::{Deserialize, Serialize};

use crate::base::{AgentName, Digest};

/// How the units of an agent are split between two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Goes into the hash, so that each split draws anew.
    pub salt: String,
    /// Units whose bucket is below this get the version that the split names, the others the active
    /// one. In basis points (hundredths of a percent), 0 to 10000.
    pub share_bp: u16,
}

/// A unit's lot in a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lot(u64);

impl Split {
    /// Basis points to one whole.
    pub const WHOLE: u16 = 10_000;

    /// Whether `unit` gets the version that the split names.
    pub fn takes(&self, agent: &AgentName, unit: &str) -> bool {
        bucket(&self.salt, agent, unit) < self.share_bp
    }

    /// The share in [0, 1].
    pub fn share(&self) -> f64 {
        f64::from(self.share_bp) / f64::from(Self::WHOLE)
    }

    pub(super) fn lot(&self, agent: &AgentName, unit: &str) -> Lot {
        Lot(hash(&self.salt, agent, unit))
    }
}

impl Lot {
    /// 0 to 9999.
    pub(super) fn bucket(self) -> u16 {
        let wide = (self.0 >> 32) * u64::from(Split::WHOLE);
        u16::try_from(wide >> 32).unwrap_or(u16::MAX)
    }

    /// A number that says nothing of the bucket.
    pub(super) fn chance(self) -> u32 {
        u32::try_from(self.0 & u64::from(u32::MAX)).unwrap_or_default()
    }

    /// All of it: tells units apart.
    pub(super) fn id(self) -> u64 {
        self.0
    }

    pub(super) fn from_id(id: u64) -> Self {
        Self(id)
    }
}

/// The bucket of `unit`, 0 to 9999, each as likely as the others.
pub fn bucket(salt: &str, agent: &AgentName, unit: &str) -> u16 {
    Lot(hash(salt, agent, unit)).bucket()
}

fn hash(salt: &str, agent: &AgentName, unit: &str) -> u64 {
    let name = agent.as_str();
    let mut bytes = Vec::with_capacity(salt.len() + name.len() + unit.len() + 2);
    for part in [salt, "\0", name, "\0", unit] {
        bytes.extend_from_slice(part.as_bytes());
    }
    Digest::hash64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_the_published_ones() {
        let vectors = include_str!("../../configs/assignment-vectors.json");
        let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
        assert!(vectors.len() >= 10);
        for vector in vectors {
            let text = |key: &str| vector[key].as_str().unwrap().to_owned();
            let agent: AgentName = text("agent").parse().unwrap();
            let found = bucket(&text("salt"), &agent, &text("unit"));
            assert_eq!(u64::from(found), vector["bucket"].as_u64().unwrap(), "{vector}");
        }
    }

    #[test]
    fn a_share_is_kept_and_grows_without_taking_back() {
        let agent: AgentName = "triage".parse().unwrap();
        let split = |share_bp| Split { salt: "trial-v2".to_owned(), share_bp };
        let mut taken = [0; 4];
        for unit in 0..20_000 {
            let unit = format!("run-{unit}");
            let takes = [0, 1_000, 5_000, 10_000].map(|share| split(share).takes(&agent, &unit));
            assert!(takes.is_sorted(), "{unit} {takes:?}");
            for (count, takes) in taken.iter_mut().zip(takes) {
                *count += u32::from(takes);
            }
        }
        assert_eq!((taken[0], taken[3]), (0, 20_000));
        assert!(taken[1].abs_diff(2_000) < 170 && taken[2].abs_diff(10_000) < 290, "{taken:?}");
    }

    #[test]
    fn another_salt_draws_anew() {
        let agent: AgentName = "triage".parse().unwrap();
        let low = |salt, unit: &str| bucket(salt, &agent, unit) < 5_000;
        let both = (0..10_000).map(|unit| unit.to_string());
        let both = both.filter(|unit| low("trial-v2", unit) && low("trial-v3", unit)).count();
        assert!(both.abs_diff(2_500) < 180, "{both}");
    }
}
