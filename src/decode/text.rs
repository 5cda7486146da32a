//! Cutting text to size without cutting a character, and reading times and failures out of it.

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

pub(super) fn short(text: &str) -> String {
    cut(text, MAX_TEXT_BYTES).to_owned()
}

/// Arguments as they are compared and shown. Cut ones end in a digest of the whole, so that two calls
/// look the same only if they are.
pub(super) fn arguments(text: &str) -> String {
    if text.len() <= MAX_ARGUMENTS_BYTES {
        return text.to_owned();
    }
    let head = cut(text, MAX_ARGUMENTS_BYTES - 16);
    format!("{head}…#{}", Digest::of(text.as_bytes()).short())
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
    let opens = |head: &str| OPENINGS.iter().any(|opening| head.starts_with(opening));
    (opens(&head) || tagged.is_some_and(opens)).then(|| cut(start, MAX_ERROR_BYTES).to_owned())
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
        assert!(a.len() <= 204, "{}", a.len());
        assert_eq!(cut("äöü", 3), "ä");
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        assert_eq!(time("2026-01-02T03:04:05Z"), time("2026-01-02T03:04:05"));
        assert_eq!(time("2026-01-02 03:04:05"), time("2026-01-02T04:04:05+01:00"));
        assert_eq!(time("yesterday"), None);
    }
}
