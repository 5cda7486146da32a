//! The hidden rules: what makes a simulated run succeed.

use fastrand::Rng;

use crate::govern::{Content, Guidance};

/// What a simulated agent's success depends on. Shares are in [0, 1].
#[derive(Clone, Copy, Debug)]
pub(super) enum Rule {
    /// It should use `tool`, and does so more often when its guidance recommends it.
    Helps { tool: &'static str },
    /// It should keep away from `tool`, and does so when its guidance warns of it.
    Harms { tool: &'static str },
    /// Its tasks need about `rounds` rounds, some many more; `max_step` cuts them off.
    Needs { rounds: f64 },
    /// It uses `tool` on easy tasks, which succeed anyway, so that successes seem to be owed to it. Told to
    /// use it, it does so on hard tasks too, where that does harm.
    Misleads { tool: &'static str },
    /// Nothing it can be told makes a difference.
    Nothing,
}

/// What a rule makes of one run.
pub(super) struct Course {
    /// The special tool, if the run used it.
    pub(super) uses: Option<&'static str>,
    pub(super) rounds: u32,
    pub(super) success: bool,
}

impl Rule {
    /// Draws the course of one run under `content`.
    pub(super) fn course(self, content: &Content, rng: &mut Rng) -> Course {
        let rounds = rng.u32(4..9);
        match self {
            Self::Helps { tool } => {
                let uses =
                    rng.f64() < if advice(content, tool) == Advice::Use { 0.95 } else { 0.45 };
                let success = rng.f64() < if uses { 0.85 } else { 0.35 };
                Course { uses: uses.then_some(tool), rounds, success }
            }
            Self::Harms { tool } => {
                let warned = advice(content, tool) == Advice::Avoid;
                let uses = rng.f64() < if warned { 0.08 } else { 0.5 };
                let success = rng.f64() < if uses { 0.3 } else { 0.82 };
                Course { uses: uses.then_some(tool), rounds, success }
            }
            Self::Needs { rounds } => {
                let limit = content.config_u32("max_step").unwrap_or(u32::MAX);
                // A long tail: most tasks are short, some take several times as long.
                let tail = (-rng.f64().max(1e-9).ln()).min(6.0);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 to 60"
                )]
                let needed = (rounds * (0.4 + 0.6 * tail)).round().clamp(1.0, 60.0) as u32;
                let done = needed < limit;
                Course { uses: None, rounds: needed.min(limit), success: done && rng.f64() < 0.92 }
            }
            Self::Misleads { tool } => {
                let easy = rng.f64() < 0.5;
                let told = advice(content, tool) == Advice::Use;
                let uses = told || rng.f64() < if easy { 0.9 } else { 0.1 };
                let rate = match (easy, told) {
                    (true, _) => 0.92,
                    (false, false) => 0.5,
                    (false, true) => 0.08,
                };
                Course { uses: uses.then_some(tool), rounds, success: rng.f64() < rate }
            }
            Self::Nothing => Course { uses: None, rounds, success: rng.f64() < 0.6 },
        }
    }
}

#[derive(PartialEq, Eq)]
enum Advice {
    None,
    Use,
    Avoid,
}

/// How the agent reads its learned guidance about `tool`: by plain words, as a model would by sense.
fn advice(content: &Content, tool: &str) -> Advice {
    const WARNINGS: [&str; 7] =
        ["avoid", "do not", "don't", "instead of", "only if", "unless", "wary"];
    let Some(system) = content.prompts.get("system") else { return Advice::None };
    let guidance = Guidance::parse(system);
    let Some(bullet) = guidance.bullets().iter().find(|bullet| bullet.text.contains(tool)) else {
        return Advice::None;
    };
    let text = bullet.text.to_lowercase();
    if WARNINGS.iter().any(|warning| text.contains(warning)) { Advice::Avoid } else { Advice::Use }
}
