//! What became of a version, as far as later proposals should know. Decides nothing.

use serde::{Deserialize, Serialize};

/// How a version fared. What it added is judged by it: see [`Past`](super::Past).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Not decided, or by nothing that says how good it is.
    #[default]
    Open,
    /// Live traces proved it better.
    Proven,
    /// A person wrote or approved it.
    Vouched,
    /// Live traces proved it worse.
    Harmful,
    /// Its trial ended without proof.
    NoGain,
    /// A person or the offline gate refused it, or a person took it back.
    Refused,
}

impl Fate {
    /// In words that can stand after "it was".
    pub fn words(self) -> &'static str {
        match self {
            Self::Open => "not decided",
            Self::Proven => "proven better on live runs",
            Self::Vouched => "accepted by a person",
            Self::Harmful => "proven worse on live runs",
            Self::NoGain => "tried without a proven gain",
            Self::Refused => "refused",
        }
    }

    /// Whether nothing is decided.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
    pub(super) fn is_open(&self) -> bool {
        *self == Self::Open
    }

    /// Whether what the version added has earned its place.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Proven | Self::Vouched)
    }

    /// Whether what the version added failed.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Harmful | Self::NoGain | Self::Refused)
    }
}
