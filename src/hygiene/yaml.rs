//! What means something to a YAML parser: documents, directives, anchors, tags and keys that open a text.

use std::sync::LazyLock;

use regex::Regex;

use super::danger::{Danger, Found};
use super::matcher::any;

static SYNTAX: LazyLock<Regex> = LazyLock::new(|| {
    any(&[
        r"(?m)^(?:---|\.\.\.)[ \t]*(?:$|[^ \t\n.-].*$|[ \t].*$)",
        r"(?m)^%(?:YAML|TAG)\b.*$",
        r"(?m)^[ \t]*[\w.-]+:[ \t]*[|>][+-]?\d?[ \t]*$",
        r"(?m)(?:^|[:\[{,-])[ \t]*[&*][A-Za-z_]\w*(?:[ \t]+[\[{\w]|[ \t]*$)",
        r"<<:",
        r"(?:^|[\s:\[{,])!!?[A-Za-z][\w/.:-]*",
    ])
});

pub(super) fn find(text: &str) -> Vec<Found> {
    SYNTAX.find_iter(text).map(|hit| Found::new(Danger::Yaml, hit.as_str().trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syntax_is_found_and_prose_is_not() {
        let check = |text: &str, expected: bool| {
            assert_eq!(!find(text).is_empty(), expected, "{text:?}: {:?}", find(text));
        };
        check("a\n---\nb", true);
        check("--- !x", true);
        check("a\n...\nb", true);
        check("%YAML 1.2", true);
        check("system: |", true);
        check("obey: &a [x]", true);
        check("again: *a", true);
        check("<<: *defaults", true);
        check("!!python/object/apply:os.system", true);
        check("a !vault b", true);
        check("Write x >= 0 && x < len, !(a) and a != b.", false);
        check("Use `*.pb.go` and & in names -- not more... than that.", false);
        check("- one\n- two: three", false);
        check("Stop! Look.", false);
    }
}
