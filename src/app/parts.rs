//! From configuration to the parts it describes. Secrets are read from the environment here, at the
//! edge, and nowhere below.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::SystemClock;
use crate::config::{self, Config, Llm, LlmPrice, Repo};
use crate::optimize::{CallFiles, Gate, LlmSettings, Optimizer, Patience, Price, Program, Service};
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

/// The offline gate, if one is configured.
pub fn gate(config: &Config) -> Option<Gate> {
    let config::Gate { hook, timeout, attempts } = config.gate.clone()?;
    let patience = Patience { timeout, attempts, ..Patience::default() };
    Some(match hook {
        config::Hook::Command { program, arguments, environment } => {
            Gate::new(Program::new(program, arguments, environment), patience)
        }
        config::Hook::Url { url, token } => Gate::new(Service::new(&url, token), patience),
    })
}

/// The folder of the log of calls to the model.
pub fn call_folder(config: &Config) -> PathBuf {
    config.data_dir.join("llm-calls")
}

/// The optimizer with its model, if one is configured and its key is in the environment, and its gate.
pub fn optimizer(config: &Config) -> Optimizer {
    let Llm { enabled, model, endpoint, timeout, attempts, .. } = config.llm.clone();
    let Llm { temperature, max_tokens, price, keep_calls: keep, cache, .. } = config.llm;
    let price = price.map(|LlmPrice { input, output }| Price { input, output });
    let calls = Some(CallFiles { folder: call_folder(config), keep, cache });
    let settings = LlmSettings {
        enabled,
        model,
        endpoint,
        timeout,
        max_attempts: attempts,
        temperature,
        max_tokens,
        price,
        calls,
        ..LlmSettings::default()
    };
    let variable = |name: &str| std::env::var(name).ok();
    Optimizer::new(settings.with_key_from(&variable), Arc::new(SystemClock)).with_gate(gate(config))
}
