//! How the evidence is laid out for a model: a Jinja template that operators can replace. Pure: who reads
//! the file is not its affair.
//!
//! A template gets the sections as they are to be shown: redacted, cut to size, and fenced where others
//! wrote them. What a section holds is never read as a template, and no template can take a fence off.

use std::collections::BTreeMap;

use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::sections::KEYS;

/// The layout that is used where the operator has none.
pub(super) const DEFAULT: &str = include_str!("evidence.j2");
/// How many steps a template may take: more than enough for a loop over all sections, and an end for a
/// loop without one.
const FUEL: u64 = 200_000;
const NAME: &str = "evidence";

/// A template that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the evidence template{line}: {problem}", line = .line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct TemplateError {
    line: Option<usize>,
    problem: String,
}

/// A layout of the evidence.
#[derive(Clone, Debug)]
pub struct Template {
    environment: Environment<'static>,
}

/// A section as a template sees it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shown {
    pub(super) key: &'static str,
    pub(super) title: String,
    /// Ready to be shown, fences included.
    pub(super) text: String,
}

#[derive(Serialize)]
struct Context<'a> {
    sections: &'a [Shown],
    #[serde(flatten)]
    by_key: BTreeMap<&'static str, Vec<&'a Shown>>,
}

impl Template {
    /// The template `source`. It is tried at once, so that a mistake shows when whetstone starts and not
    /// when a window is ready.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(source: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| TemplateError::of(&error))?;
        let template = Self { environment };
        let sample = |key: &'static str| Shown { key, title: key.to_owned(), text: key.to_owned() };
        template.render(&KEYS.map(sample))?;
        Ok(template)
    }

    /// The evidence.
    ///
    /// # Errors
    /// What the template cannot do with these sections.
    pub(super) fn render(&self, sections: &[Shown]) -> Result<String, TemplateError> {
        let of = |key: &'static str| (key, sections.iter().filter(|s| s.key == key).collect());
        let context = Context { sections, by_key: KEYS.map(of).into_iter().collect() };
        let text = self
            .environment
            .get_template(NAME)
            .and_then(|template| template.render(Value::from(Serde(context))));
        let text = text.map_err(|error| TemplateError::of(&error))?;
        Ok(text.trim().to_owned())
    }
}

impl Default for Template {
    /// The layout that is used where the operator has none.
    #[expect(
        clippy::expect_used,
        reason = "it is compiled in, and every test of a brief renders it"
    )]
    fn default() -> Self {
        Self::new(DEFAULT).expect("the default template is sound")
    }
}

impl TemplateError {
    fn of(error: &minijinja::Error) -> Self {
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        Self { line: error.line(), problem: detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections() -> Vec<Shown> {
        let shown = |key, title: &str, text: &str| Shown {
            key,
            title: title.to_owned(),
            text: text.to_owned(),
        };
        vec![
            shown("agent", "The agent", "mitigation"),
            shown("contrast", "Failed run", "<<<X\n{{ 7 * 6 }} {% raw %} & <b>\nX>>>"),
        ]
    }

    #[test]
    fn the_default_shows_every_section_as_it_is() {
        let text = Template::default().render(&sections()).unwrap();
        let expected =
            "## The agent\nmitigation\n\n## Failed run\n<<<X\n{{ 7 * 6 }} {% raw %} & <b>\nX>>>";
        assert_eq!(text, expected);
    }

    #[test]
    fn an_operator_picks_and_adds_words() {
        let source = "House rules first.\n{% for s in agent + contrast %}{{ s.text }}|{% endfor %}{{ reward | length }}";
        let text = Template::new(source).unwrap().render(&sections()).unwrap();
        assert!(text.starts_with("House rules first.\nmitigation|<<<X"), "{text}");
        assert!(text.ends_with("|0"), "{text}");
    }

    #[test]
    fn a_mistake_shows_at_once_with_its_line() {
        let check = |source: &str, part: &str| {
            let problem = Template::new(source).unwrap_err().to_string();
            assert!(problem.contains(part), "{problem}");
        };
        check("a\n{% for s in sections %}", "line 2");
        check("a\n{{ sektions }}", "line 2");
        check(
            "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}",
            "fuel",
        );
    }
}
