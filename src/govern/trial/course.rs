//! How a trial's confidence sequence closed in, for people: nothing is decided by it.
//!
//! What is noted are numbers for a chart, rounded; what a trial rests on are its counts alone.

use serde::{Deserialize, Serialize};

use super::Trial;
use super::evidence::Metric;
use super::progress::Forecast;
use super::view::shown;
use crate::base::{EventTime, rounded};

/// What was noted as blocks closed, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Course(Vec<Mark>);

/// The reward's differences after so many blocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Packed", from = "Packed")]
struct Mark {
    blocks: u32,
    /// Of the candidate.
    units: u32,
    effect: f32,
    low: f32,
    high: f32,
    /// ln of the e-value of the gain.
    ln_gain: f32,
    at: EventTime,
}

/// The same in a row: a trial is written again with each of its runs.
type Packed = (u32, u32, f32, f32, f32, f32, i64);

/// Where a trial stood at a moment, by its reward. In JSON a row: `[at, units, effect, low, high, e_value]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Row", from = "Row")]
pub struct CourseView {
    /// The agent's time.
    pub at: EventTime,
    /// Units of the candidate.
    pub units: u64,
    /// The mean difference over blocks.
    pub effect: f64,
    /// Its confidence sequence at 95 %: it holds the true one at all times at once.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
    /// The e-value that the candidate gains; shown up to 10^30.
    pub e_value: f64,
}

type Row = (EventTime, u64, f64, f64, f64, f64);

impl Course {
    /// The most that is noted. With the steps of [`Course::is_due`] it is reached after 400 000 blocks.
    const MOST: usize = 96;

    /// Whether the block that closes as the one of that number is to be noted: each at first, later one
    /// that brings a seventh more.
    fn is_due(&self, blocks: u32) -> bool {
        let last = self.0.last().map_or(0, |mark| mark.blocks);
        self.0.len() < Self::MOST && blocks >= last.saturating_add((last / 7).max(1))
    }
}

impl Trial {
    /// Takes note of where the trial stands, if that is due now that a block has closed.
    pub(super) fn note(&mut self) {
        let blocks = self.evidence.differences(Metric::Reward).blocks();
        if self.course.is_due(u32::try_from(blocks).unwrap_or(u32::MAX)) {
            let mark = self.mark();
            self.course.0.extend(mark);
        }
    }

    /// Where it stands; none without blocks.
    fn mark(&self) -> Option<Mark> {
        let differences = self.differences(Metric::Reward);
        let effect = differences.mean()?;
        let (low, high) = differences.interval(Forecast::ALPHA);
        let whole = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "precise enough for a chart")]
        let short = |value: f64| value as f32;
        Some(Mark {
            blocks: whole(differences.blocks()),
            units: whole(self.evidence.candidate.units),
            effect: short(effect),
            low: short(low),
            high: short(high),
            ln_gain: short(self.ln_gain()),
            at: self.now,
        })
    }

    /// What was noted, and where it stands now.
    pub(super) fn course(&self) -> Vec<CourseView> {
        let now = self.mark().filter(|now| self.course.0.last() != Some(now));
        self.course.0.iter().chain(&now).map(CourseView::of).collect()
    }
}

impl CourseView {
    fn of(mark: &Mark) -> Self {
        let Mark { units, effect, low, high, ln_gain, at, .. } = *mark;
        Self {
            at,
            units: u64::from(units),
            effect: rounded(effect.into()),
            low: rounded(low.into()),
            high: rounded(high.into()),
            e_value: rounded(shown(ln_gain.into())),
        }
    }
}

impl From<Mark> for Packed {
    fn from(mark: Mark) -> Self {
        let Mark { blocks, units, effect, low, high, ln_gain, at } = mark;
        (blocks, units, effect, low, high, ln_gain, at.as_millis())
    }
}

impl From<Packed> for Mark {
    fn from((blocks, units, effect, low, high, ln_gain, at): Packed) -> Self {
        let at = EventTime::from_millis(at);
        Self { blocks, units, effect, low, high, ln_gain, at }
    }
}

impl From<CourseView> for Row {
    fn from(view: CourseView) -> Self {
        let CourseView { at, units, effect, low, high, e_value } = view;
        (at, units, effect, low, high, e_value)
    }
}

impl From<Row> for CourseView {
    fn from((at, units, effect, low, high, e_value): Row) -> Self {
        Self { at, units, effect, low, high, e_value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes what is due of so many blocks; says which were.
    fn noted(blocks: u32) -> Vec<u32> {
        let mut course = Course::default();
        for blocks in 1..=blocks {
            if course.is_due(blocks) {
                let at = EventTime::from_millis(1_700_000_000_000 + i64::from(blocks));
                let (effect, low, high, ln_gain) = (0.123, -0.456, 0.789, -3.21);
                course.0.push(Mark { blocks, units: blocks, effect, low, high, ln_gain, at });
            }
        }
        let packed = rmp_serde::to_vec_named(&course).unwrap();
        assert_eq!(rmp_serde::from_slice::<Course>(&packed).unwrap(), course);
        println!("{} marks of {blocks} blocks take {} bytes", course.0.len(), packed.len());
        course.0.iter().map(|mark| mark.blocks).collect()
    }

    #[test]
    fn blocks_are_noted_ever_more_rarely() {
        let each = noted(4000);
        assert_eq!(each.get(..13), Some(&(1..=13).collect::<Vec<_>>()[..]));
        assert!((40..=63).contains(&each.len()), "{each:?}");
        for (last, next) in each.iter().zip(each.iter().skip(13)).skip(13) {
            assert!(next > last);
        }
        let steps = each.iter().zip(each.iter().skip(1)).filter(|(last, _)| **last >= 14);
        for (last, next) in steps {
            let factor = f64::from(*next) / f64::from(*last);
            assert!((1.07..=1.15).contains(&factor), "{last} to {next}");
        }
    }

    #[test]
    fn no_trial_is_long_enough_for_more_than_are_kept() {
        assert_eq!(noted(2_000_000).len(), Course::MOST);
    }
}
