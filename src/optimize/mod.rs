//! Stage 5: a request becomes a proposal: the rules' findings, and what a model makes of them.
//!
//! ```text
//!  Request ─▶ patterns ─▶ findings ─┬─▶ evidence, redacted ─▶ model ─▶ answer ─▶ judge ─▶ Proposal
//!                                   └─▶ their own edits, where the model fails ─▶ judge ─┘
//! ```
//!
//! It owns nothing and may be killed at any moment: a request holds all that is needed, and the
//! answer goes back through the log, where the machine trusts it as little as any other input.
//! Prompts and config are asked for apart. The operator's gate, if there is one, tries what is proposed
//! before it is handed in. Only `model` and `gate` know that there is a world outside, and only
//! `optimizer` waits for them.

mod answer;
mod budget;
mod evidence;
mod extract;
#[cfg(test)]
mod fixture;
mod gate;
mod judge;
mod model;
mod optimizer;
mod patterns;
mod sections;

pub use gate::{Answering, Gate, Hook, Patience, Program, Service, Unasked};
pub use model::LlmSettings;
pub use optimizer::Optimizer;
pub use patterns::{Finding, find};
