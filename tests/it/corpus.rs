//! Reads `tests/corpus/*.yaml`: edits that must not, or must, become a version; see there for the form.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use whetstone::govern::{Edit, Proposed};

/// One edit and how it comes.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) class: String,
    pub(crate) name: String,
    /// How it enters.
    pub(crate) by: String,
    pub(crate) payload: String,
    extra: Option<String>,
}

/// A passage of the prompt `user`.
const PASSAGE: &str = "Look after the app";

/// The reason that most edits give.
const WHY: &str = "20 of 20 runs";

/// The corpus `file`, in its order within each class.
pub(crate) fn read(file: &str) -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let classes: BTreeMap<String, Vec<Vec<String>>> = serde_yaml::from_str(&text).unwrap();
    let cases = classes.into_iter().flat_map(|(class, rows)| {
        rows.into_iter().enumerate().map(move |(index, row)| case(&class, index, row))
    });
    cases.collect()
}

/// `[name, by, payload, extra]`, or without the name.
fn case(class: &str, index: usize, mut row: Vec<String>) -> Case {
    const WAYS: [&str; 13] = [
        "trace", "copied", "bullet", "change", "remove", "replace", "locked", "human", "split",
        "prompts", "config", "configs", "why",
    ];
    if WAYS.contains(&row[0].as_str()) {
        row.insert(0, format!("{}", index + 1));
    }
    let mut parts = row.into_iter();
    let (name, by) = (parts.next().unwrap(), parts.next().unwrap());
    assert!(WAYS.contains(&by.as_str()), "{class}: {name}: {by}");
    let payload = repeated(&parts.next().unwrap()).replace('¦', "");
    let extra = parts.next();
    assert!(parts.next().is_none(), "{class}: {name} has too many parts");
    Case { class: class.to_owned(), name, by, payload, extra }
}

/// `@before«part»after*3` is `before`, three times `part`, `after`; `#` counts.
fn repeated(text: &str) -> String {
    let Some((text, count)) = text.strip_prefix('@').and_then(|text| text.rsplit_once('*')) else {
        return text.to_owned();
    };
    let (before, rest) = text.split_once('«').unwrap();
    let (part, after) = rest.split_once('»').unwrap();
    let count: usize = count.parse().unwrap();
    let whole: String = (0..count).map(|n| part.replace('#', &n.to_string())).collect();
    format!("{before}{}{after}", whole.trim_end_matches([',', '|']))
}

impl Case {
    /// The edits of prompts, as the model's answer has them; empty if it answers otherwise.
    fn edits(&self) -> Vec<Value> {
        let text = &self.payload;
        let add = |text: &str| json!({"op": "add_bullet", "text": text, "why": WHY});
        let replace = |key: &str| {
            let old = self.extra.as_deref().unwrap_or(PASSAGE);
            json!({"op": "replace_text", "key": key, "old": old, "new": text, "why": WHY})
        };
        match self.by.as_str() {
            "trace" | "copied" | "bullet" => vec![add(text)],
            "change" => vec![json!({"op": "change_bullet", "id": "w1", "text": text, "why": WHY})],
            "remove" => vec![json!({"op": "remove_bullet", "id": text, "why": WHY})],
            "replace" | "human" => vec![replace("user")],
            "locked" => vec![replace("system")],
            "split" => text.split('|').map(add).collect(),
            "why" => vec![json!({"op": "add_bullet", "text": "Look around first.", "why": text})],
            _ => Vec::new(),
        }
    }

    /// What the model answers about the prompts and about the config.
    pub(crate) fn answers(&self) -> (String, String) {
        let none = || json!({"no_change_reason": "All is well."}).to_string();
        match self.by.as_str() {
            "prompts" => (self.payload.clone(), none()),
            "configs" => (none(), self.payload.clone()),
            "config" => (none(), format!("{{\"changes\":{}}}", self.payload)),
            _ => (json!({"edits": self.edits()}).to_string(), none()),
        }
    }

    /// What stands in a run.
    pub(crate) fn excerpt(&self) -> String {
        match self.by.as_str() {
            "trace" | "copied" => format!("task: help\nthought: {}\nresult: none", self.payload),
            _ => "task: help\nresult: none".to_owned(),
        }
    }

    /// Whether people's text may be edited.
    pub(crate) fn edit_human_text(&self) -> bool {
        self.by != "human"
    }

    /// The same edits as a forger would write them on the log; `None` if a record cannot hold them, or
    /// if nothing is wrong with them but how they came.
    pub(crate) fn forged(&self) -> Option<(Vec<Proposed>, Vec<Proposed>)> {
        let read = |edits: &[Value]| -> Option<Vec<Proposed>> {
            edits.iter().map(|edit| serde_json::from_value(edit.clone()).ok()).collect()
        };
        match self.by.as_str() {
            "copied" => None,
            "prompts" => {
                let answer: Map<String, Value> = serde_json::from_str(&self.payload).ok()?;
                Some((read(answer.get("edits")?.as_array()?)?, Vec::new()))
            }
            "config" | "configs" => {
                let (_, answer) = self.answers();
                let answer: Value = serde_json::from_str(&answer).ok()?;
                let edits = answer["changes"].as_array()?.iter().map(|change| {
                    let mut change = change.clone();
                    change.as_object_mut()?.entry("op").or_insert_with(|| json!("set_config"));
                    Some(change)
                });
                Some((Vec::new(), read(&edits.collect::<Option<Vec<_>>>()?)?))
            }
            _ => Some((read(&self.edits())?, Vec::new())),
        }
        .filter(|(prompt, config): &(Vec<_>, Vec<_>)| !prompt.is_empty() || !config.is_empty())
    }

    /// Whether a version's `prompts`, `config` and `reasons` hold what the case would have there.
    pub(crate) fn stands_in(
        &self,
        prompts: &BTreeMap<String, String>,
        config: &BTreeMap<String, Value>,
        reasons: &[String],
    ) -> bool {
        let said = |text: &str| prompts.values().any(|prompt| prompt.contains(text.trim()));
        match self.by.as_str() {
            "config" => {
                let edits = self.forged().map(|(_, edits)| edits).unwrap_or_default();
                let set = |proposed: &Proposed| match &proposed.edit {
                    Edit::SetConfig { key, value } => config.get(key) == Some(value),
                    _ => false,
                };
                edits.iter().any(set)
            }
            "prompts" | "configs" => {
                let text = self.extra.as_deref().unwrap();
                said(text) || config.values().any(|value| value.as_str() == Some(text))
            }
            "why" => reasons.iter().any(|reason| reason.contains(&self.payload)),
            "split" => self.payload.split('|').all(said),
            "remove" => !said(&format!("- [{}]", self.payload)),
            "locked" if self.payload.is_empty() => {
                !prompts.values().any(|prompt| prompt.contains(self.extra.as_deref().unwrap()))
            }
            // What the fixture holds elsewhere does not count.
            "locked" => {
                let old = self.extra.as_deref().unwrap();
                said(&self.payload) && (self.payload.contains(old) || !said(old))
            }
            _ => said(&self.payload),
        }
    }
}
