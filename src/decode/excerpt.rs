//! A run in a few lines, for people and for the optimizer: task, last steps, result.

use super::limits::MAX_EXCERPT_BYTES;
use super::text::push_short;
use super::{Step, Trace};

/// Steps at the end of a run that its excerpt shows, if there is room.
const STEPS: usize = 6;
/// Bytes of a task, thought or result.
const TEXT_BYTES: usize = 140;
/// Bytes of a tool's name.
const NAME_BYTES: usize = 40;
/// Bytes of a call's arguments.
const ARGUMENT_BYTES: usize = 160;
/// Bytes of a call's error: it often says what would have been right.
const ERROR_BYTES: usize = 200;

/// At most [`MAX_EXCERPT_BYTES`]. Task and result are always there; steps make room for them, the
/// oldest first.
pub(super) fn of(trace: &Trace) -> String {
    let task = trace.task.as_deref().map(|task| short("task: ", task));
    let result = trace.result.as_deref().map(|result| short("result: ", result));
    let counted = trace.steps.iter().filter(|step| !matches!(step, Step::Llm(_))).count();
    let mut room = MAX_EXCERPT_BYTES.saturating_sub(40);
    for line in task.iter().chain(&result) {
        room = room.saturating_sub(line.len() + 1);
    }
    let mut shown = Vec::with_capacity(STEPS);
    for line in trace.steps.iter().rev().filter_map(line).take(STEPS) {
        if line.len() + 1 > room {
            break;
        }
        room -= line.len() + 1;
        shown.push(line);
    }
    let earlier = counted - shown.len();
    let gap = (earlier > 0).then(|| format!("({earlier} earlier steps)"));
    let mut excerpt = String::with_capacity(MAX_EXCERPT_BYTES - room);
    for line in task.iter().chain(&gap).chain(shown.iter().rev()).chain(&result) {
        if !excerpt.is_empty() {
            excerpt.push('\n');
        }
        excerpt.push_str(line);
    }
    excerpt
}

fn short(what: &str, text: &str) -> String {
    let mut line = String::with_capacity(what.len() + TEXT_BYTES);
    line.push_str(what);
    push_short(&mut line, text, TEXT_BYTES);
    line
}

/// A step in one line; calls of a model say nothing that tokens do not.
fn line(step: &Step) -> Option<String> {
    match step {
        Step::Tool(call) => {
            let mut line = String::with_capacity(TEXT_BYTES);
            line.push_str("call ");
            push_short(&mut line, &call.name, NAME_BYTES);
            line.push('(');
            push_short(&mut line, call.arguments.as_deref().unwrap_or_default(), ARGUMENT_BYTES);
            line.push_str(if call.ok { ") ok" } else { ") failed" });
            if let Some(error) = call.error.as_deref().filter(|_| !call.ok) {
                line.push_str(": ");
                push_short(&mut line, error, ERROR_BYTES);
            }
            Some(line)
        }
        Step::Thought(thought) => Some(short("thought: ", &thought.text)),
        Step::Llm(_) => None,
    }
}
