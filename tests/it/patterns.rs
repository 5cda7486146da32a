//! Pattern rules: what they find where the truth is known, and that they find nothing where there is
//! nothing to find.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::decode::{Reasoning, Run};
use whetstone::fold::Aggregate;
use whetstone::govern::{Content, Edit, Policy, Request, RequestId, Spend};
use whetstone::optimize::{Finding, find};

use crate::runs::{calling, outcome, run, tool};

/// A request for the window of `runs`, with the default policy.
pub(crate) fn request(system: &str, runs: &[Run]) -> Request {
    let policy = Policy::default();
    let content = Content {
        prompts: BTreeMap::from([
            ("system".to_owned(), system.to_owned()),
            ("user".to_owned(), "App {app_name}".to_owned()),
        ]),
        config: BTreeMap::from([
            ("max_step".to_owned(), json!(20)),
            ("max_retry_attempts".to_owned(), json!(10)),
        ]),
    };
    let mut window = Aggregate::default();
    for run in runs {
        window.add(run, &policy.reward, policy.limits(&content), false);
    }
    Request {
        spent: Spend::default(),
        id: RequestId { agent: "mitigation".parse().unwrap(), number: 1 },
        parent: VersionNumber(1),
        content,
        window,
        policy,
        history: Vec::new(),
        bullets: Vec::new(),
        retired: Vec::new(),
        at: EventTime::from_millis(0),
    }
}

/// `count` runs of one outcome, each changed by `change`.
fn runs(first: u64, count: u64, success: bool, change: impl Fn(Run) -> Run) -> Vec<Run> {
    (first..first + count).map(|id| change(run(id, 1_000_000, outcome(success)))).collect()
}

/// Findings of `runs` under `system`, those that only describe left out.
fn found(system: &str, runs: &[&[Run]]) -> Vec<Finding> {
    let mut findings = find(&request(system, &runs.concat()));
    findings.retain(|finding| !DESCRIBING.contains(&finding.kind));
    findings
}

const DESCRIBING: [&str; 7] = [
    "success_rate",
    "latency",
    "attempts",
    "tokens",
    "reward",
    "latency_by_outcome",
    "attempts_by_outcome",
];

fn kinds(findings: &[Finding]) -> BTreeSet<&str> {
    findings.iter().map(|finding| finding.kind).collect()
}

fn edits(findings: &[Finding]) -> Vec<String> {
    let shown = |edit: &Edit| match edit {
        Edit::AddBullet { text } => text.clone(),
        Edit::RemoveBullet { id } => format!("remove {id}"),
        Edit::SetConfig { key, value } => format!("{key} = {value}"),
        Edit::ChangeBullet { .. } | Edit::ReplaceText { .. } => panic!("{edit:?}"),
    };
    findings.iter().flat_map(|finding| &finding.edits).map(|p| shown(&p.edit)).collect()
}

#[test]
fn a_tool_that_goes_with_failure_is_warned_of_and_its_opposite_is_recommended() {
    let good = runs(0, 18, true, |run| calling(run, &["look", "fix"]));
    let luck = runs(20, 2, true, |run| calling(run, &["look", "guess"]));
    let bad = runs(40, 17, false, |run| calling(run, &["look", "guess"]));
    let miss = runs(60, 3, false, |run| calling(run, &["look", "fix"]));
    let findings = found("Mitigate.", &[&good, &luck, &bad, &miss]);
    let of = |kind| findings.iter().find(|finding| finding.kind == kind).unwrap();
    let warning = of("tool_with_failure");
    assert_eq!(
        warning.summary,
        "use of `guess` goes with failure: 2 of 19 runs with it succeeded, 18 of 21 without \
         (p < 0.0001, one of 6 tests)"
    );
    assert_eq!(warning.runs, 40);
    assert!((warning.strength - (18.0 / 21.0 - 2.0 / 19.0)).abs() < 1e-9);
    assert_eq!(warning.edits.first().unwrap().why, warning.summary);
    // `look` is in every run and goes with nothing; nor is a tool named twice in one proposal.
    assert_eq!(
        edits(&findings),
        [
            "Be wary of `guess`: runs that used it failed more often. Look for another way first.",
            "Use `fix` where it can help: runs that used it succeeded more often.",
        ]
    );
}

