//! Stratus trajectory files: JSON lines with several stages, each a run of its agent.
//!
//! `mitigation_attempt_0`, `_1`, … are tries of one mitigation run. Every event repeats the history so
//! far, so only a stage's last event counts. The file has no label: a run's outcome is unknown until
//! feedback tells it. It has no times but that of the whole file, a local time without a zone, taken
//! as UTC: every run starts and ends there, and its latency is not known.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::draft::Draft;
use super::{
    Decoded, LlmCall, Options, Outcome, Reason, Reject, Step, Thought, Tokens, ToolCall, text,
};
use crate::base::EventTime;

/// Whether `line` is one of a trajectory file.
pub(super) fn is_line(line: &str) -> bool {
    serde_json::from_str::<Line>(line).is_ok()
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Metadata { problem_id: String, timestamp: String, timestamp_readable: String },
    StageStart { stage: String },
    Event(Event),
}

#[derive(Deserialize)]
struct Event {
    stage: String,
    #[serde(default)]
    num_steps: u32,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    content: Value,
    #[serde(default)]
    tool_calls: Vec<Call>,
    tool_call_id: Option<String>,
    status: Option<String>,
    usage_metadata: Option<Usage>,
}

#[derive(Deserialize)]
struct Call {
    name: String,
    #[serde(default)]
    args: Value,
    id: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
}

/// One agent's run: its attempts' last events, in order.
#[derive(Default)]
struct Stage {
    line: u64,
    attempts: BTreeMap<String, Event>,
}

pub(super) fn decode(input: &str, options: &Options) -> Vec<Decoded> {
    let mut about: Option<(String, String, Option<EventTime>)> = None;
    let mut stages: BTreeMap<String, Stage> = BTreeMap::new();
    let mut decoded = Vec::new();
    for (line, text) in (1..).zip(input.lines()) {
        if text.trim().is_empty() {
            continue;
        }
        match super::detect::typed::<Line>(text) {
            Ok(Line::Metadata { problem_id, timestamp, timestamp_readable }) => {
                about = Some((problem_id, timestamp, text::time(&timestamp_readable)));
            }
            Ok(Line::StageStart { stage }) => {
                let entry = stages.entry(agent_of(&stage)).or_default();
                entry.line = entry.line.max(line);
            }
            Ok(Line::Event(event)) => {
                let entry = stages.entry(agent_of(&event.stage)).or_default();
                entry.line = line;
                entry.attempts.insert(event.stage.clone(), event);
            }
            Err(reject) => decoded.push(Decoded { line, result: Err(reject) }),
        }
    }
    for (agent, stage) in stages {
        let line = stage.line;
        let result = match &about {
            Some((problem, stamp, Some(at))) => {
                draft(agent, stage, (problem, stamp, *at)).check(options)
            }
            _ => Err(Reject::new(
                Reason::InvalidField,
                "no metadata line with problem_id, timestamp and timestamp_readable",
            )),
        };
        decoded.push(Decoded { line, result });
    }
    decoded.sort_by_key(|decoded| decoded.line);
    decoded
}

/// `mitigation_attempt_2` is a stage of `mitigation`.
fn agent_of(stage: &str) -> String {
    stage.split_once("_attempt_").map_or(stage, |(agent, _)| agent).to_owned()
}

fn draft(agent: String, stage: Stage, about: (&String, &String, EventTime)) -> Draft {
    let (problem, stamp, at) = about;
    let mut attempts: Vec<Event> = stage.attempts.into_values().collect();
    // `_attempt_10` comes after `_attempt_9`, which text order would not say.
    attempts.sort_by_key(|event| (event.stage.len(), event.stage.clone()));
    let retries = u32::try_from(attempts.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let rounds = attempts.iter().map(|event| event.num_steps).fold(0, u32::saturating_add);
    let (mut steps, mut tokens, mut result) = (Vec::new(), Tokens::default(), None);
    for event in attempts {
        add_messages(event.messages, &mut steps, &mut tokens, &mut result);
    }
    Draft {
        trace_id: format!("{problem}_{stamp}_{agent}"),
        agent: Some(agent),
        session: Some(format!("{problem}_{stamp}")),
        version: None,
        start: at,
        end: at,
        outcome: Outcome::Unknown,
        task: Some(problem.clone()),
        result,
        steps,
        retries,
        tokens,
        rounds: Some(rounds),
    }
}

fn add_messages(
    messages: Vec<Message>,
    steps: &mut Vec<Step>,
    tokens: &mut Tokens,
    result: &mut Option<String>,
) {
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    for message in messages {
        let said = plain(&message.content);
        match message.kind.as_str() {
            "AIMessage" => {
                if let Some(usage) = message.usage_metadata {
                    let used = Tokens { input: usage.input_tokens, output: usage.output_tokens };
                    tokens.input = tokens.input.saturating_add(used.input);
                    tokens.output = tokens.output.saturating_add(used.output);
                    steps.push(Step::Llm(LlmCall { model: None, tokens: used }));
                }
                if !said.is_empty() {
                    steps.push(Step::Thought(Thought { text: text::short(&said) }));
                    *result = Some(said);
                }
                for call in message.tool_calls {
                    if let Some(id) = call.id {
                        open.insert(id, steps.len());
                    }
                    steps.push(Step::Tool(ToolCall {
                        name: call.name,
                        ok: true,
                        error: None,
                        duration: None,
                        arguments: Some(call.args.to_string()),
                    }));
                }
            }
            "ToolMessage" => {
                let stated = text::stated_failure(&said).or_else(|| {
                    (message.status.as_deref() == Some("error")).then(|| text::short(&said))
                });
                // Older files have no ids: there the answer is to the latest call.
                let index = match &message.tool_call_id {
                    Some(id) => open.remove(id),
                    None => steps.iter().rposition(|step| matches!(step, Step::Tool(_))),
                };
                let step = index.and_then(|index| steps.get_mut(index));
                if let (Some(Step::Tool(call)), Some(error)) = (step, stated) {
                    call.ok = false;
                    call.error = Some(error);
                }
            }
            _ => {}
        }
    }
}

/// Content as text: a string, or the text parts of a list.
fn plain(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let text = |part: &Value| match part {
                Value::String(text) => Some(text.clone()),
                other => other.get("text").and_then(Value::as_str).map(str::to_owned),
            };
            parts.iter().filter_map(text).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
