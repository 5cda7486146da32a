//! The language model, behind one question: [`Model::ask`]. The only place that knows of a network.
//!
//! It waits, retries and steps down to what the server understands; what the answer is worth is
//! judged elsewhere. Before each call stand a breaker, the log of earlier answers, the budget and a line
//! in that log, in this order. Pauses are tokio's, so that tests may turn its clock; dates come from
//! [`Clock`].

mod breaker;
mod call_log;
mod dialect;
mod entry;
mod estimate;
mod failure;
mod index;
mod journal;
mod preview;
mod price;
mod purse;
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
use serde_json::{Value, json};
use tracing::Instrument as _;
use tracing::field::Empty;

pub use call_log::{CallFiles, CallLogError, read_calls};
pub use entry::{Answered, Call, Estimate, LoggedCall, Sent, Turn};
pub use preview::Preview;
pub(super) use preview::preview;
pub use price::Price;
pub(super) use retry::pause;
pub use settings::LlmSettings;

use crate::base::Clock;
use crate::govern::{LlmReport, Request};
use breaker::Breaker;
use dialect::{Dialect, Format};
use entry::Line;
use failure::{Failure, without_secrets};
use journal::Journal;
use purse::Purse;

/// A model that can be asked.
pub(super) struct Model {
    settings: LlmSettings,
    client: Client,
    clock: Arc<dyn Clock>,
    journal: Journal,
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
    /// Whose budget pays for it.
    pub(super) request: &'a Request,
    /// What it is for, in a word for the log, e.g. `prompts`.
    pub(super) purpose: &'a str,
    /// Tells questions apart that read the same and are each to be answered; 0 where there is but one.
    pub(super) sample: u32,
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
    /// Whether the server failed, rather than that it was not asked.
    pub(super) asked: bool,
}

/// Why one call brought nothing.
enum Setback {
    /// The server failed.
    Failed(Failure),
    /// The call was not made: why not, for people.
    Unasked(String),
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
        let journal = Journal::new(settings.calls.clone(), clock.clone());
        Ok(Self { settings, client, clock, journal, known: Mutex::default() })
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

