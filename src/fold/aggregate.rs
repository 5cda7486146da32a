//! What a pane remembers of its runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Bounded, Exemplars, Reward, RewardSpec, Sketch};
use crate::base::EventTime;
use crate::decode::{Outcome, Reasoning, Run, Tokens};

/// The most tools an aggregate tells apart.
const MAX_TOOLS: usize = 64;
/// The most tool-to-tool transitions.
const MAX_TRANSITIONS: usize = 128;
/// The most error signatures.
const MAX_SIGNATURES: usize = 64;
/// A row of this many identical calls is called a repeat.
const REPEAT: u32 = 3;

/// A mergeable summary of runs of one agent under one version. It is written by the order of its fields: a new one
/// comes last, with a default, and none is ever left out.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Aggregate {
    /// Runs by outcome.
    pub counts: Counts,
    /// Runs that did not say their version and were booked to the one active when they started.
    pub attributed: u64,
    /// Sum of rewards of runs with a known outcome.
    pub reward: Reward,
    /// Latency in milliseconds of runs with a known outcome.
    pub latency: Sketch,
    /// Latency in milliseconds of successes.
    pub latency_of_successes: Sketch,
    /// Tool calls of runs with a known outcome.
    pub attempts: Sketch,
    /// Tool calls of successes.
    pub attempts_of_successes: Sketch,
    /// LLM/tool rounds of successes.
    pub rounds_of_successes: Sketch,
    /// Times that successes were tried, the first included.
    pub tries_of_successes: Sketch,
    /// Tokens of runs with a known outcome.
    pub tokens: Tokens,
    /// What runs with a known outcome cost, where they say.
    #[serde(default)]
    pub cost: Cost,
    /// Runs that used as many rounds as the config allowed.
    pub at_step_limit: Split,
    /// Runs that were tried more than once.
    pub retried: Split,
    /// Runs that used as many retries as the config allowed.
    pub at_retry_limit: Split,
    /// By tool, runs that called it three or more times in a row with the same arguments.
    pub repeats: Bounded<Split, MAX_TOOLS>,
    /// By tool.
    pub tools: Bounded<ToolStats, MAX_TOOLS>,
    /// By `from → to`.
    pub transitions: Bounded<TransitionStats, MAX_TRANSITIONS>,
    /// Failures by error signature.
    pub signatures: Bounded<u64, MAX_SIGNATURES>,
    /// Runs by what their thoughts showed.
    pub reasoning: BTreeMap<Reasoning, Split>,
    /// A few telling runs.
    pub exemplars: Exemplars,
    /// Ends of the earliest and the latest run.
    pub span: Option<(EventTime, EventTime)>,
}

/// What runs cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cost {
    /// Runs that say what they cost.
    pub runs: u64,
    /// Millionths of a US dollar in all.
    pub micros: u64,
}

impl Cost {
    /// US dollars a run; none if no run says what it cost.
    #[expect(clippy::cast_precision_loss, reason = "sums are below 2^52")]
    pub fn mean_usd(self) -> Option<f64> {
        (self.runs > 0).then(|| self.micros as f64 / self.runs as f64 / 1e6)
    }

    fn merge(&mut self, other: Self) {
        self.runs += other.runs;
        self.micros = self.micros.saturating_add(other.micros);
    }
}

/// Runs by outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Did what they were asked.
    pub success: u64,
    /// Did not.
    pub failure: u64,
    /// Broken by harness or infrastructure; in no other figure.
    pub aborted: u64,
    /// Not labelled (yet); in no other figure.
    pub unknown: u64,
}

impl Counts {
    /// Runs to learn from: successes and failures.
    pub fn known(self) -> u64 {
        self.success + self.failure
    }

    /// All runs.
    pub fn total(self) -> u64 {
        self.known() + self.aborted + self.unknown
    }

    /// Share of successes among the known; `None` without any.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
    pub fn success_rate(self) -> Option<f64> {
        (self.known() > 0).then(|| self.success as f64 / self.known() as f64)
    }

