//! The first of two steps: a model reads the evidence for causes before it is asked for edits. Asked for
//! both at once, a model edits first and finds reasons afterwards. Pure.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Aimed;
use super::extract::object;
use crate::govern::{Edit, Proposed};
use crate::hygiene::redact;

/// The most causes that are passed on.
const MAX_CAUSES: usize = 5;
/// The longest cause or advice, in characters.
const MAX_CHARS: usize = 300;

/// The form of the answer in words.
pub(super) const FORM: &str = r#"{"causes":[{"for":"F1","cause":"..","advice":".."}, ..]}, at most 5 of them, the costliest first"#;

/// The schema of the answer.
pub(super) fn schema() -> Value {
    let text = json!({ "type": "string" });
    let cause = json!({
        "type": "object",
        "properties": { "for": { "type": ["string", "null"] }, "cause": text, "advice": text },
        "required": ["for", "cause", "advice"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": { "causes": { "type": "array", "items": cause } },
        "required": ["causes"],
        "additionalProperties": false,
    })
}

/// Why runs fail, as a model reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    /// The label of the way to fail, if it names one.
    aim: Option<String>,
    cause: String,
    /// What the agent is to do instead; may be empty.
    advice: String,
}

/// The causes in `text`; what cannot be read is left out, for it is a help and no more.
pub(super) fn parse(text: &str) -> Vec<Cause> {
    let read = object(text, &["causes"]).and_then(|object| Raw::deserialize(object).ok());
    let causes = read.map(|raw| raw.causes).unwrap_or_default();
    causes.iter().filter_map(RawCause::bounded).take(MAX_CAUSES).collect()
}

impl Cause {
    /// It in one line.
    pub(super) fn line(&self) -> String {
        let Self { aim, cause, advice } = self;
        let aim = aim.as_ref().map(|aim| format!("{aim}: ")).unwrap_or_default();
        if advice.is_empty() {
            format!("{aim}{cause}")
        } else {
            format!("{aim}{cause} -> {advice}")
        }
    }

    /// The bullet that its advice would be, if there is any.
    pub(super) fn edit(&self) -> Option<Aimed> {
        let why = if self.cause.is_empty() { "as the first reading advises" } else { &self.cause };
        let edit = Edit::AddBullet { text: self.advice.clone() };
        let proposed = Proposed { edit, why: why.to_owned() };
        (!self.advice.is_empty()).then(|| Aimed { proposed, aim: self.aim.clone() })
    }
}

#[derive(Deserialize)]
struct Raw {
    causes: Vec<RawCause>,
}

#[derive(Deserialize)]
struct RawCause {
    #[serde(default, rename = "for")]
    aim: Option<String>,
    #[serde(default)]
    cause: String,
    #[serde(default)]
    advice: String,
}

impl RawCause {
    fn bounded(&self) -> Option<Cause> {
        let short = |text: &str| {
            let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            redact(&line).chars().take(MAX_CHARS).collect::<String>()
        };
        let (cause, advice) = (short(&self.cause), short(&self.advice));
        let aim = self.aim.as_deref().map(short).filter(|aim| !aim.is_empty());
        let some = !(cause.is_empty() && advice.is_empty());
        some.then_some(Cause { aim, cause, advice })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_read_and_bounded() {
        let text = r#"So: {"causes":[{"for":"F1","cause":"it\n guesses","advice":"list first"},
            {"for":null,"cause":"slow","advice":""},{"cause":"","advice":""}]}"#;
        let causes = parse(text);
        let lines: Vec<_> = causes.iter().map(Cause::line).collect();
        assert_eq!(lines, ["F1: it guesses -> list first", "slow"]);
        let edits: Vec<_> = causes.iter().filter_map(Cause::edit).collect();
        let edit = Edit::AddBullet { text: "list first".to_owned() };
        let proposed = Proposed { edit, why: "it guesses".to_owned() };
        assert_eq!(edits, [Aimed { proposed, aim: Some("F1".to_owned()) }]);
        let many = json!({"causes": vec![json!({"cause": "x".repeat(999)}); 9]}).to_string();
        let parsed = parse(&many);
        assert_eq!((parsed.len(), parsed[0].line().chars().count()), (5, 300));
        assert!(parse("no JSON").is_empty());
        assert!(parse(r#"{"causes":"none"}"#).is_empty());
    }
}