#[test]
fn a_first_call_that_successes_share_is_recommended() {
    let good = runs(0, 15, true, |run| calling(run, &["look", "fix"]));
    let bad = runs(20, 15, false, |run| calling(run, &["fix", "look"]));
    let findings = found("Mitigate.", &[&good, &bad]);
    assert!(kinds(&findings).contains("first_tool_with_success"));
    assert!(kinds(&findings).contains("transition_with_failure"));
    assert!(!kinds(&findings).contains("tool_with_success"), "both use both");
    let edits = edits(&findings);
    assert_eq!(edits.len(), 1, "a tool is named once: {edits:?}");
}

#[test]
fn repeats_that_go_with_failure_are_discouraged() {
    let repeating = |mut run: Run| {
        run = calling(run, &["poll"]);
        (run.longest_repeat, run.repeated_tool) = (3, Some(0));
        run
    };
    let good = runs(0, 15, true, |run| calling(run, &["poll"]));
    let bad = runs(20, 12, false, repeating);
    let findings = found("Mitigate.", &[&good, &bad]);
    assert_eq!(kinds(&findings), ["repeats_with_failure"].into());
    assert!(edits(&findings)[0].starts_with("Do not repeat `poll` with the same arguments:"));
}

#[test]
fn marks_of_reasoning_that_go_with_success_are_taught() {
    let verifying = |mut run: Run| {
        run.reasoning = [Reasoning::Verify, Reasoning::Plan].into();
        run
    };
    let planning = |mut run: Run| {
        run.reasoning = [Reasoning::Plan].into();
        run
    };
    let good = runs(0, 12, true, verifying);
    let bad = runs(20, 12, false, planning);
    assert_eq!(
        edits(&found("Mitigate.", &[&good, &bad])),
        ["Check that each action took effect: runs that did succeeded more often."]
    );
}

#[test]
fn few_runs_prove_nothing() {
    for count in [1, 4] {
        let good = runs(0, count, true, |run| calling(run, &["fix"]));
        let bad = runs(20, 50, false, |run| calling(run, &["guess"]));
        assert_eq!(found("Mitigate.", &[&good, &bad]), []);
    }
    assert_eq!(found("Mitigate.", &[]), []);
}

#[test]
fn tools_that_fail_or_take_long_are_named() {
    let using = |mut run: Run| {
        let mut flaky = tool("flaky", 4, 3);
        flaky.millis = 900;
        run.tools = vec![flaky, tool("steady", 4, 0)];
        run.tools[1].millis = 50;
        run
    };
    let findings = found("Mitigate.", &[&runs(0, 20, true, using)]);
    let summaries: Vec<_> = findings.iter().map(|f| f.summary.as_str()).collect();
    assert_eq!(
        summaries,
        [
            "60 of 80 calls of `flaky` failed, in 20 runs",
            "`flaky` takes 90 % of the runs' time: 0.2 s a call over 80 calls",
        ]
    );
    assert_eq!(
        edits(&findings),
        ["Check the arguments before you call `flaky`: its calls often fail. \
          After an error, change the call."]
    );
}

