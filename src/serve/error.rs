//! What can go wrong with a request, as JSON with a hint.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde_json::json;

use crate::consume::LogError;

/// A refused request.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token, or a wrong one.
    #[error("this changes state: send the token as `Authorization: Bearer …`")]
    Unauthorized,
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
            Self::BadBody(_) | Self::BadUnit(_) => StatusCode::BAD_REQUEST,
            Self::NoAgent(_) | Self::NoPrompt(_) => StatusCode::NOT_FOUND,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotReady | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
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
        if status == StatusCode::SERVICE_UNAVAILABLE {
            (status, [(header::RETRY_AFTER, RETRY_AFTER)], body).into_response()
        } else {
            (status, body).into_response()
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.answered_with(Json(json!({ "error": self.to_string() })))
    }
}
