//! What a client tells us unasked: its log, its errors, and when it needs a new token.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{DeliveryResult, ProducerContext};

use super::receipt::Receipt;
use super::{KafkaSettings, problem};

/// Passed to every client.
#[derive(Clone)]
pub(super) struct Context {
    token_file: Option<PathBuf>,
    /// The latest error that says why nothing works, for whoever only sees a time-out.
    last: Arc<Mutex<Option<(Code, String)>>>,
    /// The latest failure of a connection that was logged: some are never reported as errors.
    failure: Arc<Mutex<Option<String>>>,
}

impl Context {
    pub(super) fn new(settings: &KafkaSettings) -> Self {
        let token_file = settings.token_file.clone();
        Self { token_file, last: Arc::default(), failure: Arc::default() }
    }

    /// The latest error and its text.
    pub(super) fn last_error(&self) -> Option<(Code, String)> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn last_failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, code: Code, reason: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // That no broker is up says less than why.
        if code != Code::AllBrokersDown || last.is_none() {
            *last = Some((code, reason.to_owned()));
        }
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" {
            // What comes first names a thread.
            let text = message.split_once("]: ").map_or(message, |(_, text)| text);
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
        }
        match level {
            // About properties that another kind of client has: every client is given them all.
            _ if facility == "CONFWARN" => {}
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
            // What of it matters comes back as an error, and is logged there with its consequence.
            _ => tracing::info!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = problem::code(&error) {
            self.note(code, reason);
        }
        tracing::info!(target: "librdkafka", %error, "{reason}");
    }

    /// Reads the token file. What it says of itself stays unproven here: the brokers judge it.
    fn generate_oauth_token(
        &self,
        _config: Option<&str>,
    ) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let path = self
            .token_file
            .as_ref()
            .ok_or("set kafka.security.token_file to a file with a token")?;
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the token file {}: {error}", path.display()))?;
        let token = text.trim().to_owned();
        let claims =
            claims(&token).ok_or_else(|| format!("{} holds no JSON web token", path.display()))?;
        let principal_name = claims["sub"].as_str().unwrap_or("whetstone").to_owned();
        let expires = claims["exp"].as_i64().ok_or("the token does not say when it expires")?;
        Ok(OAuthToken { token, principal_name, lifetime_ms: expires.saturating_mul(1000) })
    }
}

fn claims(token: &str) -> Option<serde_json::Value> {
    let payload = token.split('.').nth(1)?;
    let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&json).ok()
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Arc<Receipt>) {
        let failure = |error| (problem::code(error).unwrap_or(Code::Unknown), error.to_string());
        receipt.answered(result.as_ref().err().map(|(error, _)| failure(error)));
    }
}
