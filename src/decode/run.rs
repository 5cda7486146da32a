//! A trace boiled down to what windows need, of bounded size: this is what `agent-events` carries.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Tokens;
use crate::base::{AgentName, EventTime, VersionNumber};
use crate::decode::Outcome;

/// One run, bounded: at most [`limits`](super::limits) of everything, a few KB in all. It is written by the order of
/// its fields too: a new one comes last, with a default, and none is ever left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The agent that ran.
    pub agent: AgentName,
    /// The run's id.
    pub trace_id: String,
    /// The session it belongs to, if any.
    #[serde(default)]
    pub session: Option<String>,
    /// The version it says it ran under.
    #[serde(default)]
    pub version: Option<VersionNumber>,
    /// When it started.
    pub start: EventTime,
    /// When it ended.
    pub end: EventTime,
    /// How it ended.
    pub outcome: Outcome,
    /// Tool calls in all, of named tools and of those beyond the bound.
    pub attempts: u32,
    /// LLM/tool rounds: what `max_step` limits.
    pub rounds: u32,
    /// Times the whole run was tried again.
    pub retries: u32,
    /// Tokens over the whole run.
    pub tokens: Tokens,
    /// What its calls of models cost, in millionths of a US dollar, where known.
    #[serde(default)]
    pub cost_micros: Option<u64>,
    /// The tools used, in order of first use.
    pub tools: Vec<ToolUse>,
    /// Which tool followed which, with counts; indices into `tools`.
    pub transitions: Vec<Transition>,
    /// The longest row of identical calls (same tool, same arguments), at least 1 if there was a call.
    pub longest_repeat: u32,
    /// The tool of that longest row, as an index into `tools`.
    #[serde(default)]
    pub repeated_tool: Option<u16>,
    /// What the thoughts showed.
    pub reasoning: BTreeSet<Reasoning>,
    /// The error it ended with or met last, with names, numbers and ids replaced by placeholders.
    #[serde(default)]
    pub signature: Option<String>,
    /// Task, last steps and result in a few lines, for people and for the optimizer.
    pub excerpt: String,
}

/// How a run used one tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolUse {
    /// The tool's name.
    pub name: String,
    /// Calls.
    pub calls: u32,
    /// Calls that failed.
    pub errors: u32,
    /// Milliseconds spent in it, where known.
    pub millis: u64,
}

/// One tool followed another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Index of the earlier tool.
    pub from: u16,
    /// Index of the later tool.
    pub to: u16,
    /// How often.
    pub count: u32,
}

/// Marks of reasoning that a run's thoughts carry, found by plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// It laid out steps before acting.
    Plan,
    /// It named a possible cause.
    Hypothesis,
    /// It checked that an action had taken effect.
    Verify,
    /// It changed its mind.
    Backtrack,
    /// It said it was unsure.
    Uncertain,
}

impl Run {
    /// A run of which nothing is known but that it was, at `at`.
    pub fn empty(agent: AgentName, trace_id: String, at: EventTime) -> Self {
        Self {
            agent,
            trace_id,
            session: None,
            version: None,
            start: at,
            end: at,
            outcome: Outcome::Unknown,
            attempts: 0,
            rounds: 0,
            retries: 0,
            tokens: Tokens::default(),
            cost_micros: None,
            tools: Vec::new(),
            transitions: Vec::new(),
            longest_repeat: 0,
            repeated_tool: None,
            reasoning: BTreeSet::new(),
            signature: None,
            excerpt: String::new(),
        }
    }

    /// The trace that a run of this id is part of: a run that was assembled from OpenTelemetry spans has the id
    /// `<trace id>-<span id>`, of 32 and 16 hexadecimal digits in lower case. What is said of the trace is
    /// said of each of its agent's runs.
    pub fn trace_of(id: &str) -> Option<&str> {
        let (trace, span) = id.split_once('-')?;
        (Self::is_trace(trace) && span.len() == 16 && is_hex(span)).then_some(trace)
    }

