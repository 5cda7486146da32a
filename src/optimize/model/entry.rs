//! What the log of calls says of one call, before it and after it. Pure: lines to text and back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::estimate::{MESSAGE, tokens};
use super::price::Price;
use crate::base::{AgentName, Digest, EventTime};
use crate::govern::Spend;

/// The longest answer that is kept whole, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Line {
    /// A call is about to be made.
    Call(Box<Call>),
    /// It has come to an end.
    Answer(Answered),
}

/// What is sent to a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sent {
    /// The model.
    pub model: String,
    /// Its provider, or the server's URL without anything secret.
    pub endpoint: String,
    /// As asked for; none where the server takes none.
    pub temperature: Option<f64>,
    /// The longest answer asked for, in tokens.
    pub max_tokens: u32,
    /// How the answer's form is asked for: `json_schema`, `json` or `text`.
    pub format: String,
    /// Tells questions apart that read the same and are each to be answered.
    #[serde(default)]
    pub sample: u32,
    /// The task.
    pub system: String,
    /// What was said, the model's own answers in between.
    pub messages: Vec<Turn>,
    /// The schema of the answer, where one is sent.
    pub schema: Option<Value>,
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Sent {
    /// SHA-256 of all of it, in this order: who asks the same again finds the answer by it.
    pub(super) fn hash(&self) -> Digest {
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// How long it is, in characters.
    pub(super) fn chars(&self) -> usize {
        let said = self.messages.iter().map(|turn| turn.content.chars().count());
        let schema = self.schema.as_ref().map_or(0, |schema| schema.to_string().chars().count());
        self.system.chars().count() + said.sum::<usize>() + schema
    }

    /// What the call may take at most.
    pub(super) fn estimate(&self, price: Option<Price>) -> Estimate {
        let said = self.messages.iter().map(|turn| tokens(&turn.content) + MESSAGE);
        let schema = self.schema.as_ref().map_or(0, |schema| tokens(&schema.to_string()));
        let input = tokens(&self.system) + MESSAGE + said.sum::<u64>() + schema;
        Estimate::of(input, self.max_tokens.into(), price)
    }

    /// The same with every text put through `scrub`.
    pub(super) fn scrubbed(mut self, scrub: &dyn Fn(&str) -> String) -> Self {
        self.system = scrub(&self.system);
        for turn in &mut self.messages {
            turn.content = scrub(&turn.content);
        }
        if let Some(schema) = &mut self.schema {
            scrub_value(schema, scrub);
        }
        self
    }
}

fn scrub_value(value: &mut Value, scrub: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) => *text = scrub(text),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub_value(item, scrub)),
        Value::Object(map) => map.values_mut().for_each(|item| scrub_value(item, scrub)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What a call may take, on the high side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// In millionths of a US dollar; none where no price is known.
    pub cost_micros: Option<u64>,
}

impl Estimate {
    /// These tokens at `price`.
    pub(super) fn of(input_tokens: u64, output_tokens: u64, price: Option<Price>) -> Self {
        let cost_micros = price.map(|price| price.cost(input_tokens, output_tokens));
        Self { input_tokens, output_tokens, cost_micros }
    }

    /// Tokens read and written.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// As if it had been spent.
    pub(super) fn spend(&self) -> Spend {
        Spend::of_call(self.input_tokens, self.output_tokens, self.cost_micros)
    }
}

