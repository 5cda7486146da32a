//! The experiments of `whetstone simulate`: how good two versions really are, and what makes that hard
//! to see.

/// A simulated experiment: a candidate against its baseline, the truth being known.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Success rates of baseline and candidate.
    pub(super) success: (f64, f64),
    /// What comes on top of both.
    pub(super) drift: Drift,
    /// Seconds that a run takes, the least and the most: successes, then failures.
    pub(super) seconds: ((f64, f64), (f64, f64)),
    /// Mean seconds until somebody says how a run ended: successes, then failures.
    pub(super) label: (f64, f64),
    /// The trial's deadline in seconds.
    pub(super) deadline: i64,
    /// Seconds between two runs.
    pub(super) every: f64,
}

/// How the success rates change in the course of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drift {
    /// Not.
    None,
    /// Both go up and down by 20 points, in waves of 2000 runs that begin anywhere.
    Waves,
}

/// Plain: whatever comes of it, a run takes about a minute.
const PLAIN: Scenario = Scenario {
    name: "",
    about: "",
    success: (0.7, 0.7),
    drift: Drift::None,
    seconds: ((30.0, 90.0), (30.0, 90.0)),
    label: (0.0, 0.0),
    deadline: 600,
    every: 10.0,
};

/// All of them.
pub fn scenarios() -> [Scenario; 13] {
    let plain = |name, about, baseline, candidate| Scenario {
        name,
        about,
        success: (baseline, candidate),
        ..PLAIN
    };
    [
        plain("equal-50", "no difference, at 50 % success", 0.5, 0.5),
        plain("equal-70", "no difference, at 70 % success", 0.7, 0.7),
        plain("equal-97", "no difference, at 97 % success", 0.97, 0.97),
        plain("harm-70-50", "the candidate falls from 70 to 50 %", 0.7, 0.5),
        plain("harm-95-80", "the candidate falls from 95 to 80 %", 0.95, 0.8),
        plain("gain-70-80", "the candidate rises from 70 to 80 %", 0.7, 0.8),
        plain("gain-70-75", "the candidate rises from 70 to 75 %", 0.7, 0.75),
        Scenario {
            drift: Drift::Waves,
            ..plain("drift", "no difference, while both drift between 50 and 90 %", 0.7, 0.7)
        },
        Scenario {
            drift: Drift::Waves,
            ..plain("drift-gain", "10 points better, while both drift by 40", 0.65, 0.75)
        },
        Scenario {
            seconds: ((110.0, 130.0), (5.0, 15.0)),
            ..plain("completion-bias", "no difference; failures are over at once", 0.7, 0.7)
        },
        Scenario {
            seconds: ((50.0, 70.0), (170.0, 190.0)),
            ..plain("completion-bias-slow", "no difference; failures time out late", 0.7, 0.7)
        },
        Scenario {
            label: (300.0, 900.0),
            deadline: 3600,
            ..plain("delayed-labels", "no difference; failures are labelled last", 0.7, 0.7)
        },
        Scenario {
            label: (300.0, 900.0),
            deadline: 3600,
            ..plain("delayed-labels-gain", "70 to 80 %; failures are labelled last", 0.7, 0.8)
        },
    ]
}

impl Scenario {
    /// The success rate at run `number`, the waves beginning at `phase` in [0, 1).
    pub(super) fn success(&self, candidate: bool, number: u64, phase: f64) -> f64 {
        let (baseline, other) = self.success;
        let rate = if candidate { other } else { baseline };
        #[expect(clippy::cast_precision_loss, reason = "thousands of runs")]
        let wave = (number as f64 / 2000.0 + phase) * std::f64::consts::TAU;
        match self.drift {
            Drift::None => rate,
            Drift::Waves => rate + 0.2 * wave.sin(),
        }
    }

    /// Whether a promotion is right.
    pub fn is_gain(&self) -> bool {
        self.success.1 > self.success.0
    }

    /// Whether a rollback is right.
    pub fn is_harm(&self) -> bool {
        self.success.1 < self.success.0
    }
}
