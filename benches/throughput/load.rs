//! Traces as agents leave them, from a seed.

use anyhow::Result;
use clap::ValueEnum;
use fastrand::Rng;
use whetstone::base::EventTime;
use whetstone::decode::{LlmCall, Outcome, Step, Thought, Tokens, ToolCall, Trace};

use crate::windows::{COUNT, LENGTH, Sums};

/// How long a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// About 1 KB: a few calls of tools.
    #[value(name = "1k")]
    Small,
    /// About 8 KB: over a dozen, with thoughts between them.
    #[value(name = "8k")]
    Large,
}

impl Shape {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Small => "1k",
            Self::Large => "8k",
        }
    }

    /// Rounds of thinking and calling, and words in a thought.
    fn extent(self, rng: &mut Rng) -> (u32, usize) {
        match self {
            Self::Small => (rng.u32(1..=3), rng.usize(6..=14)),
            Self::Large => (rng.u32(13..=20), rng.usize(16..=32)),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) shape: Shape,
    pub(crate) traces: u64,
    pub(crate) agents: u32,
    pub(crate) seed: u64,
    /// When the first window begins, in milliseconds since the epoch.
    pub(crate) begin: i64,
}

const TOOLS: [&str; 12] = [
    "get_alerts",
    "get_logs",
    "get_traces",
    "get_metrics",
    "list_pods",
    "describe_pod",
    "exec_shell",
    "read_file",
    "search_code",
    "apply_patch",
    "run_tests",
    "submit",
];

const WORDS: [&str; 64] = [
    "the",
    "service",
    "deployment",
    "returns",
    "errors",
    "because",
    "timeout",
    "upstream",
    "pod",
    "restarted",
    "logs",
    "show",
    "latency",
    "increased",
    "after",
    "rollout",
    "config",
    "map",
    "missing",
    "key",
    "database",
    "connection",
    "refused",
    "retry",
    "checkout",
    "cart",
    "payment",
    "gateway",
    "next",
    "inspect",
    "metrics",
    "of",
    "namespace",
    "frontend",
    "memory",
    "limit",
    "exceeded",
    "node",
    "pressure",
    "evicted",
    "image",
    "pull",
    "failed",
    "secret",
    "expired",
    "certificate",
    "dns",
    "lookup",
    "slow",
    "query",
    "index",
    "lock",
    "queue",
    "depth",
    "consumer",
    "lag",
    "partition",
    "leader",
    "election",
    "then",
    "verify",
    "fix",
    "and",
    "report",
];

fn words(count: usize, rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..count {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(rng.choice(WORDS).unwrap_or_default());
    }
    text
}

fn round(words_each: usize, rng: &mut Rng, steps: &mut Vec<Step>) {
    steps.push(Step::Thought(Thought { text: words(words_each, rng) }));
    let ok = rng.u8(0..20) > 0;
    let arguments = serde_json::json!({
        "namespace": rng.choice(WORDS).unwrap_or_default(),
        "query": words(words_each / 3, rng),
        "limit": rng.u32(10..500),
    });
    steps.push(Step::Tool(ToolCall {
        name: rng.choice(TOOLS).unwrap_or_default().to_owned(),
        ok,
        error: (!ok).then(|| format!("exit code {}: {}", rng.u8(..), words(6, rng))),
        duration: Some(f64::from(rng.u32(20..9_000)) / 1000.0),
        arguments: Some(arguments.to_string()),
    }));
    let tokens = Tokens { input: rng.u64(800..6_000), output: rng.u64(20..400) };
    steps.push(Step::Llm(LlmCall { model: Some("gemini-2.5-flash".to_owned()), tokens }));
}

/// The default reward, worked out apart from whetstone's own.
fn reward(millis: i64, attempts: u32) -> i64 {
    #[expect(clippy::cast_precision_loss, reason = "minutes in milliseconds")]
    let latency = (millis as f64 / 1000.0 / 600.0).clamp(0.0, 1.0);
    let attempts = (f64::from(attempts) / 30.0).clamp(0.0, 1.0);
    let best = 1.0 + 0.5 + 0.3;
    #[expect(clippy::cast_possible_truncation, reason = "shares of a million")]
    let micros = |share: f64| (share * 1_000_000.0).floor() as i64;
    micros(1.0 / best)
        + micros(0.5 * (1.0 - latency) / best)
        + micros(0.3 * (1.0 - attempts) / best)
}

impl Load {
    /// Its name, which is a prefix of topics too.
    pub(crate) fn name(&self) -> String {
        format!("{}x{}", self.shape.name(), self.agents)
    }

    /// The topic that holds it, where Whetstone looks for it with this load's prefix.
    pub(crate) fn topic(&self) -> String {
        format!("{}.agent-traces", self.name())
    }

    /// When trace `number` ends: on average in even steps, each up to two minutes late.
    fn end(&self, number: u64, rng: &mut Rng) -> Result<i64> {
        let span = COUNT * LENGTH - 1;
        let even = i128::from(span) * i128::from(number) / i128::from(self.traces);
        Ok(self.begin + (i64::try_from(even)? - rng.i64(0..120_000)).max(0))
    }

    /// Trace `number`, and what it adds to the window at its end.
    pub(crate) fn trace(&self, number: u64, rng: &mut Rng) -> Result<(Trace, Sums)> {
        let (rounds, words_each) = self.shape.extent(rng);
        let mut steps = Vec::new();
        (0..rounds).for_each(|_| round(words_each, rng, &mut steps));
        let end = self.end(number, rng)?;
        let millis = rng.i64(2_000..700_000);
        let outcome = match rng.u8(0..50) {
            0 => Outcome::Aborted,
            1..15 => Outcome::Failure,
            _ => Outcome::Success,
        };
        let success = outcome == Outcome::Success;
        let sums = Sums {
            runs: 1,
            successes: u64::from(success),
            reward: if success { reward(millis, rounds) } else { 0 },
        };
        let trace = Trace {
            agent: format!("agent-{:05}", rng.u32(0..self.agents)).parse()?,
            trace_id: format!("{:032x}", rng.u128(..)),
            session: Some(format!("session-{}", rng.u32(..))),
            version: None,
            start: EventTime::from_millis(end - millis),
            end: EventTime::from_millis(end),
            outcome,
            task: Some(words(10, rng)),
            result: Some(words(8, rng)),
            steps,
            retries: u32::from(rng.u8(0..10) == 0),
            tokens: Tokens { input: u64::from(rounds) * 2_900, output: u64::from(rounds) * 210 },
            cost_usd: Some(f64::from(rounds) * 0.0014),
            rounds: Some(rounds),
        };
        Ok((trace, sums))
    }
}
