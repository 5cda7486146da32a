//! JSON in its one form: without insignificant space and with sorted keys, of which the last counts where one comes
//! twice. Writes it as it reads, and moves what it wrote of an object where its keys did not come in order.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, Serialize};

/// The one form of `text`, if it is JSON.
pub(super) fn of(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Writer(&mut out).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    String::from_utf8(out).ok()
}

/// Writes the value that it is given.
struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn write<E: serde::de::Error>(self, value: &(impl Serialize + ?Sized)) -> Result<(), E> {
        serde_json::to_writer(self.0, value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.write(&())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.write(&value)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        self.write(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        self.0.push(b'[');
        let begin = self.0.len();
        loop {
            let end = self.0.len();
            if end > begin {
                self.0.push(b',');
            }
            if values.next_element_seed(Writer(self.0))?.is_none() {
                self.0.truncate(end);
                self.0.push(b']');
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.push(b'{');
        let begin = self.0.len();
        let mut entries: Vec<(Cow<'de, str>, Range<usize>)> = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            let entry = self.0.len();
            serde_json::to_writer(&mut *self.0, &key).map_err(A::Error::custom)?;
            self.0.push(b':');
            map.next_value_seed(Writer(self.0))?;
            self.0.push(b',');
            entries.push((key, entry..self.0.len()));
        }
        if !entries.is_sorted_by(|a, b| a.0 < b.0) {
            let sorted = sorted(entries, self.0);
            self.0.truncate(begin);
            self.0.extend(sorted);
        }
        if self.0.len() > begin {
            self.0.pop();
        }
        self.0.push(b'}');
        Ok(())
    }
}

/// What was `written` of `entries`, by key.
fn sorted(mut entries: Vec<(Cow<'_, str>, Range<usize>)>, written: &[u8]) -> Vec<u8> {
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let last_of_key = entries.chunk_by(|a, b| a.0 == b.0).filter_map(<[_]>::last);
    last_of_key.filter_map(|(_, range)| written.get(range.clone())).flatten().copied().collect()
}

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z\"\\\\\n ä]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-e\"\\\\ä]{0,2}", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_what_sorting_makes_of_it(value in json(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let mut sorted = value;
            sorted.sort_all_objects();
            prop_assert_eq!(of(&text), Some(sorted.to_string()));
        }
    }

    #[test]
    fn what_is_no_json_has_no_form() {
        let check =
            |text: &str, form: Option<&str>| assert_eq!(of(text).as_deref(), form, "{text}");
        for text in ["", "{", "[1,]", "nul", "{}{}", "1 2", r#"{"a"}"#] {
            check(text, None);
        }
        check(" [ ] ", Some("[]"));
        check(
            r#"{"b": [1, 2.50, {"x": null}], "a": {}}"#,
            Some(r#"{"a":{},"b":[1,2.5,{"x":null}]}"#),
        );
        check(r#"{"a": 1, "b": 2, "a": 3}"#, Some(r#"{"a":3,"b":2}"#));
        check(&"[".repeat(1000), None);
    }
}
