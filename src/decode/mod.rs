//! Stage 2: bytes of any input format become [`Report`]s, or a named reason why not: of runs that ended,
//! which are [`Trace`]s, and of runs that began. A trace becomes the bounded [`Run`] that the rest of the
//! pipeline works on. [`Feedback`] says how a run turned out, apart from it.
//!
//! Pure: no I/O, no clock; the time of arrival comes in with the record. Input is hostile: nothing
//! here may panic, recurse without a bound or keep more than the bounds in [`limits`].

pub mod assembly;
mod canonical;
mod chat;
mod detect;
mod digest;
mod draft;
mod excerpt;
mod feedback;
mod found;
mod native;
pub mod otlp;
mod reasoning;
mod reject;
mod report;
mod run;
mod signature;
mod stratus_record;
mod stratus_trajectory;
mod text;
mod trace;
mod usual;

pub mod limits;

pub use detect::{Decoded, Format, Options, decode};
pub use feedback::{Feedback, decode_feedback};
pub use reject::{Reason, Reject};
pub use report::{Announcement, Report};
pub use run::{Reasoning, Run, ToolUse, Transition};
pub use trace::{LlmCall, Outcome, Step, Thought, Tokens, ToolCall, Trace};
