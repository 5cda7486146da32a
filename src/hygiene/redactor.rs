//! Hides secrets and personal data in text before it leaves for a model.
//!
//! It errs on the side of hiding: a word too many costs the model a little sense, a key too few costs its
//! owner the key. It is the last of several fences, and no promise: a password in plain prose looks like
//! any other word. Operators add what their own house has.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex, RegexBuilder};

use super::danger::{Danger, Found};
use super::matcher::pattern;
use super::secrets::{EMAIL, HIDDEN, IPS, SHAPES, Shape};
use crate::base::Digest;

/// The largest compiled rule of an operator, in bytes: a few thousand characters of pattern.
const MAX_RULE_BYTES: usize = 1 << 20;

/// What is hidden besides secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedactionRules {
    /// Whether e-mail addresses are. Default yes.
    pub emails: bool,
    /// Whether IP addresses are. Default no.
    pub ips: bool,
    /// The operator's own shapes, as regular expressions by name. Default none.
    pub rules: BTreeMap<String, String>,
}

impl Default for RedactionRules {
    fn default() -> Self {
        Self { emails: true, ips: false, rules: BTreeMap::new() }
    }
}

/// Why an operator's rule cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct BadRule {
    /// The rule's name.
    pub name: String,
    /// What is wrong with it, in a line.
    pub problem: String,
}

/// Replaces what should not be seen by `[redacted]`.
#[derive(Clone, Debug)]
pub struct Redactor {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    name: &'static str,
    shape: Regex,
    instead: &'static str,
    holds: fn(&str) -> bool,
}

impl Rule {
    fn of(shape: &Shape) -> Self {
        Self {
            name: shape.name,
            shape: pattern(shape.pattern),
            instead: shape.instead,
            holds: shape.holds,
        }
    }

    fn own(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(text)
            .size_limit(MAX_RULE_BYTES)
            .dfa_size_limit(MAX_RULE_BYTES)
            .build()
            .map_err(|problem| {
                let text = problem.to_string();
                let last = text.lines().last().unwrap_or_default().trim().to_owned();
                format!("is no regular expression: {}", last.trim_start_matches("error: "))
            })?;
        if built.is_match("") {
            return Err("matches where nothing stands: it would hide nothing".to_owned());
        }
        Ok(Self { name: "own", shape: built, instead: HIDDEN, holds: |_| true })
    }

    fn hide<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.shape.replace_all(text, |found: &Captures<'_>| {
            let whole = found.get(0).map_or("", |whole| whole.as_str());
            let mut instead = String::new();
            if (self.holds)(whole) {
                found.expand(self.instead, &mut instead);
            } else {
                instead.push_str(whole);
            }
            instead
        })
    }
}

/// Secrets and personal data alone, e-mail addresses left out.
static BARE: LazyLock<Redactor> =
    LazyLock::new(|| Redactor { rules: SHAPES.iter().map(Rule::of).collect() });

static DEFAULT: LazyLock<Redactor> =
    LazyLock::new(|| Redactor::built_in(&RedactionRules::default()));

impl Redactor {
    /// Hides what is built in and what `rules` say.
    ///
    /// # Errors
    /// The first of the operator's rules that is no regular expression, is too large, or matches nothing.
    pub fn new(rules: &RedactionRules) -> Result<Self, BadRule> {
        let mut redactor = Self::built_in(rules);
        for (name, text) in &rules.rules {
            let rule = Rule::own(text);
            let rule = rule.map_err(|problem| BadRule { name: name.clone(), problem })?;
            redactor.rules.push(rule);
        }
        Ok(redactor)
    }

    fn built_in(rules: &RedactionRules) -> Self {
        let mut redactor = BARE.clone();
        if rules.emails {
            redactor.rules.push(Rule::of(&EMAIL));
        }
        if rules.ips {
            redactor.rules.extend(IPS.iter().map(Rule::of));
        }
        redactor
    }

    /// `text` with `[redacted]` where something should not be seen.
    pub fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.rules.iter().fold(Cow::Borrowed(text), |text, rule| match rule.hide(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(hidden) => Cow::Owned(hidden),
        })
    }

    /// Whether [`Redactor::redact`] would hide something in `text`.
    pub fn has_secret(&self, text: &str) -> bool {
        self.redact(text) != text
    }
}

