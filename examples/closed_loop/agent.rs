//! The agent that is improved: it reads its prompts and its config from files, has a model turn a request
//! into a command, submits that, and tells the model what was wrong. It knows no rule of the API, and
//! nothing of what improves it; what it did it reports as a native trace.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use whetstone::base::{Clock, SystemClock};

use crate::chat::{Chat, Message, Sampling};
use crate::command::{Command, submit};
use crate::task::Task;

/// The agent's name.
pub(crate) const NAME: &str = "operator";

/// What the agent starts with: it says which keys there are, and not what may stand in them.
pub(crate) const SYSTEM: &str = "\
You turn an operator's request into one command for the operations API.
A command is a flat JSON object with the keys action (silence, pause or drain), service, environment and duration.
Answer with the JSON object only, on one line.
";

/// What a person who knows the API would add: the ceiling.
pub(crate) const RULES: &str = "\
Rules:
- environment is prod, staging or dev: write prod for production and dev for development.
- duration is a number and the first letter of its unit: 5 minutes is \"5m\", 90 seconds is \"90s\", 3 hours is \"3h\".
- service is lower case with dashes: Cart Service is \"cart-service\".
Example: {\"action\":\"silence\",\"service\":\"mail-relay\",\"environment\":\"prod\",\"duration\":\"5m\"}
";

/// Times a refused command may be corrected, at first.
pub(crate) const RETRIES: u32 = 1;

const USER: &str = "{request}";
const RETRY: &str = "Error: {error}. Send the corrected command.";

/// More is a mistake in the config: a run has to end.
const MOST_RETRIES: u32 = 20;

/// What the agent runs on, as its files say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Setup {
    /// Prompts by key: `system`, `user` and `retry`.
    pub(crate) prompts: BTreeMap<String, String>,
    /// Times a refused command may be corrected.
    pub(crate) retries: u32,
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(default)]
    max_retry_attempts: u32,
}

impl Setup {
    /// The setup with `system` as its system prompt and all else as at first.
    pub(crate) fn with_system(system: &str) -> Self {
        let prompts = [("system", system), ("user", USER), ("retry", RETRY)];
        let prompts = prompts.map(|(key, text)| (key.to_owned(), text.to_owned()));
        Self { prompts: prompts.into(), retries: RETRIES }
    }

    /// What stands in `configs`, the folder of the agents' files.
    pub(crate) fn load(configs: &Path) -> anyhow::Result<Self> {
        let read = |kind: &str| {
            let path = configs.join(format!("{NAME}_agent_{kind}.yaml"));
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))
        };
        let prompts = serde_yaml::from_str(&read("prompts")?)?;
        let config: ConfigFile = serde_yaml::from_str(&read("config")?)?;
        Ok(Self { prompts, retries: config.max_retry_attempts.min(MOST_RETRIES) })
    }

    /// Writes the files that [`Setup::load`] reads.
    pub(crate) fn save(&self, configs: &Path) -> anyhow::Result<()> {
        let prompts = serde_yaml::to_string(&self.prompts)?;
        std::fs::write(configs.join(format!("{NAME}_agent_prompts.yaml")), prompts)?;
        let config = format!("max_retry_attempts: {}\n", self.retries);
        std::fs::write(configs.join(format!("{NAME}_agent_config.yaml")), config)?;
        Ok(())
    }

    /// The system prompt's length in characters: what is learnt goes there.
    pub(crate) fn chars(&self) -> usize {
        self.prompt("system").chars().count()
    }

    fn prompt(&self, key: &str) -> &str {
        self.prompts.get(key).map_or("", String::as_str)
    }
}

/// What a run came to.
#[derive(Clone)]
pub(crate) struct Run {
    /// Whether the command that was taken is the one that was meant.
    pub(crate) success: bool,
    /// Tokens read and written.
    pub(crate) tokens: u64,
    /// What the API refused, and why.
    pub(crate) errors: Vec<String>,
    /// The run as a native trace without an id.
    pub(crate) trace: Value,
}

/// Runs `task` once.
///
/// # Errors
/// If the model cannot be asked.
pub(crate) async fn run(
    chat: &Chat,
    setup: &Setup,
    task: &Task,
    sampling: Sampling,
) -> anyhow::Result<Run> {
    let start = SystemClock.now();
    let mut messages = vec![
        Message::system(setup.prompt("system")),
        Message::user(setup.prompt("user").replace("{request}", &task.request)),
    ];
    let (mut steps, mut read, mut written, mut taken) = (Vec::new(), 0, 0, None);
    let (mut rounds, mut errors) = (0, Vec::new());
    while taken.is_none() && rounds <= setup.retries {
        rounds += 1;
        let answer = chat.say(&messages, sampling).await?;
        let command = object(&answer.text);
        read += answer.usage.prompt_tokens;
        written += answer.usage.completion_tokens;
        let tokens =
            json!({"input": answer.usage.prompt_tokens, "output": answer.usage.completion_tokens});
        steps.push(json!({"type": "llm", "tokens": tokens}));
        match submit(&command) {
            Ok(accepted) => {
                steps.push(call(&command, answer.seconds, None));
                taken = Some(accepted);
            }
            Err(error) => {
                let told = setup.prompt("retry").replace("{error}", &error);
                steps.push(call(&command, answer.seconds, Some(&error)));
                messages.extend([Message::assistant(&command), Message::user(told)]);
                errors.push(error);
            }
        }
    }
    let success = taken.as_ref() == Some(&task.expected);
    let trace = json!({
        "agent": NAME,
        "start_ms": start.as_millis(),
        "end_ms": SystemClock.now().as_millis(),
        "outcome": if success { "success" } else { "failure" },
        "task": task.request,
        "result": outcome(taken.as_ref(), success),
        "steps": steps,
        "retries": rounds - 1,
        "rounds": rounds,
        "tokens": {"input": read, "output": written},
    });
    Ok(Run { success, tokens: read + written, errors, trace })
}

