//! A run in a few lines, for people and for the optimizer: task, last steps, result.

use super::limits::MAX_EXCERPT_BYTES;
use super::text::{clean, cut};
use super::{Step, Trace};

/// Steps at the end of a run that its excerpt shows, if there is room.
const STEPS: usize = 6;
/// Bytes of a task, thought or result.
const TEXT_BYTES: usize = 140;
/// Bytes of a call's arguments.
const ARGUMENT_BYTES: usize = 160;
/// Bytes of a call's error: it often says what would have been right.
const ERROR_BYTES: usize = 200;

/// At most [`MAX_EXCERPT_BYTES`]. Task and result are always there; steps make room for them, the
/// oldest first.
pub(super) fn of(trace: &Trace) -> String {
    let short = |text: &str| cut(&clean(cut(text, 4 * TEXT_BYTES)), TEXT_BYTES).trim().to_owned();
    let task = trace.task.as_deref().map(|task| format!("task: {}", short(task)));
    let result = trace.result.as_deref().map(|result| format!("result: {}", short(result)));
    let counted = trace.steps.iter().filter(|step| !matches!(step, Step::Llm(_))).count();
    let mut room = MAX_EXCERPT_BYTES.saturating_sub(40);
    for line in task.iter().chain(&result) {
        room = room.saturating_sub(line.len() + 1);
    }
    let mut shown = Vec::new();
    for line in trace.steps.iter().rev().filter_map(line).take(STEPS) {
        if line.len() + 1 > room {
            break;
        }
        room -= line.len() + 1;
        shown.push(line);
    }
    let earlier = counted - shown.len();
    let gap = (earlier > 0).then(|| format!("({earlier} earlier steps)"));
    let lines = task.into_iter().chain(gap).chain(shown.into_iter().rev()).chain(result);
    lines.collect::<Vec<_>>().join("\n")
}

/// A step in one line; calls of a model say nothing that tokens do not.
fn line(step: &Step) -> Option<String> {
    let short = |text: &str, max: usize| cut(&clean(cut(text, 4 * max)), max).trim().to_owned();
    match step {
        Step::Tool(call) => {
            let arguments = short(call.arguments.as_deref().unwrap_or_default(), ARGUMENT_BYTES);
            let ending = match (call.ok, &call.error) {
                (true, _) => "ok".to_owned(),
                (false, Some(error)) => format!("failed: {}", short(error, ERROR_BYTES)),
                (false, None) => "failed".to_owned(),
            };
            Some(format!("call {}({arguments}) {ending}", short(&call.name, 40)))
        }
        Step::Thought(thought) => Some(format!("thought: {}", short(&thought.text, TEXT_BYTES))),
        Step::Llm(_) => None,
    }
}
