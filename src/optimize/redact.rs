//! Hides secrets in text before it leaves for a model. Pure.
//!
//! What it knows is a table of the shapes that secrets commonly have. It errs on the side of hiding: a
//! word too many costs the model a little sense, a key too few costs its owner the key. It is the last
//! of several fences, and no promise: a password in plain prose looks like any other word.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

/// Stands where a secret stood.
pub(super) const HIDDEN: &str = "[redacted]";

/// Shapes of secrets and what to put in their place; `$1` is what may stay.
const SHAPES: [(&str, &str); 13] = [
    // A key or a quote without its end is hidden up to the end: excerpts are cut anywhere.
    (
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\z)",
        HIDDEN,
    ),
    (r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b", HIDDEN),
    (r"\bsk-[A-Za-z0-9_-]{16,}", HIDDEN),
    (r"\b[prs]k_(?:live|test)_[A-Za-z0-9]{10,}", HIDDEN),
    (r"\bAIza[A-Za-z0-9_-]{30,}", HIDDEN),
    (r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_)[A-Za-z0-9_-]{20,}", HIDDEN),
    (r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", HIDDEN),
    (r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?", HIDDEN),
    (r"(?i)\b(bearer[ \t]+)[A-Za-z0-9._~+/=-]{16,}", "${1}[redacted]"),
    (
        r#"(?i)\b(authorization["']?[ \t]*[:=][ \t]*["']?(?:[a-z]+[ \t]+)?)[^\s"']{8,}"#,
        "${1}[redacted]",
    ),
    (r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@", "${1}[redacted]@"),
    (
        r#"(?i)([\w.-]*(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key)["']?[ \t]*[=:][ \t]*)(?:"[^"\n]+"?|'[^'\n]+'?|[^\s"',;&)}])+"#,
        "${1}[redacted]",
    ),
    (r#"(?i)\b((?:\w+[_-])?token["']?[ \t]*[=:][ \t]*["']?)[^\s"',;&)}]{8,}"#, "${1}[redacted]"),
];

#[expect(clippy::expect_used, reason = "the shapes are fixed, and every test compiles them")]
static TABLE: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compile = |(shape, instead): &(&str, &'static str)| {
        (Regex::new(shape).expect("a valid shape"), *instead)
    };
    SHAPES.iter().map(compile).collect()
});

/// `text` with what looks like a secret replaced by [`HIDDEN`].
pub(super) fn redact(text: &str) -> Cow<'_, str> {
    TABLE.iter().fold(Cow::Borrowed(text), |text, (shape, instead)| {
        match shape.replace_all(&text, *instead) {
            Cow::Borrowed(_) => text,
            Cow::Owned(hidden) => Cow::Owned(hidden),
        }
    })
}

/// Whether [`redact`] would hide something in `text`.
pub(super) fn has_secret(text: &str) -> bool {
    redact(text) != text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        let check = |text: &str, expected: &str| assert_eq!(redact(text), expected, "{text:?}");
        let key = |prefix: &str, length: usize| format!("{prefix}{}", "aB3".repeat(length));
        check("AKIAABCDEFGHIJKLMNOP ok", "[redacted] ok");
        check(&key("use sk-", 8), "use [redacted]");
        check(&key("sk-proj-", 8), "[redacted]");
        check(&key("sk_live_", 8), "[redacted]");
        check(&key("AIza", 12), "[redacted]");
        check(&key("ghp_", 12), "[redacted]");
        check(&key("xoxb-", 12), "[redacted]");
        check(&format!("{}.{}.x", key("eyJ", 5), key("", 5)), "[redacted]");
        check(&key("Bearer ", 8), "Bearer [redacted]");
        check(
            &format!("-H 'Authorization: Basic {}'", key("", 6)),
            "-H 'Authorization: Basic [redacted]'",
        );
        check("postgres://app:hunter2@db:5432/x", "postgres://app:[redacted]@db:5432/x");
        check("password=hunter2 user=me", "password=[redacted] user=me");
        check("PGPASSWORD='a b' psql", "PGPASSWORD=[redacted] psql");
        check("{\"db_password\": \"x\", \"a\": 1}", "{\"db_password\": [redacted], \"a\": 1}");
        check("AWS_SECRET_ACCESS_KEY=abc/def", "AWS_SECRET_ACCESS_KEY=[redacted]");
        check("?api_key=123&x=1", "?api_key=[redacted]&x=1");
        check("auth_token: 0123456789", "auth_token: [redacted]");
        check(
            "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b",
            "a [redacted] b",
        );
        check("a -----BEGIN PRIVATE KEY----- MIIEvg cut off", "a [redacted]");
    }

    #[test]
    fn what_agents_talk_about_stays() {
        let check = |text: &str| assert!(!has_secret(text), "{text:?}: {}", redact(text));
        check("Check the secret's keys before you edit the deployment.");
        check("Use bearer authentication, or basic troubleshooting.");
        check("max_tokens: 8000, tokens=12");
        check("task-aaaaaaaaaaaaaaaaaaaaaaaa in disk-usage-monitoring-service");
        check("https://example.org/a/b?c=d:e@f");
        check("kubectl get pods -n hotel-reservation");
        check("The password is wrong.");
    }

    proptest! {
        #[test]
        fn a_secret_is_hidden_wherever_it_stands(
            before in "[a-z0-9:=@,. \n-]{0,40}",
            lead in "(password=|password: |API_KEY=|secret=\"|https://me:)",
            secret in "[A-Z0-9]{12,24}",
            after in "[a-z0-9:=,. \n-]{0,40}",
        ) {
            let end = if lead.starts_with("https") { "@host" } else { "" };
            let text = format!("{before} {lead}{secret}{end} {after}");
            prop_assert!(!redact(&text).contains(&secret), "{}", redact(&text));
        }

        #[test]
        fn a_key_is_found_wherever_it_stands(
            before in "[ a-z(\"'=:,\n-]{0,20}[ (\"'=,\n]",
            key in "(AKIA[0-9A-Z]{16}|sk-[a-zA-Z0-9]{20,40}|AIza[a-zA-Z0-9_-]{35}|ghp_[a-zA-Z0-9]{36})",
            after in "[ )\"',.\n][ a-z)\"'=:,\n-]{0,20}",
        ) {
            let hidden = redact(&format!("{before}{key}{after}")).into_owned();
            prop_assert!(!hidden.contains(&key), "{hidden}");
        }

        #[test]
        fn any_text_is_taken(text in "\\PC{0,200}") {
            redact(&text);
        }
    }
}
