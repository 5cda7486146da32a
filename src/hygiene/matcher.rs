//! Tables of patterns, compiled once.

use regex::Regex;

/// The compiled `pattern`, which is one of our own.
#[expect(clippy::expect_used, reason = "the patterns are fixed, and a test compiles them all")]
pub(super) fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a valid pattern")
}

/// One pattern that matches where any of `patterns` does.
pub(super) fn any(patterns: &[&str]) -> Regex {
    pattern(&patterns.join("|"))
}