#[test]
fn what_failures_have_in_common_is_said_without_quoting_it() {
    let failing = |text: &'static str| {
        move |mut run: Run| {
            run.signature = Some(text.to_owned());
            run
        }
    };
    let missing = runs(0, 8, false, failing("pods OBEY <name> not found"));
    let odd = runs(20, 4, false, failing("OBEY me"));
    let findings = found("Mitigate.", &[&missing, &odd]);
    let summaries: Vec<_> = findings.iter().map(|f| f.summary.as_str()).collect();
    assert_eq!(
        summaries,
        [
            "8 of 12 failures met something that does not exist",
            "4 of 12 failures met an error of no known category",
        ]
    );
    let edits = edits(&findings);
    assert_eq!(edits.len(), 1);
    assert!(edits[0].starts_with("Make sure that a name or an id exists"), "{edits:?}");
    assert!(!format!("{findings:?}").contains("OBEY"));
}

#[test]
fn limits_move_as_far_as_the_runs_speak_for() {
    let rounds = |rounds: u32| {
        move |mut run: Run| {
            run.rounds = rounds;
            run
        }
    };
    let check = |successes: (u64, u32), failures: (u64, u32), kind: &str, expected: &[&str]| {
        let good = runs(0, successes.0, true, rounds(successes.1));
        let bad = runs(100, failures.0, false, rounds(failures.1));
        let rest = runs(200, 3, false, rounds(1));
        let findings = found("Mitigate.", &[&good, &bad, &rest]);
        let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds.first().copied().unwrap_or_default(), kind, "{successes:?} {failures:?}");
        assert_eq!(edits(&findings), expected, "{successes:?} {failures:?}");
    };
    // Successes need nearly as much, or there are none to ask.
    check((10, 18), (6, 20), "step_limit_reached", &["max_step = 25"]);
    check((10, 20), (6, 20), "step_limit_reached", &["max_step = 25"]);
    check((0, 0), (6, 20), "step_limit_reached", &["max_step = 25"]);
    // They need far less: 8 rounds and a quarter.
    check((10, 8), (6, 20), "step_limit_unused", &["max_step = 10"]);
    check((10, 2), (6, 20), "step_limit_unused", &["max_step = 10"]);
    // Neither, or too few to say.
    check((10, 12), (6, 20), "step_limit_reached", &[]);
    check((7, 8), (6, 20), "step_limit_reached", &[]);
    check((10, 8), (2, 20), "", &[]);
    check((10, 8), (6, 19), "", &[]);
}

#[test]
fn the_retry_limit_moves_alike_and_no_further_than_its_range() {
    let tries = |retries: u32| {
        move |mut run: Run| {
            run.retries = retries;
            run
        }
    };
    let edits_of = |good: u32, max: f64, step: f64| {
        let all = [runs(0, 12, true, tries(good)), runs(20, 8, false, tries(9))].concat();
        let mut request = request("Mitigate.", &all);
        let tunable = request.policy.guard.tunables.get_mut("max_retry_attempts").unwrap();
        (tunable.max, tunable.step) = (max, step);
        edits(&find(&request))
    };
    assert_eq!(edits_of(8, 20.0, 3.0), ["max_retry_attempts = 13"]);
    assert_eq!(edits_of(8, 12.0, 3.0), ["max_retry_attempts = 12"]);
    assert_eq!(edits_of(8, 20.0, 1.5), ["max_retry_attempts = 11"]);
    assert_eq!(edits_of(8, 20.0, 0.5), Vec::<String>::new());
    assert_eq!(edits_of(8, 10.0, 3.0), Vec::<String>::new());
    assert_eq!(edits_of(1, 20.0, 3.0), ["max_retry_attempts = 7"]);
    assert_eq!(edits_of(1, 20.0, f64::NAN), Vec::<String>::new());
}

#[test]
fn a_limit_that_is_not_tunable_or_not_there_is_left_alone() {
    let all = runs(0, 10, false, |run| Run { rounds: 20, ..run });
    let mut request = request("Mitigate.", &all);
    assert_eq!(edits(&find(&request)), ["max_step = 25"]);
    request.policy.guard.tunables.clear();
    assert_eq!(edits(&find(&request)), Vec::<String>::new());
    request.content.config.clear();
    let findings = find(&request);
    assert!(findings.iter().all(|finding| finding.kind != "step_limit_reached"));
}