    /// Whether an id can be that of a whole OpenTelemetry trace.
    pub fn is_trace(id: &str) -> bool {
        id.len() == 32 && is_hex(id)
    }

    /// Whether it broke, whatever its outcome: the harness or the infrastructure did, or it called tools
    /// and not one call succeeded. Of calls beyond the tools that are named nobody knows how they went; a
    /// run with such calls is broken only if it was aborted.
    pub fn is_broken(&self) -> bool {
        let failed = |tool: &ToolUse| tool.calls == tool.errors;
        let called: u64 = self.tools.iter().map(|tool| u64::from(tool.calls)).sum();
        self.outcome == Outcome::Aborted
            || (called > 0 && called == u64::from(self.attempts) && self.tools.iter().all(failed))
    }

    /// The run's length in seconds.
    pub fn latency(&self) -> f64 {
        self.end.secs_since(self.start)
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::limits::MAX_TOOLS;
    use super::super::{Options, decode};
    use super::*;

    fn run(outcome: &str, steps: &[Value]) -> Run {
        let record = json!({"agent": "a", "trace_id": "t", "start": 1_770_000_000,
            "end": 1_770_000_001, "outcome": outcome, "steps": steps});
        let options = Options::arrived(EventTime::from_millis(1_780_000_000_000));
        let report = decode(record.to_string().as_bytes(), &options).remove(0).result.unwrap();
        Run::digest(&report.into_run().unwrap())
    }

    fn call(name: impl std::fmt::Display, ok: bool) -> Value {
        json!({"type": "tool", "name": name.to_string(), "ok": ok})
    }

    #[test]
    fn a_run_is_broken_if_it_was_aborted_or_no_call_of_any_tool_succeeded() {
        let check = |outcome: &str, steps: &[Value], expected: bool| {
            assert_eq!(run(outcome, steps).is_broken(), expected, "{outcome} {steps:?}");
        };
        let thought = json!({"type": "thought", "text": "hm"});
        check("aborted", &[], true);
        check("aborted", &[call("look", true)], true);
        for outcome in ["success", "failure", "unknown"] {
            check(outcome, &[], false);
            check(outcome, std::slice::from_ref(&thought), false);
            check(outcome, &[call("look", true)], false);
            check(outcome, &[call("look", false)], true);
            check(outcome, &[call("look", false), call("look", false), call("act", false)], true);
            check(outcome, &[call("look", false), call("look", true)], false);
            check(outcome, &[call("look", false), call("act", true)], false);
        }
    }

    #[test]
    fn a_run_from_spans_names_its_trace() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let check = |id: &str, trace: Option<&str>| assert_eq!(Run::trace_of(id), trace, "{id}");
        check(&format!("{trace}-00f067aa0ba902b7"), Some(trace));
        check(trace, None);
        check(&format!("{trace}-"), None);
        check(&format!("{trace}-00f067aa0ba902b"), None);
        check(&format!("{trace}-00f067aa0ba902b7-1"), None);
        check(&format!("{trace}-00F067AA0BA902B7"), None);
        check(&format!("{trace}0-00f067aa0ba902b7"), None);
        check("run-17", None);
        assert!(Run::is_trace(trace) && !Run::is_trace("run-17"));
        assert!(!Run::is_trace(&trace.to_uppercase()), "ids are compared byte for byte");
    }

    #[test]
    fn calls_beyond_the_tools_that_are_named_may_have_succeeded() {
        let failed = |tools: usize| (0..tools).map(|n| call(n, false)).collect::<Vec<_>>();
        assert!(run("failure", &failed(MAX_TOOLS)).is_broken());
        let more = run("failure", &failed(MAX_TOOLS + 1));
        assert_eq!((more.tools.len(), more.attempts), (MAX_TOOLS, 33));
        assert!(!more.is_broken());
    }
}
