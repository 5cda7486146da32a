//! Runs as OpenAI-style chat messages with a reward: files of tau-bench and tau2-bench.
//!
//! A run has succeeded if its reward is 1. In tau-bench runs carry no time: they are taken to have
//! happened when they arrived, and a latency of zero says that it is not known. In tau2-bench times have no zone and
//! are taken as UTC; only the agent's own tool calls, tokens and cost count, not the simulated user's.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::detect::typed;
use super::draft::Draft;
use super::found::Found;
use super::{
    Decoded, LlmCall, Options, Outcome, Reason, Reject, Report, Step, Thought, Tokens, ToolCall,
    Trace, text,
};
use crate::base::{Digest, EventTime};

#[derive(Deserialize)]
struct TauRun<'a> {
    task_id: Value,
    reward: f64,
    #[serde(default)]
    trial: u32,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    traj: Vec<Message>,
}

#[derive(Deserialize)]
struct Tau2File<'a> {
    info: Option<Tau2Info>,
    #[serde(borrow)]
    simulations: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Tau2Info {
    environment_info: Option<Environment>,
}

#[derive(Deserialize)]
struct Environment {
    domain_name: Option<String>,
}

#[derive(Deserialize)]
struct Simulation {
    id: String,
    task_id: Value,
    start_time: String,
    end_time: String,
    #[serde(default)]
    termination_reason: String,
    reward_info: Option<RewardInfo>,
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct RewardInfo {
    reward: f64,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Value,
    tool_calls: Option<Vec<Call>>,
    tool_call_id: Option<String>,
    id: Option<String>,
    requestor: Option<String>,
    error: Option<bool>,
    usage: Option<Usage>,
}

/// A call as OpenAI writes it (`function`) or as tau2 does.
#[derive(Deserialize)]
struct Call {
    id: Option<String>,
    name: Option<String>,
    arguments: Option<Value>,
    function: Option<Function>,
    requestor: Option<String>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// One run of tau-bench.
pub(super) fn decode_tau(record: &str, options: &Options) -> Result<Trace, Reject> {
    let raw: TauRun<'_> = typed(record)?;
    let task = raw.info.and_then(|info| serde_json::from_str::<Value>(info.get()).ok());
    let task =
        task.and_then(|info| Some(info.get("task")?.get("instruction")?.as_str()?.to_owned()));
    let (steps, tokens) = steps(raw.traj);
    // Runs have no id: task, trial and content make one, so that a file sent twice counts once.
    let digest = Digest::of(record.as_bytes());
    let draft = Draft {
        agent: None,
        trace_id: text::identity(&format!(
            "task-{}-trial-{}-{}",
            plain(&raw.task_id),
            raw.trial,
            digest.short()
        )),
        session: None,
        version: None,
        start: options.arrived,
        end: options.arrived,
        outcome: outcome(raw.reward)?,
        task,
        result: None,
        steps,
        retries: 0,
        tokens,
        cost_usd: None,
        rounds: None,
    };
    draft.check(options)
}

/// A file of tau2-bench.
pub(super) fn decode_tau2(record: &str, options: &Options) -> Vec<Decoded> {
    let file: Tau2File<'_> = match typed(record) {
        Ok(file) => file,
        Err(reject) => return vec![Decoded { line: 1, result: Err(reject) }],
    };
    let domain = file.info.and_then(|info| info.environment_info?.domain_name);
    // A name given by the caller says which variant this is; the domain is only what it works on.
    let agent = options.agent.as_ref().map(ToString::to_string).or(domain);
    let runs = (1..).zip(file.simulations);
    let mut found = Found::default();
    found.extend(runs.map(|(line, run)| Decoded {
        line,
        result: simulation(run.get(), agent.clone(), options).map(Report::Run),
    }));
    found.finish()
}

/// One simulation of tau2-bench.
pub(super) fn simulation(
    record: &str,
    agent: Option<String>,
    options: &Options,
) -> Result<Trace, Reject> {
    let raw: Simulation = typed(record)?;
    let time = |name: &str, value: &str| -> Result<EventTime, Reject> {
        text::time(value).ok_or_else(|| {
            Reject::new(Reason::InvalidField, format!("{name} {value:?} is not a time"))
        })
    };
    let (start, end) = (time("start_time", &raw.start_time)?, time("end_time", &raw.end_time)?);
    // What broke was not the agent. Its own errors, too many of them, or too many steps, are its own.
    let broken = matches!(
        raw.termination_reason.as_str(),
        "infrastructure_error" | "user_error" | "unexpected_error"
    );
    let outcome = match raw.reward_info {
        _ if broken => Outcome::Aborted,
        Some(info) => outcome(info.reward)?,
        None => Outcome::Unknown,
    };
    let (steps, tokens) = steps(raw.messages);
    let draft = Draft {
        agent,
        trace_id: raw.id,
        session: None,
        version: None,
        start,
        end,
        outcome,
        task: Some(format!("task {}", plain(&raw.task_id))),
        result: Some(raw.termination_reason),
        steps,
        retries: 0,
        tokens,
        cost_usd: None,
        rounds: None,
    };
    draft.check(options)
}

/// A reward of 1 is a success, within the benchmark's own tolerance for sums of floats.
fn outcome(reward: f64) -> Result<Outcome, Reject> {
    if !reward.is_finite() {
        return Err(Reject::new(Reason::NotFinite, "reward is not a finite number"));
    }
    Ok(if reward >= 1.0 - 1e-6 { Outcome::Success } else { Outcome::Failure })
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The agent's own steps.
fn steps(messages: Vec<Message>) -> (Vec<Step>, Tokens) {
    let (mut steps, mut total) = (Vec::new(), Tokens::default());
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    let agents = |requestor: &Option<String>| requestor.as_deref().is_none_or(|r| r == "assistant");
    for message in messages {
        let said = text::content(&message.content);
        match message.role.as_str() {
            "assistant" => {
                if let Some(usage) = message.usage {
                    let tokens = Tokens {
                        input: usage.prompt_tokens.unwrap_or_default(),
                        output: usage.completion_tokens.unwrap_or_default(),
                    };
                    total = total.plus(tokens);
                    steps.push(Step::Llm(LlmCall { model: None, tokens }));
                }
                if !said.is_empty() {
                    steps.push(Step::Thought(Thought { text: text::short(&said) }));
                }
                for call in message.tool_calls.into_iter().flatten() {
                    if agents(&call.requestor) {
                        add_call(call, &mut steps, &mut open);
                    }
                }
            }
            "tool" if agents(&message.requestor) => {
                let index = message.tool_call_id.or(message.id).and_then(|id| open.remove(&id));
                if let Some(Step::Tool(call)) = index.and_then(|index| steps.get_mut(index)) {
                    call.answered(&said, message.error == Some(true));
                }
            }
            _ => {}
        }
    }
    (steps, total)
}

fn add_call(call: Call, steps: &mut Vec<Step>, open: &mut BTreeMap<String, usize>) {
    let (name, arguments) = match (call.function, call.name) {
        (Some(function), _) => (function.name, function.arguments),
        (None, Some(name)) => (name, call.arguments),
        (None, None) => return,
    };
    if let Some(id) = call.id {
        open.insert(id, steps.len());
    }
    let arguments = arguments.as_ref().map(plain);
    steps.push(Step::Tool(ToolCall { name, ok: true, error: None, duration: None, arguments }));
}
