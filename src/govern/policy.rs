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
    /// How a trial is held.
    pub trial: TrialSpec,
    /// How the active version is watched.
    pub watch: WatchSpec,
    /// How long outcomes are waited for.
    #[serde(default)]
    pub feedback: FeedbackSpec,
    /// What a new version may change.
    pub guard: GuardRules,
    /// What may be spent on the model.
    #[serde(default)]
    pub llm_budget: LlmBudget,
    /// The prompt that carries the learned guidance. Default `system`.
    pub guidance_key: String,
    /// The config key that limits rounds. Default `max_step`.
    pub step_key: String,
    /// The config key that limits attempts, the first included. Default `max_retry_attempts`.
    pub retry_key: String,
    /// Seeds whatever is drawn for this agent.
    pub seed: u64,
}

/// How a new version reaches the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollout {
    /// On a share of live units, until they prove it better or worse.
    Trial,
    /// A person approves or rejects each candidate.
    Manual,
    /// At once, as the original did: for tests and the brave.
    Immediate,
}

/// How a trial is held. Taken as it stands when the trial begins: error rates hold only for rules that
/// were there before the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialSpec {
    /// Share of units that the candidate gets at first, in basis points; above 0. Default 1000 (10 %).
    pub first_share_bp: u16,
    /// Its share once it has shown no harm, in basis points, up to 9000. Default 5000 (50 %).
    pub share_bp: u16,
    /// Units of the candidate before its share is raised. Default 50.
    pub ramp_units: u64,
    /// Milliseconds after its start when a unit's outcome is taken as it then stands. Default 1 hour.
    pub deadline: i64,
    /// Of all promotions, the share that may be false. In (0, 1). Default 0.05.
    pub alpha: f64,
    /// Probability of rolling back a candidate that does no harm. In (0, 1). Default 0.1.
    pub harm_alpha: f64,
    /// Probability of passing a guardrail falsely. In (0, 1). Default 0.05.
    pub guardrail_alpha: f64,
    /// The gain in mean reward that must be proven, in [0, 1). Default 0.
    pub min_effect: f64,
    /// The loss in success rate that must be ruled out, in (0, 1). Default 0.05.
    pub success_margin: f64,
    /// The loss in latency that must be ruled out, as a share of twice the baseline's 95th percentile, in
    /// (0, 1). Default 0.1.
    pub latency_margin: f64,
    /// Units of the candidate after which a trial without verdict ends. Default 4000.
    pub max_units: u64,
    /// Milliseconds of event time after which it ends anyway. Default 14 days.
    pub max_duration: i64,
    /// Milliseconds of event time that agents may take to follow a change of versions. Default 1 hour.
    pub patience: i64,
}

/// How the active version is watched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WatchSpec {
    /// What a lasting fall of its reward leads to.
    pub on_drift: DriftAction,
    /// Runs with known outcome from which its usual reward is learnt. Default 200.
    pub baseline_runs: u64,
    /// A fall of the mean reward that is none yet, in (0, 1). Default 0.05.
    pub drift_margin: f64,
    /// Mean number of runs between two false alarms, at least. Default 10000.
    pub false_alarm_runs: u64,
    /// Share of units that keep the version before after a promotion by trial, in basis points; 0 for
    /// none. Default 500 (5 %).
    pub holdback_bp: u16,
    /// How many such units are waited for. Default 200.
    pub holdback_units: u64,
}

/// How long outcomes are waited for that come apart from their runs. Time is that of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackSpec {
    /// Milliseconds that a run and what is said of it may come apart, in either order; above 0. Default 7
    /// days.
    pub horizon: i64,
    /// Milliseconds that a run which has an outcome waits for a label that overrules it, at most `horizon`.
    /// Default 0.
    pub wait: i64,
    /// Runs that wait at a time; where more do, the oldest are let go. Default 1024.
    pub max_waiting: usize,
}

/// What a drift alarm leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftAction {
    /// Nobody watches.
    Ignore,
    /// A decision says so.
    Alarm,
    /// A machine-made version is rolled back; where a person made it, a decision says so.
    Rollback,
}

/// What may be spent on the model for one agent; days are in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LlmBudget {
    /// Tokens in a day, read and written together; no limit if none. Default 1,000,000.
    pub tokens_per_day: Option<u64>,
    /// Millionths of a US dollar in a day; no limit if none. Default none.
    pub micros_per_day: Option<u64>,
    /// Calls for one request, whatever became of them. Default 12.
    pub calls_per_request: u32,
}

impl Default for LlmBudget {
    fn default() -> Self {
        Self { tokens_per_day: Some(1_000_000), micros_per_day: None, calls_per_request: 12 }
    }
}

impl Default for TrialSpec {
    fn default() -> Self {
        Self {
            first_share_bp: 1_000,
            share_bp: 5_000,
            ramp_units: 50,
            deadline: HOUR,
            alpha: 0.05,
            harm_alpha: 0.1,
            guardrail_alpha: 0.05,
            min_effect: 0.0,
            success_margin: 0.05,
            latency_margin: 0.1,
            max_units: 4_000,
            max_duration: 14 * 24 * HOUR,
            patience: HOUR,
        }
    }
}

impl Default for WatchSpec {
    fn default() -> Self {
        Self {
            on_drift: DriftAction::Alarm,
            baseline_runs: 200,
            drift_margin: 0.05,
            false_alarm_runs: 10_000,
            holdback_bp: 500,
            holdback_units: 200,
        }
    }
}

impl Default for FeedbackSpec {
    fn default() -> Self {
        Self { horizon: 7 * 24 * HOUR, wait: 0, max_waiting: 1024 }
    }
}

const HOUR: i64 = 3_600_000;

impl Default for Policy {
    fn default() -> Self {
        Self {
            windows: WindowSpec {
                kind: WindowKind::Sliding { length: 24 * HOUR, slide: HOUR },
                allowed_lateness: HOUR,
            },
            min_traces: 10,
            cooldown: HOUR,
            reward: RewardSpec::default(),
            rollout: Rollout::Trial,
            trial: TrialSpec::default(),
            watch: WatchSpec::default(),
            feedback: FeedbackSpec::default(),
            guard: GuardRules::default(),
            llm_budget: LlmBudget::default(),
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
