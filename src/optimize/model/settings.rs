//! Which model is asked, where, with what patience, and whose key opens it; and what a question becomes
//! with it. Pure: the environment is the caller's, who passes a look-up in.

use std::time::Duration;

use genai::adapter::AdapterKind;
use reqwest::Url;
use secrecy::SecretString;

use super::call_log::CallFiles;
use super::dialect::{Dialect, Format};
use super::entry::{Sent, Turn};
use super::price::{DEFAULT_MODEL, Price};
use super::{Question, Said};

/// How a model is asked.
#[derive(Clone, Debug)]
pub struct LlmSettings {
    /// Whether it is asked at all.
    pub enabled: bool,
    /// Its name, as the provider or the server at `endpoint` knows it. A name without an `endpoint`
    /// says its provider too, e.g. `gemini-…`, `gpt-…`, `claude-…` or `groq::…`.
    pub model: String,
    /// The base URL of an OpenAI-compatible server, e.g. `http://127.0.0.1:8080/v1/`; the model's
    /// provider if not given.
    pub endpoint: Option<String>,
    /// For one call.
    pub timeout: Duration,
    /// Calls for one half of a proposal, the first included; at least 1. Finding out what a server
    /// can do does not count.
    pub max_attempts: u32,
    /// The pause before the second call; it doubles from call to call.
    pub first_pause: Duration,
    /// 0 to 2.
    pub temperature: f64,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
    /// The key. A server at `endpoint` may need none.
    pub key: Option<SecretString>,
    /// What the model costs; its published price if not given and known.
    pub price: Option<Price>,
    /// Where calls are logged. Without a log nothing is answered from an earlier call, and what a call took
    /// is forgotten if nobody hands it in.
    pub calls: Option<CallFiles>,
}

impl Default for LlmSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            model: DEFAULT_MODEL.to_owned(),
            endpoint: None,
            timeout: Duration::from_mins(5),
            max_attempts: 3,
            first_pause: Duration::from_secs(1),
            temperature: 0.7,
            max_tokens: 8_000,
            key: None,
            price: None,
            calls: None,
        }
    }
}

