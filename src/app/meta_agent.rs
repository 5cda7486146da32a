//! One learning cycle over a batch of traces, with no log: the same decoder, state machine, optimizer
//! and config repo as the stream, called in a row.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::parts::{LayoutError, open_repo, optimizer};
use super::recall::recall;
use crate::base::{AgentName, Clock, EventTime, SystemClock, VersionNumber};
use crate::config::Config;
use crate::decode::{Run, Trace};
use crate::fold::WindowKind;
use crate::govern::{
    Agent, AgentView, Command, CommandKind, Considered, Decision, Effect, Event, EventBody,
    FeedbackSpec, Figures, LlmReport, Policy, Proposal, Reason, Request, Rollout, State,
    VersionRecord,
};
use crate::optimize::{Optimizer, Preview, PreviewError};
use crate::publish::{ConfigRepo, PublishError};

/// Learns from batches of traces: the original's entry point, kept.
///
/// ```
/// # async fn example(traces: Vec<whetstone::decode::Trace>) -> Result<(), whetstone::app::CycleError> {
/// use whetstone::app::MetaAgent;
/// use whetstone::config::Config;
///
/// let config = Config::default(); // no model key, no repo: patterns are found, nothing is written
/// let report = MetaAgent::new(config)?.start_learning_cycle(traces).await?;
/// println!("{:?}: {} traces, {} patterns", report.status, report.traces_analyzed, report.patterns_identified);
/// # Ok(())
/// # }
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(example(Vec::new())).unwrap();
/// ```
pub struct MetaAgent {
    config: Config,
    repo: Option<ConfigRepo>,
    optimizer: Optimizer,
    clock: Arc<dyn Clock>,
    agents: BTreeMap<AgentName, Agent>,
    cycles: u64,
    options: CycleOptions,
}

/// How a cycle differs from the stream.
#[derive(Clone, Debug, Default)]
pub struct CycleOptions {
    /// Only this agent.
    pub only: Option<AgentName>,
    /// How new versions reach the agents; at once if not given, as a person reads the commit anyway.
    pub rollout: Option<Rollout>,
    /// Runs that do not name their version count for the active one, whenever they ran.
    pub attribute_to_active: bool,
}

/// Why a cycle could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// The config repo failed.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The evidence cannot be laid out as the operator wants.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// What the model would be asked cannot be told.
    #[error(transparent)]
    Preview(#[from] PreviewError),
}

/// What a cycle did. The first six fields are the original's.
#[derive(Clone, Debug, Serialize)]
pub struct CycleReport {
    /// Whether any agent had enough traces to learn from.
    pub status: CycleStatus,
    /// Counts the cycles of one [`MetaAgent`].
    pub cycle: u64,
    /// Runs that joined a window.
    pub traces_analyzed: u64,
    /// Findings over all agents.
    pub patterns_identified: usize,
    /// Optimizations of prompts or config that a model contributed.
    pub llm_optimizations: u32,
    /// Agents that got a new version.
    pub updates_applied: usize,
    /// What was found, changed and refused, by agent.
    pub agents: BTreeMap<AgentName, AgentReport>,
}

/// Whether a cycle had anything to learn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CycleStatus {
    /// At least one agent was analysed.
    Completed,
    /// No agent had enough traces with a known outcome.
    InsufficientTraces,
}

/// One agent's part of a cycle.
#[derive(Clone, Debug, Default, Serialize)]
pub struct AgentReport {
    /// What its runs showed.
    pub figures: Figures,
    /// Runs not in the figures: sent twice, late, or of a version nobody knows.
    pub left_out: u64,
    /// Runs that named no version and were booked by when they started.
    pub attributed: u64,
    /// What was found, in a line each.
    pub findings: Vec<String>,
    /// The version that came of it.
    pub version: Option<VersionNumber>,
    /// Where it stands, e.g. `active`.
    pub state: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// What it changes and why.
    pub changes: Vec<Reason>,
    /// What was proposed and refused, with the reason.
    pub refused: Vec<String>,
    /// The candidates that were considered, each with what became of it.
    pub considered: Vec<Considered>,
    /// How the model was used.
    pub llm: LlmReport,
    /// What was decided on the way, in a line each.
    pub decisions: Vec<String>,
}

/// What a cycle would ask the model about one agent.
#[derive(Clone, Debug, Serialize)]
pub struct AgentPreview {
    /// What its runs showed.
    pub figures: Figures,
    /// The first call for each half, as it would be made; none if the model is switched off.
    pub calls: Vec<Preview>,
    /// Why nothing would be asked, if its runs are not enough.
    pub reason: Option<String>,
}

