//! Attributes by name, whatever type a producer gave them.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use serde_json::{Map, Value};

/// The attributes of a span, an event or a log record.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(&'a [KeyValue]);

impl<'a> Attributes<'a> {
    pub(super) fn new(attributes: &'a [KeyValue]) -> Self {
        Self(attributes)
    }

    /// The value of the first of `names` that has one.
    fn get(self, names: &[&str]) -> Option<&'a Any> {
        names.iter().find_map(|name| {
            let found = self.0.iter().find(|attribute| attribute.key == *name)?;
            found.value.as_ref()?.value.as_ref()
        })
    }

    pub(super) fn any_starts_with(self, prefixes: &[&str]) -> bool {
        self.0
            .iter()
            .any(|attribute| prefixes.iter().any(|prefix| attribute.key.starts_with(prefix)))
    }

    /// Text that is not blank; numbers and truth values as they are written.
    pub(super) fn text(self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| {
            let text = match self.get(&[name])? {
                Any::StringValue(text) => text.clone(),
                Any::BoolValue(value) => value.to_string(),
                Any::IntValue(value) => value.to_string(),
                Any::DoubleValue(value) => value.to_string(),
                Any::ArrayValue(_)
                | Any::KvlistValue(_)
                | Any::BytesValue(_)
                | Any::StringValueStrindex(_) => {
                    return None;
                }
            };
            Some(text).filter(|text| !text.trim().is_empty())
        })
    }

    /// A count, also from a text or a whole float; none below 0.
    pub(super) fn count(self, names: &[&str]) -> Option<u64> {
        names.iter().find_map(|name| match self.get(&[name])? {
            Any::IntValue(value) => u64::try_from(*value).ok(),
            Any::StringValue(text) => text.trim().parse().ok(),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
            Any::DoubleValue(value) => ((0.0..9e15).contains(value)).then_some(*value as u64),
            _ => None,
        })
    }

    /// A finite number, also from a text or a truth value.
    pub(super) fn number(self, names: &[&str]) -> Option<f64> {
        names.iter().find_map(|name| {
            #[expect(clippy::cast_precision_loss, reason = "scores and costs are small")]
            let number = match self.get(&[name])? {
                Any::IntValue(value) => *value as f64,
                Any::DoubleValue(value) => *value,
                Any::BoolValue(value) => f64::from(u8::from(*value)),
                Any::StringValue(text) => text.trim().parse().ok()?,
                _ => return None,
            };
            Some(number).filter(|number| number.is_finite())
        })
    }

    /// A value with structure: of a list or a map as it is, of a text the JSON in it.
    pub(super) fn json(self, names: &[&str]) -> Option<Value> {
        match self.get(names)? {
            Any::StringValue(text) => serde_json::from_str(text).ok(),
            other => Some(json(other, DEEPEST)),
        }
    }

    /// Text as it is, or what has structure as compact JSON.
    pub(super) fn written(self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| match self.get(&[name])? {
            structured @ (Any::ArrayValue(_) | Any::KvlistValue(_)) => {
                Some(json(structured, DEEPEST).to_string())
            }
            _ => self.text(&[name]),
        })
    }
}

/// How deep structure is followed. The decoders of the wire forms stop not far below.
const DEEPEST: u8 = 32;

fn json(value: &Any, depth: u8) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    let below = |value: Option<&AnyValue>| {
        let value = value.and_then(|value| value.value.as_ref());
        value.map_or(Value::Null, |value| json(value, depth))
    };
    match value {
        Any::StringValue(text) => Value::String(text.clone()),
        Any::BoolValue(value) => Value::Bool(*value),
        Any::IntValue(value) => Value::from(*value),
        Any::DoubleValue(value) => Value::from(*value),
        Any::ArrayValue(list) => list.values.iter().map(|item| below(Some(item))).collect(),
        Any::KvlistValue(list) => {
            let pairs =
                list.values.iter().map(|pair| (pair.key.clone(), below(pair.value.as_ref())));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
        Any::BytesValue(_) | Any::StringValueStrindex(_) => Value::Null,
    }
}
