//! How far a subscriber has come, as text that it hands back: for each partition the offset of the last
//! record that it was told of.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::ApiError;

/// The longest text that is read, in bytes: some 500 partitions.
const LONGEST: usize = 8192;

/// What can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    Updates,
    Decisions,
}

/// The last offset of each partition. As text `1,u0:17,d0:4`: the layout, then updates and decisions, each
/// by partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Positions(BTreeMap<(Stream, i32), u64>);

impl Positions {
    /// Whether the record at `offset` is one that was told.
    pub(super) fn has(&self, stream: Stream, partition: i32, offset: u64) -> bool {
        self.0.get(&(stream, partition)).is_some_and(|last| *last >= offset)
    }

    /// Goes on to `offset`, never back.
    pub(super) fn reach(&mut self, stream: Stream, partition: i32, offset: u64) {
        let last = self.0.entry((stream, partition)).or_default();
        *last = offset.max(*last);
    }

    /// Goes on to wherever `other` is further; whether it was anywhere.
    pub(super) fn reach_all(&mut self, other: &Self) -> bool {
        let mut further = false;
        for ((stream, partition), offset) in &other.0 {
            further |= !self.has(*stream, *partition, *offset);
            self.reach(*stream, *partition, *offset);
        }
        further
    }

    /// Those of one stream.
    pub(super) fn of(&self, stream: Stream) -> Self {
        let own = self.0.iter().filter(|((other, _), _)| *other == stream);
        Self(own.map(|(key, offset)| (*key, *offset)).collect())
    }
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1")?;
        for ((stream, partition), offset) in &self.0 {
            let letter = match stream {
                Stream::Updates => 'u',
                Stream::Decisions => 'd',
            };
            write!(f, ",{letter}{partition}:{offset}")?;
        }
        Ok(())
    }
}

impl FromStr for Positions {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let wanted = "Last-Event-ID takes the id of an event of this server, unchanged";
        let bad = || ApiError::BadQuery(wanted.to_owned());
        let mut parts = text.split(',');
        if text.len() > LONGEST || parts.next() != Some("1") {
            return Err(bad());
        }
        let mut positions = Self::default();
        for part in parts {
            let read = || {
                let (stream, rest) = match part.strip_prefix('u') {
                    Some(rest) => (Stream::Updates, rest),
                    None => (Stream::Decisions, part.strip_prefix('d')?),
                };
                let (partition, offset) = rest.split_once(':')?;
                Some((stream, partition.parse().ok()?, offset.parse().ok()?))
            };
            let (stream, partition, offset) = read().ok_or_else(bad)?;
            positions.reach(stream, partition, offset);
        }
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_back_and_never_go_back() {
        let mut positions = Positions::default();
        assert_eq!(positions.to_string(), "1");
        for (stream, partition, offset) in
            [(Stream::Decisions, 0, 0), (Stream::Updates, 3, 17), (Stream::Updates, 3, 5)]
        {
            positions.reach(stream, partition, offset);
        }
        assert_eq!(positions.to_string(), "1,u3:17,d0:0");
        assert_eq!("1,u3:17,d0:0".parse::<Positions>().unwrap(), positions);
        assert!(positions.has(Stream::Updates, 3, 17) && !positions.has(Stream::Updates, 3, 18));
        assert!(!positions.has(Stream::Updates, 0, 0), "nothing is known of that one");
        for text in ["", "2", "1,", "1,x0:1", "1,u0", "1,u0:-1", "1,u0:99999999999999999999"] {
            assert!(text.parse::<Positions>().is_err(), "{text:?}");
        }
        assert!(format!("1{}", ",u0:1".repeat(3000)).parse::<Positions>().is_err());
    }
}
