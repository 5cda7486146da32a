//! What the headers of a request must say before anything is done for it.

use axum::http::{HeaderMap, header};
use secrecy::{ExposeSecret as _, SecretString};

use super::{ApiError, Server};
use crate::base::Digest;

/// Whether `headers` bring the token, if there is one.
pub(super) fn authorize(server: &Server, headers: &HeaderMap) -> Result<(), ApiError> {
    if server.token.is_none() || shows(headers, server.token.as_ref()) {
        Ok(())
    } else if shows(headers, server.read_token.as_ref()) {
        Err(ApiError::ReadOnly)
    } else {
        Err(ApiError::Unauthorized)
    }
}

/// Whether `headers` bring the token, if there is one, or the one of those who only read.
pub(super) fn authorize_reading(server: &Server, headers: &HeaderMap) -> Result<(), ApiError> {
    match authorize(server, headers) {
        Err(ApiError::ReadOnly) => Ok(()),
        other => other,
    }
}

fn shows(headers: &HeaderMap, token: Option<&SecretString>) -> bool {
    let shown = text(headers, header::AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
    // Digests are compared, so that the time it takes tells nothing about the token.
    let same = |token: &SecretString| {
        Digest::of(shown.as_bytes()) == Digest::of(token.expose_secret().as_bytes())
    };
    token.is_some_and(same)
}

/// What `headers` say the body is, without its parameters; empty if nothing.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    text(headers, header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim()
}

/// The header `name`; empty if there is none, or if it is no text.
pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
