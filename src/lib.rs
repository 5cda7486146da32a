//! Whetstone sharpens AI agents' prompts and configs from their own execution traces.
//!
//! The modules' names sort in the order in which data flows:
//!
//! ```text
//!  consume   the log: records in, one atomic step out
//!  decode    bytes -> Trace -> Run, or the reason why not          pure
//!  fold      runs -> event-time windows -> aggregates, reward      pure
//!  gauge     evidence that holds however often one looks           pure
//!  govern    one agent's state machine: apply(event) -> effects    pure
//!  optimize  request -> patterns, LLM -> proposal
//!  publish   versions -> the git config repo, once
//!  serve     HTTP: health, metrics, API; reads views, sends commands
//! ```
//!
//! `base` stands before them all, `hygiene` (what text may hold) before `govern` and `config` before
//! `optimize`; `app` and `cli` wire them, and `simulate` gives the demo its agents. A stage may use what an
//! earlier stage's `mod.rs` exports, and nothing of a later one: what flows back flows through the log.

pub mod app;
pub mod base;
pub mod cli;
pub mod config;
pub mod consume;
pub mod decode;
pub mod fold;
pub mod gauge;
pub mod govern;
pub mod hygiene;
pub mod optimize;
pub mod publish;
pub mod serve;
pub mod simulate;
