//! Stage 6: versions -> the git config repo, once; and what people wrote there.
//!
//! The repo is a projection of the log: it can be thrown away and made again, and re-projecting
//! changes nothing. One version record becomes one commit, found again by its trailers. People win:
//! where somebody has changed an agent's files, nothing is written until their edit has come back
//! through the log as a version. `parse`, `render`, `site`, `block`, `splice`, `edit`, `version_file`, `trial_file`,
//! `trailers` and `layout` are pure, text to text; only `files`, `intent`, `history`, `repo`, `project` and `remote`
//! touch the disk, and only `remote` the network, by way of the `git` program.

mod block;
mod edit;
mod error;
mod files;
mod history;
mod intent;
mod layout;
mod parse;
mod project;
mod remote;
mod render;
mod repo;
mod site;
mod splice;
mod trailers;
mod trial_file;
mod version_file;

pub use error::PublishError;
pub use project::Projection;
pub use remote::{Fetched, Pushed};
pub use repo::{ConfigRepo, HumanEdit, RepoOptions};
pub use trailers::{Published, Standing};
pub use trial_file::{Beside, Share};