/// What came of the command, as its operator would put it: who does not get what was asked for says so.
fn outcome(taken: Option<&Command>, success: bool) -> String {
    match (taken, success) {
        (None, _) => "no command was accepted".to_owned(),
        (Some(_), true) => "done".to_owned(),
        (Some(command), false) => {
            let command = serde_json::to_string(command).unwrap_or_default();
            format!("accepted, but it is not what the operator asked for: {command}")
        }
    }
}

fn call(command: &str, seconds: f64, error: Option<&str>) -> Value {
    json!({
        "type": "tool",
        "name": "submit_command",
        "ok": error.is_none(),
        "error": error,
        "duration": seconds,
        "arguments": command,
    })
}

/// The object in `text`, which ends before its closing brace: small models like to say more.
fn object(text: &str) -> String {
    let start = text.find('{').and_then(|at| text.get(at..)).unwrap_or(text);
    format!("{}}}", start.trim_end().trim_end_matches('}'))
}

#[cfg(test)]
mod tests {
    use whetstone::decode::{self, Options, Outcome, Trace};
    use wiremock::matchers::{body_string_contains, method};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::task::{Split, tasks};

    fn says(command: &Command) -> ResponseTemplate {
        let text = serde_json::to_string(command).unwrap();
        ResponseTemplate::new(200).set_body_json(json!({
            "choices": [{"message": {"content": format!("Here: {}", text.trim_end_matches('}'))}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        }))
    }

    /// One run of a model that says "production" until it is told of its error.
    async fn run_once(retries: u32, corrected: &str) -> (Run, Trace) {
        let server = MockServer::start().await;
        let mut task = tasks(Split::Training, 1, 1).remove(0);
        task.expected.environment = "prod".to_owned();
        let said = |environment: &str| {
            says(&Command { environment: environment.to_owned(), ..task.expected.clone() })
        };
        let told = body_string_contains("Error: environment must be one of");
        let first = Mock::given(told).respond_with(said(corrected)).with_priority(1);
        first.mount(&server).await;
        Mock::given(method("POST")).respond_with(said("production")).mount(&server).await;

        let chat = Chat::new(&format!("{}/v1/", server.uri()), "small").unwrap();
        let setup = Setup { retries, ..Setup::with_system(SYSTEM) };
        let sampling = Sampling { temperature: 0.0, seed: 0 };
        let mut run = run(&chat, &setup, &task, sampling).await.unwrap();
        run.trace["trace_id"] = json!("run-1");
        let options = Options::arrived(SystemClock.now());
        let decoded = decode::decode(run.trace.to_string().as_bytes(), &options).remove(0);
        let trace = decoded.result.unwrap().into_run().unwrap();
        (run, trace)
    }

    #[tokio::test]
    async fn a_refused_command_is_corrected_and_the_trace_says_so() {
        let (run, trace) = run_once(1, "prod").await;
        assert!(run.success);
        assert_eq!((run.tokens, run.errors.len()), (220, 1));
        assert_eq!((trace.outcome, trace.rounds, trace.retries), (Outcome::Success, Some(2), 1));
        let calls: Vec<_> = trace.tool_calls().collect();
        assert_eq!(calls.iter().map(|call| call.ok).collect::<Vec<_>>(), [false, true]);
        assert_eq!(calls[0].error.as_deref(), Some(run.errors[0].as_str()));
        assert!(run.errors[0].ends_with("got \"production\""), "{}", run.errors[0]);
    }

    #[tokio::test]
    async fn without_a_retry_a_refused_command_is_the_end() {
        let (run, trace) = run_once(0, "prod").await;
        assert!(!run.success);
        assert_eq!(trace.outcome, Outcome::Failure);
        assert_eq!(trace.result.as_deref(), Some("no command was accepted"));
    }

    #[tokio::test]
    async fn what_is_taken_and_not_meant_is_no_success() {
        let (run, trace) = run_once(1, "dev").await;
        assert!(!run.success && trace.tool_calls().last().unwrap().ok);
        assert!(trace.result.unwrap().starts_with("accepted, but it is not what"));
    }

    #[test]
    fn files_give_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup::with_system(&format!("{SYSTEM}{RULES}"));
        setup.save(folder.path()).unwrap();
        assert_eq!(Setup::load(folder.path()).unwrap(), setup);
    }

    #[test]
    fn the_object_is_found_in_what_a_model_says() {
        assert_eq!(object("Sure: {\"a\": 1"), "{\"a\": 1}");
        assert_eq!(object("{\"a\": 1}"), "{\"a\": 1}");
        assert_eq!(object("I cannot"), "I cannot}");
    }
}
