//! The operations API that the agent submits to: what a command is, and a strict check of it. Pure, and no
//! model: it knows nothing of prompts, and its errors are those that such an API would answer with.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What can be done to a service.
pub(crate) const ACTIONS: [&str; 3] = ["silence", "pause", "drain"];

/// Where a service runs, as the API calls it.
pub(crate) const ENVIRONMENTS: [&str; 3] = ["prod", "staging", "dev"];

const KEYS: [&str; 4] = ["action", "service", "environment", "duration"];

/// A command that the API takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Command {
    /// One of [`ACTIONS`].
    pub(crate) action: String,
    /// In lower case, words joined by dashes.
    pub(crate) service: String,
    /// One of [`ENVIRONMENTS`].
    pub(crate) environment: String,
    /// A whole number and s, m or h.
    pub(crate) duration: String,
}

/// The command that `text` is.
///
/// # Errors
/// What the API answers instead, in one line: the first rule that is broken, and by what.
pub(crate) fn submit(text: &str) -> Result<Command, String> {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else {
        return Err("the command is not a JSON object".to_owned());
    };
    if let Some(key) = fields.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(format!("unknown key {key}"));
    }
    let action =
        field(&fields, "action", "one of silence, pause, drain", |text| ACTIONS.contains(&text))?;
    let service = field(&fields, "service", "lower case with dashes", is_dashed)?;
    let environment = field(&fields, "environment", "one of prod, staging, dev", |text| {
        ENVIRONMENTS.contains(&text)
    })?;
    let rule = "a number followed by s, m or h, such as 8m";
    let duration = field(&fields, "duration", rule, is_duration)?;
    Ok(Command { action, service, environment, duration })
}

fn field(
    fields: &Map<String, Value>,
    key: &str,
    rule: &str,
    holds: impl Fn(&str) -> bool,
) -> Result<String, String> {
    let value = fields.get(key).ok_or_else(|| format!("{key} is missing"))?;
    let sound = value.as_str().filter(|text| holds(text));
    sound.map(str::to_owned).ok_or_else(|| format!("{key} must be {rule}; got {value}"))
}

fn is_dashed(text: &str) -> bool {
    text.split('-').all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
}

fn is_duration(text: &str) -> bool {
    let digits = text.strip_suffix(['s', 'm', 'h']).unwrap_or_default();
    !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str =
        r#"{"action":"drain","service":"mail-relay","environment":"prod","duration":"5m"}"#;

    #[test]
    fn a_sound_command_is_taken() {
        let command = submit(SOUND).unwrap();
        assert_eq!(serde_json::to_string(&command).unwrap(), SOUND);
    }

    #[test]
    fn what_breaks_a_rule_is_refused_by_name() {
        let check = |old: &str, new: &str, error: &str| {
            assert_eq!(submit(&SOUND.replace(old, new)).unwrap_err(), error);
        };
        let action = "action must be one of silence, pause, drain; got \"stop\"";
        check("drain", "stop", action);
        let service = "service must be lower case with dashes; got";
        check("mail-relay", "Mail Relay", &format!("{service} \"Mail Relay\""));
        check("mail-relay", "mail--relay", &format!("{service} \"mail--relay\""));
        let environment = "environment must be one of prod, staging, dev; got \"production\"";
        check("prod", "production", environment);
        let duration = "duration must be a number followed by s, m or h, such as 8m; got";
        for wrong in ["\"5 minutes\"", "\"05m\"", "\"m\"", "\"5\"", "300"] {
            check("\"5m\"", wrong, &format!("{duration} {wrong}"));
        }
        check("\"action\":\"drain\",", "", "action is missing");
        check("duration", "for", "unknown key for");
        check("}", "", "the command is not a JSON object");
    }
}
