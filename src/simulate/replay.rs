//! Recorded runs of two versions, replayed as the arms of one trial.
//!
//! The runs are real; that they ran at the same time, each version given to its units by lot, is
//! supposed. So the units get names whose lots fit what was run, and the two versions take turns.

use super::experiment::Bench;
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::decode::{Outcome, Run, Trace};
use crate::govern::{Decision, EventBody, Policy, Rollout, Split, TrialView};

/// What came of a replay.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The verdict, if the runs sufficed for one.
    pub verdict: Option<Decision>,
    /// Where the trial stood at the verdict, or at the end.
    pub trial: Option<TrialView>,
    /// Runs that were there, of baseline and candidate.
    pub runs: (usize, usize),
}

/// Why runs cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// There is nothing to compare.
    #[error("the baseline has no run with a known outcome: give files with successes and failures")]
    NoBaseline,
}

/// Between two runs: longer than any of them, so that each is due before the next.
const EVERY: i64 = 60_000;

/// Replays `baseline` and `candidate` under `policy`, at an equal share.
///
/// # Errors
/// [`ReplayError`].
pub fn replay(
    agent: &AgentName,
    policy: &Policy,
    (baseline, candidate): (&[Trace], &[Trace]),
) -> Result<Replay, ReplayError> {
    let runs = (baseline.len(), candidate.len());
    let arms = [baseline, candidate].map(|arm| arm.iter().map(Run::digest).collect::<Vec<_>>());
    let [baseline, candidate] = arms;
    let mut stage = Stage::new(agent, policy, &baseline);
    for number in 0..baseline.len() {
        // Its past, from which the scale of latency is taken.
        stage.play(&baseline, number, None);
    }
    if !stage.propose() {
        return Err(ReplayError::NoBaseline);
    }
    for number in 0..baseline.len().max(candidate.len()) {
        // The candidate first: units of the baseline before its first one have nothing to be compared with.
        stage.play(&candidate, number, Some(true));
        stage.play(&baseline, number, Some(false));
        if stage.bench.verdict.is_some() {
            break;
        }
    }
    stage.settle();
    let verdict = stage.bench.verdict;
    let trial = match &verdict {
        Some(decision) => decision.trial.as_deref().cloned(),
        None => stage.bench.agent.view().trial.map(|trial| *trial),
    };
    Ok(Replay { verdict, trial, runs })
}

struct Stage {
    bench: Bench,
    now: EventTime,
    played: u64,
    deadline: i64,
}

impl Stage {
    fn new(agent: &AgentName, policy: &Policy, baseline: &[Run]) -> Self {
        let millis = |run: &Run| run.end.millis_since(run.start);
        let longest = baseline.iter().map(millis).max().unwrap_or_default();
        let mut policy = Policy { rollout: Rollout::Trial, ..policy.clone() };
        policy.trial.first_share_bp = Split::WHOLE / 2;
        policy.trial.share_bp = Split::WHOLE / 2;
        policy.trial.deadline = policy.trial.deadline.max(longest.saturating_mul(10));
        policy.min_traces = u64::MAX;
        policy.feedback.wait = 0;
        let deadline = policy.trial.deadline;
        let now = EventTime::from_millis(1_700_000_000_000);
        let mut bench = Bench::new(agent.clone(), policy);
        bench.adopt(now);
        Self { bench, now, played: 0, deadline }
    }

    fn propose(&mut self) -> bool {
        self.bench.propose(self.now);
        self.bench.proposed
    }

    /// Plays a run of an arm, if it has so many: before the trial, or for the candidate or not.
    fn play(&mut self, arm: &[Run], number: usize, candidate: Option<bool>) {
        let Some(run) = arm.get(number) else { return };
        self.now = self.now.plus_millis(EVERY);
        let start = self.now;
        let end = start.plus_millis(run.end.millis_since(run.start));
        let second = candidate == Some(true);
        let version = if second { VersionNumber(2) } else { VersionNumber(1) };
        let trace_id = self.unit(second);
        let run = Run {
            agent: self.bench.agent.name().clone(),
            trace_id,
            session: None,
            version: Some(version),
            start,
            end,
            ..run.clone()
        };
        self.bench.apply(EventBody::Run(run), end);
    }

    /// A unit whose lot is what was run.
    fn unit(&mut self, second: bool) -> String {
        loop {
            self.played += 1;
            let unit = format!("replayed-{}", self.played);
            let given = self.bench.update.as_ref().map(|update| update.version_for(&unit).number);
            if (given > Some(VersionNumber(1))) == second {
                return unit;
            }
        }
    }

    /// Lets every deadline pass.
    fn settle(&mut self) {
        self.now = self.now.plus_millis(self.deadline.saturating_mul(2));
        let trace_id = self.unit(false);
        let run = Run {
            outcome: Outcome::Aborted,
            version: Some(VersionNumber(1)),
            ..Run::empty(self.bench.agent.name().clone(), trace_id, self.now)
        };
        self.bench.apply(EventBody::Run(run), self.now);
    }
}