/// A call, as it is about to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// When.
    pub at: EventTime,
    /// For which agent.
    pub agent: AgentName,
    /// For which request, e.g. `mitigation#3`.
    pub request: String,
    /// When that was made: ids are counted anew in each `whetstone optimize`.
    pub requested: EventTime,
    /// What for, e.g. `prompts`.
    pub purpose: String,
    /// [`Sent`] as SHA-256.
    pub hash: Digest,
    /// What it may take.
    pub estimate: Estimate,
    /// What is sent.
    #[serde(flatten)]
    pub sent: Sent,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// When.
    pub at: EventTime,
    /// The call's.
    pub hash: Digest,
    /// Why there is no answer, if there is none.
    pub failure: Option<String>,
    /// What the model said.
    pub text: Option<String>,
    /// Whether it was cut off at the limit of tokens.
    #[serde(default)]
    pub cut_off: bool,
    /// Whether the text here is all that it said, with nothing hidden.
    #[serde(default)]
    pub whole: bool,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// In millionths of a US dollar; none where no price is known.
    pub cost_micros: Option<u64>,
    /// Whether nobody told what it took, so that the figures are the estimate's.
    #[serde(default)]
    pub estimated: bool,
    /// How long it took.
    pub seconds: f64,
}

impl Answered {
    /// The same with `said` in it, scrubbed and cut to a bound.
    pub(super) fn saying(mut self, said: &str, scrub: &dyn Fn(&str) -> String) -> Self {
        let mut text = scrub(said);
        if text.len() > MAX_TEXT {
            text = text.chars().take(MAX_TEXT / 4).collect();
        }
        self.whole = text == said;
        self.text = Some(text);
        self
    }

    pub(super) fn spend(&self) -> Spend {
        Spend::of_call(self.input_tokens, self.output_tokens, self.cost_micros)
    }
}

/// A call in the log, and how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoggedCall {
    /// The call.
    #[serde(flatten)]
    pub call: Call,
    /// None if it is under way, or whoever made it is gone.
    pub answer: Option<Answered>,
}

