//! Whetstone as anybody runs it, on topics of its own.

use anyhow::{Context as _, Result};
use whetstone::fold::Aggregate;

use super::{Finish, Plan, Turn};
use crate::answer::Answer;
use crate::windows::{GRACE, Key, LENGTH, Sums};

pub(super) fn plan(turn: &Turn<'_>) -> Result<Plan> {
    let prefix = format!("{}.", turn.load.name());
    let settings = [
        format!("data_dir={}", turn.dir.join("data").display()),
        "log.kind=kafka".to_owned(),
        format!("kafka.brokers={}", turn.brokers),
        format!("kafka.prefix={prefix}"),
        format!("kafka.otlp_spans={prefix}otlp_spans"),
        format!("kafka.otlp_logs={prefix}otlp_logs"),
        "kafka.create_topics=true".to_owned(),
        "http.listen=127.0.0.1:0".to_owned(),
        "llm.enabled=false".to_owned(),
        "windows.kind=tumbling".to_owned(),
        format!("windows.length={}s", LENGTH / 1000),
        format!("windows.allowed_lateness={}s", GRACE / 1000),
    ];
    let mut arguments = vec!["run".to_owned()];
    arguments.extend(settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]));
    let stages = vec![
        turn.stage(&format!("{prefix}whetstone-decode"), &turn.load.topic())?,
        turn.stage(&format!("{prefix}whetstone-aggregate"), &format!("{prefix}agent-events"))?,
    ];
    Ok(Plan {
        program: turn.options.whetstone.clone(),
        arguments,
        variables: Vec::new(),
        topic: None,
        finish: Finish::Drained(stages),
        answer: Answer::Table { topic: format!("{prefix}agent-state"), read },
    })
}

/// A pane, which is a window here, is stored as `AGENT/pane/VERSION/START`: a byte that names the layout, then
/// MessagePack.
fn read(key: &[u8], value: Option<&[u8]>) -> Result<Option<(Key, Option<Sums>)>> {
    let parts: Vec<_> = std::str::from_utf8(key)?.split('/').collect();
    let &[agent, "pane", _, start] = parts.as_slice() else { return Ok(None) };
    let key = (agent.to_owned(), start.parse()?);
    let Some((_, packed)) = value.and_then(<[u8]>::split_first) else {
        return Ok(Some((key, None)));
    };
    let pane: Aggregate = rmp_serde::from_slice(packed).context("a pane")?;
    let (runs, successes) = (pane.counts.total(), pane.counts.success);
    Ok(Some((key, Some(Sums { runs, successes, reward: pane.reward.total() }))))
}
