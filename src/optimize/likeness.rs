//! Whether two sentences say the same. Pure, and by words alone: no model is asked.

use std::collections::BTreeSet;

/// Sentences that share at least this much of their words say the same.
const SAME: f64 = 0.6;

/// Words that say nothing about what a sentence is about.
const COMMON: [&str; 36] = [
    "a", "an", "and", "any", "are", "as", "at", "be", "before", "by", "do", "ensure", "every",
    "first", "for", "from", "in", "is", "it", "its", "make", "must", "of", "on", "or", "please",
    "should", "sure", "that", "the", "then", "this", "to", "use", "with", "you",
];

/// Whether `a` and `b` say the same: most of their words are shared, and so are all numbers and all names
/// in backticks, as "be wary of `a`" and "be wary of `b`" have little in common.
pub(super) fn alike(a: &str, b: &str) -> bool {
    if names(a) != names(b) || numbers(a) != numbers(b) {
        return false;
    }
    let (a, b) = (words(a), words(b));
    let shared = real(a.intersection(&b).count());
    let all = real(a.union(&b).count());
    if all == 0.0 { true } else { shared / all >= SAME }
}

fn words(text: &str) -> BTreeSet<String> {
    let text = text.to_lowercase();
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|w| !w.is_empty());
    let all: BTreeSet<_> = words.map(stem).collect();
    let telling: BTreeSet<_> =
        all.iter().filter(|word| !COMMON.contains(&word.as_str())).cloned().collect();
    if telling.is_empty() { all } else { telling }
}

/// Without the commonest endings: "calls" and "call" are one word.
fn stem(word: &str) -> String {
    let long = |stem: &&str| stem.chars().count() >= 3;
    let ending = ["ing", "es", "s"].iter().find_map(|end| word.strip_suffix(end).filter(long));
    ending.unwrap_or(word).to_owned()
}

fn names(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn numbers(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_digit());
    words.filter(|word| !word.is_empty()).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts of words")]
fn real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_advice_is_known_in_other_words() {
        let check = |a: &str, b: &str, same: bool| {
            assert_eq!(alike(a, b), same, "{a:?} {b:?}");
            assert_eq!(alike(b, a), same, "{b:?} {a:?}");
        };
        check("Write durations in seconds.", "Please write the duration in seconds!", true);
        check("Look first.", "look first", true);
        check("Write durations in seconds.", "Name services in lower case.", false);
        check("Be wary of `a`: it fails.", "Be wary of `b`: it fails.", false);
        check("Use at most 5 words.", "Use at most 8 words.", false);
        check(
            "Always include the service key.",
            "Ensure that service keys always are included.",
            true,
        );
        check("Always include the service key.", "Never guess the environment.", false);
        check("Check events before logs.", "Check the events before the logs.", true);
        check("", "", true);
        check("the", "a", false);
    }
}
