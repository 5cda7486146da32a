//! The panes that windows are merged from, and which of them changed since they were last stored.
//! Knows no time: what expires is decided by its caller.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::{Aggregate, Point};
use crate::base::{Tracked, VersionNumber};

/// The panes of one agent.
#[derive(Clone, Debug, Default)]
pub(super) struct Panes {
    /// By version, then by start. No version is without panes. They are boxed, since a map has room for eleven from
    /// the first one on.
    held: BTreeMap<VersionNumber, BTreeMap<i64, Box<Tracked<Aggregate>>>>,
    /// Stored once, dropped since.
    gone: BTreeSet<(VersionNumber, i64)>,
}

/// A pane that changed.
#[derive(Clone, Copy, Debug)]
pub struct ChangedPane<'a> {
    /// The version of its runs.
    pub version: VersionNumber,
    /// Its start in milliseconds, or its number where runs are counted.
    pub start: i64,
    /// What it holds now; `None` if it was dropped.
    pub aggregate: Option<&'a Aggregate>,
}

impl Panes {
    /// Panes as they were read from where they are stored.
    pub(super) fn stored(panes: impl IntoIterator<Item = (VersionNumber, i64, Aggregate)>) -> Self {
        let mut all = Self::default();
        for (version, start, aggregate) in panes {
            let held = all.held.entry(version).or_default();
            held.insert(start, Box::new(Tracked::stored(aggregate)));
        }
        all
    }

    /// The pane of `version` at `start`, made if absent, to be changed.
    pub(super) fn entry(&mut self, version: VersionNumber, start: i64) -> &mut Aggregate {
        self.held.entry(version).or_default().entry(start).or_default()
    }

    pub(super) fn contains(&self, version: VersionNumber, start: i64) -> bool {
        self.held.get(&version).is_some_and(|panes| panes.contains_key(&start))
    }

    /// The pane of `version` that starts last.
    pub(super) fn last(&self, version: VersionNumber) -> Option<(i64, &Aggregate)> {
        let (start, pane) = self.held.get(&version)?.last_key_value()?;
        Some((*start, pane))
    }

    /// The panes of `version` that start within `starts`, in order.
    pub(super) fn range(
        &self,
        version: VersionNumber,
        starts: RangeInclusive<i64>,
    ) -> impl Iterator<Item = &Aggregate> {
        let panes = self.held.get(&version).into_iter();
        panes.flat_map(move |panes| panes.range(starts.clone())).map(|(_, pane)| &***pane)
    }

    pub(super) fn len(&self) -> usize {
        self.held.values().map(BTreeMap::len).sum()
    }

    /// What is left of each, were it dropped now.
    pub(super) fn points(&self) -> impl Iterator<Item = Point> {
        let all = self.held.iter().flat_map(|(version, panes)| {
            panes.iter().map(|(start, pane)| Point::of(*version, *start, pane))
        });
        all.flatten()
    }

    /// Drops the panes of each version that start before what `oldest` makes of its last start; what is left
    /// of them.
    pub(super) fn expire(&mut self, oldest: impl Fn(i64) -> i64) -> Vec<Point> {
        let mut left = Vec::new();
        for (version, panes) in &mut self.held {
            let Some(oldest) = panes.last_key_value().map(|(last, _)| oldest(*last)) else {
                continue;
            };
            while let Some(first) = panes.first_entry().filter(|first| *first.key() < oldest) {
                let (start, pane) = first.remove_entry();
                left.extend(Point::of(*version, start, &pane));
                if pane.is_stored() {
                    self.gone.insert((*version, start));
                }
            }
        }
        self.held.retain(|_, panes| !panes.is_empty());
        left
    }

    /// Drops panes until there are no more than `most`, those whose latest run is the oldest first.
    /// Their starts would not do: count windows number from 0 in each version, and the newest
    /// version's would go first. What is left of them.
    pub(super) fn make_room(&mut self, most: usize) -> Vec<((VersionNumber, i64), Point)> {
        let mut left = Vec::new();
        while self.len() > most {
            let latest = |pane: &Aggregate| pane.span.map(|(_, last)| last);
            let all = self.held.iter().flat_map(|(version, panes)| {
                panes.iter().map(move |(start, pane)| (latest(pane), *version, *start))
            });
            let Some((_, version, start)) = all.min() else { break };
            let point = self.remove(version, start);
            left.extend(point.map(|point| ((version, start), point)));
        }
        left
    }

    fn remove(&mut self, version: VersionNumber, start: i64) -> Option<Point> {
        let panes = self.held.get_mut(&version)?;
        let pane = panes.remove(&start)?;
        if panes.is_empty() {
            self.held.remove(&version);
        }
        if pane.is_stored() {
            self.gone.insert((version, start));
        }
        Point::of(version, start, &pane)
    }

    /// The panes to be stored or dropped from the store now; takes that for done from here on.
    pub(super) fn take_changes(&mut self) -> Vec<ChangedPane<'_>> {
        let gone = std::mem::take(&mut self.gone).into_iter();
        // One that came back is not gone.
        let gone = gone.filter(|(version, start)| !self.contains(*version, *start));
        let mut changes: Vec<_> =
            gone.map(|(version, start)| ChangedPane { version, start, aggregate: None }).collect();
        for (version, panes) in &mut self.held {
            changes.extend(panes.iter_mut().filter_map(|(start, pane)| {
                let aggregate = Some(pane.take_change()?);
                Some(ChangedPane { version: *version, start: *start, aggregate })
            }));
        }
        changes
    }
}

impl PartialEq for Panes {
    /// Equal in what they hold, whatever of it is stored.
    fn eq(&self, other: &Self) -> bool {
        let Self { held, gone: _ } = self;
        *held == other.held
    }
}
