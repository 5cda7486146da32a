//! The shapes that secrets and personal data commonly have, by name.
//!
//! Prefixes are those that the issuers publish for scanners. Where a shape alone would hit too much, a
//! checksum decides.

use super::checksums::{is_iban, is_luhn};

/// Stands where a secret stood.
pub(super) const HIDDEN: &str = "[redacted]";

/// One shape.
pub(super) struct Shape {
    /// What it is of, for people.
    pub(super) name: &'static str,
    pub(super) pattern: &'static str,
    /// What stands in its place; `${1}` is what may stay.
    pub(super) instead: &'static str,
    /// Whether what matched is one.
    pub(super) holds: fn(&str) -> bool,
}

const fn all(name: &'static str, pattern: &'static str) -> Shape {
    Shape { name, pattern, instead: HIDDEN, holds: always }
}

const fn after(name: &'static str, pattern: &'static str) -> Shape {
    Shape { name, pattern, instead: "${1}[redacted]", holds: always }
}

fn always(_: &str) -> bool {
    true
}

/// Whether `text` is a payment card's number: its digits, its issuer and their checksum.
fn is_card(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    (14..=16).contains(&digits) && is_luhn(text)
}

/// Whether `text` has as many digits as an international number (ITU-T E.164).
fn is_phone(text: &str) -> bool {
    (8..=15).contains(&text.chars().filter(char::is_ascii_digit).count())
}

