//! A version as a YAML file: what people read in the repo, and what a version is rebuilt from. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::render::{entry, literal_block};
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::govern::{Author, Content, Reason, Version};

/// What the file says, before it is believed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    agent: AgentName,
    version: VersionNumber,
    #[serde(default)]
    parent: Option<VersionNumber>,
    digest: String,
    author: Author,
    created: String,
    evidence: String,
    #[serde(default)]
    reasons: Vec<Reason>,
    prompts: BTreeMap<String, String>,
    config: BTreeMap<String, Value>,
}

/// The file's text.
pub(super) fn render(version: &Version) -> String {
    let mut text = format!("# {} {}\n", version.agent, version.number);
    text.push_str("# Written by whetstone and never changed: edit the configs instead.\n");
    let mut put = |key: &str, value: Value| text.push_str(&entry(key, &value, 0));
    put("agent", json!(version.agent));
    put("version", json!(version.number));
    put("parent", json!(version.parent));
    put("digest", json!(version.digest));
    put("author", json!(version.author));
    put("created", json!(version.created.to_string()));
    put("evidence", json!(version.evidence));
    put("reasons", json!(version.reasons));
    let prompts = &version.content.prompts;
    text.push_str(if prompts.is_empty() { "prompts: {}\n" } else { "prompts:\n" });
    for (key, prompt) in prompts {
        text.push_str(&prompt_entry(key, prompt));
    }
    text.push_str(&entry("config", &json!(version.content.config), 0));
    text
}

/// A prompt as a block, however short: people read and compare prompts line by line.
fn prompt_entry(key: &str, prompt: &str) -> String {
    let Some(block) = literal_block(prompt, 2) else {
        return entry(key, &Value::from(prompt), 2);
    };
    // The key's line comes from an entry whose value is known to take nothing of it.
    let key_line = entry(key, &Value::Bool(true), 2);
    let key_line = key_line.trim_end().trim_end_matches("true");
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _infallible = write!(text, "{key_line}{}\n{}", block.head, block.body);
    text
}

/// Reads a file back.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn parse(text: &str) -> Result<Version, String> {
    let value: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let written: Written = serde_yaml::from_value(value).map_err(|error| error.to_string())?;
    let content = Content { prompts: written.prompts, config: written.config };
    let digest = content.digest();
    if digest.as_str() != written.digest {
        return Err("its prompts and config do not have the digest it states".to_owned());
    }
    let created = parse_time(&written.created)
        .ok_or_else(|| format!("{:?} is no RFC 3339 time", written.created))?;
    Ok(Version {
        agent: written.agent,
        number: written.version,
        parent: written.parent,
        digest,
        content,
        author: written.author,
        reasons: written.reasons,
        evidence: written.evidence,
        created,
    })
}

/// Reads what `EventTime` displays.
fn parse_time(text: &str) -> Option<EventTime> {
    let millis = match text.strip_suffix("ms") {
        Some(millis) => millis.parse().ok()?,
        None => text.parse::<jiff::Timestamp>().ok()?.as_millisecond(),
    };
    Some(EventTime::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(prompts: BTreeMap<String, String>, config: BTreeMap<String, Value>) -> Version {
        let content = Content { prompts, config };
        Version {
            agent: "mitigation".parse().unwrap(),
            number: VersionNumber(4),
            parent: Some(VersionNumber(3)),
            digest: content.digest(),
            content,
            author: Author::Llm { model: "gemini/x: y".to_owned() },
            reasons: vec![Reason { change: "a\nb".to_owned(), why: "- #'\"".to_owned() }],
            evidence: "12 runs".to_owned(),
            created: EventTime::from_millis(1_764_697_218_260),
        }
    }

    #[test]
    fn a_version_file_reads_well() {
        let prompts = [("system", "Be kind.\n\n- [w1] A.\n"), ("user", "{app}")];
        let prompts = prompts.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        let config = [("max_step".to_owned(), json!(20))].into();
        let text = render(&version(prompts, config));
        let (_, contents) = text.split_once("created").unwrap();
        assert_eq!(
            contents,
            ": \"2025-12-02T17:40:18.26Z\"\n\
             evidence: \"12 runs\"\n\
             reasons:\n  - change: |-\n      a\n      b\n    why: \"- #'\\\"\"\n\
             prompts:\n  system: |\n    Be kind.\n\n    - [w1] A.\n  user: |-\n    {app}\n\
             config:\n  max_step: 20\n"
        );
    }

    #[test]
    fn a_changed_file_is_refused() {
        let text = render(&version([("a".to_owned(), "b".to_owned())].into(), BTreeMap::new()));
        assert!(parse(&text).is_ok());
        assert!(parse(&text.replace("  b\n", "  c\n")).unwrap_err().contains("digest"));
        assert!(parse(&text.replace("2025", "20xx")).unwrap_err().contains("RFC 3339"));
        assert!(parse(&(text.clone() + "more: 1\n")).unwrap_err().contains("more"));
        assert!(parse(&(text + "agent: twice\n")).unwrap_err().contains("duplicate"));
        assert!(parse("").is_err());
    }

    proptest! {
        #[test]
        fn every_version_is_rebuilt_from_its_file(
            prompts in proptest::collection::btree_map(any::<String>(), "[ a-c\n\t:#-]{0,20}|\\PC*", 0..4),
            steps in any::<i64>(),
            text in any::<String>(),
            millis in any::<i64>(),
        ) {
            let config = [("steps".to_owned(), json!(steps)), ("t".to_owned(), json!([{"x": text}]))];
            let mut version = version(prompts, config.into());
            version.created = EventTime::from_millis(millis);
            version.evidence = text;
            prop_assert_eq!(parse(&render(&version)), Ok(version));
        }
    }
}
