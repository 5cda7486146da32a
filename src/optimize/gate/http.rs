//! A service as a gate. It follows no redirect: that would carry the prompts, and the token, to
//! another host.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};

use super::{Answering, Hook, MAX_ANSWER, Unasked};

/// For reaching the service.
const CONNECT: Duration = Duration::from_secs(20);

/// A service that is sent every candidate.
pub struct Service {
    target: Result<(Client, Url), String>,
    token: Option<SecretString>,
}

impl Service {
    /// The service at `url`, which asks for `token` if for anything.
    pub fn new(url: &str, token: Option<SecretString>) -> Self {
        let url = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| "gate.url is no http or https URL: correct it".to_owned());
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .build()
            .map_err(|_| "there is no HTTP client".to_owned());
        Self { target: client.and_then(|client| Ok((client, url?))), token }
    }

    async fn post(&self, input: &[u8]) -> Result<Vec<u8>, Unasked> {
        let (client, url) =
            self.target.as_ref().map_err(|problem| Unasked::lasting(problem.as_str()))?;
        let mut call = client.post(url.clone()).header(CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            call = call.bearer_auth(token.expose_secret());
        }
        let response = call.body(input.to_vec()).send().await;
        let mut response = response.map_err(|error| broken(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(refused(status));
        }
        let mut answer = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| broken(&error))? {
            answer.extend_from_slice(&piece);
            if answer.len() > MAX_ANSWER {
                return Err(Unasked::too_long());
            }
        }
        Ok(answer)
    }
}

impl Hook for Service {
    fn name(&self) -> String {
        match &self.target {
            Ok((_, url)) => {
                // A query may hold a key.
                let host = url.host_str().unwrap_or_default();
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                format!("{}://{host}{port}{}", url.scheme(), url.path())
            }
            Err(_) => "a service".to_owned(),
        }
    }

    fn problem(&self) -> Option<String> {
        self.target.as_ref().err().cloned()
    }

    fn secrets(&self) -> Vec<&SecretString> {
        self.token.iter().collect()
    }

    fn ask<'a>(&'a self, input: &'a [u8]) -> Answering<'a> {
        Box::pin(self.post(input))
    }
}

/// The error's own text is not used: it holds the URL.
fn broken(error: &reqwest::Error) -> Unasked {
    Unasked::passing(if error.is_connect() {
        "it cannot be reached: see that it runs at gate.url"
    } else {
        "the connection broke off"
    })
}

fn refused(status: StatusCode) -> Unasked {
    let reason = format!("it answered {status}: it must answer 200 and a verdict");
    let passing = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT;
    Unasked { reason, passing }
}