/// Secrets and personal data; hidden always.
pub(super) const SHAPES: [Shape; 29] = [
    // A key or a quote without its end is hidden up to the end: excerpts are cut anywhere.
    all(
        "private key",
        r"(?s)-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    all("AWS key", r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b"),
    // OpenAI, Anthropic and those that took their form over.
    all("model provider's key", r"\b(?:sk|gsk|pplx|xai|r8)[-_][A-Za-z0-9_-]{16,}"),
    all("Stripe key", r"\b(?:[prs]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,}"),
    all("Google key", r"\bAIza[A-Za-z0-9_-]{30,}"),
    all("Google OAuth token", r"\b(?:ya29\.|GOCSPX-|1//0)[A-Za-z0-9_-]{20,}"),
    all(
        "code host's or registry's token",
        r"\b(?:gh[pousr]_|github_pat_|gl(?:pat|rt|dt|ptt|soat)-|hf_|npm_|pypi-|dckr_(?:pat|oat)_|crates?_?io_|rubygems_)[A-Za-z0-9_-]{20,}",
    ),
    all("Slack token", r"\bx(?:ox[abceoprs]|app)-[A-Za-z0-9-]{10,}"),
    all(
        "webhook",
        r"\b(?:hooks\.slack\.com/services|discord(?:app)?\.com/api/webhooks|[a-z0-9.-]+\.webhook\.office\.com)/[^\s\x22'<>]+",
    ),
    all("chat bot's token", r"\b\d{8,10}:AA[A-Za-z0-9_-]{30,}"),
    all("SendGrid key", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    all("Twilio key", r"\b(?:SK|AC)[0-9a-f]{32}\b"),
    all("mail service's key", r"\b(?:key-[0-9a-f]{32}|[0-9a-f]{32}-us\d{1,2})\b"),
    all(
        "cloud's token",
        r"\b(?:do[opr]_v1_[0-9a-f]{32,}|dapi[0-9a-f]{32}(?:-\d)?\b|hv[sbr]\.[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{20,}|HRKU-[A-Za-z0-9_-]{20,}|fo1_[A-Za-z0-9_-]{20,}|sbp_[0-9a-f]{32,})",
    ),
    all(
        "service's token",
        r"\b(?:shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|sq0(?:atp|csp)-[A-Za-z0-9_-]{20,}|EAAA[A-Za-z0-9_-]{40,}|lin_api_[A-Za-z0-9]{20,}|ATATT3[A-Za-z0-9_=-]{20,}|gl(?:sa|c)_[A-Za-z0-9_=+/]{20,}|NRAK-[A-Z0-9]{20,}|PMAK-[A-Za-z0-9-]{20,}|secret_[A-Za-z0-9]{40,}|AGE-SECRET-KEY-1[A-Z0-9]{20,})",
    ),
    all("Azure client secret", r"\b[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}"),
    after(
        "Azure key",
        r"(?i)\b((?:account|sharedaccess|access)key=|[?&;]sig=)[A-Za-z0-9+/%]{16,}={0,2}",
    ),
    all("JSON web token", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*)?"),
    after("bearer token", r"(?i)\b(bearer[ \t]+)[A-Za-z0-9._~+/=-]{16,}"),
    after(
        "authorization header",
        r#"(?i)\b(authorization["']?[ \t]*[:=][ \t]*["']?(?:[a-z]+[ \t]+)?)[^\s"']{8,}"#,
    ),
    after(
        "cookie",
        r#"(?i)\b((?:set-)?cookie["']?[ \t]*[:=][ \t]*["']?)(?:[\w.-]+=[^\s;,"']+(?:;[ \t]*)?)+"#,
    ),
    after(
        "session",
        r"(?i)\b((?:php|j|asp\.net_)?sess(?:ion)?_?(?:id|key)?|sid|csrf_?token)=[^\s;&]{12,}",
    ),
    Shape {
        name: "password in a URL",
        pattern: r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@",
        instead: "${1}[redacted]@",
        holds: always,
    },
    after(
        "password",
        r#"(?i)((?:[\w.-]*(?:password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|private[_-]?key)["']?[ \t]*[=:][ \t]*)|--(?:password|passwd|token|secret|api-?key)[ =]|\bcurl\b[^\n]{0,80}?[ ](?:-u|--user)[ =]?[^\s:]+:)(?:"[^"\n]+"?|'[^'\n]+'?|[^\s"',;&)}])+"#,
    ),
    // Said rather than set: letters and digits together are no word.
    after(
        "spoken password",
        r#"(?i)\b((?:password|passphrase|passcode|pin|api key|access key|token|secret)[ ]+(?:is|was|are|as|of)[ ]+["'`]?)(?:[a-z]+[0-9]|[0-9]+[a-z])[^\s"'`,;]{3,}"#,
    ),
    after("token", r#"(?i)\b((?:\w+[_-])?token["']?[ \t]*[=:][ \t]*["']?)[^\s"',;&)}]{8,}"#),
    Shape {
        name: "payment card",
        pattern: r"\b(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|3[4-8]\d{2}|6\d{3})(?:[ -]?\d){10,12}\b",
        instead: HIDDEN,
        holds: is_card,
    },
    Shape {
        name: "bank account",
        pattern: r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b",
        instead: HIDDEN,
        holds: is_iban,
    },
    Shape {
        name: "phone number",
        pattern: r"((?:^|[^\w+.-]))\+[1-9]\d{0,2}(?:[ ./-]?\(?\d{1,5}\)?){2,6}\b",
        instead: "${1}[redacted]",
        holds: is_phone,
    },
];

/// E-mail addresses; hidden unless an operator says otherwise.
pub(super) const EMAIL: Shape =
    all("e-mail address", r"(?i)\b[a-z0-9][a-z0-9._%+-]*@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b");

/// IP addresses; shown unless an operator says otherwise: an agent that looks after machines talks of little else.
pub(super) const IPS: [Shape; 2] = [
    all(
        "IPv4 address",
        r"\b(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\b",
    ),
    Shape {
        name: "IPv6 address",
        pattern: r"(?i)[0-9a-f:]*:[0-9a-f]*:[0-9a-f:.]*",
        instead: HIDDEN,
        holds: is_ipv6,
    },
];

/// Whether `text` is an IPv6 address with a digit in it: `add::face` is none.
pub(super) fn is_ipv6(text: &str) -> bool {
    let text = text.trim_end_matches('.');
    text.contains(|c: char| c.is_ascii_digit()) && text.parse::<core::net::Ipv6Addr>().is_ok()
}
