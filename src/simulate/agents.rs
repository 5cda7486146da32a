//! The agents of the demo: their first prompts and configs, and the traces they leave.

use fastrand::Rng;

use super::rule::{Course, Rule};
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::decode::{Outcome, Step, Thought, Tokens, ToolCall, Trace};
use crate::govern::Content;

/// A simulated agent.
#[derive(Clone, Debug)]
pub struct SimulatedAgent {
    /// Its name; starts with `sim-`.
    pub name: AgentName,
    /// What it is simulated to do.
    pub job: &'static str,
    tools: &'static [&'static str],
    max_step: u32,
    rule: Rule,
}

/// The five agents of the demo: one has a tool it should use more, one a tool it should avoid, one
/// too tight a limit, one whose traces mislead, and one that nothing helps.
pub fn simulated_agents() -> Vec<SimulatedAgent> {
    type Row = (&'static str, &'static str, &'static [&'static str], u32, Rule);
    let rows: [Row; 5] = [
        (
            "sim-triage",
            "finds the service that caused an alert",
            &["get_alerts", "get_logs"],
            20,
            Rule::Helps { tool: "get_traces" },
        ),
        (
            "sim-repair",
            "repairs a broken deployment",
            &["get_pods", "describe_pod", "patch_config"],
            20,
            Rule::Harms { tool: "restart_service" },
        ),
        (
            "sim-research",
            "answers questions from long documents",
            &["search", "open_page", "take_note"],
            10,
            Rule::Needs { rounds: 9.0 },
        ),
        (
            "sim-scout",
            "looks into complaints of customers",
            &["read_ticket", "ask_customer"],
            20,
            Rule::Misleads { tool: "quick_reply" },
        ),
        ("sim-oracle", "guesses, and nothing helps", &["ponder"], 20, Rule::Nothing),
    ];
    rows.into_iter()
        .filter_map(|(name, job, tools, max_step, rule)| {
            Some(SimulatedAgent { name: name.parse().ok()?, job, tools, max_step, rule })
        })
        .collect()
}

impl SimulatedAgent {
    /// Its first prompts file, as a person would have written it.
    pub fn prompts_yaml(&self) -> String {
        format!(
            "# Prompts of a simulated agent: it {job}.\n\
             system: |\n  \
               You are {name}, a simulated agent. Your job: it {job}.\n  \
               Work step by step and submit when you are done.\n\
             user: |\n  \
               Task: {{task}}\n  \
               You have {{max_step}} rounds.\n",
            job = self.job,
            name = self.name
        )
    }

    /// Its first config file.
    pub fn config_yaml(&self) -> String {
        format!(
            "# one round is one tool call\nmax_step: {}\nprompts_path: {}_agent_prompts.yaml\n",
            self.max_step, self.name
        )
    }

    /// The id of run `number`, and the unit that a version is given to.
    pub fn unit(number: u64) -> String {
        format!("simulated-{number:08}")
    }

    /// One run under `content`, which is `version`, starting at `start`.
    pub fn run(
        &self,
        number: u64,
        (version, content): (VersionNumber, &Content),
        start: EventTime,
        rng: &mut Rng,
    ) -> Trace {
        let Course { uses, rounds, success } = self.rule.course(content, rng);
        let seconds = |low: f64, high: f64, rng: &mut Rng| low + (high - low) * rng.f64();
        let mut steps = Vec::new();
        if rng.f64() < 0.5 {
            let text = "First look around, then act.".to_owned();
            steps.push(Step::Thought(Thought { text }));
        }
        let special = rng.u32(0..rounds.max(1));
        let mut latency = 2.0;
        for round in 0..rounds {
            let plain = rng.choice(self.tools.iter()).copied().unwrap_or("wait");
            let name = uses.filter(|_| round == special).unwrap_or(plain);
            let duration = seconds(0.5, 6.0, rng);
            latency += duration;
            let ok = rng.f64() < 0.95;
            steps.push(Step::Tool(ToolCall {
                name: name.to_owned(),
                ok,
                error: (!ok).then(|| format!("simulated error {}", rng.u32(100..999))),
                duration: Some((duration * 1000.0).round() / 1000.0),
                arguments: Some(format!("{{\"n\":{}}}", rng.u32(0..1000))),
            }));
        }
        // The harness breaks now and then, which is not the agent's doing.
        let aborted = rng.f64() < 0.03;
        let outcome = match (aborted, success) {
            (true, _) => Outcome::Aborted,
            (false, true) => Outcome::Success,
            (false, false) => Outcome::Failure,
        };
        let result = match outcome {
            Outcome::Success => "simulated: done",
            Outcome::Failure => "simulated: gave up",
            Outcome::Aborted | Outcome::Unknown => "simulated: the harness crashed",
        };
        #[expect(clippy::cast_possible_truncation, reason = "minutes in milliseconds")]
        let end = start.plus_millis((latency * 1000.0) as i64);
        Trace {
            agent: self.name.clone(),
            trace_id: Self::unit(number),
            session: None,
            version: Some(version),
            start,
            end,
            outcome,
            task: Some(format!("simulated task {number}")),
            result: Some(result.to_owned()),
            steps,
            retries: 0,
            tokens: Tokens { input: u64::from(rounds) * 900, output: u64::from(rounds) * 120 },
            cost_usd: None,
            rounds: Some(rounds),
        }
    }
}
