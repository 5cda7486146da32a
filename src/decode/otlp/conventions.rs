//! What a span's attributes mean: one table of names for each fact, the current name first.
//!
//! Sources: OpenTelemetry's GenAI conventions v1.41 (docs/gen-ai/gen-ai-agent-spans.md, gen-ai-spans.md) and
//! the names of v1.36 and older that emitters still send; OpenInference (spec/semantic_conventions.md);
//! OpenLLMetry's `traceloop.*`; the kinds of Langfuse and MLflow. Producers mix them, so that each fact is
//! looked for under all its names.

use serde_json::Value;

use super::attributes::Attributes;
use super::span::{AgentFacts, LlmFacts, Role, ToolFacts, Usage};
use crate::decode::text::{self, identity, stated_failure};
use crate::decode::{Tokens, limits};

const KIND: [&str; 5] = [
    "gen_ai.operation.name",
    "openinference.span.kind",
    "traceloop.span.kind",
    "langfuse.observation.type",
    "mlflow.spanType",
];
const AGENT: [&str; 3] = ["gen_ai.agent.name", "agent.name", "traceloop.entity.name"];
const TOOL: [&str; 3] = ["gen_ai.tool.name", "tool.name", "traceloop.entity.name"];
/// Not OpenInference's `tool.parameters`: that is what the tool takes, not what it was given.
const ARGUMENTS: [&str; 4] =
    ["gen_ai.tool.call.arguments", "input.value", "traceloop.entity.input", "mlflow.spanInputs"];
const RESULT: [&str; 4] =
    ["gen_ai.tool.call.result", "output.value", "traceloop.entity.output", "mlflow.spanOutputs"];
const MODEL: [&str; 6] = [
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.response.model_name",
    "llm.model_name",
    "llm.request.model_name",
    "langfuse.observation.model.name",
];
const INPUT_TOKENS: [&str; 3] =
    ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"];
const OUTPUT_TOKENS: [&str; 3] =
    ["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion"];
const ALL_TOKENS: [&str; 2] = ["llm.token_count.total", "llm.usage.total_tokens"];
const COST: [&str; 2] = ["llm.cost.total", "gen_ai.usage.cost"];
const SESSION: [&str; 4] = [
    "gen_ai.conversation.id",
    "session.id",
    "langfuse.session.id",
    "traceloop.association.properties.session_id",
];
/// What marks a call of a model where nothing names the kind: emitters older than `gen_ai.operation.name`.
const OLD_LLM: [&str; 3] = ["gen_ai.system", "llm.request.type", "llm.model_name"];

/// What a span is in a run.
pub(super) fn role(name: &str, attributes: Attributes<'_>, service: Option<&str>) -> Role {
    match kind(attributes) {
        Some("agent") => Role::Agent(agent(name, attributes, service)),
        Some("tool") => Role::Tool(tool(name, attributes)),
        Some("llm") => Role::Llm(llm(attributes)),
        Some(_) => Role::Other,
        None if attributes.text(&OLD_LLM).is_some() => Role::Llm(llm(attributes)),
        None => Role::Other,
    }
}

/// The conversation it says it belongs to.
pub(super) fn session(attributes: Attributes<'_>) -> Option<String> {
    attributes.text(&SESSION).map(|session| identity(&text::clean(&session)))
}

