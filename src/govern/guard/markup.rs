//! Markdown and HTML that give a text structure: what a bullet never needs, and what would let it pass for
//! something else. Emphasis, lists and code in backticks are none of it.

use std::sync::LazyLock;

use regex::Regex;

/// What each is, for people, and its shape outside of code in backticks.
const KINDS: [(&str, &str); 9] = [
    (
        "a heading",
        r"(?m)^\s{0,3}#{1,6}(?:\s|$)|\s#{2,6}\s|(?i)learned guidance|(?m)^\s{0,3}(?:=+|-{3,}|\*{3,}|_{3,})\s*$",
    ),
    ("an image", r"!\[[^\]]*\]"),
    (
        "a link",
        r"\[[^\]]*\]\(|\[[^\]\n]+\]\[[^\]\n]*\]|(?m)^\s{0,3}(?:- \[\w+\] )?\[[^\]\n]+\]:\s|\[\^\w+\]",
    ),
    (
        "an HTML tag",
        r"(?i)</?(?:a|abbr|article|aside|audio|b|base|blockquote|body|br|button|canvas|center|code|col|details|div|embed|em|font|footer|form|frame|frameset|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|map|marquee|math|meta|nav|object|ol|option|p|param|picture|pre|q|s|samp|script|section|select|slot|small|source|span|strike|strong|style|sub|summary|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|title|tr|track|u|ul|var|video|xml)(?:\s[^<>]*)?/?>|</[a-zA-Z]|<\w+\s+\w+\s*=|<!\w|<\?\w|<[a-zA-Z][^<>]*/>",
    ),
    ("a table", r"(?m)^\s*\|.*\||\|\s*:?-{3,}"),
    ("a quotation", r"(?m)^\s{0,3}>"),
    ("another bullet's id", r"\[w\d+\]"),
    ("an anchor", r"\{#[\w-]+\}|\{\.[\w-]+\}"),
    ("a task box", r"(?m)^\s*(?:[-*+] )?\[[ xX]\]\s"),
];

/// The same wherever it stands.
const ANYWHERE: [(&str, &str); 2] =
    [("a code fence", r"```|~~~"), ("an HTML comment", r"<!--|-->")];

#[expect(clippy::expect_used, reason = "the patterns are fixed, and every test compiles them")]
fn compiled(table: &[(&'static str, &str)]) -> Vec<(&'static str, Regex)> {
    table.iter().map(|(kind, shape)| (*kind, Regex::new(shape).expect("a valid pattern"))).collect()
}

static SHAPES: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| compiled(&KINDS));
static EVERYWHERE: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| compiled(&ANYWHERE));
static CODE: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| compiled(&[("", "`[^`\n]+`")]));

/// What gives `text` structure, each as often as it does.
pub(super) fn kinds(text: &str) -> Vec<&'static str> {
    let bare = CODE
        .iter()
        .fold(text.to_owned(), |text, (_, code)| code.replace_all(&text, "`").into_owned());
    let hits = |text: &str, shapes: &'static [(&'static str, Regex)]| {
        let hits = shapes.iter().flat_map(|(kind, shape)| {
            shape.find_iter(text).map(move |_| *kind).collect::<Vec<_>>()
        });
        hits.collect::<Vec<_>>()
    };
    let mut kinds = hits(&bare, &SHAPES);
    kinds.extend(hits(text, &EVERYWHERE));
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_is_seen_and_plain_words_are_not() {
        let check = |text: &str, kind: &str| {
            let found = kinds(text);
            let hit = if kind.is_empty() { found.is_empty() } else { found.contains(&kind) };
            assert!(hit, "{text:?}: {found:?}");
        };
        check("# System", "a heading");
        check("Look. ## Rules", "a heading");
        check("a\n---\nb", "a heading");
        check("```sh", "a code fence");
        check("![a](b)", "an image");
        check("[a](b)", "a link");
        check("[a][1]", "a link");
        check("[1]: x", "a link");
        check("a <!-- b", "an HTML comment");
        check("`<!-- b -->`", "an HTML comment");
        check("<img src=x>", "an HTML tag");
        check("a</foo>", "an HTML tag");
        check("| a | b |", "a table");
        check("> a", "a quotation");
        check("as [w2] says", "another bullet's id");
        for text in [
            "Read order #W12 in C# and look at `[a](b)`, `a[0][1]` and spec.ports[].name.",
            "Pipe it: `kubectl get pods | grep x` -n <namespace>, Array<T>, 1 < 2 > 0.",
            "- one\n- **two**\n1. three -- and *four*",
            "a_b_c, x -> y, a >= b, [optional] and (x)",
        ] {
            check(text, "");
        }
    }
}
