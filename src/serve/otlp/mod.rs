//! OpenTelemetry's protocol: what SDKs and Collectors send, onto the log, by trace. Answered when it is
//! durable.
//!
//! An SDK that is told nothing but the address speaks one of two ways, [`http`] or [`grpc`], both on the
//! server's one port. They differ in how a message is wrapped and an answer given; what is kept, and what
//! is said of what is not, is here. Decoding and writing happen off the async threads.

mod grpc;
mod http;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use tokio::sync::Semaphore;
use tonic::Code;

use super::{ApiError, Server};
use crate::consume::{NewRecord, Topic};
use crate::decode::{Reason, Reject, limits, otlp};

/// The largest message, in bytes, after decompression: what the log takes from a Collector.
const MAX_BYTES: usize = limits::MAX_RECORD_BYTES;

/// Messages that are decoded and written at once. Decoded, a large one takes much memory.
const AT_ONCE: usize = 4;

/// How long a message waits for its turn; its sender tries again then. SDKs wait ten seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Signal {
    Traces,
    Logs,
    /// Thrown away, and counted: an SDK that was given one address for everything sends them there too, and
    /// one that is refused complains every minute.
    Metrics,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }

    fn items(self) -> &'static str {
        match self {
            Self::Traces => "spans",
            Self::Logs => "log records",
            Self::Metrics => "metrics",
        }
    }
}

/// What the routes work with.
#[derive(Clone)]
struct Receiver {
    server: Server,
    turns: Arc<Semaphore>,
}

/// What became of a message that could be read.
#[derive(Debug, Default)]
struct Taken {
    refused: usize,
    /// Why some of it is refused, by reason; empty if nothing is.
    why: String,
}

/// All routes of the protocol.
pub(super) fn routes(server: Server) -> Router {
    let receiver = Receiver { server, turns: Arc::new(Semaphore::new(AT_ONCE)) };
    http::routes().merge(grpc::routes()).with_state(receiver)
}

impl Receiver {
    /// Takes the message in `body`, and returns when what is kept of it is on disk.
    async fn take(
        &self,
        signal: Signal,
        body: Bytes,
        encoding: otlp::Encoding,
    ) -> Result<Taken, ApiError> {
        if signal == Signal::Metrics {
            return Ok(Taken::default());
        }
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            let busy = "too many messages at once".to_owned();
            return Err(ApiError::Unavailable(busy));
        };
        let server = self.server.clone();
        let kept = tokio::task::spawn_blocking(move || {
            // Senders may be gone before it is written. The turn is over after that, not before.
            let _turn = turn;
            keep(&server, signal, &body, encoding)
        });
        let kept = kept.await;
        let received = kept.map_err(|panic| ApiError::Internal(panic.to_string()))??;
        self.count_items(signal, &received);
        let why = why_refused(signal, &received);
        if !why.is_empty() {
            // Some SDKs do not read what they are answered.
            tracing::warn!(
                signal = signal.name(),
                why,
                "refused a part of what OpenTelemetry sent"
            );
        }
        Ok(Taken { refused: received.refused, why })
    }

    fn count_items(&self, signal: Signal, received: &otlp::Received) {
        let otlp::Received { kept, ignored, refused, .. } = received;
        for (result, count) in [("kept", kept), ("ignored", ignored), ("refused", refused)] {
            let counter =
                self.server.metrics.otlp_items.with_label_values(&[signal.name(), result]);
            counter.inc_by(u64::try_from(*count).unwrap_or(u64::MAX));
        }
    }

    /// Counts a message by how it is answered.
    fn count(&self, signal: Signal, code: Code) {
        let result = match code {
            Code::Ok if signal == Signal::Metrics => "ignored",
            Code::Ok => "taken",
            Code::Unavailable => "unavailable",
            _ => "refused",
        };
        self.server.metrics.otlp_requests.with_label_values(&[signal.name(), result]).inc();
    }
}

fn keep(
    server: &Server,
    signal: Signal,
    body: &[u8],
    encoding: otlp::Encoding,
) -> Result<otlp::Received, ApiError> {
    let received = match signal {
        Signal::Traces => otlp::spans(body, encoding, &server.otel),
        Signal::Logs => otlp::logs(body, encoding, &server.otel),
        Signal::Metrics => Ok(otlp::Received::default()),
    };
    let received = received.map_err(|reject| match reject.reason {
        Reason::RecordTooLarge => ApiError::TooLarge(reject.to_string()),
        _ => ApiError::BadBody(reject.to_string()),
    })?;
    let records: Vec<_> = received.batches.iter().map(record).collect::<Result<_, _>>()?;
    if !records.is_empty() {
        server.log.append(records)?;
    }
    Ok(received)
}

fn record(batch: &otlp::Batch) -> Result<NewRecord, ApiError> {
    let value =
        serde_json::to_vec(batch).map_err(|problem| ApiError::Internal(problem.to_string()))?;
    Ok(NewRecord::new(Topic::TraceSpans, batch.trace.to_string(), value))
}

/// How many are refused for what, each reason with an example.
fn why_refused(signal: Signal, received: &otlp::Received) -> String {
    let mut reasons: BTreeMap<_, (usize, &Reject)> = BTreeMap::new();
    for reject in &received.rejects {
        reasons.entry(reject.reason).or_insert((0, reject)).0 += 1;
    }
    if reasons.is_empty() {
        return String::new();
    }
    let all = received.kept + received.ignored + received.refused;
    let mut why = format!("{} of {all} {} are refused", received.refused, signal.items());
    for (reason, (count, example)) in reasons {
        // Writing to a text does not fail.
        write!(why, "; {reason} ({count}): {}", example.detail).ok();
    }
    why
}

/// The answer to a message of spans that was taken. On the wire the answers to the other signals are the
/// same.
fn response(taken: &Taken) -> ExportTraceServiceResponse {
    let partial_success = (taken.refused > 0).then(|| ExportTracePartialSuccess {
        rejected_spans: i64::try_from(taken.refused).unwrap_or(i64::MAX),
        error_message: taken.why.clone(),
    });
    ExportTraceServiceResponse { partial_success }
}

/// What kind of failure `problem` is. Of these, senders try again after [`Code::Unavailable`] alone.
fn code(problem: &ApiError) -> Code {
    match problem {
        ApiError::Unauthorized => Code::Unauthenticated,
        ApiError::TooLarge(_) => Code::ResourceExhausted,
        ApiError::Unavailable(_) | ApiError::NotReady => Code::Unavailable,
        ApiError::Internal(_) => Code::Internal,
        ApiError::ReadOnly | ApiError::CrossSite | ApiError::Host => Code::PermissionDenied,
        ApiError::NoRoute | ApiError::NoMethod => Code::Unimplemented,
        ApiError::ContentType
        | ApiError::OtlpType(_)
        | ApiError::BadBody(_)
        | ApiError::BadUnit(_)
        | ApiError::BadQuery(_)
        | ApiError::NoAgent(_)
        | ApiError::NoVersion(..)
        | ApiError::NoParent(_)
        | ApiError::NoPrompt(_) => Code::InvalidArgument,
    }
}
