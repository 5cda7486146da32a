//! Many experiments in a few figures.

use serde::{Deserialize, Serialize};

use super::experiment::{Ending, Experiment};
use super::scenario::Scenario;
use crate::gauge::{Proportion, wilson};

/// What came of a scenario's experiments. All of it is simulated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScenarioReport {
    /// The scenario.
    pub scenario: String,
    /// What it shows.
    pub about: String,
    /// Always true.
    pub simulated: bool,
    /// How many experiments.
    pub runs: u64,
    /// Share of them that ended in a promotion, with its 95 % interval.
    pub promoted: Proportion,
    /// In a rollback.
    pub rolled_back: Proportion,
    /// Without verdict, the candidate not shipped.
    pub futile: Proportion,
    /// Given up.
    pub stopped: Proportion,
    /// Median of the candidate's units that the verdict took, where there was one.
    pub median_candidate_units: Option<u64>,
    /// Median of the units of both arms.
    pub median_units: Option<u64>,
    /// The same experiments judged by 50 runs before against 50 after.
    pub naive: NaiveReport,
}

/// The comparison of before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NaiveReport {
    /// Share of experiments that it would have kept the candidate in.
    pub promoted: Proportion,
    /// That it would have taken it back in.
    pub rolled_back: Proportion,
    /// It always decides.
    pub futile: Proportion,
}

impl ScenarioReport {
    /// The figures of `experiments`.
    pub fn of(scenario: &Scenario, experiments: &[Experiment]) -> Self {
        let runs = experiments.len() as u64;
        let share = |ending: Ending, of: fn(&Experiment) -> Ending| {
            wilson(experiments.iter().filter(|run| of(run) == ending).count() as u64, runs)
        };
        let ours = |ending| share(ending, |run| run.ending);
        let naive = |ending| share(ending, |run| run.naive);
        let proven: Vec<&Experiment> = experiments
            .iter()
            .filter(|run| matches!(run.ending, Ending::Promoted | Ending::RolledBack))
            .collect();
        Self {
            scenario: scenario.name.to_owned(),
            about: scenario.about.to_owned(),
            simulated: true,
            runs,
            promoted: ours(Ending::Promoted),
            rolled_back: ours(Ending::RolledBack),
            futile: ours(Ending::Futile),
            stopped: ours(Ending::Stopped),
            median_candidate_units: median(proven.iter().map(|run| run.candidate_units)),
            median_units: median(proven.iter().map(|run| run.units)),
            naive: NaiveReport {
                promoted: naive(Ending::Promoted),
                rolled_back: naive(Ending::RolledBack),
                futile: naive(Ending::Futile),
            },
        }
    }
}

fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}
