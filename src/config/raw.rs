//! What was written: the keys and their types, nothing of their meaning.
//!
//! Holds no defaults: those stand in `configs/whetstone.yaml`, and every key with them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_yaml::Value;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Raw {
    pub(super) data_dir: String,
    pub(super) retention: String,
    pub(super) log: RawLog,
    pub(super) kafka: RawKafka,
    pub(super) http: RawHttp,
    pub(super) roles: RawRoles,
    pub(super) repo: RawRepo,
    pub(super) llm: RawLlm,
    pub(super) proposals: RawProposals,
    pub(super) gate: RawGate,
    pub(super) redaction: RawRedaction,
    pub(super) otel: RawOtel,
    pub(super) telemetry: RawTelemetry,
    #[serde(flatten)]
    pub(super) policy: RawPolicy,
    /// Each a part of a [`RawPolicy`].
    #[serde(default)]
    pub(super) agents: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawLog {
    pub(super) kind: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawKafka {
    pub(super) brokers: String,
    pub(super) prefix: String,
    pub(super) otlp_spans: String,
    pub(super) otlp_logs: String,
    pub(super) instance: Option<String>,
    pub(super) create_topics: bool,
    pub(super) partitions: u64,
    pub(super) replication_factor: u64,
    pub(super) traces_keyed_by_agent: bool,
    pub(super) security: RawKafkaSecurity,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawKafkaSecurity {
    pub(super) protocol: String,
    pub(super) ca_file: Option<String>,
    pub(super) certificate_file: Option<String>,
    pub(super) key_file: Option<String>,
    pub(super) mechanism: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password_env: Option<String>,
    pub(super) password_file: Option<String>,
    pub(super) token_file: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawHttp {
    pub(super) listen: String,
    pub(super) token_env: Option<String>,
    pub(super) token_file: Option<String>,
    pub(super) read_token_env: Option<String>,
    pub(super) read_token_file: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "four switches, each on its own")]
pub(super) struct RawRoles {
    pub(super) decode: bool,
    pub(super) aggregate: bool,
    pub(super) optimize: bool,
    pub(super) publish: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawRepo {
    pub(super) path: Option<String>,
    pub(super) configs: String,
    pub(super) versions: String,
    pub(super) remote: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) poll_interval: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawLlm {
    pub(super) enabled: bool,
    pub(super) model: String,
    pub(super) endpoint: Option<String>,
    pub(super) timeout: String,
    pub(super) attempts: u64,
    pub(super) temperature: f64,
    pub(super) max_tokens: u64,
    pub(super) price: RawPrice,
    pub(super) keep_calls: String,
    pub(super) cache: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawPrice {
    pub(super) input: Option<f64>,
    pub(super) output: Option<f64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawProposals {
    pub(super) critique: bool,
    pub(super) candidates: u64,
    pub(super) evidence_tokens: u64,
    pub(super) template: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawGate {
    pub(super) command: Option<String>,
    pub(super) url: Option<String>,
    pub(super) token_env: Option<String>,
    pub(super) token_file: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) timeout: String,
    pub(super) attempts: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawRedaction {
    pub(super) emails: bool,
    pub(super) ips: bool,
    #[serde(default)]
    pub(super) rules: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawOtel {
    pub(super) grace: String,
    pub(super) timeout: String,
    pub(super) remember: String,
    pub(super) memory_mib: u64,
    pub(super) outcome: RawOtelOutcome,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawTelemetry {
    pub(super) endpoint: Option<String>,
    pub(super) token_env: Option<String>,
    pub(super) token_file: Option<String>,
    pub(super) share: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawOtelOutcome {
    pub(super) evaluations: String,
    pub(super) threshold: f64,
    pub(super) attributes: String,
    pub(super) aborted_errors: String,
    pub(super) unset: String,
}

/// What may differ from agent to agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawPolicy {
    pub(super) llm_budget: RawLlmBudget,
    pub(super) windows: RawWindows,
    pub(super) min_traces: u64,
    pub(super) cooldown: String,
    pub(super) reward: RawReward,
    pub(super) rollout: String,
    pub(super) trial: RawTrial,
    pub(super) watch: RawWatch,
    pub(super) feedback: RawFeedback,
    pub(super) guard: RawGuard,
    pub(super) guidance_key: String,
    pub(super) step_key: String,
    pub(super) retry_key: String,
    pub(super) seed: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawLlmBudget {
    pub(super) tokens_per_day: Option<u64>,
    pub(super) usd_per_day: Option<f64>,
    pub(super) calls_per_request: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawWindows {
    pub(super) kind: String,
    pub(super) length: String,
    pub(super) slide: String,
    pub(super) runs: u64,
    pub(super) allowed_lateness: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawReward {
    pub(super) success_weight: f64,
    pub(super) latency_weight: f64,
    pub(super) attempts_weight: f64,
    pub(super) tokens_weight: f64,
    pub(super) latency_target: f64,
    pub(super) attempts_target: f64,
    pub(super) tokens_target: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawTrial {
    pub(super) first_share: f64,
    pub(super) share: f64,
    pub(super) ramp_units: u64,
    pub(super) deadline: String,
    pub(super) alpha: f64,
    pub(super) harm_alpha: f64,
    pub(super) guardrail_alpha: f64,
    pub(super) min_effect: f64,
    pub(super) success_margin: f64,
    pub(super) latency_margin: f64,
    pub(super) max_units: u64,
    pub(super) max_duration: String,
    pub(super) patience: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawWatch {
    pub(super) on_drift: String,
    pub(super) baseline_runs: u64,
    pub(super) drift_margin: f64,
    pub(super) false_alarm_runs: u64,
    pub(super) holdback: f64,
    pub(super) holdback_units: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawFeedback {
    pub(super) horizon: String,
    pub(super) wait: String,
    pub(super) max_waiting: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawGuard {
    pub(super) max_prompt_chars: u64,
    pub(super) max_growth_chars: u64,
    pub(super) max_bullets: u64,
    pub(super) max_bullet_chars: u64,
    pub(super) max_unproven_bullets: u64,
    pub(super) edit_human_text: bool,
    pub(super) trusted_tools: String,
    #[serde(default)]
    pub(super) tunables: BTreeMap<String, RawTunable>,
}

/// Optional throughout, so that what is missing can be named.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RawTunable {
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) step: Option<f64>,
    pub(super) integer: Option<bool>,
}
