//! The file that says which units get a version other than the configs', for agents that read files. Pure.
//!
//! What it says is told from the trailers of our newest commit and the next record, never from the file:
//! neither an edit of it nor a write that was interrupted can mislead a later projection.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::render::entry;
use crate::base::{AgentName, VersionNumber};
use crate::govern::{Split, State, VersionRecord};

/// The version beside the active one, as an agent's trial file tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Beside {
    /// None has ever been out: there is no file.
    #[default]
    #[serde(skip)]
    Never,
    /// None is out now.
    Nothing,
    /// One is on trial.
    Trial(Share),
    /// The one that was active before is still given to a few.
    Holdback(Share),
}

/// A version and who gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The version.
    pub version: VersionNumber,
    /// Which units.
    #[serde(flatten)]
    pub split: Split,
}

impl Beside {
    /// What there is beside the active version once `record` holds.
    pub(super) fn after(&self, record: &VersionRecord) -> Self {
        let version = record.version.number;
        let share = |split: &Split| Share { version, split: split.clone() };
        match &record.state {
            State::Trial { split } => Self::Trial(share(split)),
            State::Holdback { split } => Self::Holdback(share(split)),
            State::Candidate
            | State::Active
            | State::Superseded
            | State::Rejected { .. }
            | State::RolledBack { .. } => {
                if self.version() == Some(version) {
                    Self::Nothing
                } else {
                    self.clone()
                }
            }
        }
    }

    /// The version that is out.
    pub fn version(&self) -> Option<VersionNumber> {
        self.share().map(|share| share.version)
    }

    fn share(&self) -> Option<&Share> {
        match self {
            Self::Never | Self::Nothing => None,
            Self::Trial(share) | Self::Holdback(share) => Some(share),
        }
    }

    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Never | Self::Nothing => None,
            Self::Trial(_) => Some("trial"),
            Self::Holdback(_) => Some("holdback"),
        }
    }
}

/// The file's text; `file` is where the version that is out stands. Every key is always there, so that
/// readers need no cases.
pub(super) fn render(
    agent: &AgentName,
    beside: &Beside,
    file: Option<&Path>,
    active: Option<VersionNumber>,
) -> String {
    let share = beside.share();
    let split = share.map(|share| &share.split);
    let mut text = format!(
        "# Which runs of {agent} get another version than its prompts and config here: those whose\n\
         # bucket is below share_bp load `file`, a path from the top of this repository. The bucket is\n\
         # floor(H * 10000 / 2^32), H the first 4 bytes, big-endian, of SHA-256(salt NUL agent NUL unit);\n\
         # the unit is the run's session, or its trace id where it has none.\n\
         # Written by whetstone, which overwrites any change: edit the prompts and config instead.\n"
    );
    let mut put = |key: &str, value: Value| text.push_str(&entry(key, &value, 0));
    put("kind", json!(beside.kind()));
    put("version", json!(share.map(|share| share.version)));
    put("file", json!(file.map(|path| path.to_string_lossy())));
    put("salt", json!(split.map(|split| &split.salt)));
    put("share_bp", json!(split.map_or(0, |split| split.share_bp)));
    put("active", json!(active));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(share_bp: u16) -> Beside {
        let split = Split { salt: "trial-v7".to_owned(), share_bp };
        Beside::Trial(Share { version: VersionNumber(7), split })
    }

    /// The keys without the comments.
    fn keys(text: &str) -> String {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| format!("{line}\n")).collect()
    }

    #[test]
    fn the_file_says_what_to_load_and_how_to_choose() {
        let agent = "a.b".parse().unwrap();
        let file = Path::new("sub/versions/a.b_v7.yaml");
        let text = render(&agent, &trial(1_000), Some(file), Some(VersionNumber(6)));
        assert!(text.starts_with("# Which runs of a.b get"), "{text}");
        assert_eq!(
            keys(&text),
            "kind: trial\nversion: 7\nfile: sub/versions/a.b_v7.yaml\nsalt: trial-v7\n\
             share_bp: 1000\nactive: 6\n"
        );
        let text = render(&agent, &Beside::Nothing, None, None);
        assert_eq!(
            keys(&text),
            "kind: null\nversion: null\nfile: null\nsalt: null\nshare_bp: 0\nactive: null\n"
        );
    }

    #[test]
    fn trailers_keep_it_on_one_line() {
        let split = Split { salt: "a\nWhetstone-Agent: b".to_owned(), share_bp: 1 };
        let odd = Beside::Holdback(Share { version: VersionNumber(2), split });
        for beside in [Beside::Nothing, trial(10_000), odd] {
            let line = serde_json::to_string(&beside).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(serde_json::from_str::<Beside>(&line).unwrap(), beside);
        }
    }
}
