//! Statistics that hold however often one looks. Plain arithmetic on numbers: knows neither agents
//! nor runs.
//!
//! All of it rests on one fact. An *e-process* is a non-negative supermartingale that starts at 1 if a
//! hypothesis is true, so that it ever reaches 1/α with a probability of at most α (Ville's
//! inequality), with no sample size fixed and no distribution assumed. Looking after each run costs
//! nothing.

mod budget;
mod differences;
mod drift;
mod evidence;
mod proportion;
mod ratio;

pub use budget::ErrorBudget;
pub use differences::Differences;
pub use drift::DriftDetector;
pub use evidence::{BETS, mean_ln};
pub use proportion::{Proportion, wilson};
pub use ratio::{ArmCounts, ln_e_ratio};
