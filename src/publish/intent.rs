//! What is being written, kept beside the repository's own files until it is committed.
//!
//! Two config files cannot be replaced in one step. Killed between them, or before the commit, the
//! work tree holds something that nobody wrote; without this note it would be taken for a person's
//! edit and adopted.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{PublishError, Result};
use crate::base::AgentName;
use crate::govern::Content;

/// A write that was begun: what it found and what it leaves. What it found must be in the note, since by the
/// time that the write is finished somebody may have committed something else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) before: Content,
    pub(super) after: Content,
}

impl Intent {
    /// Whether `found` is what the write leaves when it stops half way.
    pub(super) fn explains(&self, found: &Content) -> bool {
        let Self { before, after } = self;
        (found.prompts == before.prompts || found.prompts == after.prompts)
            && (found.config == before.config || found.config == after.config)
    }
}

/// The notes of one repository, one file an agent.
pub(super) struct Intents {
    folder: PathBuf,
}

impl Intents {
    /// Kept under the repository's `.git`.
    pub(super) fn new(git_folder: &Path) -> Self {
        Self { folder: git_folder.join("whetstone") }
    }

    /// Notes what is about to become of the agent's configs.
    pub(super) fn note(&self, agent: &AgentName, intent: &Intent) -> Result<()> {
        let path = self.path(agent);
        let write = || {
            fs::create_dir_all(&self.folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            serde_json::to_writer(&mut file, intent)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map(drop).map_err(|source| failed("write", &path, source))
    }

    /// What was about to become of the agent's configs, if that was not finished.
    pub(super) fn pending(&self, agent: &AgentName) -> Result<Option<Intent>> {
        let path = self.path(agent);
        match fs::read(&path) {
            // A note that cannot be read is from nobody who would finish it.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    /// Notes that it is finished.
    pub(super) fn done(&self, agent: &AgentName) -> Result<()> {
        let path = self.path(agent);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(failed("remove", &path, error))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, agent: &AgentName) -> PathBuf {
        self.folder.join(format!("{agent}.json"))
    }
}

fn failed(doing: &'static str, path: &Path, source: std::io::Error) -> PublishError {
    PublishError::File { doing, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_lasts_until_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let intents = Intents::new(folder.path());
        let agent = "a".parse().unwrap();
        let after = Content { prompts: [("k".into(), "v".into())].into(), ..Content::default() };
        let content = Intent { after, ..Intent::default() };
        assert_eq!(intents.pending(&agent).unwrap(), None);
        intents.note(&agent, &content).unwrap();
        assert_eq!(intents.pending(&agent).unwrap(), Some(content));
        intents.done(&agent).unwrap();
        intents.done(&agent).unwrap();
        assert_eq!(intents.pending(&agent).unwrap(), None);
    }

    #[test]
    fn half_way_is_nothing_but_old_and_new() {
        let content = |prompt: &str, step: u32| Content {
            prompts: [("p".to_owned(), prompt.to_owned())].into(),
            config: [("s".to_owned(), step.into())].into(),
        };
        let check = |prompt: &str, step: u32, half_way: bool| {
            let intent = Intent { before: content("old", 1), after: content("new", 2) };
            assert_eq!(intent.explains(&content(prompt, step)), half_way, "{prompt} {step}");
        };
        check("old", 1, true);
        check("new", 1, true);
        check("new", 2, true);
        check("hand", 2, false);
        check("new", 3, false);
    }
}
