//! The ids of traces and spans, as OpenTelemetry writes them: lower-case hex digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A trace's id: 16 bytes, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceId(u128);

/// A span's id within its trace: 8 bytes, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpanId(u64);

/// A text or some bytes that are no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no {1}: it has {2} hex digits, not all of them 0")]
pub struct InvalidId(String, &'static str, usize);

impl TraceId {
    const DIGITS: usize = 32;

    /// From the bytes on the wire; `None` if they are not 16, or all zero.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let id = u128::from_be_bytes(bytes.try_into().ok()?);
        (id != 0).then_some(Self(id))
    }
}

impl SpanId {
    const DIGITS: usize = 16;

    /// From the bytes on the wire; `None` if they are not 8, or all zero.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let id = u64::from_be_bytes(bytes.try_into().ok()?);
        (id != 0).then_some(Self(id))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

impl FromStr for TraceId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = u128::from_str_radix(text, 16).ok().filter(|_| is_hex(text, Self::DIGITS));
        let id = id.filter(|id| *id != 0);
        id.map(Self).ok_or_else(|| InvalidId(shown(text), "trace id", Self::DIGITS))
    }
}

impl FromStr for SpanId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = u64::from_str_radix(text, 16).ok().filter(|_| is_hex(text, Self::DIGITS));
        let id = id.filter(|id| *id != 0);
        id.map(Self).ok_or_else(|| InvalidId(shown(text), "span id", Self::DIGITS))
    }
}

impl TryFrom<String> for TraceId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl TryFrom<String> for SpanId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TraceId> for String {
    fn from(id: TraceId) -> Self {
        id.to_string()
    }
}

impl From<SpanId> for String {
    fn from(id: SpanId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_is_written_and_nothing_else_does() {
        let trace: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
        assert_eq!(trace.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let span: SpanId = "00F067aa0ba902b7".parse().unwrap();
        assert_eq!(span.to_string(), "00f067aa0ba902b7");
        for text in ["", "0", &"0".repeat(32), &"g".repeat(32), "+bf92f3577b34da6a3ce929d0e0e4736"]
        {
            assert!(text.parse::<TraceId>().is_err(), "{text:?}");
        }
        assert!("0000000000000000".parse::<SpanId>().is_err());
    }

    #[test]
    fn the_wire_has_bytes() {
        assert_eq!(SpanId::from_bytes(&[0, 0, 0, 0, 0, 0, 1, 2]), Some(SpanId(258)));
        assert_eq!(SpanId::from_bytes(&[0; 8]), None);
        assert_eq!(TraceId::from_bytes(&[1; 15]), None);
    }
}
