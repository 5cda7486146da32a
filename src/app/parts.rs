//! From configuration to the parts it describes. Secrets are read from the environment here, at the
//! edge, and nowhere below.

use std::sync::Arc;

use crate::base::SystemClock;
use crate::config::{Config, Llm, Repo};
use crate::optimize::{LlmSettings, Optimizer};
use crate::publish::{ConfigRepo, PublishError, RepoOptions};

/// The config repo's options; none if no repo is configured.
pub fn repo_options(repo: &Repo) -> Option<RepoOptions> {
    let path = repo.path.clone()?;
    Some(RepoOptions {
        configs: repo.configs.clone(),
        versions: repo.versions.clone(),
        remote: repo.remote.clone(),
        branch: repo.branch.clone(),
        ..RepoOptions::new(path)
    })
}

/// The config repo, if one is configured.
///
/// # Errors
/// If it cannot be opened.
pub fn open_repo(config: &Config) -> Result<Option<ConfigRepo>, PublishError> {
    repo_options(&config.repo).map(ConfigRepo::open).transpose()
}

/// The optimizer with its model, if one is configured and its key is in the environment.
pub fn optimizer(config: &Config) -> Optimizer {
    let Llm { enabled, model, endpoint, timeout, attempts, temperature, max_tokens } =
        config.llm.clone();
    let settings = LlmSettings {
        enabled,
        model,
        endpoint,
        timeout,
        max_attempts: attempts,
        temperature,
        max_tokens,
        ..LlmSettings::default()
    };
    let variable = |name: &str| std::env::var(name).ok();
    Optimizer::new(settings.with_key_from(&variable), Arc::new(SystemClock))
}