    /// Counts one run.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Success => self.success += 1,
            Outcome::Failure => self.failure += 1,
            Outcome::Aborted => self.aborted += 1,
            Outcome::Unknown => self.unknown += 1,
        }
    }

    /// Counts a run as `outcome` that was counted as unknown.
    pub fn relabel(&mut self, outcome: Outcome) {
        self.unknown = self.unknown.saturating_sub(1);
        self.add(outcome);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Self) {
        self.success += other.success;
        self.failure += other.failure;
        self.aborted += other.aborted;
        self.unknown += other.unknown;
    }
}

/// Runs with some property, by outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Split {
    /// Of those, successes.
    pub success: u64,
    /// Of those, failures.
    pub failure: u64,
}

impl Split {
    /// Both.
    pub fn total(self) -> u64 {
        self.success + self.failure
    }

    /// Share of successes; `None` without runs.
    #[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
    pub fn success_rate(self) -> Option<f64> {
        (self.total() > 0).then(|| self.success as f64 / self.total() as f64)
    }

    fn add(&mut self, success: bool) {
        if success {
            self.success += 1;
        } else {
            self.failure += 1;
        }
    }

    fn merge(&mut self, other: Self) {
        self.success += other.success;
        self.failure += other.failure;
    }
}

/// One tool over many runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ToolStats {
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Milliseconds spent in it, where known.
    pub millis: u64,
    /// Runs that used it at all.
    pub used: Split,
    /// Runs whose first call it was.
    pub first: Split,
}

/// One tool following another over many runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TransitionStats {
    /// How often.
    pub count: u64,
    /// In which runs.
    pub runs: Split,
}

/// The limits a run ran under, as far as its version's config has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// Rounds allowed (`max_step`).
    pub steps: Option<u32>,
    /// Attempts allowed in all, the first included (`max_retry_attempts`).
    pub attempts: Option<u32>,
}

impl Aggregate {
    /// Adds one run. `attributed` says that the run did not name its version.
    pub fn add(&mut self, run: &Run, spec: &RewardSpec, limits: Limits, attributed: bool) {
        self.counts.add(run.outcome);
        self.attributed += u64::from(attributed);
        let (first, last) = self.span.unwrap_or((run.end, run.end));
        self.span = Some((first.min(run.end), last.max(run.end)));
        self.learn(run, spec, limits);
    }

    /// Takes in how a run turned out that was added with an unknown outcome: from then on it is as if it
    /// had been added with the outcome that it now has.
    pub fn relabel(&mut self, run: &Run, spec: &RewardSpec, limits: Limits) {
        self.counts.relabel(run.outcome);
        self.learn(run, spec, limits);
    }

    /// Lets go of a run that was added with an unknown outcome; what it covered of time stays.
    pub(super) fn take_unknown(&mut self, attributed: bool) {
        self.counts.unknown = self.counts.unknown.saturating_sub(1);
        self.attributed = self.attributed.saturating_sub(u64::from(attributed));
    }

    fn learn(&mut self, run: &Run, spec: &RewardSpec, limits: Limits) {
        let Some(reward) = spec.reward(run) else { return };
        let success = run.outcome == Outcome::Success;
        let tries = run.retries.saturating_add(1);

        self.reward.add(reward);
        let millis = u64::try_from(run.end.millis_since(run.start)).unwrap_or_default();
        self.latency.add(millis);
        self.attempts.add(u64::from(run.attempts));
        if success {
            self.latency_of_successes.add(millis);
            self.attempts_of_successes.add(u64::from(run.attempts));
            self.rounds_of_successes.add(u64::from(run.rounds));
            self.tries_of_successes.add(u64::from(tries));
        }
        self.tokens = add_tokens(self.tokens, run.tokens);
        if let Some(micros) = run.cost_micros {
            self.cost.merge(Cost { runs: 1, micros });
        }
        if limits.steps.is_some_and(|limit| run.rounds >= limit) {
            self.at_step_limit.add(success);
        }
        if run.retries > 0 {
            self.retried.add(success);
        }
        if limits.attempts.is_some_and(|limit| run.retries > 0 && tries >= limit) {
            self.at_retry_limit.add(success);
        }
        for mark in &run.reasoning {
            self.reasoning.entry(*mark).or_default().add(success);
        }
        if let Some(signature) = run.signature.as_deref().filter(|_| !success)
            && let Some(count) = self.signatures.entry(signature)
        {
            *count += 1;
        }
        self.add_tools(run, success);
        self.exemplars.add(run, reward, success);
    }

