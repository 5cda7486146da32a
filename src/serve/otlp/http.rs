//! `POST /v1/traces`, `/v1/logs` and `/v1/metrics`: OTLP/HTTP, as protobuf and as JSON, gzip or not.
//!
//! The answer is in the form of the request, failures too; which of them are worth another try the status
//! says: 503, none else.

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use prost::Message;
use serde_json::{Value, json};
use tonic::Code;
use tower_http::decompression::RequestDecompressionLayer;

use super::{MAX_BYTES, Receiver, Signal, Taken, code, response};
use crate::decode::otlp;
use crate::serve::ApiError;
use crate::serve::headers::{authorize, media_type};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// What a failure is answered with: `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

pub(super) fn routes() -> Router<Receiver> {
    // What is compressed otherwise is let through, so that it can be refused in the form of the request.
    let decompression = RequestDecompressionLayer::new().pass_through_unaccepted(true);
    Router::new()
        .route(
            "/v1/traces",
            post(async |state, request| export(state, Signal::Traces, request).await),
        )
        .route("/v1/logs", post(async |state, request| export(state, Signal::Logs, request).await))
        .route(
            "/v1/metrics",
            post(async |state, request| export(state, Signal::Metrics, request).await),
        )
        // It counts what comes out of the decompression.
        .layer(DefaultBodyLimit::max(MAX_BYTES))
        .layer(decompression)
}

async fn export(State(receiver): State<Receiver>, signal: Signal, request: Request) -> Response {
    let form = form(request.headers());
    let result = take(&receiver, signal, form, request).await;
    receiver.count(signal, result.as_ref().map_or_else(code, |_| Code::Ok));
    match result {
        Ok(taken) => answered(signal, form, &taken),
        Err(problem) => failed(form, &problem),
    }
}

/// How the request is written, as its content type says. A form that a web page can post unasked is none.
fn form(headers: &HeaderMap) -> Option<otlp::Encoding> {
    match media_type(headers) {
        PROTOBUF => Some(otlp::Encoding::Protobuf),
        JSON => Some(otlp::Encoding::Json),
        _ => None,
    }
}

/// Nothing is read before it is known that the sender may send it.
async fn take(
    receiver: &Receiver,
    signal: Signal,
    form: Option<otlp::Encoding>,
    request: Request,
) -> Result<Taken, ApiError> {
    authorize(&receiver.server, request.headers())?;
    let wanted = format!("send `Content-Type: {PROTOBUF}` or `{JSON}`");
    let encoding = form.ok_or(ApiError::OtlpType(wanted))?;
    let compression = request.headers().get(header::CONTENT_ENCODING);
    if compression.is_some_and(|compression| compression != "identity") {
        let wanted = "send `Content-Encoding: gzip`, or send it uncompressed".to_owned();
        return Err(ApiError::OtlpType(wanted));
    }
    let body = Bytes::from_request(request, &()).await.map_err(|problem| unread(&problem))?;
    receiver.take(signal, body, encoding).await
}

fn unread(problem: &BytesRejection) -> ApiError {
    if problem.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let large = format!("more than {MAX_BYTES} bytes, decompressed: send smaller batches");
        ApiError::TooLarge(large)
    } else {
        ApiError::BadBody(format!("the body cannot be read: {problem}"))
    }
}

fn answered(signal: Signal, form: Option<otlp::Encoding>, taken: &Taken) -> Response {
    let message = || {
        let rejected = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Logs => "rejectedLogRecords",
            Signal::Metrics => "rejectedDataPoints",
        };
        // A number of 64 bits is a text in protobuf's JSON.
        let refused = taken.refused.to_string();
        match taken.refused {
            0 => json!({}),
            _ => json!({"partialSuccess": {rejected: refused, "errorMessage": taken.why}}),
        }
    };
    write(form, &response(taken), message).into_response()
}

fn failed(form: Option<otlp::Encoding>, problem: &ApiError) -> Response {
    let status = Status { code: code(problem).into(), message: problem.to_string() };
    let message = || json!({"code": status.code, "message": status.message});
    problem.answered_with(write(form, &status, message))
}

/// `message` in the form of the request; JSON where that has none. `json` gives it as JSON.
fn write(
    form: Option<otlp::Encoding>,
    message: &impl Message,
    json: impl Fn() -> Value,
) -> ([(header::HeaderName, &'static str); 1], Vec<u8>) {
    match form {
        Some(otlp::Encoding::Protobuf) => {
            ([(header::CONTENT_TYPE, PROTOBUF)], message.encode_to_vec())
        }
        Some(otlp::Encoding::Json) | None => {
            ([(header::CONTENT_TYPE, JSON)], json().to_string().into_bytes())
        }
    }
}
