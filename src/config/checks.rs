//! Collects what is impossible about the values of one section.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::duration;
use super::key::Key;

/// The problems found below one key, each with the key it is about.
#[derive(Debug, Default)]
pub(super) struct Checks {
    at: Key,
    pub(super) problems: Vec<(Key, String)>,
}

impl Checks {
    /// Checks of what stands below `at`.
    pub(super) fn below(at: Key) -> Self {
        Self { at, problems: Vec::new() }
    }

    /// `what` is wrong about `key`.
    pub(super) fn problem(&mut self, key: &str, what: impl Display) {
        let key = self.at.join(key);
        let what = format!("{key} {what}");
        self.problems.push((key, what));
    }

    /// The same, `part` being one name whatever is in it.
    pub(super) fn problem_of(&mut self, section: &str, part: &str, what: impl Display) {
        let key = self.at.join(section).child(part);
        let what = format!("{key} {what}");
        self.problems.push((key, what));
    }

    pub(super) fn within<T: PartialOrd + Display>(
        &mut self,
        key: &str,
        value: T,
        range: RangeInclusive<T>,
    ) -> T {
        if !range.contains(&value) {
            let allowed = format!("must be from {} to {}", range.start(), range.end());
            self.problem(key, format!("{allowed}, not {value}"));
        }
        value
    }

    /// Milliseconds.
    pub(super) fn duration(&mut self, key: &str, text: &str, range: RangeInclusive<i64>) -> i64 {
        let Some(millis) = duration::parse(text) else {
            let wanted = "takes a duration such as 90s, 30m, 24h or 7d";
            self.problem(key, format!("{wanted}, not {text:?}"));
            return *range.start();
        };
        if !range.contains(&millis) {
            let (least, most) = (duration::text(*range.start()), duration::text(*range.end()));
            self.problem(key, format!("must be from {least} to {most}, not {text}"));
            return *range.start();
        }
        millis
    }

    /// A text that says something.
    pub(super) fn text(&mut self, key: &str, text: String) -> String {
        if text.trim().is_empty() {
            self.problem(key, "must not be empty");
        }
        text
    }
}