impl MetaAgent {
    /// A learner for `config`, with its repo and its model.
    ///
    /// # Errors
    /// If the repo cannot be opened, or the evidence not be laid out.
    pub fn new(config: Config) -> Result<Self, CycleError> {
        let repo = open_repo(&config)?;
        let optimizer = optimizer(&config)?;
        let clock = Arc::new(SystemClock);
        let (agents, options) = (BTreeMap::new(), CycleOptions::default());
        Ok(Self { config, repo, optimizer, clock, agents, cycles: 0, options })
    }

    /// The same, with `options`.
    #[must_use]
    pub fn with_options(mut self, options: CycleOptions) -> Self {
        self.options = options;
        self
    }

    /// Learns from `traces`: windows, requests, proposals, versions, and their projection into the
    /// repo. Without a model, or where it fails, patterns alone decide; the report says so.
    ///
    /// # Errors
    /// If the repo cannot be read or written.
    pub async fn start_learning_cycle(
        &mut self,
        traces: Vec<Trace>,
    ) -> Result<CycleReport, CycleError> {
        self.cycles += 1;
        let mut report = CycleReport {
            status: CycleStatus::InsufficientTraces,
            cycle: self.cycles,
            traces_analyzed: 0,
            patterns_identified: 0,
            llm_optimizations: 0,
            updates_applied: 0,
            agents: BTreeMap::new(),
        };
        for (name, runs) in self.by_agent(&traces) {
            let (agent_report, analysed) = self.learn(&name, runs).await?;
            report.traces_analyzed += agent_report.figures.runs.total();
            report.patterns_identified += agent_report.findings.len();
            report.llm_optimizations += agent_report.llm.optimizations;
            report.updates_applied += usize::from(agent_report.version.is_some());
            if analysed {
                report.status = CycleStatus::Completed;
            }
            report.agents.insert(name, agent_report);
        }
        Ok(report)
    }

    /// What a cycle over `traces` would ask the model, as far as that is known before it answers. Sends
    /// nothing and writes nothing.
    ///
    /// # Errors
    /// If the repo or the log of calls cannot be read.
    pub fn preview(
        &self,
        traces: &[Trace],
    ) -> Result<BTreeMap<AgentName, AgentPreview>, CycleError> {
        let mut previews = BTreeMap::new();
        for (name, runs) in self.by_agent(traces) {
            let policy = self.policy(&name);
            let step = Step {
                repo: self.repo.as_ref(),
                writes: false,
                policy: &policy,
                at: self.clock.now(),
            };
            let known = self.agents.get(&name).cloned();
            let (_, out, view) = self.gather((&name, known), runs, &step)?;
            let calls = match &out.request {
                Some(request) => self.optimizer.preview(request)?,
                None => Vec::new(),
            };
            let why = || out.decisions.last().map(|decision| decision.reason.clone());
            let reason = if out.request.is_none() { why() } else { None };
            previews.insert(name, AgentPreview { figures: view.recent, calls, reason });
        }
        Ok(previews)
    }

    fn by_agent(&self, traces: &[Trace]) -> BTreeMap<AgentName, Vec<Run>> {
        let mut runs: BTreeMap<AgentName, Vec<Run>> = BTreeMap::new();
        for trace in traces {
            if self.options.only.as_ref().is_none_or(|only| *only == trace.agent) {
                runs.entry(trace.agent.clone()).or_default().push(Run::digest(trace));
            }
        }
        runs
    }

    /// One agent's part; true if it had enough to learn from.
    async fn learn(
        &mut self,
        name: &AgentName,
        runs: Vec<Run>,
    ) -> Result<(AgentReport, bool), CycleError> {
        let policy = self.policy(name);
        let at = self.clock.now();
        let known = self.agents.remove(name);
        let step = Step { repo: self.repo.as_ref(), writes: true, policy: &policy, at };
        let (mut agent, mut out, view) = self.gather((name, known), runs, &step)?;
        let mut report = AgentReport {
            figures: view.recent,
            left_out: view.runs.duplicate + view.runs.late + view.runs.unknown_version,
            attributed: view.runs.attributed,
            ..AgentReport::default()
        };
        let request = out.request.take();
        let analysed = request.is_some();
        if let Some(request) = request {
            let proposal = self.optimizer.propose(&request).await;
            if let Some(reason) = &proposal.llm.fallback {
                tracing::warn!(request = %proposal.request, %reason, "pattern edits stand in for the model");
            }
            report.take_proposal(&proposal);
            out.versions.clear();
            step.apply(&mut agent, EventBody::Proposal(Box::new(proposal)), &mut out)?;
            let of_use = |record: &&VersionRecord| {
                record.state == State::Active || record.state.is_undecided()
            };
            report.take_version(out.versions.iter().rfind(of_use));
        }
        report.decisions =
            out.decisions.iter().map(|d| format!("{}: {}", d.decision, d.reason)).collect();
        self.agents.insert(name.clone(), agent);
        Ok((report, analysed))
    }

