//! Writes values as YAML that people like to read and that every parser reads alike. Pure.
//!
//! YAML 1.1 parsers (PyYAML, which most agents use) take `yes`, `12:30` or `1e5` for other things
//! than YAML 1.2 parsers do, so a text stays plain only where no parser can mistake it.

use serde_json::Value;

/// Columns beyond which a text gets a block of its own.
const INLINE_COLUMNS: usize = 72;

/// Words that some parser takes for something other than a text.
const RESERVED: [&str; 11] =
    ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"];

/// A value in two parts: what stands on the key's line, and the lines below it.
pub(super) struct Rendered {
    /// Without a line break; empty for a collection.
    pub(super) head: String,
    /// Whole lines, each ending in `\n`.
    pub(super) body: String,
}

/// The entry `key: value` at `indent` spaces: whole lines, each ending in `\n`.
pub(super) fn entry(key: &str, value: &Value, indent: usize) -> String {
    let Rendered { head, body } = rendered(value, indent);
    let space = if head.is_empty() { "" } else { " " };
    format!("{}{}:{space}{head}\n{body}", " ".repeat(indent), inline_text(key))
}

/// `value` as the value of a key that stands at `indent` spaces.
pub(super) fn rendered(value: &Value, indent: usize) -> Rendered {
    match value {
        Value::String(text) => text_node(text, indent),
        Value::Array(items) if !items.is_empty() => {
            let body = items.iter().map(|item| sequence_item(item, indent.saturating_add(2)));
            Rendered { head: String::new(), body: body.collect() }
        }
        Value::Object(map) if !map.is_empty() => {
            let body = map.iter().map(|(key, value)| entry(key, value, indent.saturating_add(2)));
            Rendered { head: String::new(), body: body.collect() }
        }
        _ => Rendered { head: inline(value), body: String::new() },
    }
}

fn sequence_item(item: &Value, indent: usize) -> String {
    let pad = " ".repeat(indent);
    match item {
        Value::Object(map) if !map.is_empty() => {
            let inner = indent.saturating_add(2);
            let entries: String = map.iter().map(|(key, value)| entry(key, value, inner)).collect();
            // The first key stands beside the dash.
            format!("{pad}- {}", entries.trim_start_matches(' '))
        }
        // A sequence directly in a sequence is rare and reads well enough in one line.
        Value::Array(_) => format!("{pad}- {}\n", inline(item)),
        _ => {
            let Rendered { head, body } = rendered(item, indent);
            format!("{pad}- {head}\n{body}")
        }
    }
}

