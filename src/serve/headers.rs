//! What the headers of a request must say before anything is done for it.

use axum::http::{HeaderMap, header};
use secrecy::ExposeSecret as _;

use super::{ApiError, Server};
use crate::base::Digest;

/// Whether `headers` bring the token, if there is one.
pub(super) fn authorize(server: &Server, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(token) = &server.token else { return Ok(()) };
    let shown = text(headers, header::AUTHORIZATION).strip_prefix("Bearer ").unwrap_or_default();
    // Digests are compared, so that the time it takes tells nothing about the token.
    let same = Digest::of(shown.as_bytes()) == Digest::of(token.expose_secret().as_bytes());
    if same { Ok(()) } else { Err(ApiError::Unauthorized) }
}

/// What `headers` say the body is, without its parameters; empty if nothing.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    text(headers, header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim()
}

/// The header `name`; empty if there is none, or if it is no text.
pub(super) fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
