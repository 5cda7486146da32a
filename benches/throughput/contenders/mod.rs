//! Who is measured, and how each is started.

mod bytewax;
mod ceiling;
mod quix;
mod streams;
mod whetstone;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

pub(crate) use self::ceiling::count;
use crate::answer::Answer;
use crate::load::Load;
use crate::options::Options;
use crate::progress::Stage;
use crate::windows::{GRACE, LENGTH};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A consumer that only counts records and bytes: what there is to reach.
    Ceiling,
    /// Whetstone, from agent-traces to the windows on agent-state.
    Whetstone,
    /// The same where producers place traces by agent, which spares it agent-events.
    WhetstoneKeyed,
    /// Kafka Streams, which places traces by agent itself, as Whetstone does.
    Streams,
    /// The same where producers' keys are trusted, which spares it a topic.
    StreamsKeyed,
    /// Quix Streams, which places traces by agent itself.
    Quix,
    /// Bytewax, which is not exactly once.
    Bytewax,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::Ceiling,
        Self::Whetstone,
        Self::WhetstoneKeyed,
        Self::Streams,
        Self::StreamsKeyed,
        Self::Quix,
        Self::Bytewax,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ceiling => "ceiling",
            Self::Whetstone => "whetstone",
            Self::WhetstoneKeyed => "whetstone-keyed",
            Self::Streams => "streams",
            Self::StreamsKeyed => "streams-keyed",
            Self::Quix => "quix",
            Self::Bytewax => "bytewax",
        }
    }
}

/// What a turn is given.
pub(crate) struct Turn<'a> {
    pub(crate) options: &'a Options,
    pub(crate) brokers: &'a str,
    pub(crate) load: &'a Load,
    /// No other turn's.
    pub(crate) id: String,
    /// Its own, and empty.
    pub(crate) dir: PathBuf,
}

impl Turn<'_> {
    /// Where all that it says goes.
    pub(crate) fn said(&self) -> PathBuf {
        self.dir.join("said")
    }

    fn stage(&self, group: &str, topic: &str) -> Result<Stage> {
        Stage::new(self.brokers, group, topic)
    }

    /// What the applications in other languages are told.
    fn told(&self) -> Vec<String> {
        let (options, topic) = (self.options, self.load.topic());
        vec![
            format!("brokers={}", self.brokers),
            format!("topic={topic}"),
            format!("id={}", self.id),
            format!("dir={}", self.dir.display()),
            format!("commit-ms={}", options.commit_ms),
            format!("threads={}", options.threads),
            format!("window-ms={LENGTH}"),
            format!("grace-ms={GRACE}"),
        ]
    }
}

/// How it is seen that all is done.
pub(crate) enum Finish {
    /// The groups have committed all, the first one first.
    Drained(Vec<Stage>),
    /// It says when it has its first record, and ends by itself.
    Ends,
}

pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, String)>,
    /// A topic that it does not make itself.
    pub(crate) topic: Option<String>,
    pub(crate) finish: Finish,
    pub(crate) answer: Answer,
}

impl Kind {
    /// Builds or installs what is needed, if it is not there.
    ///
    /// # Errors
    /// Why it cannot be had here.
    pub(crate) fn prepare(self) -> Result<()> {
        match self {
            Self::Ceiling | Self::Whetstone | Self::WhetstoneKeyed => Ok(()),
            Self::Streams | Self::StreamsKeyed => streams::build(),
            Self::Quix | Self::Bytewax => install_python(),
        }
    }

    pub(crate) fn plan(self, turn: &Turn<'_>) -> Result<Plan> {
        match self {
            Self::Ceiling => ceiling::plan(turn),
            Self::Whetstone => whetstone::plan(turn, false),
            Self::WhetstoneKeyed => whetstone::plan(turn, true),
            Self::Streams => streams::plan(turn, false),
            Self::StreamsKeyed => streams::plan(turn, true),
            Self::Quix => quix::plan(turn),
            Self::Bytewax => bytewax::plan(turn),
        }
    }
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/throughput")
}

fn python() -> PathBuf {
    crate::broker::place().join("python")
}

/// A virtual environment with what python/requirements.txt names. The copy of that says that it is whole.
fn install_python() -> Result<()> {
    let (wanted, env) = (here().join("python/requirements.txt"), python());
    let mark = env.join("requirements.txt");
    if std::fs::read(&mark).ok() == Some(std::fs::read(&wanted)?) {
        return Ok(());
    }
    quietly(Command::new("python3").args(["-m", "venv"]).arg(&env))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
    quietly(Command::new(env.join("bin/python")).args(pip).arg(&wanted))?;
    std::fs::copy(wanted, mark)?;
    Ok(())
}

/// # Errors
/// What the command said, if it failed.
fn quietly(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("{command:?}: {}", String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}
