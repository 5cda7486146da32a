//! Names that come from outside and end up in file names, topic keys and metric labels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An agent's name: 1 to 64 ASCII letters, digits, `_`, `-` or `.`, the first a letter or digit.
///
/// The alphabet is narrow on purpose: the name becomes part of a path in the config repo, so
/// `../../etc/passwd` must not be one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgentName(String);

/// Why a text is not an [`AgentName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "agent name {0:?} is not allowed: use 1 to 64 ASCII letters, digits, '_', '-' or '.', \
     starting with a letter or digit"
)]
pub struct InvalidAgentName(String);

impl AgentName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 64;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentName {
    type Err = InvalidAgentName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl TryFrom<String> for AgentName {
    type Error = InvalidAgentName;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let valid = text.len() <= Self::MAX_LEN
            && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
            && text.bytes().all(allowed);
        if valid {
            Ok(Self(text))
        } else {
            Err(InvalidAgentName(text.chars().take(Self::MAX_LEN).collect()))
        }
    }
}

impl From<AgentName> for String {
    fn from(name: AgentName) -> Self {
        name.0
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A version's number within its agent, counted from 1. Written `v3`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct VersionNumber(pub u32);

impl VersionNumber {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for VersionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl FromStr for VersionNumber {
    type Err = String;

    /// Reads `3` or `v3`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('v').unwrap_or(text);
        match digits.parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(format!("{text:?} is not a version: write it as 3 or v3")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_safe_in_a_path() {
        let check =
            |text: &str, ok: bool| assert_eq!(text.parse::<AgentName>().is_ok(), ok, "{text:?}");
        check("mitigation", true);
        check("sre.mitigation-2_b", true);
        check("", false);
        check("../../etc/passwd", false);
        check(".hidden", false);
        check("a/b", false);
        check("a b", false);
        check("ä", false);
        check(&"a".repeat(64), true);
        check(&"a".repeat(65), false);
    }

    #[test]
    fn a_version_reads_with_and_without_its_v() {
        assert_eq!("v3".parse(), Ok(VersionNumber(3)));
        assert_eq!("3".parse(), Ok(VersionNumber(3)));
        assert!("0".parse::<VersionNumber>().is_err());
        assert!("latest".parse::<VersionNumber>().is_err());
    }
}
