//! From configuration to the parts it describes. Secrets are read from the environment here, at the
//! edge, and nowhere below.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::base::SystemClock;
use crate::config::{self, Config, Llm, LlmPrice, Proposals, Repo};
use crate::hygiene::{BadRule, Redactor};
use crate::optimize::{
    CallFiles, Effort, Gate, LlmSettings, Optimizer, Patience, Price, Program, Service, Template,
    TemplateError,
};
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

/// Why the evidence cannot be laid out as the operator wants.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The file cannot be read.
    #[error("proposals.template: cannot read {path}: {source}", path = .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A rule of what to redact cannot be used.
    #[error(transparent)]
    Redaction(#[from] BadRule),
    /// It is no template that can be used.
    #[error("proposals.template: {path}: {source}", path = .path.display())]
    Template {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: TemplateError,
    },
}

fn template(path: Option<&Path>) -> Result<Template, LayoutError> {
    let Some(path) = path else { return Ok(Template::default()) };
    let of = || path.to_owned();
    let text =
        std::fs::read_to_string(path).map_err(|source| LayoutError::Read { path: of(), source })?;
    Template::new(&text).map_err(|source| LayoutError::Template { path: of(), source })
}

/// The optimizer with its model, if one is configured and its key is in the environment, and its gate.
///
/// # Errors
/// If the operator's layout of the evidence cannot be used.
pub fn optimizer(config: &Config) -> Result<Optimizer, LayoutError> {
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
    let Proposals { critique, candidates, evidence_tokens, template } = &config.proposals;
    let (critique, candidates, evidence_tokens) = (*critique, *candidates, *evidence_tokens);
    let optimizer = Optimizer::new(settings.with_key_from(&variable), Arc::new(SystemClock))
        .with_effort(Effort { critique, candidates, evidence_tokens })
        .with_template(self::template(template.as_deref())?)
        .with_redactor(Redactor::new(&config.redaction)?);
    Ok(optimizer.with_gate(gate(config)))
}
