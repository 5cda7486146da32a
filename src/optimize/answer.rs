//! What a model answers: the JSON it is asked for, and the edits read from it. Pure.
//!
//! The answer is read as if an attacker had written it: everything in it is bounded, and whatever is
//! not exactly as asked for is an error that names what is wrong, fit to be told to the model.

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use super::extract::object;
use crate::govern::{Edit, Guidance, Half, Proposed, Request};
use crate::hygiene::redact;

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;
/// The most edits in one answer.
const MAX_EDITS: usize = 16;
/// The longest name of a bullet, a prompt or a config key, in characters.
const MAX_NAME_CHARS: usize = 128;
/// The longest bullet or passage, in characters; the guard's limit is usually lower.
const MAX_TEXT_CHARS: usize = 4_000;
/// The longest label of a way to fail, in characters; a longer one is none.
const MAX_AIM_CHARS: usize = 8;
/// Stands for a reason that a model does not give.
const NO_REASON: &str = "the model gives no reason";
/// The longest reason, in characters.
const MAX_WHY_CHARS: usize = 600;

/// Why an answer cannot be read; told to the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("the answer has {bytes} bytes, at most {MAX_ANSWER_BYTES} are read")]
    TooLong { bytes: usize },
    #[error("there is no JSON object with the key {key:?} in the answer")]
    NoJson { key: &'static str },
    #[error("the JSON is not as asked for: {0}")]
    Shape(String),
    #[error("{count} edits, at most {MAX_EDITS} are read")]
    TooMany { count: usize },
    #[error("edit {edit}: {problem}")]
    Edit { edit: usize, problem: String },
    #[error("neither an edit nor a no_change_reason")]
    Empty,
}

/// What an answer may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Prompts, by these operations.
    Prompts(Vec<&'static str>),
    /// The config, at these keys.
    Config(Vec<String>),
}

/// What a model answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Parsed {
    /// Change this; at least one.
    Edits(Vec<Aimed>),
    /// Nothing is better than what there is: why.
    NoChange(String),
}

/// An edit and what it is meant to help with.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Aimed {
    pub(super) proposed: Proposed,
    /// The label of a way to fail, as the evidence names it, if it is meant for one.
    pub(super) aim: Option<String>,
}

impl Scope {
    /// What `request` leaves to change in `half`; `None` if nothing.
    pub(super) fn of(request: &Request, half: Half) -> Option<Self> {
        let rules = &request.policy.guard;
        match half {
            Half::Prompts => {
                let prompt = request.content.prompts.get(&request.policy.guidance_key);
                let bullets = prompt.map(|prompt| Guidance::parse(prompt).bullets().len());
                let has = |wanted: bool, ops: &[&'static str]| {
                    if wanted { ops.to_vec() } else { Vec::new() }
                };
                let mut ops = has(bullets.is_some_and(|n| n < rules.max_bullets), &["add_bullet"]);
                ops.extend(has(bullets > Some(0), &["change_bullet", "remove_bullet"]));
                ops.extend(has(rules.edit_human_text && bullets.is_some(), &["replace_text"]));
                (!ops.is_empty()).then_some(Self::Prompts(ops))
            }
            Half::Config => {
                let config = &request.content.config;
                let keys = rules.tunables.keys().filter(|key| config.contains_key(*key));
                let keys: Vec<_> = keys.cloned().collect();
                (!keys.is_empty()).then_some(Self::Config(keys))
            }
        }
    }

    /// The same for a single edit that helps: nothing is taken away.
    pub(super) fn for_one(&self) -> Self {
        match self {
            Self::Prompts(ops) => {
                let helps = |op: &&&str| **op != "remove_bullet";
                Self::Prompts(ops.iter().filter(helps).copied().collect())
            }
            Self::Config(keys) => Self::Config(keys.clone()),
        }
    }

