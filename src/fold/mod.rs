//! Stage 3: runs fold into event-time panes of mergeable aggregates; a window is a merge of panes, and a
//! pane that is dropped leaves a point.
//!
//! Pure. Merging is associative and commutative, exactly: sums are integers, samples are chosen by
//! hash or by a total order, never by arrival. An aggregate's size is bounded whatever comes in.

mod aggregate;
mod bounded;
mod exemplars;
mod panes;
mod points;
mod reward;
mod sketch;
mod windows;

pub use aggregate::{Aggregate, Cost, Counts, Limits, Split, ToolStats, TransitionStats};
pub use bounded::Bounded;
pub use exemplars::{Exemplar, Exemplars};
pub use panes::ChangedPane;
pub use points::{Point, Points};
pub use reward::{Reward, RewardSpec};
pub use sketch::Sketch;
pub use windows::{Folded, WindowKind, WindowSpec, Windows};
