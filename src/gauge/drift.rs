//! A watch over a stream of rewards for a lasting fall, with a known time between false alarms.
//!
//! The Shiryaev–Roberts e-detector (Shin, Ramdas & Rinaldo 2022, arXiv 2203.03532): with rewards X in
//! [0, 1] whose mean is at least m, and bets λ of at most 0.9/(1 − m),
//!
//! ```text
//! R ← (R + 1)·(1 + λ·(m − X)),   alarm when the mean of R over λ reaches A
//! ```
//!
//! gives a false alarm after A runs on average, or later.

use serde::{Deserialize, Serialize};

use super::evidence::BETS;

/// The detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DriftDetector {
    /// The mean reward that is to be held, in [0, 1].
    level: f64,
    capital: [f64; BETS.len()],
    runs: u64,
}

impl DriftDetector {
    /// Bets must leave something whatever comes.
    const MOST: f64 = 0.9;

    /// Watches for a mean reward below `level`, which is clipped to [0, 1].
    pub fn new(level: f64) -> Self {
        Self { level: level.clamp(0.0, 1.0), capital: [0.0; BETS.len()], runs: 0 }
    }

    /// Takes one reward in [0, 1]; true if the evidence has reached `runs_to_false_alarm`.
    pub fn add(&mut self, reward: f64, runs_to_false_alarm: f64) -> bool {
        let (level, reward) = (self.level, reward.clamp(0.0, 1.0));
        let most = Self::MOST / (1.0 - level).max(1e-3);
        for (capital, bet) in self.capital.iter_mut().zip(BETS) {
            *capital = (*capital + 1.0) * (1.0 + bet * most * (level - reward)).max(0.0);
        }
        self.runs += 1;
        self.evidence() >= runs_to_false_alarm
    }

    /// What the alarm is measured by.
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    pub fn evidence(&self) -> f64 {
        self.capital.iter().sum::<f64>() / BETS.len() as f64
    }

    /// The mean reward that is to be held.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Rewards taken.
    pub fn runs(&self) -> u64 {
        self.runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs until the alarm, at most `most`.
    fn alarm(rng: &mut fastrand::Rng, level: f64, success: f64, most: u64) -> Option<u64> {
        let mut detector = DriftDetector::new(level);
        (1..=most).find(|_| detector.add(f64::from(u8::from(rng.f64() < success)), 1000.0))
    }

    #[test]
    fn a_fall_is_noticed_soon_and_a_false_alarm_is_rare() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut median = |level, success, most| {
            let mut delays: Vec<_> =
                (0..400).map(|_| alarm(&mut rng, level, success, most).unwrap_or(most)).collect();
            delays.sort_unstable();
            delays[200]
        };
        assert!(median(0.75, 0.6, 5000) < 90, "80 to 60 %, watched at 75 %");
        assert!(median(0.92, 0.8, 5000) < 70, "95 to 80 %, watched at 92 %");
        let mut rng = fastrand::Rng::with_seed(4);
        let most = 20_000;
        let sum: u64 = (0..300).map(|_| alarm(&mut rng, 0.75, 0.75, most).unwrap_or(most)).sum();
        assert!(sum / 300 > 1000, "runs to a false alarm at the very level: {}", sum / 300);
    }

    #[test]
    fn the_ends_of_the_scale_do_no_harm() {
        for level in [-1.0, 0.0, 1.0, 2.0] {
            let mut detector = DriftDetector::new(level);
            for reward in [0.0, 1.0, 0.0, 0.5] {
                detector.add(reward, f64::INFINITY);
                assert!(detector.evidence().is_finite() && detector.evidence() >= 0.0);
            }
        }
    }
}
