//! The simulator: experiments with the real state machine, whose truth is known.

use std::process::Output;

use serde_json::Value;
use whetstone::base::AgentName;
use whetstone::gauge::wilson;
use whetstone::govern::TrialSpec;
use whetstone::simulate::{Ending, Experiment, Scenario, scenarios};

use crate::server::whetstone;

fn scenario(name: &str) -> Scenario {
    scenarios().into_iter().find(|scenario| scenario.name == name).unwrap()
}

fn experiments(name: &str, count: u64, spec: &TrialSpec) -> Vec<Experiment> {
    let agent: AgentName = "simulated".parse().unwrap();
    let scenario = scenario(name);
    (0..count).map(|seed| scenario.run(&agent, spec, seed)).collect()
}

fn count(experiments: &[Experiment], ending: Ending) -> u64 {
    experiments.iter().filter(|experiment| experiment.ending == ending).count() as u64
}

fn simulate(arguments: &[&str]) -> Output {
    whetstone().arg("simulate").args(arguments).output().unwrap()
}

/// Few experiments, fixed seeds: this notices what is broken; how good it is, thousands of them tell.
#[test]
fn verdicts_are_right_where_the_difference_is_plain() {
    let spec = TrialSpec { max_units: 400, ..TrialSpec::default() };
    let harm = experiments("harm-70-50", 20, &spec);
    assert_eq!(count(&harm, Ending::RolledBack), 20);
    let gain = experiments("gain-70-80", 12, &TrialSpec::default());
    assert_eq!(count(&gain, Ending::Promoted), 12);
    for name in ["equal-70", "drift", "completion-bias", "completion-bias-slow", "delayed-labels"] {
        let equal = experiments(name, 30, &spec);
        let promoted = wilson(count(&equal, Ending::Promoted), 30);
        let rolled_back = wilson(count(&equal, Ending::RolledBack), 30);
        assert!(
            promoted.low <= 0.05 && rolled_back.low <= 0.1,
            "{name} {promoted:?} {rolled_back:?}"
        );
        assert_eq!(count(&equal, Ending::Stopped), 0, "{name}");
        let naive = equal.iter().filter(|run| run.naive == Ending::Promoted).count();
        assert!(naive > 5, "{name}: before and after promotes {naive} of 30");
    }
}

#[test]
fn a_report_has_the_figures_and_the_same_seed_gives_them_again() {
    let arguments = ["--scenario", "harm-95-80", "--runs", "8", "--seed", "5", "--json"];
    let first = simulate(&arguments);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let report: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!((&report["runs"], &report["simulated"]), (&Value::from(8), &Value::from(true)));
    for field in ["promoted", "rolled_back", "futile"] {
        for report in [&report[field], &report["naive"][field]] {
            for part in ["share", "low", "high"] {
                let value = report[part].as_f64().unwrap();
                assert!((0.0..=1.0).contains(&value), "{field} {report}");
            }
        }
    }
    assert!(report["median_candidate_units"].as_u64().unwrap() > 5, "{report:#}");
    assert_eq!(simulate(&arguments).stdout, first.stdout);
    let other = simulate(&["--scenario", "harm-95-80", "--runs", "8", "--seed", "6", "--json"]);
    assert_ne!(other.stdout, first.stdout, "another seed, another world");
}

#[test]
fn all_the_scenarios_there_are_can_be_asked_for() {
    let all = [
        "equal-50",
        "equal-70",
        "equal-97",
        "harm-70-50",
        "harm-95-80",
        "gain-70-80",
        "gain-70-75",
        "drift",
        "completion-bias",
        "delayed-labels",
    ];
    for name in all {
        assert_eq!(scenario(name).name, name);
    }
    let refused = simulate(&["--scenario", "hope"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("there are equal-50, equal-70"), "{said}");
}
