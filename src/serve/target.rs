//! What a path names: an agent, and a version of it.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::ApiError;
use crate::base::{AgentName, VersionNumber};

/// What a path names.
pub(super) struct Target {
    pub(super) agent: AgentName,
    version: Option<String>,
}

impl Target {
    /// The version that is named.
    pub(super) fn version(&self) -> Result<VersionNumber, ApiError> {
        parse_version(self.version.as_deref().unwrap_or_default())
    }
}

/// A version's number as somebody gives it.
pub(super) fn parse_version(text: &str) -> Result<VersionNumber, ApiError> {
    text.parse().map_err(ApiError::BadQuery)
}

impl<S: Send + Sync> FromRequestParts<S> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let named = Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await;
        let Path(mut named) = named.map_err(|problem| ApiError::BadQuery(problem.body_text()))?;
        let name = named.remove("agent").unwrap_or_default();
        let agent = name.parse().map_err(|_| ApiError::NoAgent(name))?;
        Ok(Self { agent, version: named.remove("version") })
    }
}
