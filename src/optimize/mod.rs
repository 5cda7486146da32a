//! Stage 5: a request becomes a proposal: the rules' findings, and what a model makes of them.
//!
//! It owns nothing and may be killed at any moment: a request holds all that is needed, and the
//! answer goes back through the log, where the machine trusts it as little as any other input.

mod optimizer;
mod patterns;

pub use optimizer::Optimizer;
pub use patterns::{Finding, find};
