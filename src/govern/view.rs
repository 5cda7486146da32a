//! What people and dashboards see of an agent: derived, never stored.

use serde::{Deserialize, Serialize};

use super::{Agent, SpendView, Tally, TrialView};
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::fold::{Aggregate, Counts, Exemplars, Point};

/// An agent at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Its name.
    pub agent: AgentName,
    /// Whether optimization is paused.
    pub paused: bool,
    /// The version it should run; none while the config repo does not know the agent.
    pub active: Option<VersionNumber>,
    /// The version that waits for a verdict.
    pub candidate: Option<VersionNumber>,
    /// The trial or holdback under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Box<TrialView>>,
    /// The request that the optimizer works on, e.g. `mitigation#3`.
    pub optimizing: Option<String>,
    /// Counts the changes of its versions.
    pub revision: u64,
    /// The latest end of a run.
    pub watermark: Option<EventTime>,
    /// What became of its runs.
    pub runs: Tally,
    /// Runs that wait for somebody to say how they turned out.
    #[serde(default)]
    pub waiting: u64,
    /// What is held of the active version's runs.
    pub recent: Figures,
    /// How runs fared over time: a point for each version and pane that had any, by the time of the first
    /// run, then by version.
    #[serde(default)]
    pub past: Vec<PointView>,
    /// What was spent on the model, by day, oldest first, the last 31 days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spending: Vec<SpendView>,
    /// Its versions, oldest first.
    pub versions: Vec<VersionView>,
}

/// A version at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionView {
    /// Its number.
    pub version: VersionNumber,
    /// Where it stands, e.g. `superseded`.
    pub state: String,
    /// Why it stands there, where there is a reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// The version it was made from.
    pub parent: Option<VersionNumber>,
    /// Who made it.
    pub author: String,
    /// When.
    pub created: EventTime,
    /// Digest of its content.
    pub digest: String,
    /// What it changed.
    pub changes: Vec<String>,
    /// On what evidence.
    pub evidence: String,
    /// Runs under it, over its whole life.
    pub runs: Counts,
    /// Share of successes among runs with known outcome.
    pub success_rate: Option<f64>,
    /// Their mean reward in [0, 1].
    pub mean_reward: Option<f64>,
}

/// A window in figures.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Runs by outcome.
    pub runs: Counts,
    /// Share of successes among runs with known outcome.
    pub success_rate: Option<f64>,
    /// Mean reward in [0, 1].
    pub mean_reward: Option<f64>,
    /// Median latency in seconds.
    pub latency_p50: Option<f64>,
    /// 95th percentile of latency in seconds.
    pub latency_p95: Option<f64>,
    /// Median tool calls.
    pub attempts_p50: Option<f64>,
    /// Mean cost in US dollars of runs that say what they cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd_mean: Option<f64>,
    /// Tool calls by tool: calls and failed calls.
    pub tools: Vec<(String, u64, u64)>,
}

/// How the runs of one version in one pane fared, as [`Figures`] would say it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointView {
    /// The version of its runs.
    pub version: VersionNumber,
    /// Points of one pane have it in common; see [`Point::pane`].
    #[serde(skip)]
    pub pane: i64,
    /// When the first of its runs ended.
    pub from: EventTime,
    /// When the last of them ended.
    pub to: EventTime,
    /// Runs by outcome.
    pub runs: Counts,
    /// Share of successes among runs with known outcome.
    pub success_rate: Option<f32>,
    /// Mean reward in [0, 1].
    pub mean_reward: Option<f32>,
    /// Median latency in seconds.
    pub latency_p50: Option<f32>,
    /// 95th percentile of latency in seconds.
    pub latency_p95: Option<f32>,
    /// Median tool calls.
    pub attempts_p50: Option<f32>,
}

impl PointView {
    fn of(point: &Point) -> Self {
        let runs = point.runs();
        let (latency_p50, latency_p95) = point.latency();
        #[expect(clippy::cast_possible_truncation, reason = "as precise as the other figures")]
        let short = |rate: f64| rate as f32;
        Self {
            version: point.version(),
            pane: point.pane(),
            from: point.from(),
            to: point.to(),
            runs,
            success_rate: runs.success_rate().map(short),
            mean_reward: point.mean_reward(),
            latency_p50,
            latency_p95,
            attempts_p50: point.attempts(),
        }
    }
}

impl Figures {
    /// The figures of `window`.
    pub fn of(window: &Aggregate) -> Self {
        let seconds = |millis: f64| millis / 1000.0;
        Self {
            runs: window.counts,
            success_rate: window.counts.success_rate(),
            mean_reward: window.mean_reward(),
            latency_p50: window.latency.quantile(0.5).map(seconds),
            latency_p95: window.latency.quantile(0.95).map(seconds),
            attempts_p50: window.attempts.quantile(0.5),
            cost_usd_mean: window.cost.mean_usd(),
            tools: window
                .tools
                .iter()
                .map(|(name, stats)| (name.to_owned(), stats.calls, stats.errors))
                .collect(),
        }
    }
}

impl Agent {
    /// Telling runs of the active version, of all that is held of it: hostile text.
    pub fn exemplars(&self) -> Exemplars {
        let active = self.head.ledger.active().map(|version| version.number);
        self.windows.held(active.unwrap_or_default()).exemplars
    }

    /// The agent at a glance.
    pub fn view(&self) -> AgentView {
        let active = self.head.ledger.active().map(|version| version.number);
        let versions = self.head.ledger.iter().map(|(version, entry)| VersionView {
            version: version.number,
            state: entry.state.name().to_owned(),
            state_reason: entry.state.reason().map(str::to_owned),
            parent: version.parent,
            author: version.author.to_string(),
            created: version.created,
            digest: version.digest.as_str().to_owned(),
            changes: version.reasons.iter().map(|reason| reason.change.clone()).collect(),
            evidence: version.evidence.clone(),
            runs: entry.runs,
            success_rate: entry.runs.success_rate(),
            mean_reward: entry.reward.mean(entry.runs.known()),
        });
        AgentView {
            agent: self.name.clone(),
            paused: self.head.paused,
            active,
            candidate: self.head.ledger.candidate(),
            trial: self.trial.as_ref().map(|trial| Box::new(trial.view(&self.pending))),
            optimizing: self.head.asked.as_ref().map(ToString::to_string),
            revision: self.head.ledger.revision(),
            watermark: self.windows.watermark(),
            runs: self.head.tally,
            waiting: self.waiting.len() as u64,
            recent: Figures::of(&self.windows.held(active.unwrap_or_default())),
            past: self.windows.past().iter().map(PointView::of).collect(),
            spending: self.spending.view(),
            versions: versions.collect(),
        }
    }
}
