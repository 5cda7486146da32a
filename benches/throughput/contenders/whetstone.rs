//! Whetstone as anybody runs it, on topics of its own.

use anyhow::{Context as _, Result};
use whetstone::fold::Aggregate;

use super::{Finish, Plan, Turn};
use crate::answer::Answer;
use crate::windows::{GRACE, Key, LENGTH, Sums};

/// Starts the program that `$0` is so many times as `$1` says, with the other arguments and a directory each; what ends
/// this ends them.
const TOGETHER: &str = r#"
    instances=$1; shift
    trap 'kill $all; wait' TERM
    for number in $(seq "$instances"); do
        "$0" run --set "data_dir=data-$number" "$@" &
        all="$all $!"
    done
    wait
"#;

/// `keyed` trusts the producers to place traces by agent.
pub(super) fn plan(turn: &Turn<'_>, keyed: bool) -> Result<Plan> {
    let prefix = format!("{}.", turn.load.name());
    let settings = [
        "log.kind=kafka".to_owned(),
        format!("kafka.brokers={}", turn.brokers),
        format!("kafka.prefix={prefix}"),
        format!("kafka.otlp_spans={prefix}otlp_spans"),
        format!("kafka.otlp_logs={prefix}otlp_logs"),
        "kafka.create_topics=true".to_owned(),
        format!("kafka.traces_keyed_by_agent={keyed}"),
        "http.listen=127.0.0.1:0".to_owned(),
        "llm.enabled=false".to_owned(),
        "windows.kind=tumbling".to_owned(),
        format!("windows.length={}s", LENGTH / 1000),
        format!("windows.allowed_lateness={}s", GRACE / 1000),
    ];
    let settings: Vec<_> =
        settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]).collect();
    let (decode, aggregate) =
        (format!("{prefix}whetstone-decode"), format!("{prefix}whetstone-aggregate"));
    let stages = if keyed {
        vec![turn.stage(&aggregate, &turn.load.topic())?]
    } else {
        vec![
            turn.stage(&decode, &turn.load.topic())?,
            turn.stage(&aggregate, &format!("{prefix}agent-events"))?,
        ]
    };
    let program = turn.options.whetstone.display().to_string();
    let mut arguments = vec!["-c".to_owned(), TOGETHER.to_owned(), program];
    arguments.push(turn.options.instances.to_string());
    arguments.extend(settings);
    Ok(Plan {
        program: "sh".into(),
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
