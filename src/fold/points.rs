//! What is left of a pane once it is dropped: a point in an agent's past, a few dozen bytes. Judges nothing;
//! people look at it.

use serde::{Deserialize, Serialize};

use super::{Aggregate, Counts};
use crate::base::{EventTime, Tracked, VersionNumber};

/// How the runs of one version in one pane fared. Figures are less precise than a
/// pane's, and more than what its sketches promise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Packed", from = "Packed")]
pub struct Point {
    version: VersionNumber,
    pane: i64,
    from: EventTime,
    /// Milliseconds; exact to four hours, and to a ten-millionth beyond.
    span: f32,
    runs: [u32; 4],
    /// Nothing but zeros without a run whose outcome is known.
    figures: [f32; 4],
}

/// The same in a row: all points of an agent are written again with each new one.
type Packed = (u32, i64, i64, f32, [u32; 4], [f32; 4]);

/// The newest points of one agent, oldest first. Which they are does not depend on the order in which they
/// came.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<Point>", from = "Vec<Point>")]
pub struct Points(Vec<Point>);

impl Point {
    /// Panes that are numbered lie years before their runs, taken for a time.
    const YEAR: i64 = 366 * 24 * 3_600_000;

    /// What is left of the pane of `version` at `start`; none of one without runs.
    pub(super) fn of(version: VersionNumber, start: i64, pane: &Aggregate) -> Option<Self> {
        let (from, to) = pane.span.filter(|_| pane.counts.total() > 0)?;
        let numbered = !(0..Self::YEAR).contains(&from.as_millis().saturating_sub(start));
        let Counts { success, failure, aborted, unknown } = pane.counts;
        let figures = [
            pane.mean_reward(),
            pane.latency.quantile(0.5),
            pane.latency.quantile(0.95),
            pane.attempts.quantile(0.5),
        ];
        #[expect(clippy::cast_possible_truncation, reason = "precise enough for a chart")]
        let short = |value: f64| value as f32;
        #[expect(clippy::cast_precision_loss, reason = "as the field says")]
        let span = to.millis_since(from).max(0) as f32;
        Some(Self {
            version,
            pane: if numbered { from.as_millis() } else { start },
            from,
            span,
            runs: [success, failure, aborted, unknown]
                .map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
            figures: figures.map(|figure| figure.map_or(0.0, short)),
        })
    }

    /// The version of its runs.
    pub fn version(&self) -> VersionNumber {
        self.version
    }

    /// What points of the same pane have in common: when it starts, in milliseconds. Where runs are counted
    /// versions share no panes, and it is when the first run ended.
    pub fn pane(&self) -> i64 {
        self.pane
    }

    /// When the first of its runs ended.
    pub fn from(&self) -> EventTime {
        self.from
    }

    /// When the last of them ended.
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    pub fn to(&self) -> EventTime {
        self.from.plus_millis(self.span as i64)
    }

    /// Its runs by outcome, each at most 2^32 − 1.
    pub fn runs(&self) -> Counts {
        let [success, failure, aborted, unknown] = self.runs.map(u64::from);
        Counts { success, failure, aborted, unknown }
    }

    /// Mean reward in [0, 1] of runs with a known outcome; `None` without any.
    pub fn mean_reward(&self) -> Option<f32> {
        let [reward, ..] = self.figures;
        self.known(reward)
    }

    /// Median latency and its 95th percentile in seconds, of the same runs.
    pub fn latency(&self) -> (Option<f32>, Option<f32>) {
        let [_, p50, p95, _] = self.figures;
        (self.known(p50 / 1000.0), self.known(p95 / 1000.0))
    }

    /// Median tool calls of the same runs.
    pub fn attempts(&self) -> Option<f32> {
        let [.., attempts] = self.figures;
        self.known(attempts)
    }

    fn known(&self, figure: f32) -> Option<f32> {
        (self.runs().known() > 0).then_some(figure)
    }

    /// Points lie in this order.
    fn key(&self) -> (EventTime, VersionNumber) {
        (self.from, self.version)
    }
}

impl Points {
    /// The most that are kept; the oldest go first.
    pub const MOST: usize = 64;

    /// All of them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Point> {
        self.0.iter()
    }

    /// Takes `point` in; no change if it is older than all there is room for.
    pub(super) fn note(points: &mut Tracked<Self>, point: Point) {
        let at = points.0.partition_point(|earlier| earlier.key() <= point.key());
        if at > 0 || points.0.len() < Self::MOST {
            points.insert(at, point);
        }
    }

    fn insert(&mut self, at: usize, point: Point) {
        self.0.insert(at, point);
        if self.0.len() > Self::MOST {
            self.0.remove(0);
        }
    }
}