    /// The name of the list of edits in the answer.
    fn list(&self) -> &'static str {
        match self {
            Self::Prompts(_) => "edits",
            Self::Config(_) => "changes",
        }
    }

    /// The answer's JSON schema, with so many edits, at least and at most; 0 sets no bound. Every field is required and some may be null, as strict servers ask.
    pub(super) fn schema(&self, [least, most]: [usize; 2]) -> Value {
        let edit = match self {
            Self::Prompts(ops) => {
                let text = json!({ "type": ["string", "null"] });
                let mut fields = json!({
                    "op": { "type": "string", "enum": ops },
                    "id": text, "text": text,
                });
                if let Some(fields) =
                    fields.as_object_mut().filter(|_| ops.contains(&"replace_text"))
                {
                    fields
                        .extend(["key", "old", "new"].map(|name| (name.to_owned(), text.clone())));
                }
                fields
            }
            Self::Config(keys) => json!({
                "key": { "type": "string", "enum": keys },
                "value": { "type": "number" },
            }),
        };
        let mut fields = edit.as_object().cloned().unwrap_or_default();
        fields.insert("for".to_owned(), json!({ "type": ["string", "null"] }));
        fields.insert("why".to_owned(), json!({ "type": "string" }));
        let mut edits = json!({ "type": "array", "items": closed(&fields) });
        if let Some(edits) = edits.as_object_mut().filter(|_| most > 0) {
            edits.insert("minItems".to_owned(), json!(least));
            edits.insert("maxItems".to_owned(), json!(most));
        }
        closed(&Map::from_iter([
            (self.list().to_owned(), edits),
            ("no_change_reason".to_owned(), json!({ "type": ["string", "null"] })),
        ]))
    }

    /// The answer's form in words, for servers without schemas.
    pub(super) fn form(&self) -> String {
        let edits = match self {
            Self::Prompts(ops) => {
                let form = |op: &&str| match *op {
                    "add_bullet" => r#"{"op":"add_bullet","text":"..","for":"F1","why":".."}"#,
                    "change_bullet" => {
                        r#"{"op":"change_bullet","id":"..","text":"..","for":"F1","why":".."}"#
                    }
                    "remove_bullet" => r#"{"op":"remove_bullet","id":"..","for":"F1","why":".."}"#,
                    _ => {
                        r#"{"op":"replace_text","key":"..","old":"..","new":"..","for":"F1","why":".."}"#
                    }
                };
                ops.iter().map(form).collect::<Vec<_>>().join(" or ")
            }
            Self::Config(_) => r#"{"key":"..","value":0,"for":"F1","why":".."}"#.to_owned(),
        };
        let list = self.list();
        format!(
            "{{\"{list}\":[EDIT, ..],\"no_change_reason\":null}} where each EDIT is {edits}; or \
             {{\"{list}\":[],\"no_change_reason\":\"..\"}}"
        )
    }

    /// Reads the answer out of `text`, which may have prose or fences around it.
    ///
    /// # Errors
    /// The first thing that is not as asked for.
    pub(super) fn parse(&self, text: &str) -> Result<Parsed, AnswerError> {
        if text.len() > MAX_ANSWER_BYTES {
            return Err(AnswerError::TooLong { bytes: text.len() });
        }
        let key = self.list();
        let wanted = [key, "no_change_reason"];
        let object = object(text, &wanted).ok_or(AnswerError::NoJson { key })?;
        let raw =
            Raw::deserialize(object).map_err(|problem| AnswerError::Shape(short(&problem)))?;
        let edits = match self {
            Self::Prompts(_) => raw.edits,
            Self::Config(_) => raw.changes,
        }
        .unwrap_or_default();
        if edits.len() > MAX_EDITS {
            return Err(AnswerError::TooMany { count: edits.len() });
        }
        if edits.is_empty() {
            let reason = raw.no_change_reason.as_deref().unwrap_or_default();
            return match prose("no_change_reason", reason) {
                Ok(reason) => Ok(Parsed::NoChange(reason)),
                Err(_) => Err(AnswerError::Empty),
            };
        }
        let edits = edits.into_iter().enumerate().map(|(index, edit)| {
            self.edit(edit).map_err(|problem| AnswerError::Edit { edit: index + 1, problem })
        });
        Ok(Parsed::Edits(edits.collect::<Result<_, _>>()?))
    }

    fn edit(&self, raw: RawEdit) -> Result<Aimed, String> {
        let aim = raw.aim.filter(|aim| (1..=MAX_AIM_CHARS).contains(&aim.chars().count()));
        let why = raw.why.as_deref().map(str::trim).filter(|why| !why.is_empty());
        let why = prose("why", why.unwrap_or(NO_REASON))?;
        let edit = match self {
            Self::Config(_) => Edit::SetConfig {
                key: name("key", raw.key)?,
                value: Value::Number(raw.value.ok_or("value is not a number")?),
            },
            Self::Prompts(ops) => {
                let op = raw.op.unwrap_or_default();
                if !ops.contains(&op.as_str()) {
                    return Err(format!("op {op:.40?} is not one of {}", ops.join(", ")));
                }
                match op.as_str() {
                    "add_bullet" => Edit::AddBullet { text: passage("text", raw.text)? },
                    "change_bullet" => Edit::ChangeBullet {
                        id: name("id", raw.id)?,
                        text: passage("text", raw.text)?,
                    },
                    "remove_bullet" => Edit::RemoveBullet { id: name("id", raw.id)? },
                    _ => Edit::ReplaceText {
                        key: name("key", raw.key)?,
                        old: passage("old", raw.old)?,
                        new: passage("new", raw.new)?,
                    },
                }
            }
        };
        Ok(Aimed { proposed: Proposed { edit, why }, aim })
    }
}

