//! One arm of the comparison: scored on held-out tasks, some cycles of training runs and learning, and
//! scored again on the same tasks.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;
use whetstone::app::{AgentReport, CycleOptions, CycleStatus, MetaAgent};
use whetstone::base::{AgentName, Clock, SystemClock, VersionNumber};
use whetstone::config::Config;
use whetstone::decode::{self, Options, Trace};
use whetstone::govern::Rollout;

use crate::agent::{self, NAME, RULES, Run, SYSTEM, Setup};
use crate::args::Args;
use crate::chat::{Chat, Sampling};
use crate::progress;
use crate::score::{Paired, Score};
use crate::task::{Split, Task, tasks};
use crate::workspace::Workspace;

/// What is done between the two scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arm {
    /// Nothing: how much the same prompt differs from itself.
    None,
    /// A person who knows the rules writes them down: the ceiling.
    Oracle,
    /// Whetstone without a model.
    Patterns,
    /// The same, with the API's errors trusted to be the operator's own words.
    Trusting,
    /// Whetstone with the optimizer's model.
    Model,
}

impl Arm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Oracle => "oracle",
            Self::Patterns => "patterns",
            Self::Trusting => "trusting",
            Self::Model => "model",
        }
    }
}

/// What one arm came to.
#[derive(Debug, Serialize)]
pub(crate) struct ArmReport {
    pub(crate) arm: Arm,
    /// On the held-out tasks, with the prompt that all arms start from.
    pub(crate) before: Score,
    /// On the same tasks, with what came of it.
    pub(crate) after: Score,
    pub(crate) paired: Paired,
    /// Tokens of the agent's model in training: read and written; an earlier arm may have spent some.
    pub(crate) training_tokens: u64,
    /// Tokens of the optimizer's model: read and written.
    pub(crate) optimizer_tokens: u64,
    /// Wall time, answers that were known already being free.
    pub(crate) seconds: f64,
    pub(crate) cycles: Vec<Cycle>,
    /// The system prompt at the end.
    pub(crate) system_prompt: String,
}

/// One cycle of training and learning.
#[derive(Debug, Serialize)]
pub(crate) struct Cycle {
    /// How the training runs fared, under the version that was there before.
    pub(crate) training: Score,
    /// How often the API refused what in training: what there was to learn from.
    pub(crate) errors: BTreeMap<String, u64>,
    /// What was found, changed and refused.
    pub(crate) learnt: AgentReport,
    /// Characters of the system prompt afterwards.
    pub(crate) prompt_chars: usize,
    /// Retries that the config grants afterwards.
    pub(crate) retries: u32,
    /// Wall time of the training runs.
    pub(crate) training_seconds: f64,
    /// Wall time of the learning.
    pub(crate) learning_seconds: f64,
}

