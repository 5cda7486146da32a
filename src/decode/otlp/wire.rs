//! The two wire forms, protobuf and JSON, to the messages that OpenTelemetry's own crate has for them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::weight::{self, Part};
use crate::decode::limits::MAX_RECORD_BYTES;
use crate::decode::{Reason, Reject};

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Protocol buffers: `otlp_proto`, `application/x-protobuf`.
    Protobuf,
    /// JSON: `otlp_json`, `application/json`.
    Json,
}

impl Encoding {
    /// Tells which one `input` is in. A Collector sends no content type along. A protobuf message may begin
    /// like JSON after a line break, so that only what is valid JSON is.
    pub fn detect(input: &[u8]) -> Self {
        let text = input.trim_ascii_start();
        if !text.starts_with(b"{") {
            Self::Protobuf
        } else if text.len() == input.len()
            || serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok()
        {
            Self::Json
        } else {
            Self::Protobuf
        }
    }
}

/// A request's bytes as its message. The same bytes are a record of the Collector's: what it writes to
/// Kafka has the form of a request.
pub(super) trait Wire: Message + Default + DeserializeOwned {
    const PART: Part;
}

impl Wire for ExportTraceServiceRequest {
    const PART: Part = Part::Traces;
}

impl Wire for ExportLogsServiceRequest {
    const PART: Part = Part::Logs;
}

pub(super) fn read<T: Wire>(input: &[u8], encoding: Encoding) -> Result<T, Reject> {
    if input.len() > MAX_RECORD_BYTES {
        let detail = format!("{} bytes; at most {MAX_RECORD_BYTES} are read", input.len());
        return Err(Reject::new(Reason::RecordTooLarge, detail));
    }
    let weight = match encoding {
        Encoding::Protobuf => T::PART.protobuf(input),
        Encoding::Json => weight::json(input),
    };
    if weight > weight::MAX {
        let detail = format!("it has so many parts that they take {weight} bytes once decoded");
        return Err(Reject::new(Reason::RecordTooLarge, detail));
    }
    match encoding {
        Encoding::Protobuf => {
            T::decode(input).map_err(|problem| Reject::new(Reason::MalformedProtobuf, problem))
        }
        Encoding::Json => json(input),
    }
}

/// Where the crate's own reader stumbles over what the format allows, or over what exporters are known to
/// write, it is read once more with that put right: a value that is empty, ids in base64.
fn json<T: Wire>(input: &[u8]) -> Result<T, Reject> {
    if let Ok(message) = serde_json::from_slice(input) {
        return Ok(message);
    }
    let mut tree: Value = serde_json::from_slice(input)
        .map_err(|problem| Reject::new(Reason::MalformedJson, problem))?;
    mend(&mut tree);
    serde_json::from_value(tree).map_err(|problem| Reject::new(Reason::InvalidField, problem))
}

/// The depth of `tree` is bounded by its parser.
fn mend(tree: &mut Value) {
    match tree {
        Value::Object(fields) => {
            let empty = |value: &Value| {
                value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
            };
            fields.retain(|_, value| !empty(value));
            for (name, value) in fields {
                match name.as_str() {
                    "traceId" | "spanId" | "parentSpanId" => hex_id(value),
                    _ => mend(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mend),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// An id in base64 as hex digits. What is either is hex: no id has the same length in both.
fn hex_id(value: &mut Value) {
    use base64::Engine as _;
    let Some(text) = value.as_str().filter(|text| matches!(text.len(), 12 | 24)) else { return };
    let Ok(bytes) = base64::engine::general_purpose::STANDARD.decode(text) else { return };
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    *value = Value::String(hex);
}
