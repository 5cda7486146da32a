//! `whetstone simulate`: how often trials decide rightly. The agents, their runs and their time are
//! simulated; the state machine that judges them is the one of `whetstone run`.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::ProgressBar;

use super::Env;
use super::failure::Failure;
use super::output::{Tone, table};
use crate::base::AgentName;
use crate::gauge::Proportion;
use crate::govern::TrialSpec;
use crate::simulate::{Experiment, Scenario, ScenarioReport, scenarios};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    whetstone simulate                                     all scenarios, 2000 experiments each\n  \
    whetstone simulate --scenario equal-70 --runs 4000 --seed 7 --json\n  \
    whetstone simulate --set trial.share=0.1               all of it at a share of 10 %\n\n\
    Simulated: nothing here says anything of your agents. Each experiment goes on until its trial is\n\
    decided, and is judged a second time by 50 runs before against 50 after (naive).")]
pub(super) struct Args {
    /// Which (repeatable); all if not given
    #[arg(long, value_name = "NAME", value_parser = scenario)]
    scenario: Vec<Scenario>,
    /// Experiments in each
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    runs: u64,
    /// Seeds the simulated world
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn scenario(name: &str) -> Result<Scenario, String> {
    let known = scenarios();
    known.into_iter().find(|scenario| scenario.name == name).ok_or_else(|| {
        let names = known.map(|scenario| scenario.name);
        format!("there are {}", names.join(", "))
    })
}

pub(super) fn main(args: &Args, env: &Env) -> Result<(), Failure> {
    let agent: AgentName = "simulated".parse().map_err(Failure::failed)?;
    let spec = env.config.policy(&agent).trial.clone();
    let chosen =
        if args.scenario.is_empty() { scenarios().to_vec() } else { args.scenario.clone() };
    let bar =
        ProgressBar::new(args.runs * chosen.len() as u64).with_message("simulated experiments");
    let mut reports = Vec::new();
    for scenario in &chosen {
        let experiments = run(scenario, (&agent, &spec), args, &bar)?;
        reports.push(ScenarioReport::of(scenario, &experiments));
    }
    bar.finish_and_clear();
    match reports.as_slice() {
        [one] if env.output.json => env.output.value(one),
        all if env.output.json => env.output.value(&all),
        all => {
            print(all, args, env);
            Ok(())
        }
    }
}

/// All experiments of a scenario, on all cores; the same whichever core takes which.
fn run(
    scenario: &Scenario,
    (agent, spec): (&AgentName, &TrialSpec),
    args: &Args,
    bar: &ProgressBar,
) -> Result<Vec<Experiment>, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicU64::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= args.runs {
                return done;
            }
            // Far apart, so that other seeds share no experiment.
            let seed = fastrand::Rng::with_seed(args.seed.wrapping_mul(1 << 32) + number).u64(..);
            done.push((number, scenario.run(agent, spec, seed)));
            bar.inc(1);
        }
    };
    let mut done = Vec::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let part = worker.join().map_err(|_| {
                Failure::Failed(anyhow::anyhow!("an experiment panicked: please report this"))
            })?;
            done.extend(part);
        }
        Ok::<_, Failure>(())
    })?;
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, experiment)| experiment).collect())
}

fn print(reports: &[ScenarioReport], args: &Args, env: &Env) {
    let output = &env.output;
    let heading =
        ["SCENARIO", "PROMOTED", "ROLLED BACK", "FUTILE", "UNITS", "NAIVE PROMOTED", "ABOUT"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for report in reports {
        let units = match (report.median_candidate_units, report.median_units) {
            (Some(candidate), Some(all)) => format!("{candidate} of {all}"),
            _ => "-".to_owned(),
        };
        rows.push(vec![
            report.scenario.clone(),
            share(report.promoted),
            share(report.rolled_back),
            share(report.futile),
            units,
            share(report.naive.promoted),
            report.about.clone(),
        ]);
    }
    for (index, line) in table(&rows).into_iter().enumerate() {
        output.line(if index == 0 { output.paint(Tone::Faint, &line) } else { line });
    }
    output.line(format!(
        "\nSimulated: {} experiments a line, seed {}; in brackets 95 % intervals. UNITS: the candidate's, of \
         both arms', at the verdict (median). NAIVE: 50 runs after against 50 before.",
        args.runs, args.seed
    ));
}

fn share(proportion: Proportion) -> String {
    let Proportion { share, low, high } = proportion;
    format!("{:5.1} % ({:.1}-{:.1})", share * 100.0, low * 100.0, high * 100.0)
}
