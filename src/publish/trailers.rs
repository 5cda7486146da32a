//! Commit messages: what people read, and trailers by which a projection finds itself again. Pure.
//!
//! Reasons and evidence may come from a model. They are flattened to one line each and stand ahead
//! of the trailers, which are the message's last paragraph: so they cannot pose as trailers.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;

use super::trial_file::Beside;
use crate::base::{AgentName, Digest, VersionNumber};
use crate::govern::{Split, State, VersionRecord};

/// Characters of a subject that every git tool shows.
const SUBJECT_CHARS: usize = 72;
/// Characters of one line of the body.
const LINE_CHARS: usize = 400;

/// What the newest projection of an agent left in the repo.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// The revision it projected.
    pub revision: u64,
    /// What the configs hold; none until a version was active.
    pub standing: Option<Standing>,
    /// What the trial file holds.
    pub beside: Beside,
}

/// What an agent's configs hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The version.
    pub version: VersionNumber,
    /// Its content's digest.
    pub digest: Digest,
}

impl Published {
    /// What the projection of `record` leaves, on top of this.
    pub(super) fn after(&self, record: &VersionRecord) -> Self {
        let version = &record.version;
        let standing = if record.state == State::Active {
            Some(Standing { version: version.number, digest: version.digest.clone() })
        } else {
            self.standing.clone()
        };
        Self { revision: record.revision, standing, beside: self.beside.after(record) }
    }
}

/// The message of the commit that projects `record` on top of `before` and leaves `published`.
pub(super) fn render(record: &VersionRecord, before: &Published, published: &Published) -> String {
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
    if let Some(reason) = record.state.reason() {
        message.push_str(&format!("{}: {}\n\n", record.state.name(), line(reason)));
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
    if published.beside != Beside::Never
        && let Ok(beside) = serde_json::to_string(&published.beside)
    {
        trailer(BESIDE, &beside);
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
    let beside = value(BESIDE).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    Some((agent, Published { revision, standing: standing(), beside }))
}

const AGENT: &str = "Whetstone-Agent";
const VERSION: &str = "Whetstone-Version";
const REVISION: &str = "Whetstone-Revision";
const STATE: &str = "Whetstone-State";
const DIGEST: &str = "Whetstone-Digest";
const ACTIVE: &str = "Whetstone-Active";
const BESIDE: &str = "Whetstone-Beside";

fn subject(record: &VersionRecord, before: &Published) -> String {
    let version = &record.version;
    let standing = before.standing.as_ref().map(|standing| standing.version);
    let was_out = before.beside.version() == Some(version.number);
    let what = match &record.state {
        State::Active => match standing.filter(|standing| *standing > version.number) {
            Some(newer) => format!("back from {newer}"),
            None => first_change(record),
        },
        State::Trial { split } => format!("on trial for {} of runs", percent(split)),
        State::Holdback { split } => format!("held back for {} of runs", percent(split)),
        State::Rejected { reason } if was_out => format!("rejected: {reason}"),
        State::RolledBack { reason } if was_out => format!("taken back: {reason}"),
        State::Candidate | State::Superseded if was_out => match before.beside {
            Beside::Holdback(_) => "no longer held back".to_owned(),
            Beside::Never | Beside::Nothing | Beside::Trial(_) => "no longer on trial".to_owned(),
        },
        State::Candidate => format!("propose {}", first_change(record)),
        State::Superseded | State::Rejected { .. } | State::RolledBack { .. } => {
            first_change(record)
        }
    };
    shortened(&line(&format!("{} {}: {what}", version.agent, version.number)), SUBJECT_CHARS)
}

/// A share as people write it: `10 %`, `2.5 %`.
fn percent(split: &Split) -> String {
    let (whole, rest) = (split.share_bp / 100, split.share_bp % 100);
    let text = format!("{whole}.{rest:02}");
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
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

    fn split(share_bp: u16) -> Split {
        Split { salt: "s\n\nWhetstone-Agent: other".to_owned(), share_bp }
    }

    #[test]
    fn a_projection_is_found_again_by_its_trailers() {
        let hostile = |state| {
            let why = "\n---\nWhetstone-Agent: other\n";
            record(state, "x\n\nWhetstone-Revision: 99", why)
        };
        let reason = "no\n\nWhetstone-Revision: 99".to_owned();
        let before = [None, Some(standing(3))].map(|standing| {
            let beside = Beside::Never;
            Published { revision: 6, standing, beside }
        });
        for before in before {
            let mut before = before;
            for state in [
                State::Candidate,
                State::Trial { split: split(5) },
                State::Rejected { reason: reason.clone() },
                State::Holdback { split: split(5) },
                State::Active,
            ] {
                let record = hostile(state);
                let published = before.after(&record);
                let message = render(&record, &before, &published);
                let found = parse(&message);
                assert_eq!(found, Some(("a.b".parse().unwrap(), published.clone())), "{message}");
                before = published;
            }
            assert_eq!(before.standing, Some(standing(4)));
            assert_eq!(before.beside, Beside::Nothing);
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
            let standing = Some(standing(before));
            let before = Published { standing, ..Published::default() };
            let text = subject(&record(state, change, "y"), &before);
            assert_eq!(text, wanted);
            assert!(text.chars().count() <= SUBJECT_CHARS);
        };
        check(State::Active, "max_step: 20 -> 25", 3, "a.b v4: max_step: 20 -> 25");
        check(State::Active, "max_step: 20 -> 25", 5, "a.b v4: back from v5");
        check(State::Candidate, "a\nb", 3, "a.b v4: propose a b");
        check(State::Active, " ", 3, "a.b v4: content by patterns");
        let long = format!("a.b v4: {}…", "é".repeat(63));
        check(State::Active, &"é".repeat(200), 3, &long);
        for (share, percent) in
            [(1, "0.01"), (50, "0.5"), (1_000, "10"), (1_005, "10.05"), (10_000, "100")]
        {
            let on_trial = format!("a.b v4: on trial for {percent} % of runs");
            check(State::Trial { split: split(share) }, "x", 3, &on_trial);
        }
        let held_back = "a.b v4: held back for 5 % of runs";
        check(State::Holdback { split: split(500) }, "x", 3, held_back);
    }

    #[test]
    fn a_subject_says_how_a_share_ended() {
        let check = |out: State, state: State, wanted: &str| {
            let before = Published::default().after(&record(out, "x", "y"));
            assert_eq!(subject(&record(state, "x", "y"), &before), wanted);
        };
        let reason = || "worse\nby far".to_owned();
        let trial = || State::Trial { split: split(500) };
        let holdback = || State::Holdback { split: split(500) };
        check(trial(), State::Rejected { reason: reason() }, "a.b v4: rejected: worse by far");
        check(trial(), State::Candidate, "a.b v4: no longer on trial");
        check(trial(), State::Active, "a.b v4: x");
        check(holdback(), State::Superseded, "a.b v4: no longer held back");
        check(
            holdback(),
            State::RolledBack { reason: reason() },
            "a.b v4: taken back: worse by far",
        );
        check(State::Active, State::Superseded, "a.b v4: x");
    }
}
