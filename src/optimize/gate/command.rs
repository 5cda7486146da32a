//! A program as a gate. It gets the candidate by its standard input alone: text that a model wrote may
//! stand neither among arguments nor before a shell. No process of its group outlives the question.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

use super::{Answering, Hook, MAX_ANSWER, Unasked, hide};
use crate::govern::GateReport;

/// How much of what it says besides is kept, in bytes.
const MAX_COMPLAINT: usize = 8192;
/// How much of that goes to the log, in characters. Less, so that no secret begins before what is kept.
const MAX_LOGGED: usize = 400;
/// Variables that say nothing secret.
const OPEN: [&str; 3] = ["PATH", "HOME", "LANG"];

/// A program that is started for every candidate.
pub struct Program {
    program: String,
    arguments: Vec<String>,
    environment: BTreeMap<String, SecretString>,
}

impl Program {
    /// `program` with `arguments`, and with no variables but those of `environment`.
    pub fn new(
        program: String,
        arguments: Vec<String>,
        environment: BTreeMap<String, SecretString>,
    ) -> Self {
        Self { program, arguments, environment }
    }

    async fn run(&self, input: &[u8]) -> Result<Vec<u8>, Unasked> {
        let mut child = self.start()?;
        let taken = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = taken else {
            return Err(Unasked::passing("its input and output could not be connected"));
        };
        // Declared after the child, so dropped before it, while its id is still its own.
        let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
        let ended = async {
            let status = child.wait().await.map_err(|error| broken(&error))?;
            // What it left behind may hold the pipes open.
            drop(group);
            Ok(status)
        };
        let (status, answer, complaint, ()) =
            tokio::try_join!(ended, bounded(stdout), last_words(stderr), feed(stdin, input))?;
        if status.success() {
            return Ok(answer);
        }
        let said = hide(&complaint, &self.secrets());
        let said = said.chars().skip(said.chars().count().saturating_sub(MAX_LOGGED));
        let said = GateReport::one_line(&said.collect::<String>());
        tracing::warn!(gate = %self.name(), %said, "the gate's last words");
        Err(Unasked::passing(format!("it {}: it must exit with 0 and a verdict", how(status))))
    }

    fn start(&self) -> Result<Child, Unasked> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear();
        for (name, value) in &self.environment {
            command.env(name, value.expose_secret());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command.spawn().map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                Unasked::lasting(format!("{:?} cannot be started: {error}", self.program))
            }
            _ => Unasked::passing(format!("{:?} cannot be started: {error}", self.program)),
        })
    }

    /// Where the program is, found as the system finds it.
    fn found(&self) -> Option<PathBuf> {
        let direct = Path::new(&self.program);
        if self.program.contains('/') {
            return runnable(direct).then(|| direct.to_owned());
        }
        let path = self.environment.get("PATH")?.expose_secret();
        std::env::split_paths(path).map(|folder| folder.join(direct)).find(|file| runnable(file))
    }
}

impl Hook for Program {
    fn name(&self) -> String {
        format!("the command {:?}", self.program)
    }

    fn problem(&self) -> Option<String> {
        match self.found() {
            Some(_) => None,
            None => Some(format!(
                "{:?} is no program that can be started: correct gate.command",
                self.program
            )),
        }
    }

    fn secrets(&self) -> Vec<&SecretString> {
        let named = self.environment.iter().filter(|(name, _)| !OPEN.contains(&name.as_str()));
        named.map(|(_, value)| value).collect()
    }

    fn ask<'a>(&'a self, input: &'a [u8]) -> Answering<'a> {
        Box::pin(self.run(input))
    }
}

/// The process group of a command. Dropping it ends all that is in it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0
            && let Err(error) = kill_process_group(leader, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, "the gate's processes could not be ended");
        }
    }
}

fn broken(error: &std::io::Error) -> Unasked {
    Unasked::passing(format!("the talk with it broke off: {error}"))
}

fn how(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exited with {code}"),
        None => "was ended by a signal".to_owned(),
    }
}

fn runnable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// A command may decide without reading its input, or reading all of it.
async fn feed(mut stdin: ChildStdin, input: &[u8]) -> Result<(), Unasked> {
    match stdin.write_all(input).await {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(broken(&error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn bounded(from: impl AsyncRead + Unpin) -> Result<Vec<u8>, Unasked> {
    let mut answer = Vec::new();
    let most = u64::try_from(MAX_ANSWER).unwrap_or(u64::MAX).saturating_add(1);
    from.take(most).read_to_end(&mut answer).await.map_err(|error| broken(&error))?;
    if answer.len() > MAX_ANSWER { Err(Unasked::too_long()) } else { Ok(answer) }
}

/// The end of all that is said there.
async fn last_words(mut from: impl AsyncRead + Unpin) -> Result<String, Unasked> {
    let mut words = Vec::new();
    let mut piece = vec![0; 4096];
    loop {
        let read = from.read(&mut piece).await.map_err(|error| broken(&error))?;
        if read == 0 {
            return Ok(String::from_utf8_lossy(&words).into_owned());
        }
        words.extend(piece.iter().take(read));
        words.drain(..words.len().saturating_sub(MAX_COMPLAINT));
    }
}
