//! Stage 5: a request becomes a proposal: the rules' findings, and what a model makes of them.
//!
//! ```text
//!  Request ─▶ patterns ─▶ findings ─▶ evidence, redacted ─▶ model ─▶ answer ─▶ curate, judge ─┐
//!     │                     └─ their own edits ────────────────────────────────▶ curate, judge ─┤
//!     └─ history ─▶ strata ─▶ what earlier versions knew ──────────────────────▶ curate, judge ─┤
//!                                                              Proposal ◀─ gate ◀─ choose ◀─ pool
//! ```
//!
//! It owns nothing and may be killed at any moment: a request holds all that is needed, and the
//! answer goes back through the log, where the machine trusts it as little as any other input.
//! Prompts and config are asked for apart. The operator's gate, if there is one, tries what is proposed
//! before it is handed in. Only `model` and `gate` know that there is a world outside, and only
//! `optimizer`, `talk` and `consult` wait for them.

mod answer;
mod budget;
mod choose;
mod consult;
mod critique;
mod curate;
mod evidence;
mod extract;
#[cfg(test)]
mod fixture;
mod gate;
mod judge;
mod likeness;
mod lineage;
mod mining;
mod model;
mod optimizer;
mod patterns;
mod pool;
mod sections;
mod strata;
mod talk;
mod template;
mod usage;

pub use gate::{Answering, Gate, Hook, Patience, Program, Service, Unasked};
pub use model::{
    Answered, Call, CallFiles, CallLogError, Estimate, LlmSettings, LoggedCall, Preview, Price,
    Sent, Turn, read_calls,
};
pub use optimizer::{Effort, Optimizer, PreviewError};
pub use patterns::{Finding, find};
pub use template::{Template, TemplateError};
