//! Quantiles in bounded memory: a DDSketch with a relative error of 2 %.
//!
//! Only whole numbers of at most 2^40 go in, so that the sketch's inner sum stays exact below 2^53 and
//! a merge gives the same sketch in any order.

use serde::{Deserialize, Serialize};
use sketches_ddsketch::{Config, DDSketch};

/// A quantile sketch of whole, non-negative numbers.
#[derive(Clone, Serialize, Deserialize, Default)]
pub struct Sketch(Option<DDSketch>);

impl Sketch {
    const RELATIVE_ERROR: f64 = 0.02;
    /// Covers 1 to 10^17 at that error without collapsing: a collapse would depend on the order.
    const MAX_BINS: u32 = 1024;
    const SMALLEST: f64 = 0.5;
    /// In milliseconds, 34 years.
    const GREATEST: u64 = 1 << 40;

    /// Adds one number; one above 2^40 counts as that.
    pub fn add(&mut self, value: u64) {
        #[expect(clippy::cast_precision_loss, reason = "at most 2^40")]
        self.0.get_or_insert_with(empty).add(value.min(Self::GREATEST) as f64);
    }

    /// Adds all of `other`.
    #[expect(clippy::expect_used, reason = "every sketch has the configuration of `empty`")]
    pub fn merge(&mut self, other: &Self) {
        let Some(theirs) = &other.0 else { return };
        match &mut self.0 {
            Some(ours) => ours.merge(theirs).expect("one configuration"),
            None => self.0 = Some(theirs.clone()),
        }
    }

    /// How many numbers went in.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |sketch| sketch.count() as u64)
    }

    /// The `q`-quantile, `q` in [0, 1]; `None` if nothing went in.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.0.as_ref()?.quantile(q).ok().flatten()
    }

    /// The mean, exact; `None` if nothing went in.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
    pub fn mean(&self) -> Option<f64> {
        let sketch = self.0.as_ref()?;
        sketch.sum().map(|sum| sum / sketch.count().max(1) as f64)
    }
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
