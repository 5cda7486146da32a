//! The first of two steps: a model reads the evidence for causes before it is asked for edits. Asked for
//! both at once, a model edits first and finds reasons afterwards. Pure.

use serde::Deserialize;
use serde_json::{Value, json};

use super::extract::object;
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

/// The causes in `text`, a line each; what cannot be read is left out, for it is a help and no more.
pub(super) fn parse(text: &str) -> Vec<String> {
    let read = object(text, &["causes"]).and_then(|object| Raw::deserialize(object).ok());
    let causes = read.map(|raw| raw.causes).unwrap_or_default();
    causes.iter().filter_map(Cause::line).take(MAX_CAUSES).collect()
}

#[derive(Deserialize)]
struct Raw {
    causes: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default, rename = "for")]
    aim: Option<String>,
    #[serde(default)]
    cause: String,
    #[serde(default)]
    advice: String,
}

impl Cause {
    fn line(&self) -> Option<String> {
        let short = |text: &str| {
            let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            redact(&line).chars().take(MAX_CHARS).collect::<String>()
        };
        let (cause, advice) = (short(&self.cause), short(&self.advice));
        if cause.is_empty() && advice.is_empty() {
            return None;
        }
        let aim = self.aim.as_deref().map(short).filter(|aim| !aim.is_empty());
        let aim = aim.map(|aim| format!("{aim}: ")).unwrap_or_default();
        Some(if advice.is_empty() {
            format!("{aim}{cause}")
        } else {
            format!("{aim}{cause} -> {advice}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_read_and_bounded() {
        let text = r#"So: {"causes":[{"for":"F1","cause":"it\n guesses","advice":"list first"},
            {"for":null,"cause":"slow","advice":""},{"cause":"","advice":""}]}"#;
        assert_eq!(parse(text), ["F1: it guesses -> list first", "slow"]);
        let many = json!({"causes": vec![json!({"cause": "x".repeat(999)}); 9]}).to_string();
        let parsed = parse(&many);
        assert_eq!((parsed.len(), parsed[0].chars().count()), (5, 300));
        assert!(parse("no JSON").is_empty());
        assert!(parse(r#"{"causes":"none"}"#).is_empty());
    }
}
