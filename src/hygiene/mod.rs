//! What text may hold that comes from others or goes to them: secrets, disguises, and words that would
//! rather be orders than data.
//!
//! Pure, and it knows neither agents nor prompts. It finds, hides and sets aside; whether something may
//! stand is for its users to say: the guard of what machines write, and whoever shows runs to a model.
//! Its tables are of shapes and phrases that are common. They are one fence of several, and no promise.

mod addresses;
mod blobs;
mod checksums;
mod commands;
mod copying;
mod danger;
mod disguise;
mod fold;
mod markers;
mod matcher;
mod orders;
mod phrases;
mod quarantine;
mod redactor;
mod secrets;
mod yaml;

pub use copying::Sources;
pub use danger::{Danger, Found, dangers};
pub use fold::is_hidden;
pub use quarantine::{Quarantined, quarantine};
pub use redactor::{BadRule, RedactionRules, Redactor, has_secret, redact};
