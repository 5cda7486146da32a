//! Stage 4: one agent's state machine. [`Agent::apply`] takes one event and returns what must leave.
//!
//! Pure: no I/O, no clock, no unseeded randomness; time and seeds come in with the record. The same
//! events and the same [`Policy`] give the same state and the same effects, so a log is a test.
//! Content, edits, the guard and the messages that go round through the log are defined here too,
//! since the machine is what accepts or refuses them.

mod agent;
mod assign;
mod content;
mod edit;
mod event;
mod fate;
mod guard;
mod guidance;
mod head;
mod heard;
mod history;
mod labels;
mod ledger;
mod piece;
mod pieces;
mod placeholders;
mod policy;
mod proposal;
mod proposals;
mod request;
mod seen;
mod spending;
mod standing;
mod trial;
mod trials;
mod version;
mod view;
mod waiting;
mod watch;

pub use agent::Agent;
pub use assign::{Split, bucket};
pub use content::Content;
pub use edit::{Edit, EditError, Proposed, apply_edits};
pub use event::{
    Command, CommandKind, Decision, Effect, Event, EventBody, Half, Label, PromptUpdate, Second,
    Started,
};
pub use fate::Fate;
pub use guard::{GuardRules, Tunable, Violation, check, check_reason};
pub use guidance::{Bullet, Guidance};
pub use head::{Applied, Input, LabelTally, Tally};
pub use piece::{Piece, UnknownPiece};
pub use pieces::{AssembleError, Change, PieceBody, Pieces};
pub use placeholders::Placeholders;
pub use policy::{DriftAction, FeedbackSpec, LlmBudget, Policy, Rollout, TrialSpec, WatchSpec};
pub use proposal::{Answer, Considered, End, GateReport, LlmReport, Part, Proposal};
pub use request::{BulletRecord, Past, Request, RequestId};
pub use spending::{Spend, SpendView};
pub use standing::Standing;
pub use trial::{
    ArmView, CourseView, EvidenceView, ExcludedView, Forecast, MetricView, TrialKind, TrialView,
};
pub use version::{Author, Reason, State, Version, VersionRecord};
pub use view::{AgentView, Figures, PointView, VersionView};