impl LlmSettings {
    /// The environment variables that may hold the key, the first found counts; none if the provider
    /// needs no key. With an `endpoint`, that is the variable of OpenAI's own clients: a provider's
    /// key is never sent to another's server.
    pub fn key_variables(&self) -> Vec<&'static str> {
        if self.endpoint.is_some() {
            return vec!["OPENAI_API_KEY"];
        }
        match AdapterKind::from_model(&self.model) {
            Ok(AdapterKind::Gemini | AdapterKind::GeminiIx) => {
                vec!["GOOGLE_API_KEY", "GEMINI_API_KEY"]
            }
            Ok(kind) => kind.default_key_env_name().into_iter().collect(),
            Err(_) => Vec::new(),
        }
    }

    /// The same with the key that `variable` finds, if it finds any that is not blank.
    #[must_use]
    pub fn with_key_from(mut self, variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let values = self.key_variables().into_iter().filter_map(variable);
        let mut keys = values.map(|value| value.trim().to_owned()).filter(|key| !key.is_empty());
        if let Some(key) = keys.next() {
            self.key = Some(SecretString::from(key));
        }
        self
    }

    /// What the model costs, if that is known. Where it is asked at an `endpoint`, only the operator knows.
    pub(super) fn price(&self) -> Option<Price> {
        let published = || Price::published(&self.model).filter(|_| self.endpoint.is_none());
        self.price.or_else(published)
    }

    /// What is sent to ask `question`.
    pub(super) fn sent(&self, question: &Question<'_>, dialect: Dialect) -> Sent {
        let turn = |said: &Said| match said {
            Said::Ours(text) => Turn { role: "user".to_owned(), content: text.clone() },
            Said::Theirs(text) => Turn { role: "assistant".to_owned(), content: text.clone() },
        };
        let schema = (dialect.format >= Format::ModeWithSchema).then(|| question.schema.clone());
        Sent {
            model: self.model.clone(),
            endpoint: self.place(),
            temperature: dialect.temperature.then_some(self.temperature),
            max_tokens: self.max_tokens,
            format: dialect.format.name().to_owned(),
            sample: question.sample,
            system: question.system.to_owned(),
            messages: question.said.iter().map(turn).collect(),
            schema,
        }
    }

    /// Where the model is asked, without anything that may be secret: the provider's name, or the server's
    /// URL without user, password and query.
    fn place(&self) -> String {
        let Some(endpoint) = &self.endpoint else {
            let kind = AdapterKind::from_model(&self.model);
            return kind.map_or("unknown", |kind| kind.as_lower_str()).to_owned();
        };
        let Ok(url) = Url::parse(endpoint) else { return "not a URL".to_owned() };
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
    }

    /// What keeps the model from being asked, fit for people; `None` if nothing does.
    pub(super) fn problem(&self) -> Option<String> {
        if self.key.is_some() || self.endpoint.is_some() {
            return None;
        }
        let variables = self.key_variables();
        let needed = !variables.is_empty();
        needed.then(|| format!("LLM backend not initialized: set {}", variables.join(" or ")))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn each_provider_has_its_key() {
        let check = |model: &str, endpoint: Option<&str>, problem: Option<&str>| {
            let (model, endpoint) = (model.to_owned(), endpoint.map(str::to_owned));
            let settings = LlmSettings { model, endpoint, ..LlmSettings::default() };
            let expected = problem.map(|p| format!("LLM backend not initialized: set {p}"));
            assert_eq!(settings.problem(), expected);
        };
        check("gemini-2.5-flash", None, Some("GOOGLE_API_KEY or GEMINI_API_KEY"));
        check("gpt-4o-mini", None, Some("OPENAI_API_KEY"));
        check("claude-sonnet-4-5", None, Some("ANTHROPIC_API_KEY"));
        check("groq::llama-3", None, Some("GROQ_API_KEY"));
        check("qwen3", None, None);
        check("gemini-2.5-flash", Some("http://127.0.0.1:8080/v1"), None);
    }

    #[test]
    fn the_first_key_that_is_not_blank_counts() {
        let find = |found: &[(&str, &str)]| {
            let look = |name: &str| {
                found.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            let key = LlmSettings::default().with_key_from(&look).key;
            key.map(|key| key.expose_secret().to_owned())
        };
        let both = [("GEMINI_API_KEY", "b"), ("GOOGLE_API_KEY", "a")];
        assert_eq!(find(&both), Some("a".to_owned()));
        assert_eq!(
            find(&[("GOOGLE_API_KEY", " "), ("GEMINI_API_KEY", "b\n")]),
            Some("b".to_owned())
        );
        assert_eq!(find(&[("OPENAI_API_KEY", "c")]), None);
    }

    #[test]
    fn a_place_holds_no_secret() {
        let check = |model: &str, endpoint: Option<&str>, place: &str| {
            let (model, endpoint) = (model.to_owned(), endpoint.map(str::to_owned));
            let settings = LlmSettings { model, endpoint, ..LlmSettings::default() };
            assert_eq!(settings.place(), place);
        };
        check("gemini-2.5-flash", None, "gemini");
        check("gpt-4o-mini", None, "openai");
        let secret = "https://me:hunter2@example.com:8443/v1/?key=hunter2#hunter2";
        check("m", Some(secret), "https://example.com:8443/v1/");
        check("m", Some("http://127.0.0.1/v1"), "http://127.0.0.1/v1");
        check("m", Some("hunter2"), "not a URL");
    }

    #[test]
    fn a_price_is_the_operators_or_the_default_models_at_its_provider() {
        let base = LlmSettings::default();
        assert_eq!(base.price(), Price::published("gemini-2.5-flash"));
        let own = Some(Price { input: 1, output: 2 });
        assert_eq!(LlmSettings { price: own, ..base.clone() }.price(), own);
        assert_eq!(LlmSettings { model: "gpt-4o".to_owned(), ..base.clone() }.price(), None);
        let endpoint = Some("http://localhost/v1".to_owned());
        assert_eq!(LlmSettings { endpoint, ..base }.price(), None);
    }

    #[test]
    fn a_key_is_not_shown() {
        let settings = LlmSettings::default().with_key_from(&|_| Some("hunter2".to_owned()));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
}
