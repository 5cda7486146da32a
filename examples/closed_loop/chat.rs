//! A client of one OpenAI-compatible server. Knows messages and tokens, nothing of tasks.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

const TIMEOUT: Duration = Duration::from_secs(300);

/// A command has four short fields.
const MAX_TOKENS: u32 = 96;

/// A model behind a server.
pub(crate) struct Chat {
    http: reqwest::Client,
    url: String,
    model: String,
}

/// One turn of a conversation.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Message {
    role: &'static str,
    content: String,
}

impl Message {
    pub(crate) fn system(content: &str) -> Self {
        Self { role: "system", content: content.to_owned() }
    }

    pub(crate) fn user(content: String) -> Self {
        Self { role: "user", content }
    }

    pub(crate) fn assistant(content: &str) -> Self {
        Self { role: "assistant", content: content.to_owned() }
    }
}

/// How an answer is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sampling {
    /// 0 takes the likeliest answer.
    pub(crate) temperature: f64,
    /// For servers that draw by a seed.
    pub(crate) seed: u32,
}

/// What the model said.
pub(crate) struct Answer {
    /// Up to the first closing brace, which is left out.
    pub(crate) text: String,
    /// Tokens read and written, as the server counts them.
    pub(crate) usage: Usage,
    /// How long it took.
    pub(crate) seconds: f64,
}

/// Tokens of one answer.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Usage {
    /// Read.
    pub(crate) prompt_tokens: u64,
    /// Written.
    pub(crate) completion_tokens: u64,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Choice {
    message: Content,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
}

impl Chat {
    /// A client of `model` at `endpoint`, e.g. `http://127.0.0.1:8080/v1/`.
    pub(crate) fn new(endpoint: &str, model: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        let url = format!("{}/chat/completions", endpoint.trim_end_matches('/'));
        Ok(Self { http, url, model: model.to_owned() })
    }

    /// The model's next turn in `messages`.
    pub(crate) async fn say(
        &self,
        messages: &[Message],
        sampling: Sampling,
    ) -> anyhow::Result<Answer> {
        let started = Instant::now();
        let body = json!({
            "model": self.model,
            "messages": messages,
            "temperature": sampling.temperature,
            "seed": sampling.seed,
            "max_tokens": MAX_TOKENS,
            "stop": ["}"],
        });
        let response = self.http.post(&self.url).json(&body).send().await;
        let response = response
            .with_context(|| format!("no answer from the agent's model at {}", self.url))?;
        let completion: Completion = response
            .error_for_status()
            .context("the agent's model refused a request")?
            .json()
            .await
            .context("the agent's model gave no completion")?;
        let content = completion.choices.into_iter().next().and_then(|c| c.message.content);
        let seconds = started.elapsed().as_secs_f64();
        Ok(Answer { text: content.unwrap_or_default(), usage: completion.usage, seconds })
    }
}
