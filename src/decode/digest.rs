//! From a trace of any size to a run of bounded size.

use std::collections::BTreeMap;

use super::limits::{MAX_TOOLS, MAX_TRANSITIONS};
use super::{Run, ToolCall, ToolUse, Trace, Transition, excerpt, reasoning, signature, text};

impl Run {
    /// What windows need of `trace`, and no more: bounded also where `trace` was not made by
    /// [`decode`](super::decode) and is not.
    pub fn digest(trace: &Trace) -> Self {
        let calls: Vec<&ToolCall> = trace.tool_calls().collect();
        let attempts = count(calls.len());
        let (tools, places) = tools(&calls);
        let (longest_repeat, repeated) = longest_repeat(&calls);
        let index = |name: &str| places.get(name).copied();
        Self {
            agent: trace.agent.clone(),
            trace_id: text::identity(&trace.trace_id),
            session: trace.session.as_deref().map(text::identity),
            version: trace.version,
            start: trace.start,
            end: trace.end,
            outcome: trace.outcome,
            attempts,
            rounds: trace.rounds.unwrap_or(attempts),
            retries: trace.retries,
            tokens: trace.tokens,
            cost_micros: trace.cost_usd.map(micros),
            transitions: transitions(&calls, index),
            longest_repeat,
            repeated_tool: repeated.and_then(index),
            reasoning: reasoning::marks(trace),
            signature: signature::of(trace),
            excerpt: excerpt::of(trace),
            tools,
        }
    }
}

/// Dollars in millionths; what is below 0 or no number is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn micros(dollars: f64) -> u64 {
    (dollars * 1e6).round() as u64
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The tools in order of first use, and the place of each by its name.
fn tools<'a>(calls: &[&'a ToolCall]) -> (Vec<ToolUse>, BTreeMap<&'a str, u16>) {
    let mut tools: Vec<ToolUse> = Vec::new();
    let mut places: BTreeMap<&str, u16> = BTreeMap::new();
    for call in calls {
        let next = u16::try_from(tools.len()).ok().filter(|_| tools.len() < MAX_TOOLS);
        let known = places.get(call.name.as_str()).copied();
        let Some(place) = known.or(next) else { continue };
        if known.is_none() {
            let name = text::identity(&call.name);
            tools.push(ToolUse { name, calls: 0, errors: 0, millis: 0 });
            places.insert(&call.name, place);
        }
        let Some(tool) = tools.get_mut(usize::from(place)) else { continue };
        tool.calls += 1;
        tool.errors += u32::from(!call.ok);
        let millis = (call.duration.unwrap_or_default() * 1000.0).round().clamp(0.0, 1e15);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let millis = millis as u64;
        tool.millis = tool.millis.saturating_add(millis);
    }
    (tools, places)
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