/// An object with exactly these fields, all required.
fn closed(fields: &Map<String, Value>) -> Value {
    let required: Vec<_> = fields.keys().cloned().collect();
    json!({
        "type": "object",
        "properties": fields,
        "required": required,
        "additionalProperties": false,
    })
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    edits: Option<Vec<RawEdit>>,
    #[serde(default)]
    changes: Option<Vec<RawEdit>>,
    #[serde(default)]
    no_change_reason: Option<String>,
}

/// Every field of every edit: which of them count is the operation's affair.
#[derive(Deserialize)]
struct RawEdit {
    #[serde(default)]
    op: Option<String>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    old: Option<String>,
    #[serde(default)]
    new: Option<String>,
    #[serde(default)]
    value: Option<Number>,
    #[serde(default, rename = "for")]
    aim: Option<String>,
    #[serde(default)]
    why: Option<String>,
}

fn name(field: &str, text: Option<String>) -> Result<String, String> {
    bounded(field, text.unwrap_or_default(), MAX_NAME_CHARS)
}

fn passage(field: &str, text: Option<String>) -> Result<String, String> {
    bounded(field, text.unwrap_or_default(), MAX_TEXT_CHARS)
}

fn bounded(field: &str, text: String, max: usize) -> Result<String, String> {
    match text.chars().count() {
        0 => Err(format!("{field} is missing")),
        chars if chars > max => {
            Err(format!("{field} has {chars} characters, at most {max} are read"))
        }
        _ => Ok(text),
    }
}

/// A reason goes into commits and logs, never into a prompt: it becomes one line without secrets.
fn prose(field: &str, text: &str) -> Result<String, String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().any(char::is_control) {
        return Err(format!("{field} has control characters"));
    }
    let line = bounded(field, line, MAX_WHY_CHARS)?;
    Ok(redact(&line).into_owned())
}

