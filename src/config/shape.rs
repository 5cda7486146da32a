//! Which keys there are and what kind of value each takes, as the defaults tell.

use std::collections::BTreeMap;

use serde_yaml::{Mapping, Value};

use super::duration;
use super::key::Key;

/// What may stand in one place.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Flag,
    Whole,
    Number,
    /// One that may be null.
    OptionalWhole,
    /// The same.
    OptionalNumber,
    Text,
    OptionalText,
    /// A text that may be a secret which should not be there: never shown.
    HiddenText,
    Duration,
    /// Exactly these keys.
    Section(BTreeMap<String, Shape>),
    /// Any names, each with the same below it; null takes one away.
    Named(Box<Shape>),
}

/// Why a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// There is no such key.
    Unknown,
    /// It takes something else.
    Wrong(String),
}

impl Shape {
    /// The shape of a value of which `default` is an example.
    pub(super) fn of(default: &Value) -> Self {
        match default {
            Value::Bool(_) => Self::Flag,
            Value::Number(number) if number.is_f64() => Self::Number,
            Value::Number(_) => Self::Whole,
            Value::String(text) if duration::parse(text).is_some() => Self::Duration,
            Value::String(_) => Self::Text,
            Value::Mapping(mapping) => Self::Section(
                mapping
                    .iter()
                    .filter_map(|(key, value)| Some((key.as_str()?.to_owned(), Self::of(value))))
                    .collect(),
            ),
            Value::Null | Value::Sequence(_) | Value::Tagged(_) => Self::OptionalText,
        }
    }

    /// Lets the section at `key` take any names, each with `inner` below it.
    pub(super) fn name(&mut self, key: &[&str], inner: Self) {
        self.replace(key, Self::Named(Box::new(inner)));
    }

    /// Lets `key` take what `inner` says; nothing if there is no such key.
    pub(super) fn replace(&mut self, key: &[&str], inner: Self) {
        match (key.split_first(), self) {
            (None, shape) => *shape = inner,
            (Some((first, rest)), Self::Section(sections)) => {
                if let Some(below) = sections.get_mut(*first) {
                    below.replace(rest, inner);
                }
            }
            (Some(_), _) => {}
        }
    }

    pub(super) fn below(&self, part: &str) -> Option<&Self> {
        match self {
            Self::Section(sections) => sections.get(part),
            Self::Named(inner) => Some(inner),
            _ => None,
        }
    }

    /// The key that is written `dotted`. Below names that take a value, the rest is one name, dots and
    /// all.
    pub(super) fn key(&self, dotted: &str) -> Key {
        let mut shape = Some(self);
        let mut key = Key::default();
        let mut rest = dotted;
        while let Some((part, after)) = rest.split_once('.') {
            if let Some(Self::Named(inner)) = shape
                && !matches!(**inner, Self::Section(_) | Self::Named(_))
            {
                break;
            }
            shape = shape.and_then(|shape| shape.below(part));
            key = key.child(part);
            rest = after;
        }
        key.child(rest)
    }

    /// All keys that take a value, the root being `at`.
    pub(super) fn leaves(&self, at: &Key) -> Vec<Key> {
        match self {
            Self::Section(sections) => {
                sections.iter().flat_map(|(part, shape)| shape.leaves(&at.child(part))).collect()
            }
            _ => vec![at.clone()],
        }
    }

    /// What of `written` fits, where `at` says; what does not goes to `misfits`.
    pub(super) fn fit(
        &self,
        at: &Key,
        written: Value,
        misfits: &mut Vec<(Key, Misfit)>,
    ) -> Option<Value> {
        match (self, written) {
            (Self::Section(_) | Self::Named(_), Value::Mapping(mapping)) => {
                Some(Value::Mapping(self.fit_entries(at, mapping, misfits)))
            }
            // A section whose every key is commented out.
            (Self::Section(_), Value::Null) => None,
            (_, written) if self.takes(&written) => Some(written),
            (_, written) => {
                misfits.push((at.clone(), Misfit::Wrong(self.wrong(&written))));
                None
            }
        }
    }

