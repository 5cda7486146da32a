//! Which prompt version a span says it ran under.
//!
//! Every platform puts the link on the spans of model calls, in attributes of its own. The version is one
//! of ours if it is a number, with or without a `v`; hashes, dates and aliases name versions that other
//! registries know, and say nothing here.
//!
//! Sources: `gen_ai.prompt.*` (semantic-conventions-genai, pull request 179), Langfuse
//! (`langfuse/_client/attributes.py`), MLflow (`mlflow/tracing/constant.py`), OpenInference
//! (`spec/semantic_conventions.md`), LangSmith (metadata of pulled prompts), Traceloop.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attributes::Attributes;
use crate::base::VersionNumber;
use crate::decode::text::identity;

/// The most links that are kept of one span.
const MAX: usize = 4;

/// A link to a version of a prompt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PromptLink {
    /// The prompt's name, where the platform gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    pub version: VersionNumber,
}

/// Names and versions as they stand beside each other, by platform.
const PAIRS: [(&[&str], &[&str]); 6] = [
    (&[], &["whetstone.version"]),
    (&["gen_ai.prompt.name"], &["gen_ai.prompt.version"]),
    (&["langfuse.observation.prompt.name"], &["langfuse.observation.prompt.version"]),
    (&["prompt.id"], &["llm.prompt_template.version"]),
    (
        &["langsmith.metadata.lc_hub_repo", "lc_hub_repo"],
        &["langsmith.metadata.lc_hub_commit_hash", "lc_hub_commit_hash"],
    ),
    (&["traceloop.prompt.key"], &["traceloop.prompt.version"]),
];

pub(super) fn links(attributes: Attributes<'_>) -> Vec<PromptLink> {
    let pairs = PAIRS.iter().filter_map(|(names, versions)| {
        let version = number(&attributes.text(versions)?)?;
        let name = attributes.text(names).map(|name| identity(&name));
        Some(PromptLink { name, version })
    });
    let mut links: Vec<_> = pairs.chain(mlflow(attributes)).collect();
    links.sort();
    links.dedup();
    links.truncate(MAX);
    links
}

/// MLflow lists all prompts that were loaded within the span.
fn mlflow(attributes: Attributes<'_>) -> Vec<PromptLink> {
    let Some(Value::Array(prompts)) = attributes.json(&["mlflow.linkedPrompts"]) else {
        return Vec::new();
    };
    let link = |prompt: &Value| {
        let version = match prompt.get("version")? {
            Value::String(text) => number(text)?,
            Value::Number(version) => number(&version.to_string())?,
            _ => return None,
        };
        let name = prompt.get("name").and_then(Value::as_str).map(identity);
        Some(PromptLink { name, version })
    };
    prompts.iter().filter_map(link).collect()
}

fn number(text: &str) -> Option<VersionNumber> {
    let text = text.trim();
    let digits = text.strip_prefix('v').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|number| plain && *number > 0)?;
    Some(VersionNumber(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_of_ours_is_a_number() {
        for (text, expected) in [("3", Some(3)), ("v3", Some(3)), (" v12 ", Some(12))] {
            assert_eq!(number(text).map(|version| version.0), expected, "{text:?}");
        }
        for text in ["", "v", "0", "1.0.0", "2025-05-01", "prod", "+3", "v-1", "8a1f", "4294967296"]
        {
            assert_eq!(number(text), None, "{text:?}");
        }
    }
}
