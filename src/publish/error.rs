//! Why the config repo could not be read or written, and what the operator does next.

use std::io;
use std::path::PathBuf;

use crate::base::AgentName;

/// Why the config repo could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The path is in no git repository.
    #[error("{path} is in no git repository: run `git init {path}` or correct the path")]
    NoRepo {
        /// The path given.
        path: PathBuf,
    },
    /// The repository cannot be worked in as it stands.
    #[error("cannot use the repository at {path}: {problem}")]
    Unusable {
        /// The repository's path.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A path leads, or could lead, out of the repository.
    #[error("refuse to touch {path}: {problem}")]
    UnsafePath {
        /// The path.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: &'static str,
    },
    /// A file cannot be read or written.
    #[error("cannot {doing} {path}: check permissions and free space")]
    File {
        /// Read, write, ...
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} cannot be used: {problem}; correct it, or restore it with `git checkout`")]
    Garbled {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// No way was found to change a key without changing something else too.
    #[error(
        "cannot change {key:?} in {path} without touching anything else (is there an anchor or an \
         unusual layout?): write it as a plain `{key}: |` block, or change it by hand"
    )]
    Uneditable {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
    },
    /// A version file stands already, with other content.
    #[error(
        "{path} holds another version than the log: versions never change; move the file away if \
         the log is right"
    )]
    VersionTaken {
        /// The version file.
        path: PathBuf,
    },
    /// The agent's prompts were published here once, and are no longer there.
    #[error(
        "the prompts of {agent} were published here and {path} is gone: restore it with \
         `git checkout`, or stop the agent"
    )]
    Gone {
        /// The agent.
        agent: AgentName,
        /// Its prompts file.
        path: PathBuf,
    },
    /// A record contradicts itself.
    #[error("the log's record of {agent} revision {revision} cannot be published: {problem}")]
    BadRecord {
        /// The agent.
        agent: AgentName,
        /// The record's revision.
        revision: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// Somebody keeps changing the repository while we write. Trying again later may help.
    #[error("the repository keeps changing while it is written: try again")]
    Contended,
    /// Files with local changes are in the way of the remote's.
    #[error("local changes are in the way of the remote's: commit or stash {files}, then fetch")]
    LocalChanges {
        /// The files.
        files: String,
    },
    /// Local commits by people have diverged from the remote.
    #[error(
        "commit {commit} was made here by a person and the remote has moved on: rebase or merge \
         it, then fetch"
    )]
    Diverged {
        /// The newest such commit.
        commit: String,
    },
    /// Git itself failed.
    #[error("cannot {doing}")]
    Git {
        /// What was attempted.
        doing: &'static str,
        /// The cause.
        source: git2::Error,
    },
    /// The `git` program failed.
    #[error("`git {command}` failed, try it by hand: {output}")]
    Command {
        /// Its arguments.
        command: String,
        /// What it said.
        output: String,
    },
}

/// What a stage of this one returns.
pub(super) type Result<T> = std::result::Result<T, PublishError>;

/// Says what was attempted when git fails.
pub(super) fn git(doing: &'static str) -> impl Fn(git2::Error) -> PublishError {
    move |source| PublishError::Git { doing, source }
}