    fn fit_entries(&self, at: &Key, mapping: Mapping, misfits: &mut Vec<(Key, Misfit)>) -> Mapping {
        let mut fitting = Mapping::new();
        for (key, value) in mapping {
            let part = scalar(&key);
            let at = at.child(part.as_str());
            let Some(below) = self.below(&part) else {
                misfits.push((at, Misfit::Unknown));
                continue;
            };
            if value.is_null() && matches!(self, Self::Named(_)) {
                fitting.insert(Value::String(part), value);
            } else if let Some(value) = below.fit(&at, value, misfits) {
                fitting.insert(Value::String(part), value);
            }
        }
        fitting
    }

    fn takes(&self, value: &Value) -> bool {
        match self {
            Self::Flag => value.is_bool(),
            Self::Whole => value.is_u64(),
            Self::Number => value.as_f64().is_some_and(f64::is_finite),
            Self::OptionalWhole => value.is_null() || Self::Whole.takes(value),
            Self::OptionalNumber => value.is_null() || Self::Number.takes(value),
            Self::Text | Self::HiddenText | Self::Duration => value.is_string(),
            Self::OptionalText => value.is_string() || value.is_null(),
            Self::Section(_) | Self::Named(_) => value.is_mapping(),
        }
    }

    /// Reads a value that came without YAML around it, from a variable or a flag.
    pub(super) fn read(&self, text: &str) -> Result<Value, String> {
        let value = match self {
            Self::Text | Self::HiddenText | Self::Duration => Value::String(text.to_owned()),
            Self::OptionalText if text.is_empty() || text == "null" => Value::Null,
            Self::OptionalText => Value::String(text.to_owned()),
            Self::Flag
            | Self::Whole
            | Self::Number
            | Self::OptionalWhole
            | Self::OptionalNumber => {
                serde_yaml::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
            }
            Self::Section(_) | Self::Named(_) => Value::String(text.to_owned()),
        };
        if self.takes(&value) { Ok(value) } else { Err(self.wrong(&value)) }
    }

    fn hides(&self) -> bool {
        match self {
            Self::HiddenText => true,
            Self::Named(inner) => inner.hides(),
            _ => false,
        }
    }

    fn wrong(&self, value: &Value) -> String {
        let found = match value {
            Value::String(_) | Value::Bool(_) | Value::Number(_) if self.hides() => {
                "what is there".to_owned()
            }
            Value::Null => "nothing".to_owned(),
            Value::String(text) => format!("{text:?}"),
            Value::Bool(_) | Value::Number(_) => scalar(value),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a section".to_owned(),
            Value::Tagged(tagged) => format!("the tag {}", tagged.tag),
        };
        let wanted = match self {
            Self::Flag => "takes true or false",
            Self::Whole => "takes a whole number of at least 0",
            Self::Number => "takes a number",
            Self::OptionalWhole => "takes a whole number of at least 0, or null",
            Self::OptionalNumber => "takes a number, or null",
            Self::Text | Self::OptionalText | Self::HiddenText
                if value.is_mapping() || value.is_sequence() =>
            {
                "takes a text"
            }
            Self::Text | Self::OptionalText | Self::HiddenText => "takes a text: put it in quotes",
            Self::Duration => "takes a duration such as 90s, 30m, 24h or 7d",
            Self::Section(_) => "is a section: set the keys in it",
            Self::Named(_) => "is a section of names: set the keys below a name in it",
        };
        format!("{wanted}, not {found}")
    }
}

/// A scalar as it would be written.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other).unwrap_or_default().trim_end().to_owned(),
    }
}

/// Lays `over` on `base`: sections merge, null takes away, anything else replaces.
pub(super) fn merge(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Mapping(base), Value::Mapping(over)) => {
            for (key, value) in over {
                if value.is_null() {
                    base.remove(&key);
                } else if let Some(below) = base.get_mut(&key) {
                    merge(below, value);
                } else {
                    base.insert(key, value);
                }
            }
        }
        (base, over) => *base = over,
    }
}
