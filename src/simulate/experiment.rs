//! One experiment: the agent's real state machine in a simulated world, until its trial is decided; and
//! what the usual comparison of before and after would have made of the same world.

use std::collections::BTreeMap;

use super::scenario::Scenario;
use super::world::World;
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::fold::{WindowKind, WindowSpec};
use crate::govern::{
    Agent, Answer, Author, Command, CommandKind, Content, Decision, Edit, Effect, Event, EventBody,
    LlmReport, Part, Policy, PromptUpdate, Proposal, Proposed, Request, Rollout, TrialSpec,
};

/// How an experiment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The candidate became active.
    Promoted,
    /// It was taken back.
    RolledBack,
    /// Nothing was proven.
    Futile,
    /// The trial was given up, or no verdict came in 50 000 runs.
    Stopped,
}

/// What came of one experiment.
#[derive(Clone, Copy, Debug)]
pub struct Experiment {
    /// By Whetstone's trial.
    pub ending: Ending,
    /// Units of the candidate that the verdict rests on.
    pub candidate_units: u64,
    /// Units of both arms that it rests on.
    pub units: u64,
    /// By comparing the candidate's first 50 runs with the 50 before.
    pub naive: Ending,
}

/// Runs on each side of the naive comparison.
const NAIVE: usize = 50;
/// Runs of the baseline before the candidate is proposed.
const BEFORE: u64 = 60;
/// The longest an experiment may take.
const MOST: u64 = 50_000;

impl Scenario {
    /// Runs one experiment. `spec` says how the trial is held, but for the deadline.
    pub fn run(&self, agent: &AgentName, spec: &TrialSpec, seed: u64) -> Experiment {
        let (ending, candidate_units, units) = self.trial(agent, spec, seed);
        Experiment { ending, candidate_units, units, naive: self.naive(agent, seed) }
    }

    fn trial(&self, agent: &AgentName, spec: &TrialSpec, seed: u64) -> (Ending, u64, u64) {
        let mut bench = Bench::new(agent.clone(), self.policy(spec));
        let mut world = World::new(self, agent.clone(), seed);
        let start = EventTime::from_millis(1_700_000_000_000);
        bench.adopt(start);
        while world.started() < MOST {
            let update = bench.update.clone();
            let (run, at) = world.next(|unit| {
                let version = update.as_ref().map(|update| update.version_for(unit).number);
                let version = version.unwrap_or(VersionNumber(1));
                (version, version > VersionNumber(1))
            });
            bench.apply(EventBody::Run(run), at);
            if world.started() >= BEFORE && !bench.proposed {
                bench.propose(at);
            }
            if let Some(decision) = &bench.verdict {
                return ended(decision);
            }
        }
        (Ending::Stopped, 0, 0)
    }

    fn policy(&self, spec: &TrialSpec) -> Policy {
        let kind = WindowKind::Count { runs: 200 };
        Policy {
            windows: WindowSpec { kind, allowed_lateness: 0 },
            min_traces: 1_000_000,
            rollout: Rollout::Trial,
            trial: TrialSpec { deadline: self.deadline * 1000, ..spec.clone() },
            ..Policy::default()
        }
    }

    /// Deploys the candidate to all at once and looks at the mean reward before and after, in order of
    /// arrival, as those do who have no trials.
    fn naive(&self, agent: &AgentName, seed: u64) -> Ending {
        let policy = Policy::default();
        let mut world = World::new(self, agent.clone(), seed);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        while after.len() < NAIVE {
            let deployed = before.len() >= NAIVE;
            let version = if deployed { VersionNumber(2) } else { VersionNumber(1) };
            let (run, _) = world.next(|_| (version, deployed));
            let Some(reward) = policy.reward.reward(&run) else { continue };
            if run.version == Some(VersionNumber(2)) {
                after.push(reward.total());
            } else if !deployed {
                before.push(reward.total());
            }
        }
        let better = after.iter().sum::<i64>() > before.iter().sum::<i64>();
        if better { Ending::Promoted } else { Ending::RolledBack }
    }
}

fn ended(decision: &Decision) -> (Ending, u64, u64) {
    let ending = match decision.decision.as_str() {
        "promoted" => Ending::Promoted,
        "rolled_back" => Ending::RolledBack,
        "futile" => Ending::Futile,
        _ => Ending::Stopped,
    };
    let arms = decision.trial.as_ref().map_or((0, 0), |trial| {
        (trial.candidate_arm.units, trial.candidate_arm.units + trial.baseline_arm.units)
    });
    (ending, arms.0, arms.1)
}

/// The agent, and what its subscribers and operators would know.
pub(super) struct Bench {
    pub(super) agent: Agent,
    policy: Policy,
    pub(super) update: Option<PromptUpdate>,
    pub(super) verdict: Option<Decision>,
    pub(super) proposed: bool,
}

impl Bench {
    pub(super) fn new(name: AgentName, policy: Policy) -> Self {
        Self { agent: Agent::new(name), policy, update: None, verdict: None, proposed: false }
    }

    /// Gives the request that came of it, if one did.
    pub(super) fn apply(&mut self, body: EventBody, at: EventTime) -> Option<Request> {
        let event = Event { agent: self.agent.name().clone(), at, body };
        let mut asked = None;
        for effect in self.agent.apply(&event, &self.policy) {
            match effect {
                Effect::Update(update) => self.update = Some(*update),
                Effect::Request(request) => asked = Some(*request),
                Effect::Decision(decision) => {
                    let ends = ["promoted", "rolled_back", "futile", "trial_stopped"];
                    if ends.contains(&decision.decision.as_str()) {
                        self.verdict = Some(decision);
                    }
                }
                Effect::Version(_) => {}
            }
        }
        asked
    }

    fn order(&mut self, kind: CommandKind, at: EventTime) -> Option<Request> {
        let (agent, by) = (self.agent.name().clone(), "simulation".to_owned());
        self.apply(EventBody::Command(Command { agent, by, kind }), at)
    }

    pub(super) fn adopt(&mut self, at: EventTime) {
        let prompts = BTreeMap::from([("system".to_owned(), "Do it.\n".to_owned())]);
        let content = Content { prompts, ..Content::default() };
        self.order(CommandKind::Adopt { content, source: "simulated".to_owned() }, at);
    }

    /// Has an optimization asked for and answered.
    pub(super) fn propose(&mut self, at: EventTime) {
        self.policy.min_traces = 1;
        let Some(request) = self.order(CommandKind::Optimize, at) else { return };
        self.policy.min_traces = u64::MAX;
        self.proposed = true;
        let part = |answer| Part { author: Author::Patterns, answer, refused: Vec::new() };
        let edit = Edit::AddBullet { text: "A simulated change.".to_owned() };
        let edits = vec![Proposed { edit, why: "simulated".to_owned() }];
        let proposal = Proposal {
            considered: Vec::new(),
            request: request.id,
            parent: request.parent,
            prompt: part(Answer::Edits { edits }),
            config: part(Answer::NoChange { reason: "simulated".to_owned() }),
            llm: LlmReport::default(),
            findings: Vec::new(),
            gate: None,
            gate_problem: None,
        };
        self.apply(EventBody::Proposal(Box::new(proposal)), at);
    }
}
