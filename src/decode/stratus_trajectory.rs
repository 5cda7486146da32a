//! Stratus trajectory files: JSON lines with several stages, each a run of its agent.
//!
//! `mitigation_attempt_0`, `_1`, … are tries of one mitigation run. Every event repeats the history so
//! far, so only a stage's last event counts. The file has no label: a run's outcome is unknown until
//! feedback tells it. It has no times but that of the whole file, a local time without a zone, taken
//! as UTC: every run starts and ends there, so a latency of zero says that it is not known. Its rounds
//! are those of its longest attempt, since `max_step` limits each attempt by itself. Which version each
//! agent ran, `prompt_versions` of the metadata line may say; a version that is none refuses that
//! agent's run alone.

use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::Value;

use super::detect::{numbered, typed};
use super::draft::Draft;
use super::found::Found;
use super::{
    Decoded, LlmCall, Options, Outcome, Reason, Reject, Report, Step, Thought, Tokens, ToolCall,
    text,
};
use crate::base::{EventTime, VersionNumber};

/// Whether `line` is one of a trajectory file.
pub(super) fn is_line(line: &str) -> bool {
    serde_json::from_str::<Line>(line).is_ok()
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Metadata {
        problem_id: String,
        timestamp: String,
        timestamp_readable: String,
        /// By agent. Whatever it is, it does not make the line another one.
        #[serde(default)]
        prompt_versions: Value,
    },
    StageStart {
        stage: String,
    },
    Event(Event),
}

