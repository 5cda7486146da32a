//! Quantiles in bounded memory: a DDSketch with a relative error of 2 %.
//!
//! Only whole numbers of at most 2^40 go in, so that the sketch's inner sum stays exact below 2^53 and
//! a merge gives the same sketch in any order.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sketches_ddsketch::{Config, DDSketch};

/// A quantile sketch of whole, non-negative numbers. As long as there are few, it is their list, in order: a tenth
/// of the sketch that they would make, which is made when somebody asks. Which of the two it is depends on how many
/// there are, so that the order of arrival and of merges makes no difference.
#[derive(Clone)]
pub struct Sketch(Kept);

#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Few(Vec<u64>),
    /// Boxed, since most are few.
    Many(Box<DDSketch>),
}

impl Sketch {
    const RELATIVE_ERROR: f64 = 0.02;
    /// Covers 1 to 10^17 at that error without collapsing: a collapse would depend on the order.
    const MAX_BINS: u32 = 1024;
    const SMALLEST: f64 = 0.5;
    /// In milliseconds, 34 years.
    const GREATEST: u64 = 1 << 40;
    /// How many numbers are few.
    const FEW: usize = 32;

    /// Adds one number; one above 2^40 counts as that.
    pub fn add(&mut self, value: u64) {
        let value = value.min(Self::GREATEST);
        match &mut self.0 {
            Kept::Few(values) => {
                let place = values.partition_point(|other| *other <= value);
                values.insert(place, value);
            }
            Kept::Many(sketch) => add(sketch, value),
        }
        self.settle();
    }

    /// Adds all of `other`.
    #[expect(clippy::expect_used, reason = "every sketch has the configuration of `empty`")]
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Kept::Few(ours), Kept::Few(theirs)) => {
                ours.extend_from_slice(theirs);
                ours.sort_unstable();
            }
            (Kept::Few(ours), Kept::Many(theirs)) => {
                let mut sketch = theirs.clone();
                ours.iter().for_each(|value| add(&mut sketch, *value));
                self.0 = Kept::Many(sketch);
            }
            (Kept::Many(ours), Kept::Few(theirs)) => {
                theirs.iter().for_each(|value| add(ours, *value));
            }
            (Kept::Many(ours), Kept::Many(theirs)) => {
                ours.merge(theirs).expect("one configuration");
            }
        }
        self.settle();
    }

    /// Makes a sketch of what is no longer few.
    fn settle(&mut self) {
        if let Kept::Few(values) = &self.0
            && values.len() > Self::FEW
        {
            self.0 = Kept::Many(Box::new(sketch_of(values)));
        }
    }

    /// How many numbers went in.
    pub fn count(&self) -> u64 {
        match &self.0 {
            Kept::Few(values) => values.len() as u64,
            Kept::Many(sketch) => sketch.count() as u64,
        }
    }

    /// The `q`-quantile, `q` in [0, 1]; `None` if nothing went in.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        match &self.0 {
            Kept::Few(values) => sketch_of(values).quantile(q).ok().flatten(),
            Kept::Many(sketch) => sketch.quantile(q).ok().flatten(),
        }
    }

    /// The mean, exact; `None` if nothing went in.
    #[expect(clippy::cast_precision_loss, reason = "counts and sums are below 2^52")]
    pub fn mean(&self) -> Option<f64> {
        let sum = match &self.0 {
            Kept::Few(values) if values.is_empty() => None,
            Kept::Few(values) => Some(values.iter().sum::<u64>() as f64),
            Kept::Many(sketch) => sketch.sum(),
        };
        sum.map(|sum| sum / self.count().max(1) as f64)
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self(Kept::Few(Vec::new()))
    }
}

impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    /// Once a sketch of nothing was written as nothing.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<Kept>::deserialize(deserializer)?.map(Self).unwrap_or_default())
    }
}

fn sketch_of(values: &[u64]) -> DDSketch {
    let mut sketch = empty();
    values.iter().for_each(|value| add(&mut sketch, *value));
    sketch
}

#[expect(clippy::cast_precision_loss, reason = "at most 2^40")]
fn add(sketch: &mut DDSketch, value: u64) {
    sketch.add(value as f64);
}

fn empty() -> DDSketch {
    DDSketch::new(Config::new(Sketch::RELATIVE_ERROR, Sketch::MAX_BINS, Sketch::SMALLEST))
}

impl PartialEq for Sketch {
    /// Equal in what it can be asked: count, mean and a grid of quantiles. The bins' layout in
    /// memory depends on the order of arrival and does not count.
    fn eq(&self, other: &Self) -> bool {
        self.count() == other.count()
            && self.mean() == other.mean()
            && (0..=20).all(|i| {
                let q = f64::from(i) / 20.0;
                self.quantile(q) == other.quantile(q)
            })
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sketch")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p95", &self.quantile(0.95))
            .finish()
    }
}