fn kind(attributes: Attributes<'_>) -> Option<&'static str> {
    let kind = attributes.text(&KIND)?;
    // MLflow writes its kinds as JSON.
    Some(match kind.trim_matches('"').to_ascii_lowercase().as_str() {
        "invoke_agent" | "agent" => "agent",
        "execute_tool" | "tool" => "tool",
        "chat" | "generate_content" | "text_completion" | "llm" | "generation" | "chat_model"
        | "completion" => "llm",
        _ => "other",
    })
}

fn agent(name: &str, attributes: Attributes<'_>, service: Option<&str>) -> AgentFacts {
    let own = attributes.text(&AGENT);
    // The span's name is "invoke_agent NAME", or anything; where that says nothing, the service does.
    let rest = name.strip_prefix("invoke_agent").unwrap_or(name).trim();
    let named = Some(rest).filter(|rest| !rest.is_empty());
    let stands_for = own.as_deref().or(named).or(service).unwrap_or_default();
    AgentFacts {
        name: agent_name(stands_for),
        input: said(
            attributes,
            &["gen_ai.input.messages", "input.value", "gen_ai.prompt"],
            Who::Person,
        )
        .or_else(|| flattened(attributes, "llm.input_messages"))
        .or_else(|| {
            attributes
                .written(&["traceloop.entity.input", "mlflow.spanInputs"])
                .map(|input| text::short(&input))
        }),
        output: output(attributes),
        usage: usage(attributes),
    }
}

fn tool(name: &str, attributes: Attributes<'_>) -> ToolFacts {
    let span = || name.strip_prefix("execute_tool").map_or(name, str::trim).to_owned();
    let result = attributes.written(&RESULT);
    ToolFacts {
        name: identity(&attributes.text(&TOOL).unwrap_or_else(span)),
        arguments: attributes.written(&ARGUMENTS).map(|arguments| text::arguments(&arguments)),
        failure: result.and_then(|result| stated_failure(&result)),
    }
}

fn llm(attributes: Attributes<'_>) -> LlmFacts {
    let asked = ["gen_ai.input.messages", "gen_ai.prompt", "input.value"];
    LlmFacts {
        model: attributes.text(&MODEL).map(|model| identity(&model)),
        usage: usage(attributes),
        text: output(attributes),
        asked: said(attributes, &asked, Who::Person)
            .or_else(|| flattened(attributes, "llm.input_messages")),
    }
}

fn usage(attributes: Attributes<'_>) -> Usage {
    let (input, output) = (attributes.count(&INPUT_TOKENS), attributes.count(&OUTPUT_TOKENS));
    let all = attributes.count(&ALL_TOKENS).unwrap_or_default();
    let tokens = Tokens {
        // Where only a sum is known, what was not written was read.
        input: input.unwrap_or_else(|| all.saturating_sub(output.unwrap_or_default())),
        output: output.unwrap_or_default(),
    };
    let dollars = attributes.number(&COST).or_else(|| {
        attributes.json(&["langfuse.observation.cost_details"])?.get("total")?.as_f64()
    });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    let micros = |dollars: f64| (dollars * 1e6).round() as u64;
    let cost_micros = dollars.filter(|dollars| (0.0..1e9).contains(dollars)).map(micros);
    Usage { tokens, cost_micros }
}

/// The name of an agent, from one that may have blanks or any other letters: those become dashes.
pub(in crate::decode) fn agent_name(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut slug = String::new();
    for c in name.trim().chars().take(limits::MAX_NAME_BYTES) {
        if fits(c) {
            slug.push(c);
        } else if !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.trim_matches(['-', '.', '_']).to_owned()
}

/// Whose words are looked for in a list of messages.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    /// The last message of a person.
    Person,
    /// All that the model said.
    Model,
}

fn output(attributes: Attributes<'_>) -> Option<String> {
    said(attributes, &["gen_ai.output.messages", "gen_ai.completion", "output.value"], Who::Model)
        .or_else(|| flattened(attributes, "llm.output_messages"))
        .or_else(|| flattened(attributes, "gen_ai.completion"))
        .or_else(|| {
            let written = attributes.written(&["traceloop.entity.output", "mlflow.spanOutputs"])?;
            Some(text::short(&written))
        })
}

/// Text that stands under one of `names`, as it is or in messages.
fn said(attributes: Attributes<'_>, names: &[&str], who: Who) -> Option<String> {
    names.iter().find_map(|name| {
        let text = match attributes.json(&[name]) {
            Some(messages @ (Value::Array(_) | Value::Object(_))) => {
                messages_text(&messages, who).or_else(|| attributes.written(&[name]))
            }
            _ => attributes.text(&[name]),
        }?;
        Some(text::short(&text)).filter(|text| !text.trim().is_empty())
    })
}

/// The words in messages of a role and parts (OpenTelemetry) or a role and content (OpenAI).
fn messages_text(value: &Value, who: Who) -> Option<String> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        Value::Object(fields) => match fields.get("messages") {
            Some(Value::Array(list)) => list.as_slice(),
            _ => std::slice::from_ref(value),
        },
        _ => return None,
    };
    let mut texts = list.iter().filter(|message| speaks(message, who)).filter_map(words);
    match who {
        Who::Person => texts.next_back(),
        Who::Model => {
            let text = texts.collect::<Vec<_>>().join("\n");
            Some(text).filter(|text| !text.is_empty())
        }
    }
}

fn speaks(message: &Value, who: Who) -> bool {
    let role = message.get("role").and_then(Value::as_str);
    match who {
        Who::Person => matches!(role, Some("user" | "human")),
        Who::Model => !matches!(role, Some("user" | "human" | "system" | "tool")),
    }
}

fn words(message: &Value) -> Option<String> {
    let parts = message.get("parts").and_then(Value::as_array);
    let text = match parts {
        Some(parts) => {
            let text = |part: &Value| {
                let spoken = matches!(part.get("type")?.as_str()?, "text" | "reasoning");
                part.get("content").and_then(Value::as_str).filter(|_| spoken).map(str::to_owned)
            };
            parts.iter().filter_map(text).collect::<Vec<_>>().join("\n")
        }
        None => text::content(message.get("content")?),
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

/// Messages spread over attributes, `<list>.<i>.message.content` (OpenInference) or `<list>.<i>.content`: the
/// last of them that has words.
fn flattened(attributes: Attributes<'_>, list: &str) -> Option<String> {
    const MOST: usize = 64;
    if !attributes.any_starts_with(&[list]) {
        return None;
    }
    let at = |index: usize| {
        let names = [
            format!("{list}.{index}.message.content"),
            format!("{list}.{index}.content"),
            format!("{list}.{index}.message.contents.0.message_content.text"),
        ];
        attributes.text(&names.each_ref().map(String::as_str))
    };
    (0..MOST).rev().find_map(at).map(|text| text::short(&text))
}
