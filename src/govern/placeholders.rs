//! The placeholders of a prompt, in the dialects that agents use.
//!
//! Python's `str.format` (`{name}`, `{{` and `}}` escaped, a stray brace raises), double braces
//! (`{{ name }}`: Jinja, Mustache) and shell-like `${name}`; besides, what other renderers fill in or run.
//! Which one an agent uses is not known, so each is read on its own and none may change: a lost placeholder makes the agent answer blind, an
//! added or stray one crashes it at run time.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

/// What other renderers fill in or run: ERB and PHP tags, Ruby's and Make's expansions, Angular's brackets,
/// Python's `%(name)s`, `$name` as `string.Template` and shells read it, Velocity's and Smarty's statements.
#[expect(clippy::expect_used, reason = "the pattern is fixed, and every test compiles it")]
static OTHERS: LazyLock<Regex> = LazyLock::new(|| {
    let shapes = [
        r"<[%?]=?\s*[^%?>\s]*",
        r"[%?]>",
        r"#\{[^}]*\}?",
        r"\$\([^)]*\)?",
        r"\[\[\s*[\w.]+\s*\]\]",
        r"%\([\w.]+\)[#0 +-]*\d*[a-zA-Z]",
        r"\$!?[A-Za-z_]\w*",
        r"#(?:set|parse|include|foreach|evaluate|macro|if|end)\(",
        r"\{\$?[/#^>&]\w+[^}]*\}",
        r"#[A-Za-z_][\w.]*#|%[A-Za-z_]\w*%",
        r"@[A-Za-z_][\w.]*@|(?:^|\s)@[A-Z]\w*\.[\w.]+",
        r"@\{[^}]*\}|\\\([^)]*\)",
    ];
    Regex::new(&shapes.join("|")).expect("a valid pattern")
});

/// What a prompt asks its renderer to fill in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholders {
    /// `str.format` fields with their counts, conversions and format specs included; `None` if the
    /// text would make `str.format` raise.
    format: Option<BTreeMap<String, usize>>,
    /// `{{ … }}` with their counts.
    double: BTreeMap<String, usize>,
    /// `${ … }` with their counts.
    shell: BTreeMap<String, usize>,
    /// `{word}` with their counts, found by eye: what is left to compare where `str.format` raises.
    loose: BTreeMap<String, usize>,
    /// Jinja statements `{% … %}` with their counts.
    statements: BTreeMap<String, usize>,
    /// What [`OTHERS`] finds, with their counts.
    others: BTreeMap<String, usize>,
    /// Braces that pair with nothing, opening and closing.
    unpaired: (usize, usize),
}

impl Placeholders {
    /// The placeholders of `text`.
    pub fn of(text: &str) -> Self {
        Self {
            format: format_fields(text),
            double: between(text, "{{", "}}"),
            shell: between(text, "${", "}"),
            loose: loose(text),
            statements: between(text, "{%", "%}"),
            others: others(text),
            unpaired: unpaired(text),
        }
    }

    /// What `new` changes, in words for a person; `None` if nothing.
    pub fn difference(&self, new: &Self) -> Option<String> {
        match (&self.format, &new.format) {
            (Some(_), None) => {
                return Some("a stray brace would make Python's str.format raise".to_owned());
            }
            (Some(old), Some(new)) if old != new => return Some(changed("{…}", old, new)),
            _ => {}
        }
        let pairs = [
            ("{{ … }}", &self.double, &new.double),
            ("${…}", &self.shell, &new.shell),
            ("{word}", &self.loose, &new.loose),
            ("{% … %}", &self.statements, &new.statements),
            ("other", &self.others, &new.others),
        ];
        for (dialect, old, new) in pairs {
            if old != new {
                return Some(changed(dialect, old, new));
            }
        }
        (self.unpaired != new.unpaired).then(|| "unpaired braces were added or lost".to_owned())
    }
}

