//! The language model, behind one question: [`Model::ask`]. The only place that knows of a network.
//!
//! It waits, retries and steps down to what the server understands; what the answer is worth is
//! judged elsewhere. Pauses are tokio's, so that tests may turn its clock; dates come from [`Clock`].

mod breaker;
mod dialect;
mod failure;
mod retry;
mod settings;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use genai::adapter::AdapterKind;
use genai::chat::{
    ChatMessage, ChatOptions, ChatRequest, ChatResponse, ChatResponseFormat, JsonSpec,
};
use genai::resolver::{AuthData, Endpoint};
use genai::{Client, Headers, ModelIden, ModelSpec, ServiceTarget};
use secrecy::ExposeSecret;
use serde_json::Value;

pub(super) use retry::pause;
pub use settings::LlmSettings;

use crate::base::Clock;
use crate::govern::LlmReport;
use breaker::Breaker;
use dialect::{Dialect, Format};
use failure::Failure;

/// A model that can be asked.
pub(super) struct Model {
    settings: LlmSettings,
    client: Client,
    clock: Arc<dyn Clock>,
    /// What the server has shown to understand, and how it went: for all questions together.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    dialect: Dialect,
    breaker: Breaker,
}

/// One question.
pub(super) struct Question<'a> {
    /// The task.
    pub(super) system: &'a str,
    /// What was said, the model's own answers in between.
    pub(super) said: &'a [Said],
    /// The schema of the answer.
    pub(super) schema: &'a Value,
    /// Seeds the pauses.
    pub(super) seed: u64,
}

/// One turn of a conversation.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// By us.
    Ours(String),
    /// By the model.
    Theirs(String),
}

/// What a model said.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) text: String,
    /// Whether it was cut off at the limit of tokens.
    pub(super) cut_off: bool,
}

/// Why a model said nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// For people; holds no secret.
    pub(super) reason: String,
    /// How long the server asks to be left alone.
    pub(super) wait: Option<Duration>,
}

impl Model {
    /// The model of `settings`.
    ///
    /// # Errors
    /// What keeps it from being asked, fit for people.
    pub(super) fn new(settings: LlmSettings, clock: Arc<dyn Clock>) -> Result<Self, String> {
        if let Some(problem) = settings.problem() {
            return Err(problem);
        }
        // A redirect would carry the evidence, and with some providers the key, to another host.
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(settings.timeout.min(Duration::from_secs(20)))
            .build()
            .map_err(|_| "LLM backend not initialized: no HTTP client".to_owned())?;
        let client = Client::builder().with_reqwest(http);
        let key = settings.key.clone();
        let client = client.with_auth_resolver_fn(move |_| {
            Ok(key.as_ref().map(|key| AuthData::from_single(key.expose_secret())))
        });
        let client =
            client.build().map_err(|_| "LLM backend not initialized: no client".to_owned())?;
        Ok(Self { settings, client, clock, known: Mutex::default() })
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.settings.model
    }

    /// Calls for one half of a proposal.
    pub(super) fn max_attempts(&self) -> u32 {
        self.settings.max_attempts.max(1)
    }

    /// Why not to ask now; `None` if nothing speaks against it.
    pub(super) fn objection(&self) -> Option<String> {
        self.known().breaker.objection(self.clock.now())
    }

    /// Notes whether a consultation brought anything, and how long to leave the server alone if not.
    pub(super) fn note(&self, result: Result<(), Option<Duration>>) {
        let now = self.clock.now();
        match result {
            Ok(()) => self.known().breaker.succeeded(),
            Err(wait) => self.known().breaker.failed(now, wait),
        }
    }

    /// Asks, again and again as long as there are `attempts` left and it may help.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn ask(
        &self,
        question: &Question<'_>,
        attempts: &mut u32,
        report: &mut LlmReport,
    ) -> Result<Reply, Silence> {
        let mut rng = Rng::with_seed(question.seed);
        let mut failures = 0;
        loop {
            let dialect = self.known().dialect;
            report.calls += 1;
            let failure = match Box::pin(self.call(question, dialect, report)).await {
                Ok(reply) => {
                    *attempts = attempts.saturating_sub(1);
                    return Ok(reply);
                }
                Err(failure) => failure,
            };
            let answer = failure.answer.as_ref();
            if let Some(simpler) = answer.and_then(|(status, body)| dialect.simpler(*status, body))
            {
                tracing::info!(model = self.name(), ?simpler, "the server asks for a simpler form");
                let mut known = self.known();
                known.dialect = known.dialect.common(simpler);
                continue;
            }
            *attempts = attempts.saturating_sub(1);
            failures += 1;
            let Failure { reason, wait, passing, .. } = failure;
            let pause =
                wait.unwrap_or_else(|| pause(self.settings.first_pause, failures, &mut rng));
            if !passing || *attempts == 0 || pause > retry::LONGEST_WAIT {
                return Err(Silence { reason, wait });
            }
            tracing::debug!(model = self.name(), %reason, ?pause, "the model is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn call(
        &self,
        question: &Question<'_>,
        dialect: Dialect,
        report: &mut LlmReport,
    ) -> Result<Reply, Failure> {
        let options = self.options(question, dialect);
        let messages = question.said.iter().map(|said| match said {
            Said::Ours(text) => ChatMessage::user(text.as_str()),
            Said::Theirs(text) => ChatMessage::assistant(text.as_str()),
        });
        let request = ChatRequest::new(messages.collect()).with_system(question.system);
        let call = self.client.exec_chat(self.target(), request, Some(&options));
        let timeout = self.settings.timeout;
        let response = match tokio::time::timeout(timeout, call).await {
            Err(_elapsed) => return Err(Failure::timeout(timeout)),
            Ok(Err(error)) => {
                return Err(Failure::of(&error, self.settings.key.as_ref(), self.clock.now()));
            }
            Ok(Ok(response)) => response,
        };
        let tokens = |count: Option<i32>| count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        report.input_tokens += tokens(response.usage.prompt_tokens);
        report.output_tokens += tokens(response.usage.completion_tokens);
        Ok(reply(response))
    }

    fn options(&self, question: &Question<'_>, dialect: Dialect) -> ChatOptions {
        let options = ChatOptions::default()
            .with_max_tokens(self.settings.max_tokens)
            .with_normalize_reasoning_content(true);
        let options = match dialect.format {
            Format::Text => options,
            Format::JsonMode => options.with_response_format(ChatResponseFormat::JsonMode),
            Format::JsonSchema => {
                options.with_response_format(JsonSpec::new("answer", question.schema.clone()))
            }
        };
        if dialect.temperature {
            options.with_temperature(self.settings.temperature)
        } else {
            options
        }
    }

    /// Where to ask: the provider that the name belongs to, or the server that was named.
    fn target(&self) -> ModelSpec {
        let Some(endpoint) = &self.settings.endpoint else {
            return ModelSpec::from_name(self.name());
        };
        let base = format!("{}/", endpoint.trim_end_matches('/'));
        let auth = match &self.settings.key {
            Some(key) => AuthData::from_single(key.expose_secret()),
            // Without a key no header is sent at all.
            None => AuthData::RequestOverride {
                url: format!("{base}chat/completions"),
                headers: Headers::default(),
            },
        };
        let model = ModelIden::new(AdapterKind::OpenAI, self.name());
        ModelSpec::from(ServiceTarget { endpoint: Endpoint::from_owned(base), auth, model })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reply(response: ChatResponse) -> Reply {
    let cut_off = response.stop_reason.as_ref().is_some_and(|reason| reason.is_max_tokens());
    Reply { text: response.into_texts().join("\n"), cut_off }
}