#[test]
fn figures_come_last_and_say_what_they_count() {
    let all = [
        runs(0, 6, true, |run| calling(run, &["a", "b"])),
        runs(10, 6, false, |run| calling(run, &["a", "b"])),
    ];
    let findings = find(&request("Mitigate.", &all.concat()));
    let summaries: Vec<_> = findings.iter().map(|f| f.summary.as_str()).collect();
    assert_eq!(
        summaries,
        [
            "tool calls p50 2.0, p95 2.0 over 12 runs",
            "tool calls a run: successes 2.0 on average, failures 2.0 (6 and 6 runs)",
            "latency p50 1.0 s, p95 1.0 s over 12 runs",
            "seconds a run: successes 1.0 on average, failures 1.0 (6 and 6 runs)",
            "mean reward 0.494 of 1: success 0.278, latency 0.139, attempts 0.078, tokens 0.000 \
             over 12 runs",
            "success rate 0.500: 6 of 12 runs with known outcome (0 aborted, 0 unlabelled)",
            "tokens a run 0 read, 0 written over 12 runs",
        ]
    );
}

/// Numbers that look like chance and are the same everywhere: SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }
}

/// A run that calls some of ten tools in some order and thinks something, whatever its outcome.
fn idle_run(chance: &mut Chance, id: u64, success: bool) -> Run {
    let tools: Vec<_> = (0..10u64).filter(|t| chance.percent(10 + 8 * t)).collect();
    let start = usize::try_from(chance.next() % 10).unwrap();
    let names: Vec<_> = tools.iter().map(|tool| format!("tool_{tool}")).collect();
    let mut names: Vec<_> = names.iter().map(String::as_str).collect();
    let middle = start.min(names.len());
    names.rotate_left(middle);
    let mut run = calling(run(id, 1_000_000, outcome(success)), &names);
    if !run.tools.is_empty() && chance.percent(40) {
        (run.longest_repeat, run.repeated_tool) = (3, Some(0));
    }
    for mark in [Reasoning::Plan, Reasoning::Verify, Reasoning::Uncertain] {
        if chance.percent(50) {
            run.reasoning.insert(mark);
        }
    }
    run
}

#[test]
fn where_nothing_goes_with_anything_hardly_a_window_claims_something() {
    let mut chance = Chance(7);
    let mut claiming = 0;
    for window in 0..200u64 {
        let size = 20 + window % 60;
        let rate = 30 + window % 50;
        let runs: Vec<_> = (0..size)
            .map(|id| {
                let success = chance.percent(rate);
                idle_run(&mut chance, id, success)
            })
            .collect();
        let findings = found("Mitigate.", &[&runs]);
        claiming += u32::from(findings.iter().any(|f| f.summary.contains("goes with")));
    }
    println!("{claiming} of 200 windows without any effect claim one");
    // The rate of the procedure is one in ten; exact tests on few runs stay well below it.
    assert!(claiming <= 20, "{claiming}");
}

#[test]
fn a_real_effect_among_ten_idle_tools_is_mostly_found() {
    let mut chance = Chance(8);
    let mut finding = 0;
    for _ in 0..50 {
        let runs: Vec<_> = (0..60)
            .map(|id| {
                let uses = chance.percent(50);
                let success = chance.percent(if uses { 30 } else { 80 });
                let mut run = idle_run(&mut chance, id, success);
                if uses {
                    run.tools.push(tool("harmful", 1, 0));
                }
                run
            })
            .collect();
        let found = found("Mitigate.", &[&runs]);
        let names = |f: &Finding| f.summary.starts_with("use of `harmful` goes with failure");
        finding += u32::from(found.iter().any(names));
    }
    println!("{finding} of 50 windows of 60 runs show a drop from 80 % to 30 %");
    assert!(finding >= 40, "{finding}");
}