    /// The agent with its runs folded in, asked for an optimization.
    fn gather(
        &self,
        (name, known): (&AgentName, Option<Agent>),
        runs: Vec<Run>,
        step: &Step<'_>,
    ) -> Result<(Agent, Outcome, AgentView), CycleError> {
        let mut agent = match known {
            Some(agent) => agent,
            None => step.recall(name)?,
        };
        let mut out = Outcome::default();
        step.adopt(&mut agent, &mut out)?;
        let paused = agent.view().paused;
        step.order(&mut agent, CommandKind::Pause, &mut Outcome::default())?;
        let active = agent.view().active;
        for mut run in runs {
            if self.options.attribute_to_active && run.version.is_none() {
                run.version = active;
            }
            step.apply(&mut agent, EventBody::Run(run), &mut out)?;
        }
        if !paused {
            step.order(&mut agent, CommandKind::Resume, &mut Outcome::default())?;
        }
        let view = agent.view();
        step.order(&mut agent, CommandKind::Optimize, &mut out)?;
        Ok((agent, out, view))
    }

    /// The agent's policy, with one window for the whole batch.
    fn policy(&self, name: &AgentName) -> Policy {
        let mut policy = self.config.policy(name).clone();
        policy.windows.kind = WindowKind::Count { runs: u64::MAX };
        // Nobody says later how the runs of a batch turned out.
        policy.feedback = FeedbackSpec { wait: 0, max_waiting: 0, ..policy.feedback };
        policy.rollout = self.options.rollout.unwrap_or(Rollout::Immediate);
        policy
    }
}

/// What an agent let out, sorted.
#[derive(Default)]
struct Outcome {
    request: Option<Request>,
    versions: Vec<VersionRecord>,
    decisions: Vec<Decision>,
}

/// The shell around one agent's events.
struct Step<'a> {
    repo: Option<&'a ConfigRepo>,
    /// Whether what comes of the events is written to the repo.
    writes: bool,
    policy: &'a Policy,
    at: EventTime,
}

impl Step<'_> {
    fn recall(&self, name: &AgentName) -> Result<Agent, CycleError> {
        let Some(repo) = self.repo else { return Ok(Agent::new(name.clone())) };
        let records = recall(repo, name)?;
        let told = repo.published(name)?.map_or(0, |published| published.revision);
        for record in records.iter().filter(|record| self.writes && record.revision > told) {
            repo.project(record)?;
        }
        Ok(Agent::recalled(name.clone(), records))
    }

    fn adopt(&self, agent: &mut Agent, out: &mut Outcome) -> Result<(), CycleError> {
        let Some(repo) = self.repo else { return Ok(()) };
        let Some(edit) = repo.human_edit(agent.name())? else { return Ok(()) };
        let kind = CommandKind::Adopt { content: edit.content, source: edit.source };
        let command = Command { agent: agent.name().clone(), by: edit.by, kind };
        self.apply(agent, EventBody::Command(command), out)
    }

    fn order(
        &self,
        agent: &mut Agent,
        kind: CommandKind,
        out: &mut Outcome,
    ) -> Result<(), CycleError> {
        let command =
            Command { agent: agent.name().clone(), by: "whetstone optimize".to_owned(), kind };
        self.apply(agent, EventBody::Command(command), out)
    }

    fn apply(
        &self,
        agent: &mut Agent,
        body: EventBody,
        out: &mut Outcome,
    ) -> Result<(), CycleError> {
        let event = Event { agent: agent.name().clone(), at: self.at, body };
        for effect in agent.apply(&event, self.policy) {
            match effect {
                Effect::Request(request) => out.request = Some(*request),
                Effect::Decision(decision) => out.decisions.push(decision),
                Effect::Version(record) => {
                    if let Some(repo) = self.repo.filter(|_| self.writes) {
                        repo.project(&record)?;
                    }
                    out.versions.push(*record);
                }
                Effect::Update(_) => {}
            }
        }
        Ok(())
    }
}

impl AgentReport {
    fn take_proposal(&mut self, proposal: &Proposal) {
        self.findings.clone_from(&proposal.findings);
        self.llm.clone_from(&proposal.llm);
        self.considered.clone_from(&proposal.considered);
        for part in [&proposal.prompt, &proposal.config] {
            self.refused.extend_from_slice(&part.refused);
        }
    }

    fn take_version(&mut self, record: Option<&VersionRecord>) {
        let Some(record) = record else { return };
        self.version = Some(record.version.number);
        self.state = Some(record.state.name().to_owned());
        self.author = Some(record.version.author.to_string());
        self.changes.clone_from(&record.version.reasons);
    }
}
