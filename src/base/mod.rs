//! Words that every stage shares: names, numbers, event time, digests, short numbers, marks of change and
//! the clock.
//!
//! Pure but for [`Clock`], which is the one door to the wall clock. May use no other module.

mod clock;
mod day;
mod digest;
mod metrics;
mod name;
mod round;
mod time;
mod tracked;

pub use clock::{Clock, ManualClock, SystemClock};
pub use day::{Day, InvalidDay};
pub use digest::Digest;
pub use metrics::Metrics;
pub use name::{AgentName, InvalidAgentName, VersionNumber};
pub use round::rounded;
pub use time::EventTime;
pub use tracked::Tracked;