/// What the arms share.
pub(crate) struct Bench<'a> {
    args: &'a Args,
    chat: Chat,
    held_out: Vec<Task>,
    /// Results on the held-out tasks: at temperature 0 the same setup is not asked again.
    known: BTreeMap<Setup, Vec<bool>>,
    /// Training runs by setup and cycle.
    trained: BTreeMap<(Setup, u32), Vec<Run>>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(args: &'a Args) -> anyhow::Result<Self> {
        let chat = Chat::new(&args.agent_endpoint, &args.agent_model)?;
        let held_out = tasks(Split::HeldOut, args.seed, args.held_out);
        Ok(Self { args, chat, held_out, known: BTreeMap::new(), trained: BTreeMap::new() })
    }

    /// Runs one arm from the start that all share.
    ///
    /// # Errors
    /// If a model cannot be asked, or the repo fails.
    pub(crate) async fn run(&mut self, arm: Arm) -> anyhow::Result<ArmReport> {
        let started = Instant::now();
        let first = Setup::with_system(SYSTEM);
        let before = self.score(arm, &first).await?;
        let (last, cycles, training_tokens) = match arm {
            Arm::None => {
                self.known.remove(&first);
                (first, Vec::new(), 0)
            }
            Arm::Oracle => (Setup::with_system(&format!("{SYSTEM}{RULES}")), Vec::new(), 0),
            Arm::Patterns | Arm::Trusting | Arm::Model => Box::pin(self.learn(arm, &first)).await?,
        };
        let after = self.score(arm, &last).await?;
        let spent = |cycle: &Cycle| cycle.learnt.llm.input_tokens + cycle.learnt.llm.output_tokens;
        Ok(ArmReport {
            arm,
            before: Score::of(&before),
            after: Score::of(&after),
            paired: Paired::of(&before, &after),
            training_tokens,
            optimizer_tokens: cycles.iter().map(spent).sum(),
            seconds: started.elapsed().as_secs_f64(),
            cycles,
            system_prompt: last.prompts.get("system").cloned().unwrap_or_default(),
        })
    }

    async fn score(&mut self, arm: Arm, setup: &Setup) -> anyhow::Result<Vec<bool>> {
        if let Some(known) = self.known.get(setup) {
            return Ok(known.clone());
        }
        let sampling = Sampling { temperature: 0.0, seed: 0 };
        let bar = progress::phase(&format!("{}: held-out", arm.name()), self.held_out.len());
        let mut results = Vec::new();
        for task in &self.held_out {
            results.push(agent::run(&self.chat, setup, task, sampling).await?.success);
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.known.insert(setup.clone(), results.clone());
        Ok(results)
    }

    /// The cycles of `arm`: where the agent ends, what happened, and the agent's tokens.
    async fn learn(&mut self, arm: Arm, first: &Setup) -> anyhow::Result<(Setup, Vec<Cycle>, u64)> {
        let workspace = Workspace::new(first)?;
        let options = CycleOptions {
            rollout: Some(Rollout::Immediate),
            attribute_to_active: true,
            ..CycleOptions::default()
        };
        let mut learner = MetaAgent::new(self.config(arm, &workspace)?)?.with_options(options);
        let (mut cycles, mut tokens, mut version) = (Vec::new(), 0, None);
        for number in 0..self.args.cycles {
            let started = Instant::now();
            let setup = Setup::load(&workspace.configs())?;
            let trained = self.train(arm, number, (&setup, version)).await?;
            let training_seconds = started.elapsed().as_secs_f64();
            tokens += trained.tokens;
            let spinner = progress::spinner(&format!("{}: learning, {}", arm.name(), number + 1));
            let report = Box::pin(learner.start_learning_cycle(trained.traces)).await?;
            spinner.finish_and_clear();
            if report.status == CycleStatus::InsufficientTraces {
                anyhow::bail!("{} runs are too few to learn from: raise --runs", self.args.runs);
            }
            let name: AgentName = NAME.parse()?;
            let learnt = report.agents.get(&name).cloned().unwrap_or_default();
            let active = learnt.state.as_deref() == Some("active");
            version = learnt.version.filter(|_| active).or(version);
            let setup = Setup::load(&workspace.configs())?;
            cycles.push(Cycle {
                training: Score::of(&trained.results),
                errors: trained.errors,
                learnt,
                prompt_chars: setup.chars(),
                retries: setup.retries,
                training_seconds,
                learning_seconds: started.elapsed().as_secs_f64() - training_seconds,
            });
        }
        Ok((Setup::load(&workspace.configs())?, cycles, tokens))
    }

    /// Training runs of cycle `number` under `setup`, tasks being the same for every arm: what one arm ran
    /// already is not run again, so that arms part only where their setups do.
    async fn runs(&mut self, arm: Arm, number: u32, setup: &Setup) -> anyhow::Result<Vec<Run>> {
        let key = (setup.clone(), number);
        if let Some(known) = self.trained.get(&key) {
            return Ok(known.clone());
        }
        let seed = self.args.seed.wrapping_mul(1_000).wrapping_add(u64::from(number));
        let tasks = tasks(Split::Training, seed, self.args.runs);
        let title = format!("{}: training, {}", arm.name(), number + 1);
        let bar = progress::phase(&title, tasks.len());
        let mut runs = Vec::new();
        for (seed, task) in (0_u32..).zip(tasks) {
            let sampling = Sampling { temperature: self.args.temperature, seed };
            runs.push(agent::run(&self.chat, setup, &task, sampling).await?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.trained.insert(key, runs.clone());
        Ok(runs)
    }

    /// The same with all that is to be known of them, as runs of `version`.
    async fn train(
        &mut self,
        arm: Arm,
        number: u32,
        (setup, version): (&Setup, Option<VersionNumber>),
    ) -> anyhow::Result<Trained> {
        let (mut records, mut results, mut tokens) = (String::new(), Vec::new(), 0);
        let mut errors = BTreeMap::new();
        for (index, mut run) in self.runs(arm, number, setup).await?.into_iter().enumerate() {
            run.trace["trace_id"] = json!(format!("{}-{number}-{index}", arm.name()));
            run.trace["version"] = json!(version);
            records.push_str(&format!("{}\n", run.trace));
            results.push(run.success);
            tokens += run.tokens;
            for error in run.errors {
                *errors.entry(error).or_insert(0) += 1;
            }
        }
        Ok(Trained { traces: decoded(&records)?, results, tokens, errors })
    }

    /// Whetstone's settings: small, as its model may be. What the person says comes last.
    fn config(&self, arm: Arm, workspace: &Workspace) -> anyhow::Result<Config> {
        let args = self.args;
        let mut settings = vec![
            format!("llm.enabled={}", arm == Arm::Model),
            format!("llm.model={}", args.optimizer_model),
            format!("llm.endpoint={}", args.optimizer_endpoint()),
            "llm.max_tokens=700".to_owned(),
            "reward.latency_target=20".to_owned(),
            "reward.attempts_target=4".to_owned(),
            "guard.max_bullets=8".to_owned(),
            "guard.max_bullet_chars=200".to_owned(),
            "guard.max_growth_chars=800".to_owned(),
        ];
        if arm == Arm::Trusting {
            settings.push("guard.trusted_tools=submit_command".to_owned());
        }
        settings.extend_from_slice(&args.set);
        let mut config = Config::load(None, [], &settings)?;
        config.repo.path = Some(workspace.path().to_owned());
        Ok(config)
    }
}

struct Trained {
    traces: Vec<Trace>,
    results: Vec<bool>,
    tokens: u64,
    errors: BTreeMap<String, u64>,
}

/// The traces in `records`, a record a line, as any other would be read.
fn decoded(records: &str) -> anyhow::Result<Vec<Trace>> {
    let options = Options::arrived(SystemClock.now());
    let decoded = decode::decode(records.as_bytes(), &options).into_iter();
    let traces = decoded.map(|item| {
        let report = item.result.with_context(|| format!("trace {} is refused", item.line))?;
        report.into_run().context("a run that ended was expected")
    });
    traces.collect()
}