    /// Books what earlier attempts at `request` took that came to no end: it is handed in with this one.
    pub(super) async fn resume(&self, request: &Request, report: &mut LlmReport) {
        match self.journal.own(request).await {
            Ok(own) => {
                let calls = u32::try_from(own.calls).unwrap_or(u32::MAX);
                report.calls = report.calls.saturating_add(calls);
                report.resumed = report.resumed.saturating_add(calls);
                let cost = (own.unpriced_tokens == 0).then_some(own.cost_micros);
                report.book(own.input_tokens, own.output_tokens, cost);
            }
            // Without the log no call is made, and the first that is not made says why.
            Err(problem) => tracing::warn!(%problem, "earlier calls are not known"),
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
        let (mut failures, mut failed) = (0, None);
        if let Some(reason) = self.objection() {
            report.breaker_open += 1;
            return Err(Silence { reason, wait: None, asked: false });
        }
        loop {
            let dialect = self.known().dialect;
            let failure = match Box::pin(self.call(question, dialect, report)).await {
                Ok(reply) => {
                    *attempts = attempts.saturating_sub(1);
                    return Ok(reply);
                }
                Err(Setback::Unasked(objection)) => {
                    let asked = failed.is_some();
                    let reason = match failed {
                        Some(failure) => format!("{failure}; not asked again: {objection}"),
                        None => objection,
                    };
                    return Err(Silence { reason, wait: None, asked });
                }
                Err(Setback::Failed(failure)) => failure,
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
                return Err(Silence { reason, wait, asked: true });
            }
            tracing::debug!(model = self.name(), %reason, ?pause, "the model is asked again");
            failed = Some(reason);
            tokio::time::sleep(pause).await;
        }
    }

    /// One call, or the answer of an earlier one.
    async fn call(
        &self,
        question: &Question<'_>,
        dialect: Dialect,
        report: &mut LlmReport,
    ) -> Result<Reply, Setback> {
        let Question { request, purpose, .. } = question;
        let sent = self.settings.sent(question, dialect);
        let hash = sent.hash();
        let before = self.journal.before(request, &hash).await.map_err(Setback::Unasked)?;
        if let Some(Answered { text: Some(text), cut_off, .. }) = before.answer {
            report.cached += 1;
            return Ok(Reply { text, cut_off });
        }
        let price = self.settings.price();
        let estimate = sent.estimate(price);
        let (budget, model) = (&request.policy.llm_budget, self.name());
        let before = before.spent;
        let purse = Purse { request: &request.id, budget, report, before, model, price };
        if let Some(objection) = purse.objection(&estimate) {
            report.over_budget += 1;
            return Err(Setback::Unasked(objection));
        }
        let call = Call {
            at: self.clock.now(),
            agent: request.id.agent.clone(),
            request: request.id.to_string(),
            requested: request.at,
            purpose: (*purpose).to_owned(),
            hash,
            estimate,
            sent: sent.scrubbed(&|text| self.scrub(text)),
        };
        self.journal.write(Line::Call(Box::new(call.clone()))).await.map_err(Setback::Unasked)?;
        report.calls += 1;
        let span = tracing::debug_span!("model", model = self.name(), purpose, ok = Empty);
        let ended = self.exec(question, dialect).instrument(span.clone()).await;
        span.record("ok", ended.is_ok());
        self.book(&call, ended, report).await.map_err(Setback::Failed)
    }

    /// Books what a call took, as the server tells it or as it was estimated, and logs how it ended.
    async fn book(
        &self,
        call: &Call,
        ended: Result<ChatResponse, Failure>,
        report: &mut LlmReport,
    ) -> Result<Reply, Failure> {
        let (told, paid) = match &ended {
            Ok(response) => (tokens(response), true),
            Err(failure) => ([None; 2], failure.paid),
        };
        let estimated = paid && told.contains(&None);
        let [told_input, told_output] = told;
        let or = |told: Option<u64>, estimate| told.unwrap_or(if paid { estimate } else { 0 });
        let input = or(told_input, call.estimate.input_tokens);
        let output = or(told_output, call.estimate.output_tokens);
        let cost_micros = self.settings.price().map(|price| price.cost(input, output));
        report.book(input, output, cost_micros);
        report.estimated += u32::from(estimated);
        report.failed += u32::from(ended.is_err());
        let at = self.clock.now();
        let answer = Answered {
            at,
            hash: call.hash.clone(),
            failure: ended.as_ref().err().map(|failure| failure.reason.clone()),
            text: None,
            cut_off: false,
            whole: false,
            input_tokens: input,
            output_tokens: output,
            cost_micros,
            estimated,
            seconds: at.secs_since(call.at),
        };
        let ended = ended.map(reply);
        let answer = match &ended {
            Ok(Reply { text, cut_off }) => {
                Answered { cut_off: *cut_off, ..answer.saying(text, &|text| self.scrub(text)) }
            }
            Err(_) => answer,
        };
        if let Err(problem) = self.journal.write(Line::Answer(answer)).await {
            // The call counts at its estimate, and the next is not made before this is mended.
            tracing::error!(%problem, "an answer is not logged");
        }
        ended
    }

    fn scrub(&self, text: &str) -> String {
        without_secrets(text, self.settings.key.as_ref())
    }

    async fn exec(
        &self,
        question: &Question<'_>,
        dialect: Dialect,
    ) -> Result<ChatResponse, Failure> {
        let options = self.options(question, dialect);
        let messages = question.said.iter().map(|said| match said {
            Said::Ours(text) => ChatMessage::user(text.as_str()),
            Said::Theirs(text) => ChatMessage::assistant(text.as_str()),
        });
        let request = ChatRequest::new(messages.collect()).with_system(question.system);
        let call = self.client.exec_chat(self.target(), request, Some(&options));
        let timeout = self.settings.timeout;
        match tokio::time::timeout(timeout, call).await {
            Err(_elapsed) => Err(Failure::timeout(timeout)),
            Ok(Err(error)) => {
                Err(Failure::of(&error, self.settings.key.as_ref(), self.clock.now()))
            }
            Ok(Ok(response)) => Ok(response),
        }
    }

    fn options(&self, question: &Question<'_>, dialect: Dialect) -> ChatOptions {
        let options = ChatOptions::default()
            .with_max_tokens(self.settings.max_tokens)
            .with_normalize_reasoning_content(true);
        let options = match dialect.format {
            Format::Text => options,
            Format::JsonMode => options.with_response_format(ChatResponseFormat::JsonMode),
            Format::ModeWithSchema => {
                let format = json!({ "type": "json_object", "schema": question.schema });
                options.with_extra_body(json!({ "response_format": format }))
            }
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

/// Tokens read and written, where the server tells. None at all can be no true count of either.
fn tokens(response: &ChatResponse) -> [Option<u64>; 2] {
    let usage = &response.usage;
    [usage.prompt_tokens, usage.completion_tokens]
        .map(|count| count.and_then(|count| u64::try_from(count).ok()).filter(|count| *count > 0))
}

fn reply(response: ChatResponse) -> Reply {
    let cut_off = response.stop_reason.as_ref().is_some_and(|reason| reason.is_max_tokens());
    Reply { text: response.into_texts().join("\n"), cut_off }
}
