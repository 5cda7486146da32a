//! An agent in pieces: which of them changed, and how all of them make an agent again. Knows neither
//! bytes nor records.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Agent;
use super::head::Head;
use super::heard::{Heard, Said};
use super::piece::Piece;
use super::seen::{Misfit, Seen};
use super::spending::Spending;
use super::trial::{Pending, Segment, Trial};
use super::waiting::{Unlabelled, Waiting};
use crate::base::{AgentName, EventTime, Tracked, VersionNumber};
use crate::fold::{Aggregate, ChangedPane, Points, Windows};

/// A piece that is to be stored or to be taken out of the store.
#[derive(Debug)]
pub enum Change<'a> {
    /// The piece now holds this.
    Set(PieceBody<'a>),
    /// This piece, stored before, is no more.
    Gone(Piece),
}

/// What one piece holds; serialize it to store it.
#[derive(Debug)]
pub struct PieceBody<'a>(Body<'a>);

#[derive(Debug)]
enum Body<'a> {
    Head(StoredHead<&'a Head>),
    Seen(u8, &'a [u64]),
    Pane(VersionNumber, i64, &'a Aggregate),
    Session(u8, &'a [u64]),
    Trial(&'a Option<Box<Trial>>),
    Pending(u8, &'a Segment),
    Spending(&'a Spending),
    Heard(u8, &'a Said),
    Waiting(u64, &'a Unlabelled),
    Past(&'a Points),
}

/// [`Piece::Head`] as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredHead<H> {
    head: H,
    watermark: Option<EventTime>,
    /// How many trace ids were ever noted.
    seen: u64,
    /// How many sessions were.
    #[serde(default)]
    sessions: u64,
}

/// Pieces of one agent as they are read, in any order; [`Agent::assemble`] takes them.
#[derive(Debug, Default)]
pub struct Pieces {
    head: Option<StoredHead<Head>>,
    seen: BTreeMap<u8, Vec<u64>>,
    panes: BTreeMap<(VersionNumber, i64), Aggregate>,
    sessions: BTreeMap<u8, Vec<u64>>,
    trial: Option<Box<Trial>>,
    pending: BTreeMap<u8, Segment>,
    spending: Spending,
    heard: BTreeMap<u8, Said>,
    waiting: BTreeMap<u64, Unlabelled>,
    past: Points,
}

/// Why pieces do not make an agent: some were lost, or come from different moments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssembleError {
    /// There are others, but not the one that every agent has.
    #[error("its head is missing")]
    NoHead,
    /// The head says that this segment holds more ids, or fewer, or that there is none.
    #[error("segment {segment} of its seen trace ids holds {held}, its head says {expected}")]
    Segment {
        /// Its number.
        segment: u8,
        /// Ids in it; 0 if it is missing.
        held: usize,
        /// Ids that should be in it.
        expected: usize,
    },
}

impl Change<'_> {
    /// Which piece it is about.
    pub fn piece(&self) -> Piece {
        match self {
            Self::Set(PieceBody(Body::Head(_))) => Piece::Head,
            Self::Set(PieceBody(Body::Seen(segment, _))) => Piece::Seen(*segment),
            Self::Set(PieceBody(Body::Session(segment, _))) => Piece::Session(*segment),
            Self::Set(PieceBody(Body::Trial(_))) => Piece::Trial,
            Self::Set(PieceBody(Body::Pending(segment, _))) => Piece::Pending(*segment),
            Self::Set(PieceBody(Body::Spending(_))) => Piece::Spending,
            Self::Set(PieceBody(Body::Heard(segment, _))) => Piece::Heard(*segment),
            Self::Set(PieceBody(Body::Waiting(id, _))) => Piece::Waiting(*id),
            Self::Set(PieceBody(Body::Past(_))) => Piece::Past,
            Self::Set(PieceBody(Body::Pane(version, start, _))) => Piece::Pane(*version, *start),
            Self::Gone(piece) => *piece,
        }
    }
}

impl Serialize for PieceBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Body::Head(head) => head.serialize(serializer),
            Body::Seen(_, ids) | Body::Session(_, ids) => ids.serialize(serializer),
            Body::Trial(trial) => trial.serialize(serializer),
            Body::Pending(_, units) => units.serialize(serializer),
            Body::Spending(spending) => spending.serialize(serializer),
            Body::Heard(_, said) => said.serialize(serializer),
            Body::Waiting(_, run) => run.serialize(serializer),
            Body::Past(points) => points.serialize(serializer),
            Body::Pane(_, _, aggregate) => aggregate.serialize(serializer),
        }
    }
}

impl Pieces {
    /// Takes what `piece` held as it was serialized. A piece read twice is as it was read last.
    ///
    /// # Errors
    /// Those of `body`, if this is not what such a piece holds.
    pub fn read<'de, D: Deserializer<'de>>(
        &mut self,
        piece: Piece,
        body: D,
    ) -> Result<(), D::Error> {
        match piece {
            Piece::Head => self.head = Some(StoredHead::deserialize(body)?),
            Piece::Seen(segment) => {
                self.seen.insert(segment, Vec::deserialize(body)?);
            }
            Piece::Session(segment) => {
                self.sessions.insert(segment, Vec::deserialize(body)?);
            }
            Piece::Trial => self.trial = Option::deserialize(body)?,
            Piece::Pending(segment) => {
                self.pending.insert(segment, Segment::deserialize(body)?);
            }
            Piece::Spending => self.spending = Spending::deserialize(body)?,
            Piece::Heard(segment) => {
                self.heard.insert(segment, Said::deserialize(body)?);
            }
            Piece::Waiting(id) => {
                self.waiting.insert(id, Unlabelled::deserialize(body)?);
            }
            Piece::Past => self.past = Points::deserialize(body)?,
            Piece::Pane(version, start) => {
                self.panes.insert((version, start), Aggregate::deserialize(body)?);
            }
        }
        Ok(())
    }
}

impl Agent {
    /// The pieces that changed since this was last asked, or since the agent was assembled; all of
    /// them for a new agent. They count as stored from here on: whoever cannot store them has to
    /// assemble the agent anew.
    pub fn take_changes(&mut self) -> Vec<Change<'_>> {
        let Self { name: _, head, windows, seen, sessions, trial, pending, .. } = self;
        let Self { spending, heard, waiting, .. } = self;
        let (watermark, noted) = (windows.watermark(), seen.noted());
        let noted_sessions = sessions.noted();
        let segments = seen.take_changes().map(|(segment, ids)| Body::Seen(segment, ids));
        let segments = segments.map(|body| Change::Set(PieceBody(body)));
        let mut changes: Vec<_> = segments.collect();
        let segments = sessions.take_changes().map(|(segment, ids)| Body::Session(segment, ids));
        changes.extend(segments.map(|body| Change::Set(PieceBody(body))));
        let trial = trial.take_change().map(Body::Trial);
        let units = pending.take_changes().map(|(segment, units)| Body::Pending(segment, units));
        changes.extend(trial.into_iter().chain(units).map(|body| Change::Set(PieceBody(body))));
        let spent = spending.take_change().map(Body::Spending);
        changes.extend(spent.map(|body| Change::Set(PieceBody(body))));
        let said = heard.take_changes().map(|(segment, said)| Body::Heard(segment, said));
        changes.extend(said.map(|body| Change::Set(PieceBody(body))));
        changes.extend(waiting.take_changes().map(|(id, run)| match run {
            Some(run) => Change::Set(PieceBody(Body::Waiting(id, run))),
            None => Change::Gone(Piece::Waiting(id)),
        }));
        let (panes, past) = windows.take_changes();
        changes.extend(panes.into_iter().map(pane));
        changes.extend(past.map(|points| Change::Set(PieceBody(Body::Past(points)))));
        // The head tells how far the other pieces are, so that it changes with each of them.
        let head_changed = head.take_change().is_some();
        if head_changed || !changes.is_empty() {
            let sessions = noted_sessions;
            let head = StoredHead { head: &**head, watermark, seen: noted, sessions };
            changes.insert(0, Change::Set(PieceBody(Body::Head(head))));
        }
        changes
    }

    /// Puts the agent together from all of its pieces. It has no versions' contents until it is
    /// given them by [`Agent::restore`].
    ///
    /// # Errors
    /// [`AssembleError`].
    pub fn assemble(name: AgentName, pieces: Pieces) -> Result<Self, AssembleError> {
        let Pieces { head, seen, panes, sessions, trial, pending, .. } = pieces;
        let Pieces { spending, heard, waiting, past, .. } = pieces;
        let head = head.ok_or(AssembleError::NoHead)?;
        let StoredHead { head, watermark, seen: noted, sessions: noted_sessions } = head;
        let seen = Seen::stored(noted, seen)?;
        let sessions = Seen::stored(noted_sessions, sessions)?;
        let (trial, pending) = (Tracked::stored(trial), Pending::stored(pending));
        let panes = panes.into_iter().map(|((version, start), pane)| (version, start, pane));
        let windows = Windows::stored(watermark, panes, past);
        let (head, spending) = (Tracked::stored(head), Tracked::stored(spending));
        let (heard, waiting) = (Heard::stored(heard), Waiting::stored(waiting));
        Ok(Self { name, head, windows, seen, sessions, trial, pending, spending, heard, waiting })
    }
}

fn pane(pane: ChangedPane<'_>) -> Change<'_> {
    let ChangedPane { version, start, aggregate } = pane;
    match aggregate {
        Some(aggregate) => Change::Set(PieceBody(Body::Pane(version, start, aggregate))),
        None => Change::Gone(Piece::Pane(version, start)),
    }
}

impl From<Misfit> for AssembleError {
    fn from(Misfit { segment, held, expected }: Misfit) -> Self {
        Self::Segment { segment, held, expected }
    }
}
