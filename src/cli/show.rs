//! `whetstone show`: one version, why it was made and what it holds.

use super::Env;
use super::failure::Failure;
use super::output::{Tone, percent, safe};
use crate::app::Orders;
use crate::base::{AgentName, VersionNumber};
use crate::govern::{State, VersionRecord};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  whetstone show mitigation        the active version\n  whetstone show mitigation v3"
)]
pub(super) struct Args {
    /// The agent
    agent: AgentName,
    /// Which version; the active one if not given
    version: Option<VersionNumber>,
}

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let log = env.log_to_read()?;
    let versions = Orders::new(log.as_ref()).versions(&args.agent).map_err(Failure::failed)?;
    let record = pick(&versions, &args.agent, args.version)?;
    if env.output.json {
        return env.output.value(record);
    }
    let version = &record.version;
    let stands = match record.state.split() {
        Some(split) => {
            format!("{}, {} of the units", record.state.name(), percent(Some(split.share())))
        }
        None => record.state.name().to_owned(),
    };
    let title = format!("{} {} ({stands})", version.agent, version.number);
    env.output.line(env.output.paint(Tone::Strong, &title));
    env.output.line(format!(
        "made by   {} at {}",
        safe(&version.author.to_string()),
        version.created
    ));
    if let Some(parent) = version.parent {
        env.output.line(format!("from      {parent}"));
    }
    if let Some(reason) = record.state.reason() {
        env.output.line(format!("because   {}", safe(reason)));
    }
    if !version.evidence.is_empty() {
        env.output.line(format!("evidence  {}", safe(&version.evidence)));
    }
    for reason in &version.reasons {
        env.output.line(format!(
            "change    {}\n          {}",
            safe(&reason.change),
            safe(&reason.why)
        ));
    }
    env.output.content(&version.content);
    Ok(())
}

/// The record of `number`, or of the active version.
pub(super) fn pick<'a>(
    versions: &'a [VersionRecord],
    agent: &AgentName,
    number: Option<VersionNumber>,
) -> Result<&'a VersionRecord, Failure> {
    let found = match number {
        Some(number) => versions.iter().find(|record| record.version.number == number),
        None => versions.iter().find(|record| record.state == State::Active),
    };
    found.ok_or_else(|| {
        let wanted = number.map_or_else(|| "active version".to_owned(), |n| n.to_string());
        Failure::Failed(anyhow::anyhow!(
            "{agent} has no {wanted}: `whetstone versions {agent}` lists what there is"
        ))
    })
}
