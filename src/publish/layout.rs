//! Which file holds what, by name alone. Pure.

use std::path::{Component, Path, PathBuf};

use super::error::{PublishError, Result};
use crate::base::{AgentName, VersionNumber};

const PROMPTS: &str = "_agent_prompts.yaml";
const CONFIG: &str = "_agent_config.yaml";
const TRIAL: &str = "_agent_trial.yaml";

/// Where the files are, relative to the top of the work tree.
pub(super) struct Layout {
    configs: PathBuf,
    versions: PathBuf,
}

impl Layout {
    /// The two folders under `prefix`.
    pub(super) fn new(prefix: &Path, configs: &str, versions: &str) -> Result<Self> {
        Ok(Self { configs: below(prefix, configs)?, versions: below(prefix, versions)? })
    }

    pub(super) fn configs(&self) -> &Path {
        &self.configs
    }

    pub(super) fn versions(&self) -> &Path {
        &self.versions
    }

    pub(super) fn prompts_of(&self, agent: &AgentName) -> PathBuf {
        self.configs.join(format!("{agent}{PROMPTS}"))
    }

    pub(super) fn config_of(&self, agent: &AgentName) -> PathBuf {
        self.configs.join(format!("{agent}{CONFIG}"))
    }

    pub(super) fn trial_of(&self, agent: &AgentName) -> PathBuf {
        self.configs.join(format!("{agent}{TRIAL}"))
    }

    pub(super) fn version_of(&self, agent: &AgentName, number: VersionNumber) -> PathBuf {
        self.versions.join(format!("{agent}_{number}.yaml"))
    }
}

/// The agent whose prompts a file of this name holds.
pub(super) fn agent_of(name: &str) -> Option<AgentName> {
    name.strip_suffix(PROMPTS)?.parse().ok()
}

/// The version of `agent` that a file of this name holds.
pub(super) fn number_of(agent: &AgentName, name: &str) -> Option<VersionNumber> {
    let digits = name.strip_prefix(agent.as_str())?.strip_prefix("_v")?.strip_suffix(".yaml")?;
    // One name for each number: neither `v+3` nor `v03`.
    let number: VersionNumber = digits.parse().ok()?;
    (number.0.to_string() == digits).then_some(number)
}

fn below(prefix: &Path, folder: &str) -> Result<PathBuf> {
    let mut path = prefix.to_owned();
    for component in Path::new(folder).components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) if !name.eq_ignore_ascii_case(".git") => path.push(name),
            _ => {
                let problem = "name a folder inside the repository, e.g. `configs`";
                return Err(PublishError::UnsafePath { path: folder.into(), problem });
            }
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let layout = Layout::new(Path::new("sub"), "./a/configs", ".").unwrap();
        let agent: AgentName = "sre.fix_v1".parse().unwrap();
        let name = |path: PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let prompts = layout.prompts_of(&agent);
        assert_eq!(prompts, Path::new("sub/a/configs/sre.fix_v1_agent_prompts.yaml"));
        assert_eq!(agent_of(&name(prompts)), Some(agent.clone()));
        let version = layout.version_of(&agent, VersionNumber(12));
        assert_eq!(version, Path::new("sub/sre.fix_v1_v12.yaml"));
        assert_eq!(number_of(&agent, &name(version)), Some(VersionNumber(12)));
    }

    #[test]
    fn other_files_are_nobodys() {
        for name in [
            "llm_prompt.yaml",
            "_agent_prompts.yaml",
            "a b_agent_prompts.yaml",
            "a_agent_trial.yaml",
        ] {
            assert_eq!(agent_of(name), None, "{name}");
        }
        let agent = "a".parse().unwrap();
        for name in
            ["a_v1_v3.yaml", "a_v.yaml", "a_v03.yaml", "a_v0.yaml", "a_v+3.yaml", "b_v1.yaml"]
        {
            assert_eq!(number_of(&agent, name), None, "{name}");
        }
    }

    #[test]
    fn the_folders_are_inside() {
        for folder in ["..", "/configs", "a/../..", ".git/x", ".GIT"] {
            assert!(Layout::new(Path::new(""), folder, "versions").is_err(), "{folder}");
        }
    }
}
