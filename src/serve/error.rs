//! What can go wrong with a request, as JSON with a hint.

use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use crate::base::{AgentName, VersionNumber};
use crate::consume::LogError;

/// A refused request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token, or a wrong one.
    #[error("this needs the token: send it as `Authorization: Bearer …`")]
    Unauthorized,
    /// The token of those who only read, for what changes something.
    #[error(
        "this token may only read: what changes something needs the one of http.token_env or http.token_file"
    )]
    ReadOnly,
    /// A browser sends it for a page of somebody else's.
    #[error(
        "a page from elsewhere may not do this: send it from a page of this server, or without a browser"
    )]
    CrossSite,
    /// It is addressed to a name that is not this machine's own, where that is all that protects.
    #[error(
        "without a token only localhost is served: address it as 127.0.0.1 or localhost, or configure \
         http.token_env or http.token_file"
    )]
    Host,
    /// There is nothing at that path.
    #[error("there is nothing here: GET /api/openapi.json lists what there is")]
    NoRoute,
    /// What is there takes other methods.
    #[error("not with this method: GET /api/openapi.json lists what there is")]
    NoMethod,
    /// The body is not marked as JSON.
    #[error("send `Content-Type: application/json` or `application/x-ndjson`")]
    ContentType,
    /// The body of a message of OpenTelemetry's is marked as something that is not taken.
    #[error("{0}")]
    OtlpType(String),
    /// The body is not what the route takes.
    #[error("{0}")]
    BadBody(String),
    /// No such agent.
    #[error(
        "no agent {0:?}: GET /api/agents lists those that have sent traces or stand in the repo"
    )]
    NoAgent(String),
    /// No such agent, or one without a version.
    #[error(
        "no version of agent {0:?}: it needs its files in the config repo; GET /api/agents lists the agents"
    )]
    NoPrompt(String),
    /// The agent has no such version.
    #[error("{0} has no {1}: GET /api/agents/{0}/versions lists its versions")]
    NoVersion(AgentName, VersionNumber),
    /// A version came from no other, and is compared with none.
    #[error("{0} came from no other: name two to compare, with ?from=1&to=2")]
    NoParent(VersionNumber),
    /// What is asked for in the path or after the `?` makes no sense.
    #[error("{0}")]
    BadQuery(String),
    /// The unit is missing, or cannot be one.
    #[error(
        "{0}: ask with ?unit=ID, the id of the session that the run belongs to, or of the run itself where it \
         belongs to none"
    )]
    BadUnit(String),
    /// A record is larger than the log takes.
    #[error("{0}")]
    TooLarge(String),
    /// The log cannot be reached now.
    #[error("{0}: try again in a moment")]
    Unavailable(String),
    /// State is still being restored.
    #[error("still restoring: try again in a moment")]
    NotReady,
    /// The log or the state behind it failed; the log says more.
    #[error("{0}")]
    Internal(String),
}

impl From<LogError> for ApiError {
    fn from(problem: LogError) -> Self {
        let text = problem.to_string();
        match problem {
            LogError::TooLarge { .. } => Self::TooLarge(text),
            passing if passing.is_passing() => Self::Unavailable(text),
            _ => Self::Internal(text),
        }
    }
}

/// Seconds after which to try again, where that helps.
const RETRY_AFTER: &str = "5";

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ContentType | Self::OtlpType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::ReadOnly | Self::CrossSite | Self::Host => StatusCode::FORBIDDEN,
            Self::BadBody(_) | Self::BadUnit(_) | Self::BadQuery(_) => StatusCode::BAD_REQUEST,
            Self::NoAgent(_)
            | Self::NoPrompt(_)
            | Self::NoVersion(..)
            | Self::NoParent(_)
            | Self::NoRoute => StatusCode::NOT_FOUND,
            Self::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotReady | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Why a body could not be read.
    pub(super) fn unread(problem: &BytesRejection) -> Self {
        if problem.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::TooLarge("the body is too large: send less at once".to_owned())
        } else {
            Self::BadBody(format!("the body cannot be read: {problem}"))
        }
    }

    /// Tells the operator, if this is for them. That it is not ready yet is an answer, not a failure.
    pub(super) fn log(&self) {
        if self.status() == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self, "request failed");
        }
    }

    /// The response with this status that says `body`.
    pub(super) fn answered_with(&self, body: impl IntoResponse) -> Response {
        self.log();
        let status = self.status();
        match status {
            StatusCode::SERVICE_UNAVAILABLE => {
                (status, [(header::RETRY_AFTER, RETRY_AFTER)], body).into_response()
            }
            StatusCode::UNAUTHORIZED => {
                (status, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
            }
            _ => (status, body).into_response(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.answered_with(Json(json!({ "error": self.to_string() })))
    }
}
