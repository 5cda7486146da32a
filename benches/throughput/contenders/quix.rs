//! Quix Streams: python/quix.py.

use anyhow::Result;
use serde::Deserialize;

use super::{Finish, Plan, Turn, here, python};
use crate::answer::Answer;
use crate::windows::{Key, LENGTH, Sums};

pub(super) fn plan(turn: &Turn<'_>) -> Result<Plan> {
    let (id, topic) = (&turn.id, turn.load.topic());
    let mut arguments = vec![here().join("python/quix.py").display().to_string()];
    arguments.extend(turn.told());
    let placed = format!("repartition__{id}--{topic}--agent");
    let kept =
        format!("changelog__{id}--repartition.{topic}.agent--windows_tumbling_window_{LENGTH}");
    Ok(Plan {
        program: python().join("bin/python"),
        arguments,
        variables: Vec::new(),
        topic: None,
        finish: Finish::Drained(vec![turn.stage(id, &topic)?, turn.stage(id, &placed)?]),
        answer: Answer::Table { topic: kept, read },
    })
}

#[derive(Deserialize)]
struct Value {
    #[serde(rename = "sums/Reduce")]
    sums: (u64, u64, i64),
}

/// A window's key is the agent as JSON and the window's start and end in eight bytes each, with `|` between
/// them; what else is kept of an agent has a name instead.
fn read(key: &[u8], value: Option<&[u8]>) -> Result<Option<(Key, Option<Sums>)>> {
    let Some((rest, [b'|', start @ .., b'|', _, _, _, _, _, _, _, _])) =
        key.split_last_chunk::<18>()
    else {
        return Ok(None);
    };
    let key = (serde_json::from_slice(rest)?, i64::from_be_bytes(*start));
    let Some(value) = value else { return Ok(Some((key, None))) };
    let Value { sums: (runs, successes, reward) } = serde_json::from_slice(value)?;
    Ok(Some((key, Some(Sums { runs, successes, reward }))))
}
