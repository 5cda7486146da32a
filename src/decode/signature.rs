//! An error's signature: its text with all that changes from run to run left out, so that the same
//! fault met twice has the same name.

use super::limits::{MAX_NAME_BYTES, MAX_SIGNATURE_BYTES};
use super::text::{clean, cut};
use super::{Outcome, ToolCall, Trace};

/// What the run died of: its last failed call, or else, if it is known to have gone wrong, its result.
/// A run that succeeded has none, though some of its calls failed.
pub(super) fn of(trace: &Trace) -> Option<String> {
    let failed: Option<&ToolCall> = trace
        .tool_calls()
        .filter(|call| !call.ok)
        .last()
        .filter(|_| trace.outcome != Outcome::Success);
    let text = match (failed, trace.outcome) {
        (Some(call), _) => {
            let error = call.error.as_deref().unwrap_or("failed");
            format!("{}: {}", clean(cut(&call.name, MAX_NAME_BYTES / 2)), generic(error))
        }
        (None, Outcome::Failure | Outcome::Aborted) => generic(trace.result.as_deref()?),
        (None, Outcome::Success | Outcome::Unknown) => return None,
    };
    (!text.is_empty()).then(|| cut(&text, MAX_SIGNATURE_BYTES).to_owned())
}

/// The telling line of `text` with `<str>` for what is quoted, `<path>` for paths and addresses, `<id>`
/// for words of letters and digits such as UUIDs and hashes, `<n>` for numbers.
fn generic(text: &str) -> String {
    let line = clean(telling_line(text));
    let mut generic = String::new();
    let mut rest = cut(&line, 2_000);
    while let Some(first) = rest.chars().next() {
        let (word, after) = if let Some(after) = quoted(rest, generic.chars().last()) {
            ("<str>", after)
        } else if in_word(first) {
            let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            // Punctuation that ends a sentence is not part of its last word.
            let bare = word.trim_end_matches(['.', ':', '-']);
            let (bare, tail) = word.split_at_checked(bare.len()).unwrap_or((word, ""));
            generic.push_str(kind(bare));
            (tail, after)
        } else if first.is_whitespace() {
            (if generic.ends_with(' ') { "" } else { " " }, rest.trim_start())
        } else {
            rest.split_at_checked(first.len_utf8()).unwrap_or((rest, ""))
        };
        generic.push_str(word);
        rest = after;
        if generic.len() > 2 * MAX_SIGNATURE_BYTES {
            break;
        }
    }
    generic.trim().to_owned()
}

/// The first line that says something; of a Python traceback the last, which names the exception.
fn telling_line(text: &str) -> &str {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match lines.next() {
        Some(first) if first.starts_with("Traceback (most recent") => {
            lines.next_back().unwrap_or(first)
        }
        first => first.unwrap_or_default(),
    }
}

/// What follows the quoted text that `rest` begins with. An apostrophe inside a word quotes nothing.
fn quoted(rest: &str, before: Option<char>) -> Option<&str> {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    if before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    let (_, after) = rest.split_at_checked(1)?.1.split_once(quote)?;
    Some(after)
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | '~' | '@' | '%' | '\'')
}

fn kind(word: &str) -> &str {
    // `31.7s` and `16Mi` are numbers with a unit.
    let unit = word.trim_start_matches(|c: char| !c.is_alphabetic());
    if word.contains('/') {
        "<path>"
    } else if !word.contains(|c: char| c.is_ascii_digit()) {
        word
    } else if unit.len() <= 2 && unit.chars().all(char::is_alphabetic) {
        "<n>"
    } else {
        "<id>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_from_run_to_run_is_left_out() {
        let check = |text: &str, expected: &str| assert_eq!(generic(text), expected, "{text}");
        check("pod \"geo-5c9\" not found", "pod <str> not found");
        check("Timed out after 31.7s (attempt 3)", "Timed out after <n> (attempt <n>)");
        check("no user 8c1e2a40-1b7d-4b0e-9d4e-00c0ffee0000.", "no user <id>.");
        check("open /var/log/x.log: denied", "open <path>: denied");
        check("GET http://10.0.0.1:9090/api failed", "GET <path> failed");
        check("code=500, 'two words' in `it`", "code=<n>, <str> in <str>");
        check("can't do that", "can't do that");
        check("an \"open quote", "an \"open quote");
        check("first\nsecond", "first");
        check("\n\n  first", "first");
        check(
            "Traceback (most recent call last):\n  File \"x\"\nValueError: bad 7\n",
            "ValueError: bad <n>",
        );
        check("a \u{1b}[31m b", "a [<n> b");
        check("", "");
    }

    #[test]
    fn the_same_fault_has_the_same_signature() {
        let check = |a: &str, b: &str| assert_eq!(generic(a), generic(b));
        check("pod 'a b' at 10.0.0.1:80 gone", "pod 'c' at 10.9.8.7:8080 gone");
        check("request req_91ab failed", "request req_77cd failed");
    }

    #[test]
    fn a_signature_is_cut_between_characters() {
        let long = "ä".repeat(10_000);
        assert!(generic(&long).len() <= 2_000);
        assert!(cut(&generic(&long), MAX_SIGNATURE_BYTES).chars().all(|c| c == 'ä'));
    }
}
