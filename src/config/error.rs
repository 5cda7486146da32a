//! What is wrong with a configuration: all of it at once, each with its place.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Something in it is unknown or impossible.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
    /// A value fits its key and yet does not read: a bug of ours.
    #[error("the configuration fits and yet does not read, which is a bug: {0}")]
    Bug(#[from] serde_yaml::Error),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written.
    pub origin: Origin,
    /// What is wrong, naming the key, and what is allowed.
    pub what: String,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In the configuration file.
    File {
        /// Its path.
        path: String,
        /// The line, from 1, where it could be told.
        line: Option<usize>,
    },
    /// In an environment variable.
    Variable(String),
    /// On the command line.
    Flag(String),
    /// Nowhere: it follows from defaults.
    Default,
}

fn list(problems: &[Problem]) -> String {
    if let [problem] = problems {
        return problem.to_string();
    }
    let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    format!("{} problems in the configuration:{lines}", problems.len())
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { path, line: Some(line) } => write!(f, "{path}:{line}: ")?,
            Origin::File { path, line: None } => write!(f, "{path}: ")?,
            Origin::Variable(name) => write!(f, "{name}: ")?,
            Origin::Flag(text) => write!(f, "--set {text}: ")?,
            Origin::Default => {}
        }
        f.write_str(&self.what)
    }
}
