//! How much memory a message will take, told from its bytes before it is decoded: two bytes are enough for an
//! empty span, which takes some 300.

use opentelemetry_proto::tonic::common::v1::{AnyValue, EntityRef, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

/// The most bytes that a message's parts may take by themselves, texts not counted. What exporters send takes a
/// few times its length.
pub(super) const MAX: usize = 128 * 1024 * 1024;

/// How deep protobuf's own reader goes.
const DEEPEST: u8 = 100;

/// What of JSON takes memory: an object, as large as most are, and an item of a list.
const OBJECT: usize = 96;
const ITEM: usize = 32;

/// A message by the fields of it that repeat or hold others that do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Part {
    Traces,
    ResourceSpans,
    ScopeSpans,
    Span,
    Event,
    Link,
    Logs,
    ResourceLogs,
    ScopeLogs,
    LogRecord,
    Resource,
    Scope,
    Entity,
    Pair,
    Value,
    Values,
    Pairs,
    Text,
}

impl Part {
    /// What stands in field `number`.
    fn child(self, number: usize) -> Option<Self> {
        Some(match (self, number) {
            (Self::Traces, 1) => Self::ResourceSpans,
            (Self::Logs, 1) => Self::ResourceLogs,
            (Self::ResourceSpans | Self::ResourceLogs, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ResourceLogs, 2) => Self::ScopeLogs,
            (Self::ScopeSpans | Self::ScopeLogs, 1) => Self::Scope,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::ScopeLogs, 2) => Self::LogRecord,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Span, 9)
            | (Self::LogRecord, 6)
            | (Self::Event | Self::Scope, 3)
            | (Self::Link, 4)
            | (Self::Resource | Self::Pairs, 1) => Self::Pair,
            (Self::Resource, 3) => Self::Entity,
            (Self::Entity, 3 | 4) => Self::Text,
            (Self::LogRecord, 5) | (Self::Pair, 2) | (Self::Values, 1) => Self::Value,
            (Self::Value, 5) => Self::Values,
            (Self::Value, 6) => Self::Pairs,
            _ => return None,
        })
    }

    fn size(self) -> usize {
        match self {
            Self::ResourceSpans => size_of::<ResourceSpans>(),
            Self::ScopeSpans => size_of::<ScopeSpans>(),
            Self::Span => size_of::<Span>(),
            Self::Event => size_of::<Event>(),
            Self::Link => size_of::<Link>(),
            Self::ResourceLogs => size_of::<ResourceLogs>(),
            Self::ScopeLogs => size_of::<ScopeLogs>(),
            Self::LogRecord => size_of::<LogRecord>(),
            Self::Scope => size_of::<InstrumentationScope>(),
            Self::Entity => size_of::<EntityRef>(),
            Self::Pair => size_of::<KeyValue>(),
            Self::Value => size_of::<AnyValue>(),
            Self::Text => size_of::<String>(),
            Self::Traces | Self::Logs | Self::Resource | Self::Values | Self::Pairs => 0,
        }
    }

    /// Bytes that the parts of the message in `input` take, as far as it makes sense: so far it is decoded.
    pub(super) fn protobuf(self, input: &[u8]) -> usize {
        self.below(input, DEEPEST)
    }

    fn below(self, mut input: &[u8], depth: u8) -> usize {
        let Some(depth) = depth.checked_sub(1) else { return 0 };
        let mut sum = 0;
        while let Some((number, value)) = field(&mut input) {
            if let (Some(child), Some(value)) = (self.child(number), value) {
                sum += child.size() + child.below(value, depth);
            }
        }
        sum
    }
}

/// The next field's number, and what is in it if it has a length. The ends of groups, which no message of ours
/// has, count as fields; so does what is in them.
fn field<'a>(input: &mut &'a [u8]) -> Option<(usize, Option<&'a [u8]>)> {
    if input.is_empty() {
        return None;
    }
    let key = prost::decode_length_delimiter(&mut *input).ok()?;
    let length = match key & 7 {
        0 => {
            prost::decode_length_delimiter(&mut *input).ok()?;
            0
        }
        1 => 8,
        2 => prost::decode_length_delimiter(&mut *input).ok()?,
        3 | 4 => 0,
        5 => 4,
        _ => return None,
    };
    let value = input.split_off(..length)?;
    Some((key >> 3, (key & 7 == 2).then_some(value)))
}

