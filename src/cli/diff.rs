//! `whetstone diff`: what changed between two versions.

use similar::{ChangeTag, TextDiff};

use super::Env;
use super::failure::Failure;
use super::output::{Output, Tone, safe};
use super::show::pick;
use crate::app::Orders;
use crate::base::{AgentName, VersionNumber};
use crate::govern::Content;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone diff mitigation           the active version against the one it came from\n  \
    whetstone diff mitigation v2 v5")]
pub(super) struct Args {
    /// The agent
    agent: AgentName,
    /// The older version; the newer one's parent if not given
    from: Option<VersionNumber>,
    /// The newer version; the active one if not given
    to: Option<VersionNumber>,
}

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let log = env.log_to_read()?;
    let versions = Orders::new(log.as_ref()).versions(&args.agent).map_err(Failure::failed)?;
    let new = pick(&versions, &args.agent, args.to)?;
    let Some(from) = args.from.or(new.version.parent) else {
        let number = new.version.number;
        return Err(Failure::Failed(anyhow::anyhow!(
            "{number} is the first version: name two to compare, e.g. `whetstone diff {} v1 v2`",
            args.agent
        )));
    };
    let old = pick(&versions, &args.agent, Some(from))?;
    let (old_text, new_text) = (as_text(&old.version.content), as_text(&new.version.content));
    if env.output.json {
        return env.output.value(&serde_json::json!({
            "agent": args.agent, "from": from, "to": new.version.number,
            "diff": unified(&old_text, &new_text, &(from.to_string(), new.version.number.to_string())),
        }));
    }
    let names = (from.to_string(), new.version.number.to_string());
    for line in unified(&old_text, &new_text, &names).lines() {
        env.output.line(colored(&env.output, line));
    }
    Ok(())
}

/// Content as lines: each prompt under its key, each config key on its line.
fn as_text(content: &Content) -> String {
    let mut text = String::new();
    for (key, prompt) in &content.prompts {
        text.push_str(&format!("prompt {key}:\n{}\n\n", safe(prompt).trim_end()));
    }
    for (key, value) in &content.config {
        text.push_str(&format!("config {key}: {}\n", safe(&value.to_string())));
    }
    text
}

fn unified(old: &str, new: &str, names: &(String, String)) -> String {
    let diff = TextDiff::from_lines(old, new);
    diff.unified_diff().context_radius(2).header(&names.0, &names.1).to_string()
}

fn colored(output: &Output, line: &str) -> String {
    let tag = match line.chars().next() {
        Some('+') => ChangeTag::Insert,
        Some('-') => ChangeTag::Delete,
        _ => ChangeTag::Equal,
    };
    match tag {
        ChangeTag::Insert => output.paint(Tone::Good, line),
        ChangeTag::Delete => output.paint(Tone::Bad, line),
        ChangeTag::Equal => line.to_owned(),
    }
}