    fn add_tools(&mut self, run: &Run, success: bool) {
        for (index, tool) in run.tools.iter().enumerate() {
            let Some(stats) = self.tools.entry(&tool.name) else { continue };
            stats.calls += u64::from(tool.calls);
            stats.errors += u64::from(tool.errors);
            stats.millis = stats.millis.saturating_add(tool.millis);
            stats.used.add(success);
            if index == 0 {
                stats.first.add(success);
            }
        }
        let name = |index: u16| run.tools.get(usize::from(index)).map(|tool| tool.name.as_str());
        let mut key = String::new();
        for step in &run.transitions {
            let (Some(from), Some(to)) = (name(step.from), name(step.to)) else { continue };
            key.clear();
            key.extend([from, " → ", to]);
            if let Some(stats) = self.transitions.entry(&key) {
                stats.count += u64::from(step.count);
                stats.runs.add(success);
            }
        }
        if run.longest_repeat >= REPEAT
            && let Some(tool) = run.repeated_tool.and_then(name)
            && let Some(split) = self.repeats.entry(tool)
        {
            split.add(success);
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(other.counts);
        self.attributed += other.attributed;
        self.reward.add(other.reward);
        self.latency.merge(&other.latency);
        self.latency_of_successes.merge(&other.latency_of_successes);
        self.attempts.merge(&other.attempts);
        self.attempts_of_successes.merge(&other.attempts_of_successes);
        self.rounds_of_successes.merge(&other.rounds_of_successes);
        self.tries_of_successes.merge(&other.tries_of_successes);
        self.tokens = add_tokens(self.tokens, other.tokens);
        self.cost.merge(other.cost);
        self.at_step_limit.merge(other.at_step_limit);
        self.retried.merge(other.retried);
        self.at_retry_limit.merge(other.at_retry_limit);
        self.repeats.merge(&other.repeats, |ours, theirs| ours.merge(*theirs));
        self.tools.merge(&other.tools, |ours, theirs| {
            ours.calls += theirs.calls;
            ours.errors += theirs.errors;
            ours.millis = ours.millis.saturating_add(theirs.millis);
            ours.used.merge(theirs.used);
            ours.first.merge(theirs.first);
        });
        self.transitions.merge(&other.transitions, |ours, theirs| {
            ours.count += theirs.count;
            ours.runs.merge(theirs.runs);
        });
        self.signatures.merge(&other.signatures, |ours, theirs| *ours += theirs);
        for (mark, split) in &other.reasoning {
            self.reasoning.entry(*mark).or_default().merge(*split);
        }
        self.exemplars.merge(&other.exemplars);
        self.span = match (self.span, other.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (ours, theirs) => ours.or(theirs),
        };
    }

    /// Mean reward in [0, 1] of runs with a known outcome; `None` without any.
    pub fn mean_reward(&self) -> Option<f64> {
        self.reward.mean(self.counts.known())
    }

    /// Successes and failures among runs that did not use `tool`.
    pub fn without_tool(&self, tool: &ToolStats) -> Split {
        Split {
            success: self.counts.success.saturating_sub(tool.used.success),
            failure: self.counts.failure.saturating_sub(tool.used.failure),
        }
    }
}

fn add_tokens(a: Tokens, b: Tokens) -> Tokens {
    Tokens { input: a.input.saturating_add(b.input), output: a.output.saturating_add(b.output) }
}