/// Bytes that what is written in `input` takes about.
pub(super) fn json(input: &[u8]) -> usize {
    let (mut sum, mut in_text, mut escaped) = (0, false, false);
    for byte in input {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' if !in_text => sum += OBJECT,
            b',' if !in_text => sum += ITEM,
            _ => {}
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{ArrayValue, KeyValueList};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use prost::Message as _;

    use super::*;

    fn value(value: Value) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    fn pair(any: AnyValue) -> KeyValue {
        KeyValue { key: "key".to_owned(), value: Some(any), ..KeyValue::default() }
    }

    fn request() -> ExportTraceServiceRequest {
        let list = ArrayValue { values: vec![value(Value::IntValue(-1)); 3] };
        let map = KeyValueList { values: vec![pair(value(Value::BoolValue(true))); 2] };
        let attributes = vec![
            pair(value(Value::ArrayValue(list))),
            pair(value(Value::KvlistValue(map))),
            pair(value(Value::StringValue("x".repeat(300)))),
        ];
        let few = |name: &str| vec![pair(value(Value::StringValue(name.to_owned())))];
        let span = Span {
            trace_id: vec![1; 16],
            attributes,
            events: vec![Event { attributes: few("event"), ..Event::default() }; 2],
            links: vec![Link { attributes: few("link"), ..Link::default() }],
            start_time_unix_nano: u64::MAX,
            ..Span::default()
        };
        let entity = EntityRef { id_keys: vec!["a".to_owned(); 4], ..EntityRef::default() };
        let resource = Resource {
            attributes: few("resource"),
            entity_refs: vec![entity],
            ..Resource::default()
        };
        let scope = InstrumentationScope { attributes: few("scope"), ..Default::default() };
        let scope_spans =
            vec![ScopeSpans { scope: Some(scope), spans: vec![span; 5], ..Default::default() }];
        let resource = Some(resource);
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..Default::default() }];
        ExportTraceServiceRequest { resource_spans }
    }

    #[test]
    fn every_part_of_a_message_is_counted() {
        let pair = size_of::<KeyValue>() + size_of::<AnyValue>();
        let attributes = 3 * pair + 3 * size_of::<AnyValue>() + 2 * pair;
        let events = 2 * (size_of::<Event>() + pair);
        let span = size_of::<Span>() + attributes + events + size_of::<Link>() + pair;
        let resource = pair + size_of::<EntityRef>() + 4 * size_of::<String>();
        let scope = size_of::<InstrumentationScope>() + pair;
        let own = size_of::<ResourceSpans>() + size_of::<ScopeSpans>();
        let bytes = request().encode_to_vec();
        assert_eq!(Part::Traces.protobuf(&bytes), own + resource + scope + 5 * span);
        // What stands beside it and is of no kind that is known hides nothing.
        let strange =
            [&[0x7b, 0x08, 0x01, 0x7c, 0x39], &[0; 8][..], &[0x35], &[0; 4], &bytes].concat();
        assert_eq!(Part::Traces.protobuf(&strange), Part::Traces.protobuf(&bytes));
        assert!(ExportTraceServiceRequest::decode(strange.as_slice()).is_ok());
    }

    #[test]
    fn what_makes_no_sense_ends_the_count() {
        let bytes = request().encode_to_vec();
        for end in 0..bytes.len() {
            Part::Traces.protobuf(&bytes[..end]);
        }
        let deep = (0..1000).fold(Vec::new(), |inner, _| {
            let value = value(Value::BytesValue(Vec::new())).encode_to_vec();
            let list = [vec![0x0a], varint(inner.len() + value.len()), inner, value].concat();
            [vec![0x2a], varint(list.len()), list].concat()
        });
        assert!(Part::Value.protobuf(&deep) < 100 * size_of::<AnyValue>());
        assert_eq!(field(&mut [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f].as_slice()), None);
    }

    fn varint(number: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        prost::encode_length_delimiter(number, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn of_json_texts_are_not_counted() {
        assert_eq!(json(br#"{"a": "{{,\"{\\", "b": [1, {}]}"#), 2 * OBJECT + 2 * ITEM);
        assert_eq!(json(b""), 0);
    }
}
