//! One simulated stream of runs, in order of arrival: each starts under the version that its unit is
//! given, and is heard of when it has ended and somebody has said how.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use fastrand::Rng;

use super::scenario::Scenario;
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::decode::{Outcome, Run, ToolUse};

/// The world of one experiment.
pub(super) struct World<'a> {
    scenario: &'a Scenario,
    agent: AgentName,
    rng: Rng,
    phase: f64,
    started: u64,
    next: EventTime,
    under_way: BinaryHeap<Reverse<(EventTime, u64)>>,
    runs: BTreeMap<u64, Run>,
}

/// Tool calls that each run makes.
const ATTEMPTS: u32 = 5;

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, agent: AgentName, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let phase = rng.f64();
        Self {
            scenario,
            agent,
            rng,
            phase,
            started: 0,
            next: EventTime::from_millis(1_700_000_000_000),
            under_way: BinaryHeap::new(),
            runs: BTreeMap::new(),
        }
    }

    /// The next run that is heard of, and when. `assign` says which version the unit of a new run
    /// gets, and whether that is the candidate.
    pub(super) fn next(
        &mut self,
        mut assign: impl FnMut(&str) -> (VersionNumber, bool),
    ) -> (Run, EventTime) {
        loop {
            let heard = self.under_way.peek().map(|Reverse(first)| *first);
            if let Some((at, number)) = heard.filter(|(at, _)| *at <= self.next)
                && let Some(run) = self.runs.remove(&number)
            {
                self.under_way.pop();
                return (run, at);
            }
            self.start(&mut assign);
        }
    }

    /// Runs that have started.
    pub(super) fn started(&self) -> u64 {
        self.started
    }

    fn start(&mut self, assign: &mut impl FnMut(&str) -> (VersionNumber, bool)) {
        let number = self.started;
        self.started += 1;
        let start = self.next;
        self.next = start.plus_millis(millis(self.scenario.every));
        let unit = format!("run-{number}");
        let (version, candidate) = assign(&unit);
        let rate = self.scenario.success(candidate, number, self.phase);
        let success = self.rng.f64() < rate;
        let (seconds, label) = if success {
            (self.scenario.seconds.0, self.scenario.label.0)
        } else {
            (self.scenario.seconds.1, self.scenario.label.1)
        };
        let took = seconds.0 + (seconds.1 - seconds.0) * self.rng.f64();
        let end = start.plus_millis(millis(took).max(1));
        let delay = -self.rng.f64().max(1e-9).ln() * label;
        let heard = end.plus_millis(millis(delay));
        let outcome = if success { Outcome::Success } else { Outcome::Failure };
        let run = run(&self.agent, unit, version, (start, end, outcome));
        self.under_way.push(Reverse((heard, number)));
        self.runs.insert(number, run);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "hours in milliseconds")]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

fn run(
    agent: &AgentName,
    trace_id: String,
    version: VersionNumber,
    (start, end, outcome): (EventTime, EventTime, Outcome),
) -> Run {
    Run {
        version: Some(version),
        end,
        outcome,
        attempts: ATTEMPTS,
        rounds: ATTEMPTS,
        tools: vec![ToolUse { name: "ponder".to_owned(), calls: ATTEMPTS, errors: 0, millis: 0 }],
        longest_repeat: 1,
        ..Run::empty(agent.clone(), trace_id, start)
    }
}
