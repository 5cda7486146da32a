//! Why a call failed, in words that may be logged. Pure.
//!
//! An error of an HTTP client may hold the URL, the request with all the evidence, or a body that
//! repeats the key. None of it is passed on as it is: words are ours but for the beginning of a body,
//! which is scrubbed.

use std::time::Duration;

use genai::{Error, webc};
use secrecy::{ExposeSecret, SecretString};

use super::retry::asked_wait;
use crate::base::EventTime;
use crate::hygiene::redact;

/// How much of a server's own words is kept, in characters.
const MAX_WORDS: usize = 200;

/// Why a call brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// For people; holds no secret.
    pub(super) reason: String,
    /// The status of the server's answer, if it answered, and the answer as it came.
    pub(super) answer: Option<(u16, String)>,
    /// Whether the same call may go well another time.
    pub(super) passing: bool,
    /// How long the server asks to be left alone.
    pub(super) wait: Option<Duration>,
    /// Whether the call may have been answered, and is paid for, all the same.
    pub(super) paid: bool,
}

impl Failure {
    /// That no answer came within `timeout`.
    pub(super) fn timeout(timeout: Duration) -> Self {
        let reason = format!("no answer within {timeout:?}");
        Self { reason, answer: None, passing: true, wait: None, paid: true }
    }

    /// What `error` says.
    pub(super) fn of(error: &Error, key: Option<&SecretString>, now: EventTime) -> Self {
        if let Some(status) = error.status() {
            let body = body(error);
            let wait = asked_wait(error.headers(), body, now);
            let words = scrub(&message(body), key);
            let reason = format!("the server answered {}: {words}", status.as_u16());
            let passing = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
            let answer = Some((status.as_u16(), body.to_owned()));
            return Self { reason, answer, passing, wait, paid: false };
        }
        let (reason, passing, paid) = match error {
            Error::WebModelCall { webc_error, .. } | Error::WebAdapterCall { webc_error, .. } => {
                web(webc_error)
            }
            Error::ChatResponseGeneration { .. } => ("an answer of an unknown form", true, true),
            Error::RequiresApiKey { .. } | Error::NoAuthData { .. } | Error::Resolver { .. } => {
                ("the key was not accepted by the client", false, false)
            }
            _ => ("the request could not be made", false, false),
        };
        Self { reason: reason.to_owned(), answer: None, passing, wait: None, paid }
    }
}

/// Why, whether it may pass, and whether it may be paid for.
fn web(error: &webc::Error) -> (&'static str, bool, bool) {
    match error {
        webc::Error::Reqwest(error) if error.is_connect() => {
            ("no connection to the server", true, false)
        }
        webc::Error::Reqwest(error) if error.is_timeout() => {
            ("the connection timed out", true, true)
        }
        webc::Error::Reqwest(error) if error.is_builder() => {
            ("the endpoint is not a URL", false, false)
        }
        webc::Error::Reqwest(_) => ("the connection broke off", true, true),
        webc::Error::ResponseFailedNotJson { .. }
        | webc::Error::ResponseFailedInvalidJson { .. }
        | webc::Error::ResponseFailedStatus { .. }
        | webc::Error::JsonValueExt(_) => ("an answer that is not JSON", true, true),
    }
}

fn body(error: &Error) -> &str {
    match error {
        Error::HttpError { body, .. }
        | Error::WebModelCall {
            webc_error: webc::Error::ResponseFailedStatus { body, .. }, ..
        }
        | Error::WebAdapterCall {
            webc_error: webc::Error::ResponseFailedStatus { body, .. },
            ..
        } => body,
        _ => "",
    }
}

/// The message in an error's body, or the whole of it.
fn message(body: &str) -> String {
    let parsed: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let message = parsed.as_ref().and_then(|body| {
        let places = ["/error/message", "/0/error/message", "/message", "/detail", "/error"];
        places.iter().find_map(|place| body.pointer(place)?.as_str())
    });
    message.unwrap_or(body).to_owned()
}

/// `text` without `key` or anything else that looks like a secret.
pub(super) fn without_secrets(text: &str, key: Option<&SecretString>) -> String {
    let key = key.map(ExposeSecret::expose_secret).filter(|key| !key.is_empty());
    let text = key.map_or_else(|| text.to_owned(), |key| text.replace(key, "[key]"));
    redact(&text).into_owned()
}

/// The same as one short line.
fn scrub(text: &str, key: Option<&SecretString>) -> String {
    let text = without_secrets(text, key);
    let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
    words.join(" ").chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use genai::adapter::AdapterKind;
    use genai::{ModelIden, webc};
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    use super::*;

    fn answered(status: u16, body: &str) -> Failure {
        let key = SecretString::from("hunter2-hunter2");
        let webc_error = webc::Error::ResponseFailedStatus {
            status: StatusCode::from_u16(status).unwrap(),
            body: body.to_owned(),
            headers: Box::new(HeaderMap::new()),
        };
        let model_iden = ModelIden::new(AdapterKind::OpenAI, "m");
        let error = Error::WebModelCall { model_iden, webc_error };
        Failure::of(&error, Some(&key), EventTime::from_millis(0))
    }

    #[test]
    fn no_key_gets_into_a_reason() {
        let check = |body: &str, expected: &str| {
            assert_eq!(answered(401, body).reason, format!("the server answered 401: {expected}"));
        };
        check("bad key hunter2-hunter2", "bad key [key]");
        check(r#"{"error":{"message":"key\n hunter2-hunter2 \u001b[1m"}}"#, "key [key] [1m");
        check(r#"{"error":"no","k":"hunter2-hunter2"}"#, "no");
        let google = format!("for https://x/y?key=AIza{}", "a1B2".repeat(9));
        check(&google, "for https://x/y?key=[redacted]");
        check("api_key=other", "api_key=[redacted]");
        check(&"long ".repeat(100), "long ".repeat(40).as_str());
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let check = |status: u16, passing: bool| {
            assert_eq!(answered(status, "").passing, passing, "{status}");
        };
        for status in [408, 429, 500, 502, 503, 529] {
            check(status, true);
        }
        for status in [301, 400, 401, 403, 404, 422] {
            check(status, false);
        }
    }

    #[test]
    fn a_request_is_never_repeated_in_a_reason() {
        let error = Error::ChatResponseGeneration {
            model_iden: ModelIden::new(AdapterKind::OpenAI, "m"),
            request_payload: Box::new(serde_json::json!("evidence")),
            response_body: Box::new(serde_json::json!("body")),
            cause: "cause".to_owned(),
        };
        let failure = Failure::of(&error, None, EventTime::from_millis(0));
        assert_eq!(failure.reason, "an answer of an unknown form");
    }
}