impl Line {
    /// As it stands in a file, without the end of the line.
    pub(super) fn to_text(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// What stands in a file; nothing for what a later version wrote, or for half a line.
    pub(super) fn read(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// When it was written.
    pub(super) fn at(&self) -> EventTime {
        match self {
            Self::Call(call) => call.at,
            Self::Answer(answer) => answer.at,
        }
    }
}

/// The calls in `lines`, each with its answer: the next of its hash, and where the same was asked twice at
/// once, of the later one.
pub(super) fn joined(lines: impl IntoIterator<Item = Line>) -> Vec<LoggedCall> {
    let mut calls: Vec<LoggedCall> = Vec::new();
    for line in lines {
        match line {
            Line::Call(call) => calls.push(LoggedCall { call: *call, answer: None }),
            Line::Answer(answer) => {
                let open = |logged: &&mut LoggedCall| {
                    logged.answer.is_none() && logged.call.hash == answer.hash
                };
                if let Some(logged) = calls.iter_mut().rev().find(open) {
                    logged.answer = Some(answer);
                }
            }
        }
    }
    calls
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    pub(in super::super) fn sent(content: &str) -> Sent {
        Sent {
            model: "m".to_owned(),
            endpoint: "http://localhost/v1".to_owned(),
            temperature: Some(0.7),
            max_tokens: 100,
            format: "json_schema".to_owned(),
            sample: 0,
            system: "Improve.".to_owned(),
            messages: vec![Turn { role: "user".to_owned(), content: content.to_owned() }],
            schema: Some(json!({"type": "object", "enum": ["a"]})),
        }
    }

    pub(in super::super) fn call(number: u64, at: i64, content: &str) -> Call {
        let sent = sent(content);
        Call {
            at: EventTime::from_millis(at),
            agent: "mitigation".parse().unwrap(),
            request: format!("mitigation#{number}"),
            requested: EventTime::from_millis(0),
            purpose: "prompts".to_owned(),
            hash: sent.hash(),
            estimate: Estimate { input_tokens: 50, output_tokens: 100, cost_micros: Some(9) },
            sent,
        }
    }

    pub(in super::super) fn answer(call: &Call, at: i64, text: &str) -> Answered {
        let answer = Answered {
            at: EventTime::from_millis(at),
            hash: call.hash.clone(),
            failure: None,
            text: None,
            cut_off: false,
            whole: false,
            input_tokens: 40,
            output_tokens: 5,
            cost_micros: Some(3),
            estimated: false,
            seconds: 1.5,
        };
        answer.saying(text, &str::to_owned)
    }

    #[test]
    fn a_line_reads_as_it_is_written_and_half_a_line_does_not() {
        let call = call(1, 5, "évidence\n2");
        for line in [Line::Call(Box::new(call.clone())), Line::Answer(answer(&call, 6, "{}"))] {
            let text = line.to_text().unwrap();
            assert!(!text.contains('\n'));
            assert_eq!(Line::read(text.as_bytes()), Some(line));
            assert_eq!(Line::read(&text.as_bytes()[..text.len() - 1]), None);
        }
        assert_eq!(Line::read(b""), None);
        assert_eq!(Line::read(br#"{"event":"other"}"#), None);
    }

    #[test]
    fn whatever_is_sent_changes_the_hash() {
        let base = sent("a");
        let changed = [
            Sent { model: "n".to_owned(), ..base.clone() },
            Sent { endpoint: "x".to_owned(), ..base.clone() },
            Sent { temperature: None, ..base.clone() },
            Sent { max_tokens: 101, ..base.clone() },
            Sent { format: "text".to_owned(), ..base.clone() },
            Sent { sample: 1, ..base.clone() },
            Sent { system: "b".to_owned(), ..base.clone() },
            Sent { schema: None, ..base.clone() },
            sent("b"),
        ];
        for other in &changed {
            assert_ne!(other.hash(), base.hash(), "{other:?}");
        }
        assert_eq!(sent("a").hash(), base.hash());
    }

    #[test]
    fn every_text_is_scrubbed_and_what_was_changed_is_not_whole() {
        let scrub = |text: &str| text.replace("hunter2", "[key]");
        let mut secret = sent("my hunter2");
        secret.system = "hunter2".to_owned();
        secret.schema = Some(json!({"a": ["hunter2"], "b": {"c": "hunter2"}}));
        let scrubbed = secret.scrubbed(&scrub);
        assert!(!serde_json::to_string(&scrubbed).unwrap().contains("hunter2"));

        let call = call(1, 5, "a");
        assert!(answer(&call, 6, "hunter2").whole);
        let hidden = answer(&call, 6, "").saying("hunter2", &scrub);
        assert_eq!((hidden.text.as_deref(), hidden.whole), (Some("[key]"), false));
        let long = answer(&call, 6, &"é".repeat(MAX_TEXT));
        assert!(!long.whole && long.text.unwrap().len() <= MAX_TEXT);
    }

    #[test]
    fn an_estimate_covers_all_that_is_sent() {
        let sent = sent("abc");
        let schema = tokens(&sent.schema.as_ref().unwrap().to_string());
        let estimate = sent.estimate(Some(Price { input: 1_000_000, output: 2_000_000 }));
        let texts = tokens("Improve.") + tokens("abc") + schema;
        assert_eq!(estimate.input_tokens, texts + 2 * MESSAGE);
        assert_eq!(estimate.output_tokens, 100);
        assert_eq!(estimate.cost_micros, Some(estimate.input_tokens + 200));
        assert_eq!(sent.estimate(None).cost_micros, None);
    }

    #[test]
    fn an_answer_belongs_to_the_last_call_that_has_none() {
        let (dead, second, other) = (call(1, 1, "a"), call(1, 3, "a"), call(2, 2, "b"));
        let lines = [
            Line::Call(Box::new(dead)),
            Line::Call(Box::new(other)),
            Line::Call(Box::new(second.clone())),
            Line::Answer(answer(&second, 4, "yes")),
            Line::Answer(answer(&call(3, 1, "unknown"), 4, "yes")),
        ];
        let calls = joined(lines);
        let answered: Vec<_> = calls.iter().map(|logged| logged.answer.is_some()).collect();
        assert_eq!(answered, [false, false, true]);
        assert_eq!(calls[2].call, second);
    }
}
