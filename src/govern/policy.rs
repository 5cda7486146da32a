//! What an operator allows and wants for one agent, as the machine needs it.

use serde::{Deserialize, Serialize};

use super::Content;
use super::GuardRules;
use crate::fold::{Limits, RewardSpec, WindowKind, WindowSpec};

/// One agent's rules. Part of what a replay needs, beside the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// How runs are grouped.
    pub windows: WindowSpec,
    /// Runs with known outcome a window needs before it is worth an optimization. Default 10.
    pub min_traces: u64,
    /// Milliseconds of event time between two requests. Default 1 hour.
    pub cooldown: i64,
    /// What is worth having.
    pub reward: RewardSpec,
    /// How a new version reaches the agent.
    pub rollout: Rollout,
    /// What a new version may change.
    pub guard: GuardRules,
    /// The prompt that carries the learned guidance. Default `system`.
    pub guidance_key: String,
    /// The config key that limits rounds. Default `max_step`.
    pub step_key: String,
    /// The config key that limits attempts, the first included. Default `max_retry_attempts`.
    pub retry_key: String,
    /// Seeds whatever is drawn for this agent.
    pub seed: u64,
}

/// How a new version reaches the agent. Trials on a share of live runs will join these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollout {
    /// A person approves or rejects each candidate.
    Manual,
    /// At once, as the original did: for tests and the brave.
    Immediate,
}

impl Default for Policy {
    fn default() -> Self {
        const HOUR: i64 = 3_600_000;
        Self {
            windows: WindowSpec {
                kind: WindowKind::Sliding { length: 24 * HOUR, slide: HOUR },
                allowed_lateness: HOUR,
            },
            min_traces: 10,
            cooldown: HOUR,
            reward: RewardSpec::default(),
            rollout: Rollout::Manual,
            guard: GuardRules::default(),
            guidance_key: "system".to_owned(),
            step_key: "max_step".to_owned(),
            retry_key: "max_retry_attempts".to_owned(),
            seed: 42,
        }
    }
}

impl Policy {
    /// The limits that runs under `content` have.
    pub fn limits(&self, content: &Content) -> Limits {
        Limits {
            steps: content.config_u32(&self.step_key),
            attempts: content.config_u32(&self.retry_key),
        }
    }
}
