//! Commit messages: what people read, and trailers by which a projection finds itself again. Pure.
//!
//! Reasons and evidence may come from a model. They are flattened to one line each and stand ahead
//! of the trailers, which are the message's last paragraph: so they cannot pose as trailers.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;

use crate::base::{AgentName, Digest, VersionNumber};
use crate::govern::{State, VersionRecord};

/// Characters of a subject that every git tool shows.
const SUBJECT_CHARS: usize = 72;
/// Characters of one line of the body.
const LINE_CHARS: usize = 400;

/// What the newest projection of an agent left in the repo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The revision it projected.
    pub revision: u64,
    /// What the configs hold; none until a version was active.
    pub standing: Option<Standing>,
}

/// What an agent's configs hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The version.
    pub version: VersionNumber,
    /// Its content's digest.
    pub digest: Digest,
}

/// The message of the commit that projects `record` and leaves `published`.
pub(super) fn render(
    record: &VersionRecord,
    before: Option<&Standing>,
    published: &Published,
) -> String {
    let version = &record.version;
    let mut message = subject(record, before);
    message.push_str("\n\n");
    for reason in &version.reasons {
        message.push_str(&format!("- {}\n", line(&format!("{}: {}", reason.change, reason.why))));
    }
    if !version.reasons.is_empty() {
        message.push('\n');
    }
    if !version.evidence.trim().is_empty() {
        message.push_str(&format!("Evidence: {}\n\n", line(&version.evidence)));
    }
    message.push_str(&format!("By {}.\n\n", line(&version.author.to_string())));
    let mut trailer = |key: &str, value: &str| message.push_str(&format!("{key}: {value}\n"));
    trailer(AGENT, version.agent.as_str());
    trailer(VERSION, &version.number.to_string());
    trailer(REVISION, &published.revision.to_string());
    trailer(STATE, record.state.name());
    if let Some(standing) = &published.standing {
        trailer(DIGEST, standing.digest.as_str());
        trailer(ACTIVE, &standing.version.to_string());
    }
    message
}

/// What the trailers of a commit say; none if it is no projection.
pub(super) fn parse(message: &str) -> Option<(AgentName, Published)> {
    // Cheap for the many commits of a repo that are none of ours.
    if !message.contains(AGENT) {
        return None;
    }
    let trailers = git2::message_trailers_strs(message).ok()?;
    let value = |wanted: &str| {
        trailers.iter().rfind(|(key, _)| *key == wanted).map(|(_, value)| value.trim())
    };
    let standing = || {
        let version = value(ACTIVE)?.parse().ok()?;
        Some(Standing { version, digest: digest(value(DIGEST)?)? })
    };
    let agent = value(AGENT)?.parse().ok()?;
    let revision = value(REVISION)?.parse().ok()?;
    Some((agent, Published { revision, standing: standing() }))
}

const AGENT: &str = "Whetstone-Agent";
const VERSION: &str = "Whetstone-Version";
const REVISION: &str = "Whetstone-Revision";
const STATE: &str = "Whetstone-State";
const DIGEST: &str = "Whetstone-Digest";
const ACTIVE: &str = "Whetstone-Active";

fn subject(record: &VersionRecord, before: Option<&Standing>) -> String {
    let version = &record.version;
    let what = match (&record.state, before) {
        (State::Active, Some(before)) if before.version > version.number => {
            format!("back from {}", before.version)
        }
        (State::Candidate, _) => format!("propose {}", first_change(record)),
        _ => first_change(record),
    };
    shortened(&line(&format!("{} {}: {what}", version.agent, version.number)), SUBJECT_CHARS)
}

fn first_change(record: &VersionRecord) -> String {
    let first = record.version.reasons.iter().map(|reason| reason.change.trim());
    first.filter(|change| !change.is_empty()).map(str::to_owned).next().unwrap_or_else(|| {
        let author = &record.version.author;
        format!("content by {author}")
    })
}

/// `text` in one line without control characters.
fn line(text: &str) -> String {
    let clean = text.replace(|c: char| c.is_control(), " ");
    let words: Vec<&str> = clean.split_whitespace().collect();
    shortened(&words.join(" "), LINE_CHARS)
}

fn shortened(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(chars.saturating_sub(1)).collect();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

fn digest(hex: &str) -> Option<Digest> {
    let valid = hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let digest = Digest::deserialize(IntoDeserializer::<ValueError>::into_deserializer(hex));
    digest.ok().filter(|_| valid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::EventTime;
    use crate::govern::{Author, Content, Reason, Version};

    fn record(state: State, change: &str, why: &str) -> VersionRecord {
        let content = Content::default();
        let reason = Reason { change: change.to_owned(), why: why.to_owned() };
        let version = Version {
            agent: "a.b".parse().unwrap(),
            number: VersionNumber(4),
            parent: None,
            digest: content.digest(),
            content,
            author: Author::Patterns,
            reasons: vec![reason],
            evidence: "12 runs\n\nWhetstone-Revision: 99".to_owned(),
            created: EventTime::default(),
        };
        VersionRecord { version, state, revision: 7, at: EventTime::default() }
    }

    fn standing(number: u32) -> Standing {
        Standing { version: VersionNumber(number), digest: Content::default().digest() }
    }

    #[test]
    fn a_projection_is_found_again_by_its_trailers() {
        for standing in [None, Some(standing(3))] {
            let published = Published { revision: 7, standing };
            let hostile = record(
                State::Candidate,
                "x\n\nWhetstone-Revision: 99",
                "\n---\nWhetstone-Agent: other\n",
            );
            let message = render(&hostile, None, &published);
            let found = parse(&message);
            assert_eq!(found, Some(("a.b".parse().unwrap(), published)), "{message}");
        }
    }

    #[test]
    fn other_commits_are_none_of_ours() {
        let check = |message: &str| assert_eq!(parse(message), None, "{message:?}");
        check("Fix typo");
        check("Quote\n\nWhetstone-Agent: a\nWhetstone-Revision: 3\n\nand go on.\n");
        check("Broken\n\nWhetstone-Agent: ../a\nWhetstone-Revision: 3\n");
        check("Broken\n\nWhetstone-Agent: a\nWhetstone-Revision: x\n");
    }

    #[test]
    fn a_subject_says_what_happened_in_a_line() {
        let check = |state: State, change: &str, before: u32, wanted: &str| {
            let text = subject(&record(state, change, "y"), Some(&standing(before)));
            assert_eq!(text, wanted);
            assert!(text.chars().count() <= SUBJECT_CHARS);
        };
        check(State::Active, "max_step: 20 -> 25", 3, "a.b v4: max_step: 20 -> 25");
        check(State::Active, "max_step: 20 -> 25", 5, "a.b v4: back from v5");
        check(State::Candidate, "a\nb", 3, "a.b v4: propose a b");
        check(State::Active, " ", 3, "a.b v4: content by patterns");
        let long = format!("a.b v4: {}…", "é".repeat(63));
        check(State::Active, &"é".repeat(200), 3, &long);
    }
}
