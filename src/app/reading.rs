//! Keeps what HTTP shows up to date: a thread for each topic that people look at, from when somebody first
//! does.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::codec;
use super::role::{Context, RoleError};
use super::supervise::supervise;
use crate::consume::{Record, Start, Topic};
use crate::hygiene::Redactor;
use crate::serve::{Feed, Letter};

const BATCH: usize = 1000;
/// How long a thread waits for records before it looks whether it should end.
const POLL: Duration = Duration::from_millis(200);
/// Of a dead letter's value, what is looked at, in bytes, and what of that is shown, in characters.
const LOOKED_AT: usize = 16 * 1024;
const SHOWN: usize = 2000;

/// What is shown.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) board: Arc<Board>,
    pub(super) feed: Feed,
    pub(super) redactor: Arc<Redactor>,
}

/// Starts the threads.
pub(super) fn start(context: &Context, shown: &Shown, tasks: &mut JoinSet<Result<(), RoleError>>) {
    let topics = [
        Topic::AgentState,
        Topic::PromptVersions,
        Topic::PromptUpdates,
        Topic::Decisions,
        Topic::DeadLetters,
    ];
    for topic in topics {
        let (context, shown) = (context.clone(), shown.clone());
        tasks.spawn_blocking(move || supervise(&context, "show", || read(&context, &shown, topic)));
    }
}

fn read(context: &Context, shown: &Shown, topic: Topic) -> Result<(), RoleError> {
    let of_agents = matches!(topic, Topic::AgentState | Topic::PromptVersions);
    let wanted = if of_agents { shown.board.wanted() } else { shown.feed.wanted() };
    if !until(wanted, &context.stop) {
        return Ok(());
    }
    if of_agents {
        shown.board.begin(topic);
    }
    let mut follower = context.log.follow(topic, Start::Earliest)?;
    let mut records = Vec::new();
    while !context.stop.is_cancelled() {
        let all = follower.caught_up();
        if of_agents {
            shown.board.take(topic, records, all);
        } else {
            for record in &records {
                tell(shown, record);
            }
            if all {
                shown.feed.caught_up(topic);
            }
        }
        records = follower.poll(BATCH, POLL)?;
    }
    Ok(())
}

/// Waits; whether `wanted` came, and not the end.
fn until(wanted: &CancellationToken, stop: &CancellationToken) -> bool {
    Handle::current().block_on(async {
        tokio::select! {
            biased;
            () = stop.cancelled() => false,
            () = wanted.cancelled() => true,
        }
    })
}

/// What cannot be read stands in nobody's way.
fn tell(shown: &Shown, record: &Record) {
    let told = match record.topic {
        Topic::DeadLetters => {
            shown.feed.letter(record, letter(record, &shown.redactor));
            Ok(())
        }
        Topic::Decisions => {
            codec::from_json(record).map(|decision| shown.feed.decision(record, decision))
        }
        _ if record.value.is_empty() => {
            codec::agent_of(record).map(|agent| shown.feed.update(record, agent, None))
        }
        _ => codec::agent_of(record).and_then(|agent| {
            let update = codec::from_json(record)?;
            shown.feed.update(record, agent, Some(&update));
            Ok(())
        }),
    };
    if let Err(problem) = told {
        tracing::error!(%problem, "left out a record");
    }
}

/// A dead letter as people may see it: hostile text without secrets, cut after they are hidden, since half a
/// secret is not known for one.
fn letter(record: &Record, redactor: &Redactor) -> Letter {
    let header = |name: &str| record.header(name).unwrap_or_default();
    let redacted =
        |text: &str, most: usize| -> String { redactor.redact(text).chars().take(most).collect() };
    let value = record.value.get(..LOOKED_AT).unwrap_or(&record.value);
    Letter {
        reason: header("whetstone-reason").to_owned(),
        detail: redacted(header("whetstone-detail"), SHOWN),
        topic: header("whetstone-topic").to_owned(),
        partition: header("whetstone-partition").parse().ok(),
        offset: header("whetstone-offset").parse().ok(),
        bytes: record.value.len(),
        preview: redacted(&String::from_utf8_lossy(value), SHOWN),
        at: record.at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::EventTime;
    use crate::hygiene::RedactionRules;

    #[test]
    fn a_dead_letter_shows_no_secret_however_it_is_cut() {
        let redactor = Redactor::new(&RedactionRules::default()).unwrap();
        let secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
        for before in [0, SHOWN - 20, SHOWN - 1, SHOWN] {
            let value = format!("{} {secret} {}", "x ".repeat(before / 2), "y".repeat(LOOKED_AT));
            let record = Record {
                topic: Topic::DeadLetters,
                partition: 0,
                offset: 4,
                at: EventTime::from_millis(7),
                key: Vec::new(),
                value: value.into_bytes(),
                headers: vec![
                    ("whetstone-reason".to_owned(), b"malformed_json".to_vec()),
                    ("whetstone-detail".to_owned(), format!("at {secret}").into_bytes()),
                    ("whetstone-offset".to_owned(), b"12".to_vec()),
                ],
            };
            let letter = letter(&record, &redactor);
            assert_eq!((letter.reason.as_str(), letter.offset), ("malformed_json", Some(12)));
            let shown = format!("{} {}", letter.detail, letter.preview);
            assert!(!shown.contains("ghp_"), "{shown}");
            assert!(letter.preview.chars().count() <= SHOWN);
        }
    }
}