impl Default for Redactor {
    fn default() -> Self {
        DEFAULT.clone()
    }
}

/// `text` as [`Redactor::default`] shows it.
pub fn redact(text: &str) -> Cow<'_, str> {
    DEFAULT.redact(text)
}

/// Whether [`redact`] would hide something in `text`.
pub fn has_secret(text: &str) -> bool {
    DEFAULT.has_secret(text)
}

/// Secrets and personal data in `text`, each by its kind and a digest; e-mail addresses are addresses first.
pub(super) fn secrets(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for rule in &BARE.rules {
        let hits = rule.shape.find_iter(text).map(|hit| hit.as_str());
        let hits = hits.filter(|hit| (rule.holds)(hit) && rule.hide(hit) != *hit);
        let shown = |hit: &str| format!("{} {}", rule.name, Digest::of(hit.as_bytes()).short());
        found.extend(hits.map(|hit| Found::new(Danger::Secret, shown(hit))));
    }
    found
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
    fn keys_of_many_houses_and_personal_data_are_hidden() {
        let check = |text: &str| assert!(has_secret(text), "{text:?}");
        let key = |prefix: &str, length: usize| format!("{prefix}{}", "aB3".repeat(length));
        let hex = |prefix: &str| format!("{prefix}{}", "0a1b2c3d".repeat(4));
        for prefix in [
            "sk-ant-api03-",
            "gsk_",
            "xai-",
            "ya29.",
            "GOCSPX-",
            "1//0",
            "github_pat_",
            "glpat-",
            "hf_",
            "npm_",
            "pypi-",
            "dckr_pat_",
            "xapp-",
            "SG.aB3aB3aB3aB3aB3aB3.",
            "hvs.",
            "lin_api_",
            "ATATT3",
            "glsa_",
            "12345678:AA",
            "https://hooks.slack.com/services/",
            "AccountKey=",
            "abc8Q~",
        ] {
            check(&key(prefix, 12));
        }
        for prefix in ["SK", "AC", "key-", "dop_v1_", "dapi", "shpat_"] {
            check(&hex(prefix));
        }
        check("Cookie: a=1; session=8f7d6c5b");
        check("Set-Cookie: id=a3fWa; Path=/");
        check("PHPSESSID=298zf09hf012fh2");
        check("The admin password is hunter22hunter.");
        check("curl -u ada:hunter2 x");
        check("mysql --password hunter2");
        check("card 4111 1111 1111 1111, please");
        check("IBAN GB82 WEST 1234 5698 7654 32");
        check("call +49 (30) 1234-5678 or");
        check("write to mara.lind@kettle.example");
    }

    #[test]
    fn operators_say_what_else_is_hidden() {
        let rules = |name: &str, rule: &str| RedactionRules {
            emails: false,
            ips: true,
            rules: BTreeMap::from([(name.to_owned(), rule.to_owned())]),
        };
        let redactor = Redactor::new(&rules("employee", r"\bE-\d{6}\b")).unwrap();
        let check = |text: &str, expected: &str| assert_eq!(redactor.redact(text), expected);
        check("E-123456 at 10.0.0.7", "[redacted] at [redacted]");
        check("a@b.example from fe80::1, std::a::b", "a@b.example from [redacted], std::a::b");
        check("10:20:30 on 1.2.3 and 999.1.1.1", "10:20:30 on 1.2.3 and 999.1.1.1");
        assert!(!has_secret("10.0.0.7"), "shown unless said otherwise");
        let problem = |rule: &str| Redactor::new(&rules("bad", rule)).unwrap_err().to_string();
        assert!(problem("(").contains("unclosed group"), "{}", problem("("));
        assert!(problem("x*").contains("where nothing stands"));
        assert!(problem(r"\w{1000}{100}").contains("size limit"), "{}", problem(r"\w{1000}{100}"));
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
        check("The token is missing; the secret is mounted as a volume.");
        check("cookie: chocolate chip recipes");
        check("1761455124777 and 1761455124777000 and 2024-05-20T10:00:00 +0000, +1 day");
        check("order #W1234567, item 4421486, HAT136, reservation 8C8K4E");
        check("sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check("10.0.0.7:8080 and ::1");
        check("asia-northeast1-a, sku-1234, key-value pairs");
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
