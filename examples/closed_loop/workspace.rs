//! The agent's config repo for the time of one arm: a git repo in a temporary folder.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::agent::Setup;

/// A repo that goes when this does.
pub(crate) struct Workspace {
    folder: tempfile::TempDir,
}

impl Workspace {
    /// A repo whose first commit holds `setup`.
    pub(crate) fn new(setup: &Setup) -> anyhow::Result<Self> {
        let workspace = Self { folder: tempfile::tempdir()? };
        std::fs::create_dir(workspace.configs())?;
        setup.save(&workspace.configs())?;
        workspace.commit().context("cannot make the agent's repo")?;
        Ok(workspace)
    }

    /// Where the repo is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the agents' files.
    pub(crate) fn configs(&self) -> PathBuf {
        self.path().join("configs")
    }

    fn commit(&self) -> Result<(), git2::Error> {
        let repo = git2::Repository::init(self.path())?;
        let mut index = repo.index()?;
        index.add_all(["configs"], git2::IndexAddOption::DEFAULT, None)?;
        index.write()?;
        let tree = repo.find_tree(index.write_tree()?)?;
        let author = git2::Signature::now("An operator", "operator@example.com")?;
        repo.commit(Some("HEAD"), &author, &author, "Add the agent", &tree, &[])?;
        Ok(())
    }
}
