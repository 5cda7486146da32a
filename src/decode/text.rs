//! Cutting text to size without cutting a character, and reading times and failures out of it.

use std::borrow::Cow;

use serde_json::Value;

use super::canonical;
use super::limits::MAX_NAME_BYTES;
use crate::base::{Digest, EventTime};

/// The longest thought, task or result that is kept, in bytes.
pub(super) const MAX_TEXT_BYTES: usize = 2_000;
/// The longest error that is kept, in bytes.
pub(super) const MAX_ERROR_BYTES: usize = 300;
/// The longest arguments that are kept whole, in bytes.
const MAX_ARGUMENTS_BYTES: usize = 200;

/// The longest start of `text` of at most `max` bytes that ends between characters.
pub(super) fn cut(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max)).unwrap_or(text)
}

/// The same of a text that is at hand.
pub(super) fn shorten(text: &mut String, max: usize) {
    text.truncate(text.floor_char_boundary(max));
}

/// Puts at most `max` bytes of `text` behind `line`, on the same line, without space around them.
pub(super) fn push_short(line: &mut String, text: &str, max: usize) {
    line.push_str(cut(&clean(cut(text, 4 * max)), max).trim());
}

pub(super) fn short(text: &str) -> String {
    cut(text, MAX_TEXT_BYTES).to_owned()
}

/// Arguments as they are compared and shown: JSON without insignificant space and with sorted keys, so that how a producer
/// lays it out makes no difference. Cut ones end in a digest of the whole, so that two calls look the
/// same only if they are.
pub(super) fn arguments(text: &str) -> String {
    let canonical = canonical::of(text);
    marked(canonical.as_deref().unwrap_or(text), MAX_ARGUMENTS_BYTES)
}

/// An id made of parts that may be long: cut with a digest, so that it fits and stays itself.
pub(super) fn identity(text: &str) -> String {
    marked(text, MAX_NAME_BYTES)
}

/// At most `max` bytes of `text`, which must be at least 16: all of it, or its start and a digest.
fn marked(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let head = cut(text, max.saturating_sub(16));
    format!("{head}…#{}", Digest::of(text.as_bytes()).short())
}

/// `text` on one line: control characters, and those that reorder or hide what follows them, are
/// spaces. A trace's author must not draw on a terminal or smuggle text past a reader.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    // A row at a time, which takes a few instructions.
    let plain = |row: &[u8]| row.iter().fold(true, |all, byte| all & matches!(byte, b' '..=b'~'));
    if text.as_bytes().chunks(64).all(plain) {
        return Cow::Borrowed(text);
    }
    let unsafe_to_show = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
            || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|c| if unsafe_to_show(c) { ' ' } else { c }).collect()
}

/// A message's content as text: a string, or the text parts of a list.
pub(super) fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let text = |part: &Value| match part {
                Value::String(text) => Some(text.clone()),
                other => other.get("text").and_then(Value::as_str).map(str::to_owned),
            };
            parts.iter().filter_map(text).collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// What a tool's response says went wrong, if it begins by saying so. Tools of the origin report
/// failure in the text of a call that is flagged as a success.
pub(super) fn stated_failure(response: &str) -> Option<String> {
    const OPENINGS: [&str; 8] = [
        "error:",
        "error ",
        "command rejected",
        "submission failed",
        "dry-run failed",
        "traceback (most recent call last)",
        "exception:",
        "failed to ",
    ];
    let start = response.trim_start();
    let head = cut(start, 40).to_ascii_lowercase();
    let tagged = head.split_once("] ").filter(|_| head.starts_with('[')).map(|(_, rest)| rest);
    // The printed form of an MCP result, as Stratus logs it.
    let mcp = start.starts_with("meta=") && start.trim_end().ends_with("isError=True");
    let opens = |head: &str| OPENINGS.iter().any(|opening| head.starts_with(opening));
    (mcp || opens(&head) || tagged.is_some_and(opens))
        .then(|| cut(start, MAX_ERROR_BYTES).to_owned())
}

/// An RFC 3339 time; one without a zone counts as UTC.
pub(super) fn time(text: &str) -> Option<EventTime> {
    let millis = match text.parse::<jiff::Timestamp>() {
        Ok(timestamp) => timestamp.as_millisecond(),
        Err(_) => {
            let civil: jiff::civil::DateTime = text.parse().ok()?;
            civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond()
        }
    };
    Some(EventTime::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_fails_only_if_it_begins_by_saying_so() {
        let check = |text: &str, failed: bool| {
            assert_eq!(stated_failure(text).is_some(), failed, "{text:?}");
        };
        check("Error: no such pod", true);
        check("  Command Rejected (ValueError): edit", true);
        check("[prom_mcp] Error querying get_metrics", true);
        check("meta=None content=[TextContent(text='no')] isError=True", true);
        check("meta=None content=[TextContent(text='isError=True')] isError=False", false);
        check("Found 3 pods, one with errors", false);
        check("Errors: 0", false);
        check("NAME   READY\nError  1/1", false);
        check("", false);
    }

    #[test]
    fn cut_arguments_still_tell_calls_apart() {
        let long = "x".repeat(1000);
        let (a, b) = (arguments(&format!("{long}a")), arguments(&format!("{long}b")));
        assert_ne!(a, b);
        assert!(a.len() <= MAX_ARGUMENTS_BYTES, "{}", a.len());
        assert_eq!(arguments(&a), a, "cutting twice changes nothing");
        assert_eq!(cut("äöü", 3), "ä");
    }

    #[test]
    fn arguments_compare_by_meaning_and_not_by_layout() {
        let check = |a: &str, b: &str| assert_eq!(arguments(a), arguments(b), "{a} {b}");
        check(r#"{"cmd": "ls",  "all": true}"#, r#"{"all":true,"cmd":"ls"}"#);
        check("{\n}", "{}");
        assert_eq!(arguments("not json"), "not json");
        assert_ne!(arguments(r#"{"cmd":"ls"}"#), arguments(r#"{"cmd":"ls "}"#));
    }

    #[test]
    fn what_draws_hides_or_reorders_becomes_a_space() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d\u{feff}e"), "a [31mb c d e");
        assert_eq!(clean("grüße 漢字 👍"), "grüße 漢字 👍");
    }

    #[test]
    fn content_is_a_text_or_a_list_with_texts() {
        let check = |json: Value, text: &str| assert_eq!(content(&json), text, "{json}");
        check(serde_json::json!("hello"), "hello");
        check(serde_json::json!([{"type": "text", "text": "a"}, {"type": "image"}, "b"]), "a\nb");
        check(Value::Null, "");
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        assert_eq!(time("2026-01-02T03:04:05Z"), time("2026-01-02T03:04:05"));
        assert_eq!(time("2026-01-02 03:04:05"), time("2026-01-02T04:04:05+01:00"));
        assert_eq!(time("yesterday"), None);
    }
}