fn changed(dialect: &str, old: &BTreeMap<String, usize>, new: &BTreeMap<String, usize>) -> String {
    let less = |a: &BTreeMap<String, usize>, b: &BTreeMap<String, usize>| {
        let fewer = a.iter().filter(|(name, count)| b.get(*name).unwrap_or(&0) < *count);
        let names: Vec<_> = fewer.map(|(name, _)| format!("{name:?}")).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    format!("{dialect} placeholders lost: {}; added: {}", less(old, new), less(new, old))
}

/// The fields as `str.format` reads them: <https://docs.python.org/3/library/string.html#format-string-syntax>.
/// A field may nest one level of fields in its format spec.
fn format_fields(text: &str) -> Option<BTreeMap<String, usize>> {
    let mut fields = BTreeMap::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' if chars.peek() == Some(&'{') => {
                chars.next();
            }
            '}' if chars.peek() == Some(&'}') => {
                chars.next();
            }
            '}' => return None,
            '{' => {
                let mut field = String::new();
                let mut depth = 1;
                while depth > 0 {
                    let c = chars.next()?;
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        _ => {}
                    }
                    // `str.format` allows a field inside a format spec and no deeper.
                    if depth > 2 || (c == '{' && !field.contains(':')) {
                        return None;
                    }
                    if depth > 0 {
                        field.push(c);
                    }
                }
                *fields.entry(field).or_default() += 1;
            }
            _ => {}
        }
    }
    Some(fields)
}

fn between(text: &str, open: &str, close: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((_, tail)) = rest.split_once(open) {
        let Some((inner, tail)) = tail.split_once(close) else { break };
        *found.entry(inner.trim().to_owned()).or_default() += 1;
        rest = tail;
    }
    found
}

fn loose(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for piece in text.split('{').skip(1) {
        let Some((name, _)) = piece.split_once('}') else { continue };
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '!' | ':');
        if name.chars().all(word) {
            *found.entry(name.to_owned()).or_default() += 1;
        }
    }
    found
}

fn others(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for hit in OTHERS.find_iter(text) {
        *found.entry(hit.as_str().to_owned()).or_default() += 1;
    }
    found
}

fn unpaired(text: &str) -> (usize, usize) {
    let mut open = 0;
    let mut stray = 0;
    for c in text.chars() {
        match c {
            '{' => open += 1,
            '}' if open > 0 => open -= 1,
            '}' => stray += 1,
            _ => {}
        }
    }
    (open, stray)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_placeholder_is_seen_in_every_dialect() {
        let check = |old: &str, new: &str, same: bool| {
            let difference = Placeholders::of(old).difference(&Placeholders::of(new));
            assert_eq!(difference.is_none(), same, "{old:?} -> {new:?}: {difference:?}");
        };
        check("Hi {name}", "Dear {name}!", true);
        check("Hi {name}", "Hi there", false);
        check("Hi", "Hi {name}", false);
        check("Hi {name}", "Hi {name} {name}", false);
        check("Hi {name}", "Hi {name:>10}", false);
        check("Hi {name}", "Hi {name} }", false);
        check("Hi {name}", "Hi {name} {", false);
        check("Hi {name}", "Hi {name}, write {{}}", false);
        check("Use {{ city }}", "Use {{ city }} now", true);
        check("Use {{ city }}", "Use it", false);
        check("Cost: ${sum}", "Cost: ${total}", false);
        check("{% if a %}x{% endif %}", "{% if a %}x", false);
        check(r#"Answer {"ans": 1}"#, r#"Answer {"ans": 1} {x}"#, false);
        check(r#"Answer {"ans": 1}"#, r#"Please answer {"ans": 1}"#, true);
        check(r#"Answer {"ans": 1}"#, r#"Answer {"ans": 1"#, false);
        check("No braces", "No braces, {\"a\": 1}", false);
        check("Dear %(name)s", "Dear", false);
        for added in
            ["<%= x %>", "<?php x ?>", "#{x}", "$(id)", "[[ x ]]", "%(x)s", "$x", "#set($a)"]
        {
            check("No code", &format!("No code {added}"), false);
        }
        check("No code", "It costs $25 (5 %), #1; see a[0][1], x -> y and (50%).", true);
    }
}
