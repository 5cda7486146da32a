//! Simulated agents, and experiments with them whose truth is known.
//!
//! The agents stand in for real ones in the demo, and say so in everything they send.
//!
//! Pure and seeded. How well one does really depends on what its prompt and config say, by a hidden
//! rule that only this module knows: the rest of Whetstone sees nothing but the traces.

mod agents;
mod experiment;
mod replay;
mod report;
mod rule;
mod scenario;
mod world;

pub use agents::{SimulatedAgent, simulated_agents};
pub use experiment::{Ending, Experiment};
pub use replay::{Replay, ReplayError, replay};
pub use report::{NaiveReport, ScenarioReport};
pub use scenario::{Scenario, scenarios};
