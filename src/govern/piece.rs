//! The names of the pieces that an agent's state is stored in. Says nothing of what they hold.

use std::fmt;
use std::str::FromStr;

use crate::base::VersionNumber;

/// A piece of an agent's state, stored under a key of its own: the agent's name and the piece,
/// written so that the first is a prefix of the others: `mitigation`, `mitigation/seen/3`,
/// `mitigation/pane/v2/1700000000000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Piece {
    /// All that no other piece holds. Written empty.
    Head,
    /// A segment of the trace ids seen lately, counted from 0.
    Seen(u8),
    /// The runs of one version in one pane, by its start in milliseconds, or by its number where
    /// runs are counted.
    Pane(VersionNumber, i64),
    /// A segment of the sessions seen lately, counted from 0.
    Session(u8),
    /// The trial under way, or that there is none.
    Trial,
    /// A segment of the trial's units whose deadline has not come, counted from 0.
    Pending(u8),
    /// What was spent on the model, by day.
    Spending,
    /// A segment of the labels heard lately, counted from 0.
    Heard(u8),
    /// A run that waits for a label, by the hash of its id.
    Waiting(u64),
    /// What is left of panes that were dropped.
    Past,
}

/// The rest of a key that names no [`Piece`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no piece of an agent's state")]
pub struct UnknownPiece(String);

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head => Ok(()),
            Self::Seen(segment) => write!(f, "/seen/{segment}"),
            Self::Pane(version, start) => write!(f, "/pane/{version}/{start}"),
            Self::Session(segment) => write!(f, "/session/{segment}"),
            Self::Trial => f.write_str("/trial"),
            Self::Pending(segment) => write!(f, "/pending/{segment}"),
            Self::Spending => f.write_str("/spending"),
            Self::Heard(segment) => write!(f, "/heard/{segment}"),
            Self::Waiting(id) => write!(f, "/waiting/{id:016x}"),
            Self::Past => f.write_str("/past"),
        }
    }
}

impl FromStr for Piece {
    type Err = UnknownPiece;

    /// Reads what [`Piece`] writes and nothing else: two spellings would be two keys of one piece.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let piece = match text.split('/').collect::<Vec<_>>().as_slice() {
            [""] => Some(Self::Head),
            ["", "seen", segment] => segment.parse().ok().map(Self::Seen),
            ["", "pane", version, start] => pane(version, start),
            ["", "session", segment] => segment.parse().ok().map(Self::Session),
            ["", "trial"] => Some(Self::Trial),
            ["", "pending", segment] => segment.parse().ok().map(Self::Pending),
            ["", "spending"] => Some(Self::Spending),
            ["", "heard", segment] => segment.parse().ok().map(Self::Heard),
            ["", "waiting", id] => u64::from_str_radix(id, 16).ok().map(Self::Waiting),
            ["", "past"] => Some(Self::Past),
            _ => None,
        };
        piece
            .filter(|piece| piece.to_string() == text)
            .ok_or_else(|| UnknownPiece(text.chars().take(UnknownPiece::SHOWN).collect()))
    }
}

impl UnknownPiece {
    /// How much of an unknown name is repeated, in characters.
    const SHOWN: usize = 100;
}

/// Runs of an agent without versions are under `v0`, which is no version's name elsewhere.
fn pane(version: &str, start: &str) -> Option<Piece> {
    let version = version.strip_prefix('v')?.parse().ok().map(VersionNumber)?;
    Some(Piece::Pane(version, start.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_reads_as_it_is_written() {
        let check = |piece: Piece, text: &str| {
            assert_eq!(piece.to_string(), text);
            assert_eq!(text.parse(), Ok(piece));
        };
        check(Piece::Head, "");
        check(Piece::Seen(0), "/seen/0");
        check(Piece::Seen(255), "/seen/255");
        check(Piece::Pane(VersionNumber(0), 0), "/pane/v0/0");
        check(Piece::Session(3), "/session/3");
        check(Piece::Trial, "/trial");
        check(Piece::Pending(15), "/pending/15");
        check(Piece::Spending, "/spending");
        check(Piece::Heard(63), "/heard/63");
        check(Piece::Past, "/past");
        check(Piece::Waiting(0xab), "/waiting/00000000000000ab");
        check(Piece::Waiting(u64::MAX), "/waiting/ffffffffffffffff");
        check(Piece::Pane(VersionNumber(12), -3_600_000), "/pane/v12/-3600000");
        check(
            Piece::Pane(VersionNumber(u32::MAX), i64::MIN),
            "/pane/v4294967295/-9223372036854775808",
        );
    }

    #[test]
    fn nothing_else_is_a_piece() {
        for text in [
            "/",
            "head",
            "/head",
            "/seen",
            "/seen/",
            "/seen/256",
            "/seen/01",
            "/seen/+1",
            "/seen/1/",
            "seen/1",
            "/pane/1/0",
            "/pane/v1",
            "/pane/v1/",
            "/pane/v01/0",
            "/pane/v1/-0",
            "/pane/v1/9223372036854775808",
            "/pane/v1/0/0",
            "/trial/0",
            "/spending/0",
            "/past/",
            "/past/0",
            "/pending",
            "/session/-1",
            "/heard/064",
            "/waiting/ab",
            "/waiting/+0000000000000ab",
            "/waiting/FFFFFFFFFFFFFFFF",
        ] {
            assert_eq!(text.parse::<Piece>(), Err(UnknownPiece(text.to_owned())));
        }
    }
}
