//! What changed between two versions, word by word, for whoever draws it.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::base::{AgentName, VersionNumber};
use crate::govern::Version;

/// How long to look for the shortest difference of a prompt; after that a longer one will do.
const PATIENCE: Duration = Duration::from_millis(500);

/// What changed from one version to another. What did not change is left out, but for the lines of a prompt
/// that did.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Diff {
    agent: AgentName,
    from: VersionNumber,
    to: VersionNumber,
    prompts: Vec<PromptDiff>,
    config: Vec<ConfigDiff>,
}

#[derive(Debug, PartialEq, Serialize)]
struct PromptDiff {
    key: String,
    lines: Vec<Line>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Line {
    change: &'static str,
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Part {
    text: String,
    /// Whether it is what changed in the line.
    changed: bool,
}

#[derive(Debug, PartialEq, Serialize)]
struct ConfigDiff {
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Value>,
}

pub(super) fn diff(old: &Version, new: &Version) -> Diff {
    let (from, to) = (&old.content, &new.content);
    let text = |found: Option<&String>| found.cloned().unwrap_or_default();
    let prompts = keys(from.prompts.keys(), to.prompts.keys())
        .into_iter()
        .filter(|key| from.prompts.get(key) != to.prompts.get(key))
        .map(|key| {
            let lines = lines(&text(from.prompts.get(&key)), &text(to.prompts.get(&key)));
            PromptDiff { key, lines }
        });
    let config = keys(from.config.keys(), to.config.keys())
        .into_iter()
        .filter(|key| from.config.get(key) != to.config.get(key))
        .map(|key| {
            let (from, to) = (from.config.get(&key).cloned(), to.config.get(&key).cloned());
            ConfigDiff { key, from, to }
        });
    let (prompts, config) = (prompts.collect(), config.collect());
    Diff { agent: new.agent.clone(), from: old.number, to: new.number, prompts, config }
}

/// Those of both, in order.
fn keys<'a>(
    from: impl Iterator<Item = &'a String>,
    to: impl Iterator<Item = &'a String>,
) -> Vec<String> {
    let mut keys: Vec<_> = from.chain(to).cloned().collect();
    keys.sort();
    keys.dedup();
    keys
}

fn lines(old: &str, new: &str) -> Vec<Line> {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let changes = diff.ops().iter().flat_map(|op| diff.iter_inline_changes(op));
    let line = changes.map(|change| {
        let parts = change.iter_strings_lossy().filter_map(|(changed, text)| {
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            (!text.is_empty()).then_some(Part { text, changed })
        });
        let tag = match change.tag() {
            ChangeTag::Equal => "equal",
            ChangeTag::Insert => "insert",
            ChangeTag::Delete => "delete",
        };
        Line { change: tag, parts: parts.collect() }
    });
    line.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::EventTime;
    use crate::govern::{Author, Content};

    fn version(number: u32, content: Value) -> Version {
        let content: Content = serde_json::from_value(content).unwrap();
        Version {
            agent: "triage".parse().unwrap(),
            number: VersionNumber(number),
            parent: None,
            digest: content.digest(),
            content,
            author: Author::Patterns,
            reasons: Vec::new(),
            evidence: String::new(),
            created: EventTime::from_millis(0),
        }
    }

    #[test]
    fn a_difference_names_the_words() {
        let old = version(
            1,
            json!({"prompts": {"system": "Be brief.\nStop at ten.\n", "old": "a"}, "config": {"a": 1, "b": 2}}),
        );
        let new = version(
            2,
            json!({"prompts": {"system": "Be brief.\nStop at twenty.\n", "same": ""}, "config": {"a": 1, "b": 3, "c": [1]}}),
        );
        let part = |text: &str, changed: bool| json!({"text": text, "changed": changed});
        let found = serde_json::to_value(diff(&old, &new)).unwrap();
        assert_eq!(
            found,
            json!({
                "agent": "triage", "from": 1, "to": 2,
                "prompts": [
                    {"key": "old", "lines": [{"change": "delete", "parts": [part("a", false)]}]},
                    {"key": "same", "lines": []},
                    {"key": "system", "lines": [
                        {"change": "equal", "parts": [part("Be brief.", false)]},
                        {"change": "delete", "parts": [part("Stop at ", false), part("ten.", true)]},
                        {"change": "insert", "parts": [part("Stop at ", false), part("twenty.", true)]},
                    ]},
                ],
                "config": [{"key": "b", "from": 2, "to": 3}, {"key": "c", "to": [1]}],
            })
        );
        assert_eq!(diff(&old, &old).prompts, []);
    }
}