impl From<Points> for Vec<Point> {
    fn from(points: Points) -> Self {
        points.0
    }
}

impl From<Vec<Point>> for Points {
    /// However many they are and however they lie.
    fn from(mut points: Vec<Point>) -> Self {
        points.sort_by_key(Point::key);
        let surplus = points.len().saturating_sub(Self::MOST);
        points.drain(..surplus);
        Self(points)
    }
}

impl From<Point> for Packed {
    fn from(point: Point) -> Self {
        let Point { version, pane, from, span, runs, figures } = point;
        (version.0, pane, from.as_millis(), span, runs, figures)
    }
}

impl From<Packed> for Point {
    fn from((version, pane, from, span, runs, figures): Packed) -> Self {
        let (version, from) = (VersionNumber(version), EventTime::from_millis(from));
        Self { version, pane, from, span, runs, figures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::Reward;

    fn at(version: u32, start: i64, (first, last): (i64, i64)) -> Point {
        let span = Some((EventTime::from_millis(first), EventTime::from_millis(last)));
        let counts = Counts { success: 3, failure: 1, aborted: 2, unknown: 5 };
        let reward = Reward { success: 2_000_000, ..Reward::default() };
        let mut pane = Aggregate { counts, reward, span, ..Aggregate::default() };
        for millis in [1000, 2000, 3000, 4000] {
            pane.latency.add(millis);
            pane.attempts.add(7);
        }
        Point::of(VersionNumber(version), start, &pane).unwrap()
    }

    #[test]
    fn a_point_says_what_its_pane_did() {
        let point = at(3, 1_000, (1_200, 9_000));
        assert_eq!((point.version(), point.pane()), (VersionNumber(3), 1_000));
        assert_eq!((point.from().as_millis(), point.to().as_millis()), (1_200, 9_000));
        let runs = Counts { success: 3, failure: 1, aborted: 2, unknown: 5 };
        assert_eq!(point.runs(), runs);
        assert_eq!(point.mean_reward(), Some(0.5));
        let near = |figure: Option<f32>, value: f32| {
            assert!((figure.unwrap() / value - 1.0).abs() < 0.03, "{figure:?} for {value}");
        };
        near(point.latency().0, 2.0);
        near(point.latency().1, 3.0);
        near(point.attempts(), 7.0);
        let packed = rmp_serde::to_vec(&point).unwrap();
        assert_eq!(rmp_serde::from_slice::<Point>(&packed).unwrap(), point);
        println!("a point takes {} bytes, stored {}", size_of::<Point>(), packed.len());
        assert!(size_of::<Point>() <= 56 && packed.len() <= 64);
    }

    #[test]
    fn without_runs_there_is_no_point_and_without_known_ones_no_figures() {
        let span = Some((EventTime::from_millis(1), EventTime::from_millis(1)));
        let mut pane = Aggregate { span, ..Aggregate::default() };
        assert_eq!(Point::of(VersionNumber(1), 0, &pane), None);
        pane.counts.unknown = 1;
        let point = Point::of(VersionNumber(1), 0, &pane).unwrap();
        assert_eq!((point.runs().unknown, point.mean_reward()), (1, None));
        assert_eq!((point.latency(), point.attempts()), ((None, None), None));
    }

    #[test]
    fn numbered_panes_are_shared_by_nobody() {
        let now = 1_700_000_000_000;
        assert_eq!(at(1, now - 1, (now, now)).pane(), now - 1);
        assert_eq!(at(1, 4, (now, now)).pane(), now);
        assert_eq!(at(1, i64::MAX, (i64::MIN, i64::MAX)).pane(), i64::MIN);
    }

    #[test]
    fn the_newest_are_kept_whatever_the_order() {
        let mut every: Vec<_> =
            (0..100).map(|time| at(1 + time % 3, 0, (time.into(), 200))).collect();
        let newest = every.clone().split_off(100 - Points::MOST);
        let mut rng = fastrand::Rng::with_seed(4);
        for _ in 0..10 {
            rng.shuffle(&mut every);
            let mut points = Tracked::stored(Points::default());
            for point in &every {
                Points::note(&mut points, *point);
            }
            assert_eq!(points.0, newest);
            assert_eq!(Points::from(every.clone()).0, newest);
            points.take_change();
            Points::note(&mut points, at(1, 0, (-1, 200)));
            assert_eq!(points.take_change(), None, "older than all there is room for");
        }
    }
}