/// `value` in one line, collections in flow style.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => truth.to_string(),
        Value::Number(number) => inline_number(&number.to_string()),
        Value::String(text) => inline_text(text),
        Value::Array(items) => {
            format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                format!("{}: {}", inline_text(key), inline(value))
            };
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// YAML 1.1 wants a point and a signed exponent, or `1e-5` is a text.
fn inline_number(json: &str) -> String {
    let Some((mantissa, exponent)) = json.split_once(['e', 'E']) else { return json.to_owned() };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with(['-', '+']) { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

fn text_node(text: &str, indent: usize) -> Rendered {
    let long = text.contains('\n') || text.chars().count() > INLINE_COLUMNS;
    let block = if long { literal_block(text, indent) } else { None };
    block.unwrap_or_else(|| Rendered { head: inline_text(text), body: String::new() })
}

/// `text` as a `|` block under a key at `indent` spaces; `None` if no block can hold it.
pub(super) fn literal_block(text: &str, indent: usize) -> Option<Rendered> {
    if !fits_a_block(text) {
        return None;
    }
    let lines = text.trim_end_matches('\n');
    let indicator = if first_line(lines).is_some_and(is_spaced) { "2" } else { "" };
    let trailing = text.len().saturating_sub(lines.len());
    let chomping = match trailing {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let pad = " ".repeat(indent.saturating_add(2));
    let mut body = String::new();
    for line in lines.split('\n') {
        if !line.is_empty() {
            body.push_str(&pad);
            body.push_str(line);
        }
        body.push('\n');
    }
    body.push_str(&"\n".repeat(trailing.saturating_sub(1)));
    Some(Rendered { head: format!("|{indicator}{chomping}"), body })
}

/// The first line that is not empty: the one that shows a block's indentation.
pub(super) fn first_line(text: &str) -> Option<&str> {
    text.split('\n').find(|line| !line.is_empty())
}

/// Whether a line begins with white space, which neither folds nor shows an indentation.
pub(super) fn is_spaced(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

/// Whether a block scalar can hold `text`: it has a line with something on it, and no character
/// that YAML allows in escapes only.
pub(super) fn fits_a_block(text: &str) -> bool {
    first_line(text).is_some() && text.chars().all(|c| c == '\n' || is_printable(c))
}

fn is_printable(c: char) -> bool {
    matches!(c, '\t' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// `text` in one line: plain where nobody can mistake it, else in double quotes.
pub(super) fn inline_text(text: &str) -> String {
    if is_plain(text) { text.to_owned() } else { double_quoted(text) }
}

/// Whether every parser reads `text`, without quotes, as this text.
pub(super) fn is_plain(text: &str) -> bool {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.ends_with(' ')
        && text.chars().all(harmless)
        && !RESERVED.contains(&text.to_ascii_lowercase().as_str())
}

/// `text` in single quotes; `None` if it needs escapes.
pub(super) fn single_quoted(text: &str) -> Option<String> {
    let fits = text.chars().all(is_printable);
    fits.then(|| format!("'{}'", text.replace('\'', "''")))
}

/// `text` in double quotes.
pub(super) fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_printable(c) => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::parse::read_map;
    use super::*;

    fn check(value: &Value) {
        let text = entry("key", value, 0) + &entry("after", &json!(1), 0);
        let read = read_map(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
        assert_eq!(read.get("key"), Some(value), "{text}");
        assert_eq!(read.get("after"), Some(&json!(1)), "{text}");
    }

    #[test]
    fn what_parsers_disagree_on_is_quoted() {
        for text in ["yes", "Off", "~", "12:30:45", "1e5", "0x1f", "2026-01-01", "", " a", "a: b"] {
            assert!(inline_text(text).starts_with('"'), "{text:?}");
        }
        assert_eq!(inline_text("get_traces.yaml"), "get_traces.yaml");
    }

    #[test]
    fn a_small_number_is_a_number_to_old_parsers_too() {
        assert_eq!(inline(&json!(1e-7)), "1.0e-7");
        assert_eq!(inline(&json!(1e300)), "1.0e+300");
        assert_eq!(inline(&json!(2.5)), "2.5");
    }

    #[test]
    fn nested_values_are_read_back() {
        check(
            &json!([{"name": "wait", "description": "a\nb\n", "deep": {"x": [1, [2, "c"], {}]}}]),
        );
        check(&json!({"a": {"b": {"c": "d\n\n"}}, "": [], "1": null}));
        check(&json!([{"a": ["  x\ny", "z\n"]}]));
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[ a-c\n\t:#'\"{}-]{0,30}",
            any::<String>(),
            "[\u{0}-\u{ff}\u{2028}\u{feff}]{0,8}"
        ]
    }

    /// Any key but `<<`: readers take it for a merge, quoted or not.
    fn key() -> impl Strategy<Value = String> {
        text().prop_filter("merges", |key| key != "<<")
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            text().prop_map(Value::String),
            any::<i64>().prop_map(|n| json!(n)),
            any::<u64>().prop_map(|n| json!(n)),
            (-1e300..1e300_f64).prop_map(|n| json!(n)),
            any::<bool>().prop_map(Value::Bool),
            Just(Value::Null),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                proptest::collection::btree_map(key(), inner, 0..4).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_read_back_as_it_was(value in value()) {
            check(&value);
        }
    }
}
