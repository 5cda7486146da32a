//! The way that nearly every record takes: one object of our own format, read once, from end to end.
//!
//! It refuses nothing. Whatever it makes no report of, for whatever reason, is for the others to read and to
//! refuse by name; of what it does make one, they would have made the same.

use std::fmt;

use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::native::Raw;
use super::{LlmCall, Options, Report, Step, Thought, Tokens, ToolCall};

/// The report that `input` is, if it is one of the usual kind.
pub(super) fn report(input: &[u8], options: &Options) -> Option<Report> {
    // An array could be read as the fields of a record, in their order.
    if input.trim_ascii_start().first() != Some(&b'{') {
        return None;
    }
    let raw: Raw<'_, Usual> = serde_json::from_slice(input).ok()?;
    raw.is_ours().then(|| raw.report(options).ok()).flatten()
}

/// A step. serde's own way with tagged enums keeps all of a step before it looks at the tag.
pub(super) struct Usual(Step);

impl From<Usual> for Step {
    fn from(Usual(step): Usual) -> Self {
        step
    }
}

impl<'de> Deserialize<'de> for Usual {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields).map(Self)
    }
}

struct Fields;

/// What any kind of step may say. Another kind than its own may say it as it likes, and that of which the
/// type does not fit here is for the others.
#[derive(Default)]
struct Said {
    kind: Option<Kind>,
    name: Option<String>,
    ok: Option<bool>,
    error: Option<Option<String>>,
    duration: Option<Option<f64>>,
    arguments: Option<Option<String>>,
    text: Option<String>,
    model: Option<Option<String>>,
    tokens: Option<Tokens>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Kind {
    Tool,
    Thought,
    Llm,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Type,
    Name,
    Ok,
    Error,
    Duration,
    Arguments,
    Text,
    Model,
    Tokens,
    #[serde(other)]
    Other,
}

impl<'de> Visitor<'de> for Fields {
    type Value = Step;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a step")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Step, A::Error> {
        let mut said = Said::default();
        while let Some(field) = map.next_key()? {
            match field {
                Field::Type => once(&mut said.kind, &mut map)?,
                Field::Name => once(&mut said.name, &mut map)?,
                Field::Ok => once(&mut said.ok, &mut map)?,
                Field::Error => once(&mut said.error, &mut map)?,
                Field::Duration => once(&mut said.duration, &mut map)?,
                Field::Arguments => once(&mut said.arguments, &mut map)?,
                Field::Text => once(&mut said.text, &mut map)?,
                Field::Model => once(&mut said.model, &mut map)?,
                Field::Tokens => once(&mut said.tokens, &mut map)?,
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        said.step().ok_or_else(|| A::Error::custom("not a usual step"))
    }
}

fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut Option<T>,
    map: &mut A,
) -> Result<(), A::Error> {
    if field.replace(map.next_value()?).is_some() {
        return Err(A::Error::custom("said twice"));
    }
    Ok(())
}

impl Said {
    fn step(self) -> Option<Step> {
        let Self { kind, name, ok, error, duration, arguments, text, model, tokens } = self;
        Some(match kind? {
            Kind::Tool => Step::Tool(ToolCall {
                name: name?,
                ok: ok?,
                error: error.flatten(),
                duration: duration.flatten(),
                arguments: arguments.flatten(),
            }),
            Kind::Thought => Step::Thought(Thought { text: text? }),
            Kind::Llm => {
                Step::Llm(LlmCall { model: model.flatten(), tokens: tokens.unwrap_or_default() })
            }
            Kind::Other => return None,
        })
    }
}
