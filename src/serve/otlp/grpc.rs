//! `Export` of OTLP's three services: OTLP/gRPC, over HTTP/2 without TLS, gzip or not.
//!
//! tonic frames, decompresses and answers; its own server and the services that are generated for it are
//! not used. They would decode on the async threads, before anything could be said about it.

use std::pin::Pin;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use prost::bytes::Buf as _;
use tonic::codec::{
    Codec, CompressionEncoding, DecodeBuf, Decoder, EnabledCompressionEncodings, EncodeBuf, Encoder,
};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};

use super::{MAX_BYTES, Receiver, Signal, code, response};
use crate::decode::otlp;
use crate::serve::ApiError;
use crate::serve::headers::{authorize, media_type};

const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

pub(super) fn routes() -> Router<Receiver> {
    Router::new()
        .route(TRACES, post(async |state, request| export(state, Signal::Traces, request).await))
        .route(LOGS, post(async |state, request| export(state, Signal::Logs, request).await))
        .route(METRICS, post(async |state, request| export(state, Signal::Metrics, request).await))
}

async fn export(State(receiver): State<Receiver>, signal: Signal, request: Request) -> Response {
    if !matches!(media_type(request.headers()), "application/grpc" | "application/grpc+proto") {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let response = match authorize(&receiver.server, request.headers()) {
        Ok(()) => unary(&receiver, signal, request).await,
        Err(problem) => status(&problem).into_http(),
    };
    // What fails is said in the headers; that it went well comes after the message.
    let failure = Status::from_header_map(response.headers());
    receiver.count(signal, failure.as_ref().map_or(Code::Ok, Status::code));
    match failure {
        // tonic's word for a message that is too large. OTLP's senders would try again.
        Some(large) if large.code() == Code::OutOfRange => {
            Status::resource_exhausted(large.message()).into_http()
        }
        _ => response.map(axum::body::Body::new),
    }
}

async fn unary(
    receiver: &Receiver,
    signal: Signal,
    request: Request,
) -> axum::http::Response<tonic::body::Body> {
    let mut gzip = EnabledCompressionEncodings::default();
    gzip.enable(CompressionEncoding::Gzip);
    let mut grpc = Grpc::new(Raw)
        .apply_compression_config(gzip, EnabledCompressionEncodings::default())
        .apply_max_message_size_config(Some(MAX_BYTES), None);
    grpc.unary(Export { receiver: receiver.clone(), signal }, request).await
}

fn status(problem: &ApiError) -> Status {
    problem.log();
    Status::new(code(problem), problem.to_string())
}

struct Export {
    receiver: Receiver,
    signal: Signal,
}

impl UnaryService<Bytes> for Export {
    type Response = ExportTraceServiceResponse;
    type Future = Pin<
        Box<dyn Future<Output = Result<tonic::Response<Self::Response>, Status>> + Send + 'static>,
    >;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (receiver, signal) = (self.receiver.clone(), self.signal);
        Box::pin(async move {
            let taken = receiver.take(signal, request.into_inner(), otlp::Encoding::Protobuf).await;
            let taken = taken.map_err(|problem| status(&problem))?;
            Ok(tonic::Response::new(response(&taken)))
        })
    }
}

/// Messages stay bytes on their way in.
struct Raw;

impl Codec for Raw {
    type Encode = ExportTraceServiceResponse;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = ExportTraceServiceResponse;
    type Error = Status;

    fn encode(&mut self, item: Self::Item, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to).map_err(|problem| Status::internal(problem.to_string()))
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
