//! From a trace of any size to a run of bounded size.

use std::collections::{BTreeMap, BTreeSet};

use super::limits::{MAX_EXCERPT_BYTES, MAX_SIGNATURE_BYTES, MAX_TOOLS, MAX_TRANSITIONS};
use super::text::cut;
use super::{Outcome, Reasoning, Run, Step, ToolCall, ToolUse, Trace, Transition};

/// Steps at the end of a run that its excerpt shows.
const EXCERPT_STEPS: usize = 6;

impl Run {
    /// What windows need of `trace`, and no more.
    pub fn digest(trace: &Trace) -> Self {
        let calls: Vec<&ToolCall> = trace.tool_calls().collect();
        let attempts = count(calls.len());
        let tools = tools(&calls);
        let (longest_repeat, repeated) = longest_repeat(&calls);
        let index = |name: &str| {
            tools.iter().position(|tool| tool.name == name).and_then(|i| u16::try_from(i).ok())
        };
        Self {
            agent: trace.agent.clone(),
            trace_id: trace.trace_id.clone(),
            session: trace.session.clone(),
            version: trace.version,
            start: trace.start,
            end: trace.end,
            outcome: trace.outcome,
            attempts,
            rounds: trace.rounds.unwrap_or(attempts),
            retries: trace.retries,
            tokens: trace.tokens,
            transitions: transitions(&calls, index),
            longest_repeat,
            repeated_tool: repeated.and_then(index),
            reasoning: reasoning(trace),
            signature: signature(trace, &calls),
            excerpt: excerpt(trace),
            tools,
        }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn tools(calls: &[&ToolCall]) -> Vec<ToolUse> {
    let mut tools: Vec<ToolUse> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for call in calls {
        let place = match places.get(call.name.as_str()) {
            Some(place) => *place,
            None if tools.len() < MAX_TOOLS => {
                let name = call.name.clone();
                tools.push(ToolUse { name, calls: 0, errors: 0, millis: 0 });
                places.insert(&call.name, tools.len() - 1);
                tools.len() - 1
            }
            None => continue,
        };
        let Some(tool) = tools.get_mut(place) else { continue };
        tool.calls += 1;
        tool.errors += u32::from(!call.ok);
        let millis = (call.duration.unwrap_or_default() * 1000.0).round().clamp(0.0, 1e15);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let millis = millis as u64;
        tool.millis = tool.millis.saturating_add(millis);
    }
    tools
}

fn transitions(calls: &[&ToolCall], index: impl Fn(&str) -> Option<u16>) -> Vec<Transition> {
    let mut counts: BTreeMap<(u16, u16), u32> = BTreeMap::new();
    let places: Vec<Option<u16>> = calls.iter().map(|call| index(&call.name)).collect();
    for pair in places.windows(2) {
        let [Some(from), Some(to)] = *pair else { continue };
        if counts.len() < MAX_TRANSITIONS || counts.contains_key(&(from, to)) {
            *counts.entry((from, to)).or_default() += 1;
        }
    }
    counts.into_iter().map(|((from, to), count)| Transition { from, to, count }).collect()
}

/// The longest row of identical calls and its tool. Calls without arguments compare by name alone.
fn longest_repeat<'a>(calls: &[&'a ToolCall]) -> (u32, Option<&'a str>) {
    let (mut longest, mut tool) = (0, None);
    for row in calls.chunk_by(|a, b| a.name == b.name && a.arguments == b.arguments) {
        if row.len() > longest {
            longest = row.len();
            tool = row.first().map(|call| call.name.as_str());
        }
    }
    (count(longest), tool)
}

fn reasoning(trace: &Trace) -> BTreeSet<Reasoning> {
    const WORDS: [(Reasoning, &[&str]); 5] = [
        (Reasoning::Plan, &["plan", "first,", "step 1", "steps:", "then i", "next, i"]),
        (
            Reasoning::Hypothesis,
            &["hypothes", "likely cause", "root cause", "might be caused", "suspect"],
        ),
        (Reasoning::Verify, &["verify", "verified", "confirm", "double-check", "make sure"]),
        (
            Reasoning::Backtrack,
            &[
                "on second thought",
                "that was wrong",
                "instead, i",
                "let me try another",
                "i was wrong",
            ],
        ),
        (Reasoning::Uncertain, &["not sure", "unsure", "unclear", "don't know", "do not know"]),
    ];
    let mut marks = BTreeSet::new();
    for step in &trace.steps {
        let Step::Thought(thought) = step else { continue };
        let text = thought.text.to_lowercase();
        let found = WORDS.iter().filter(|(_, words)| words.iter().any(|word| text.contains(word)));
        marks.extend(found.map(|(mark, _)| *mark));
    }
    marks
}

/// What a failed run died of: its last failed call, or else its result.
fn signature(trace: &Trace, calls: &[&ToolCall]) -> Option<String> {
    if trace.outcome == Outcome::Success {
        return None;
    }
    let failed = calls.iter().rev().find(|call| !call.ok);
    let text = match failed {
        Some(call) => {
            let error = call.error.as_deref().unwrap_or("failed");
            format!("{}: {}", call.name, generic(error))
        }
        None => generic(trace.result.as_deref()?),
    };
    (!text.is_empty()).then(|| cut(&text, MAX_SIGNATURE_BYTES).to_owned())
}

/// The first line of `text` with what changes from run to run left out: words with digits become
/// `<n>`, quoted ones `<q>`, paths and addresses `<path>`.
fn generic(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let words = line.split_whitespace().take(24).map(|word| {
        if word.contains(|c: char| c.is_ascii_digit()) {
            "<n>"
        } else if word.contains('/') {
            "<path>"
        } else if word.len() > 2 && word.contains(['\'', '"', '`']) {
            "<q>"
        } else {
            word
        }
    });
    let words: Vec<_> = words.collect();
    words.join(" ").chars().filter(|c| !c.is_control()).collect()
}

/// Task, last steps and result, a line each, in at most [`MAX_EXCERPT_BYTES`].
fn excerpt(trace: &Trace) -> String {
    const LINE: usize = 140;
    let clean = |text: &str, max: usize| -> String {
        let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        cut(&flat, max).to_owned()
    };
    let mut lines = Vec::new();
    if let Some(task) = &trace.task {
        lines.push(format!("task: {}", clean(task, LINE)));
    }
    let skipped = trace.steps.len().saturating_sub(EXCERPT_STEPS);
    if skipped > 0 {
        lines.push(format!("({skipped} earlier steps)"));
    }
    for step in trace.steps.iter().skip(skipped) {
        match step {
            Step::Tool(call) => {
                let arguments = clean(call.arguments.as_deref().unwrap_or_default(), 60);
                let ending = match (&call.error, call.ok) {
                    (_, true) => "ok".to_owned(),
                    (Some(error), false) => format!("failed: {}", clean(error, 60)),
                    (None, false) => "failed".to_owned(),
                };
                lines.push(format!("call {}({arguments}) {ending}", clean(&call.name, 40)));
            }
            Step::Thought(thought) => {
                lines.push(format!("thought: {}", clean(&thought.text, LINE)));
            }
            Step::Llm(_) => {}
        }
    }
    if let Some(result) = &trace.result {
        lines.push(format!("result: {}", clean(result, LINE)));
    }
    cut(&lines.join("\n"), MAX_EXCERPT_BYTES).to_owned()
}
