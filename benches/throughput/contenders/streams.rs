//! Kafka Streams, of the broker's version: streams/src/main/java/Windows.java.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Finish, Plan, Turn, here, quietly};
use crate::answer::Answer;
use crate::windows::{Key, Sums};

fn built() -> PathBuf {
    crate::broker::place().join("streams")
}

/// Maven looks online only where what it has is not enough.
pub(super) fn build() -> Result<()> {
    let maven = |more: &[&str]| {
        let pom = here().join("streams/pom.xml");
        quietly(Command::new("mvn").args(["-q", "-B", "-f"]).arg(pom).args(more).arg("package"))
    };
    maven(&["-o"]).or_else(|_| maven(&[]))
}

pub(super) fn plan(turn: &Turn<'_>, keyed: bool) -> Result<Plan> {
    let jars = format!("{0}/windows.jar:{0}/jars/*", built().display());
    // As far as a contender has more than one core, Java chooses another collector by itself.
    let java =
        ["-Xms512m", "-Xmx2g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &jars];
    let mut arguments: Vec<_> = java.map(str::to_owned).into();
    arguments.push("Windows".to_owned());
    arguments.extend(turn.told());
    arguments.push(format!("store={}", turn.options.store.name()));
    arguments.push(format!("keys={}", if keyed { "trusted" } else { "not-trusted" }));
    let mut stages = vec![turn.stage(&turn.id, &turn.load.topic())?];
    if !keyed {
        stages.push(turn.stage(&turn.id, &format!("{}-agents-repartition", turn.id))?);
    }
    Ok(Plan {
        program: "java".into(),
        arguments,
        variables: Vec::new(),
        topic: None,
        finish: Finish::Drained(stages),
        answer: Answer::Table { topic: format!("{}-windows-changelog", turn.id), read },
    })
}

/// The key is the agent, the window's start in eight bytes and four more; the value three numbers.
fn read(key: &[u8], value: Option<&[u8]>) -> Result<Option<(Key, Option<Sums>)>> {
    let short = "a record of the changelog is too short";
    let (rest, _) = key.split_last_chunk::<4>().context(short)?;
    let (agent, start) = rest.split_last_chunk::<8>().context(short)?;
    let key = (std::str::from_utf8(agent)?.to_owned(), i64::from_be_bytes(*start));
    let Some(value) = value else { return Ok(Some((key, None))) };
    let (runs, rest) = value.split_first_chunk::<8>().context(short)?;
    let (successes, rest) = rest.split_first_chunk::<8>().context(short)?;
    let (reward, _) = rest.split_first_chunk::<8>().context(short)?;
    let sums = Sums {
        runs: u64::from_be_bytes(*runs),
        successes: u64::from_be_bytes(*successes),
        reward: i64::from_be_bytes(*reward),
    };
    Ok(Some((key, Some(sums))))
}