fn short(problem: &impl ToString) -> String {
    problem.to_string().chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts() -> Scope {
        Scope::Prompts(vec!["add_bullet", "change_bullet", "remove_bullet"])
    }

    fn config() -> Scope {
        Scope::Config(vec!["max_step".to_owned()])
    }

    #[test]
    fn an_answer_as_asked_for_is_read() {
        let text = "Here you are:\n```json\n{\"edits\":[\
            {\"op\":\"add_bullet\",\"id\":null,\"text\":\"Look first.\",\"for\":\"F2\",\"why\":\"12\\nruns\"},\
            {\"op\":\"remove_bullet\",\"id\":\"w1\",\"why\":\"of no use\"}],\
            \"no_change_reason\":null}\n```";
        let edit = |edit, aim: Option<&str>, why: &str| Aimed {
            proposed: Proposed { edit, why: why.to_owned() },
            aim: aim.map(str::to_owned),
        };
        let expected = vec![
            edit(Edit::AddBullet { text: "Look first.".to_owned() }, Some("F2"), "12 runs"),
            edit(Edit::RemoveBullet { id: "w1".to_owned() }, None, "of no use"),
        ];
        assert_eq!(prompts().parse(text), Ok(Parsed::Edits(expected)));

        let text = r#"{"changes":[{"key":"max_step","value":25,"why":"7 runs ended there"}]}"#;
        let set = Edit::SetConfig { key: "max_step".to_owned(), value: json!(25) };
        let edits = vec![edit(set, None, "7 runs ended there")];
        assert_eq!(config().parse(text), Ok(Parsed::Edits(edits)));
    }

    #[test]
    fn nothing_to_change_is_an_answer_if_it_says_why() {
        let text = r#"{"edits":[],"no_change_reason":"All runs succeed."}"#;
        let reason = "All runs succeed.".to_owned();
        assert_eq!(prompts().parse(text), Ok(Parsed::NoChange(reason)));
        assert_eq!(prompts().parse(r#"{"edits":[]}"#), Err(AnswerError::Empty));
        assert_eq!(config().parse(r#"{"no_change_reason":" "}"#), Err(AnswerError::Empty));
    }

    #[test]
    fn what_is_not_as_asked_for_is_named() {
        let check = |scope: &Scope, text: &str, part: &str| {
            let problem = scope.parse(text).unwrap_err().to_string();
            assert!(problem.contains(part), "{text}: {problem}");
        };
        let long = "x".repeat(MAX_TEXT_CHARS + 1);
        let add = |text: &str| {
            json!({"edits": [{"op": "add_bullet", "text": text, "why": "w"}]}).to_string()
        };
        check(&prompts(), "I would add a bullet.", "no JSON object");
        check(&prompts(), r#"{"edits": "none"}"#, "not as asked for");
        check(&prompts(), r#"{"edits":[{"op":"add_bullet","why":"x"}]}"#, "text is missing");
        check(
            &prompts(),
            r#"{"edits":[{"op":"replace_text","why":"x"}]}"#,
            "not one of add_bullet",
        );
        check(&prompts(), r#"{"edits":[{"op":"set_config","why":"x"}]}"#, "not one of");
        check(&prompts(), r#"{"edits":[{"why":"x"}]}"#, "op \"\" is not one of");
        check(&prompts(), &add(&long), "at most 4000");
        check(&prompts(), &" ".repeat(MAX_ANSWER_BYTES + 1), "bytes");
        check(&config(), r#"{"changes":[{"key":"max_step","why":"x"}]}"#, "not a number");
        check(&config(), r#"{"changes":[{"key":"max_step","value":"9","why":"x"}]}"#, "asked for");
        check(&config(), &add("x"), "no JSON object");
        let many =
            json!({"edits": vec![json!({"op": "remove_bullet", "id": "w1", "why": "x"}); 17]});
        check(&prompts(), &many.to_string(), "17 edits");
        check(
            &prompts(),
            r#"{"edits":[{"op":"remove_bullet","id":"w1","why":"\u001b["}]}"#,
            "control",
        );
    }

    #[test]
    fn a_reason_keeps_no_secret() {
        let key = format!("sk-{}", "a1B2".repeat(6));
        let text = json!({"edits": [], "no_change_reason": format!("saw {key}")}).to_string();
        let reason = "saw [redacted]".to_owned();
        assert_eq!(prompts().parse(&text), Ok(Parsed::NoChange(reason)));
    }

    #[test]
    fn every_object_of_the_schema_is_closed() {
        fn check(schema: &Value) {
            if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
                assert_eq!(schema["additionalProperties"], json!(false));
                assert_eq!(schema["required"].as_array().map(Vec::len), Some(fields.len()));
                fields.values().for_each(check);
            }
            schema.get("items").into_iter().for_each(check);
        }
        for scope in [prompts(), config(), Scope::Prompts(vec!["replace_text"])] {
            assert!(scope.schema([1, 1]).to_string().contains("\"minItems\":1"));
            let schema = scope.schema([0, 0]);
            assert!(schema.to_string().contains("why"));
            assert_eq!(
                schema.to_string().contains("old"),
                scope == Scope::Prompts(vec!["replace_text"])
            );
            check(&schema);
        }
    }
}
