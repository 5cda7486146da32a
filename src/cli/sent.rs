//! How a call to the model is shown to people: before it is made, and from the log.

use super::output::{Output, Tone, dollars, safe};
use crate::govern::{LlmBudget, Spend};
use crate::optimize::{Preview, Sent};

/// A call that would be made.
pub(super) fn preview(output: &Output, call: &Preview) {
    let title = format!("{}, {}", call.agent, call.purpose);
    output.line(format!("\n{}", output.paint(Tone::Strong, &title)));
    output.line(format!("  hash      {}", call.hash));
    output.line(format!("  size      {} characters", call.chars));
    output.line(format!(
        "  estimate  at most {} tokens read, {} written, {}",
        call.estimate.input_tokens,
        call.estimate.output_tokens,
        cost(call.estimate.cost_micros)
    ));
    output.line(format!("  budget    {}", budget(&call.budget, &call.spent)));
    if let Some(objection) = &call.objection {
        let line = format!("  not made  {}", safe(objection));
        output.line(output.paint(Tone::Bad, &line));
    }
    sent(output, &call.sent);
}

/// What is sent, whole.
pub(super) fn sent(output: &Output, sent: &Sent) {
    let temperature = sent.temperature.map_or_else(|| "unset".to_owned(), |t| t.to_string());
    output.line(format!("  model     {} at {}", safe(&sent.model), safe(&sent.endpoint)));
    output.line(format!(
        "  asks for  temperature {temperature}, max_tokens {}, format {}",
        sent.max_tokens, sent.format
    ));
    text(output, "system", &sent.system);
    for turn in &sent.messages {
        text(output, &turn.role, &turn.content);
    }
    if let Some(schema) = &sent.schema {
        text(output, "schema", &schema.to_string());
    }
}

/// A text under its name.
pub(super) fn text(output: &Output, name: &str, text: &str) {
    let heading = output.paint(Tone::Faint, &format!("--- {}", safe(name)));
    output.line(format!("{heading}\n{}", safe(text)));
}

/// Millionths of a US dollar in words.
pub(super) fn cost(micros: Option<u64>) -> String {
    micros.map_or_else(
        || "unknown cost (set llm.price)".to_owned(),
        |micros| format!("{} USD", dollars(micros)),
    )
}

fn budget(budget: &LlmBudget, spent: &Spend) -> String {
    let LlmBudget { tokens_per_day, micros_per_day, calls_per_request } = budget;
    let of = |limit: Option<String>| {
        limit.map_or_else(|| "no limit".to_owned(), |limit| format!("of {limit}"))
    };
    format!(
        "{} tokens ({}) and {} USD ({}) are spent today; at most {calls_per_request} calls for a request",
        spent.tokens(),
        of(tokens_per_day.map(|limit| limit.to_string())),
        dollars(spent.cost_micros),
        of(micros_per_day.map(dollars)),
    )
}