#[derive(Deserialize)]
struct Event {
    stage: String,
    num_steps: Option<u32>,
    messages: Option<Vec<Message>>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    content: Value,
    tool_calls: Option<Vec<Call>>,
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

/// What the metadata line says of the whole file.
struct About {
    problem: String,
    stamp: String,
    at: Option<EventTime>,
    versions: Value,
}

impl About {
    /// The version that `agent` ran, if the file says so.
    fn version_of(&self, agent: &str) -> Result<Option<VersionNumber>, Reject> {
        let wrong = || {
            let detail = "prompt_versions holds the number of each agent's version, \
                          e.g. {\"diagnosis\": 3}";
            Reject::new(Reason::InvalidField, detail)
        };
        match &self.versions {
            Value::Null => Ok(None),
            Value::Object(versions) => match versions.get(agent) {
                None | Some(Value::Null) => Ok(None),
                Some(version) => {
                    let version = VersionNumber::deserialize(version).map_err(|_| wrong())?;
                    Ok(Some(version).filter(|version| version.0 > 0))
                }
            },
            _ => Err(wrong()),
        }
    }
}

/// One agent's run: its attempts' last events.
#[derive(Default)]
struct Stage {
    line: u64,
    attempts: BTreeMap<String, Event>,
}

/// One file's worth: a metadata line and the stages up to the next one.
#[derive(Default)]
struct File {
    about: Option<About>,
    stages: BTreeMap<String, Stage>,
}

pub(super) fn decode(input: &[u8], options: &Options) -> Vec<Decoded> {
    let (mut file, mut found) = (File::default(), Found::default());
    for (line, text) in numbered(input) {
        match text.and_then(typed::<Line>) {
            Ok(Line::Metadata { problem_id, timestamp, timestamp_readable, prompt_versions }) => {
                // Files may have been put one after the other: this one's stages are not the last one's.
                found.extend(std::mem::take(&mut file).finish(options));
                let at = text::time(&timestamp_readable);
                let (problem, stamp, versions) = (problem_id, timestamp, prompt_versions);
                file.about = Some(About { problem, stamp, at, versions });
            }
            Ok(Line::StageStart { stage }) => {
                let entry = file.stages.entry(agent_of(&stage)).or_default();
                entry.line = entry.line.max(line);
            }
            Ok(Line::Event(event)) => {
                let entry = file.stages.entry(agent_of(&event.stage)).or_default();
                entry.line = line;
                entry.attempts.insert(event.stage.clone(), event);
            }
            Err(reject) => found.push(Decoded { line, result: Err(reject) }),
        }
    }
    found.extend(file.finish(options));
    found.finish()
}

impl File {
    fn finish(self, options: &Options) -> Vec<Decoded> {
        let run = |(agent, stage): (String, Stage)| {
            let line = stage.line;
            let result = match &self.about {
                Some(about @ About { at: Some(at), .. }) => {
                    about.version_of(&agent).and_then(|version| {
                        let draft = Draft { version, ..draft(agent, stage, about, *at) };
                        draft.check(options).map(Report::Run)
                    })
                }
                _ => {
                    let detail =
                        "no metadata line with problem_id, timestamp and timestamp_readable";
                    Err(Reject::new(Reason::InvalidField, detail))
                }
            };
            Decoded { line, result }
        };
        self.stages.into_iter().map(run).collect()
    }
}

/// `mitigation_attempt_2` is a stage of `mitigation`.
fn agent_of(stage: &str) -> String {
    stage.split_once("_attempt_").map_or(stage, |(agent, _)| agent).to_owned()
}

fn draft(agent: String, stage: Stage, about: &About, at: EventTime) -> Draft {
    let mut attempts: Vec<Event> = stage.attempts.into_values().collect();
    // `_attempt_10` comes after `_attempt_9`, which text order would not say.
    attempts.sort_by(|a, b| (a.stage.len(), &a.stage).cmp(&(b.stage.len(), &b.stage)));
    let retries = u32::try_from(attempts.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let rounds = attempts.iter().filter_map(|event| event.num_steps).max();
    let (mut steps, mut tokens, mut result) = (Vec::new(), Tokens::default(), None);
    for event in attempts {
        let messages = event.messages.unwrap_or_default();
        add_messages(messages, &mut steps, &mut tokens, &mut result);
    }
    let session = format!("{}_{}", about.problem, about.stamp);
    Draft {
        trace_id: text::identity(&format!("{session}_{agent}")),
        agent: Some(agent),
        session: Some(session),
        version: None,
        start: at,
        end: at,
        outcome: Outcome::Unknown,
        task: Some(about.problem.clone()),
        result,
        steps,
        retries,
        tokens,
        cost_usd: None,
        rounds,
    }
}

fn add_messages(
    messages: Vec<Message>,
    steps: &mut Vec<Step>,
    tokens: &mut Tokens,
    result: &mut Option<String>,
) {
    let mut open: BTreeMap<String, usize> = BTreeMap::new();
    // Answers may lack an id, even where calls have one: they come in the order of the latest calls.
    let mut waiting: VecDeque<usize> = VecDeque::new();
    for message in messages {
        let said = text::content(&message.content);
        match message.kind.as_str() {
            "AIMessage" => {
                if let Some(usage) = message.usage_metadata {
                    let used = Tokens { input: usage.input_tokens, output: usage.output_tokens };
                    *tokens = tokens.plus(used);
                    steps.push(Step::Llm(LlmCall { model: None, tokens: used }));
                }
                if !said.is_empty() {
                    steps.push(Step::Thought(Thought { text: text::short(&said) }));
                    *result = Some(said);
                }
                waiting.clear();
                for call in message.tool_calls.into_iter().flatten() {
                    waiting.push_back(steps.len());
                    open.extend(call.id.map(|id| (id, steps.len())));
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
                let index = match &message.tool_call_id {
                    Some(id) => open.remove(id),
                    None => waiting.pop_front(),
                };
                waiting.retain(|waiting| Some(*waiting) != index);
                let failed = message.status.as_deref() == Some("error");
                if let Some(Step::Tool(call)) = index.and_then(|index| steps.get_mut(index)) {
                    call.answered(&said, failed);
                }
            }
            _ => {}
        }
    }
}
