//! What rules take back, what they do not propose again, and whether trying again pays.

use serde_json::json;
use whetstone::base::VersionNumber;
use whetstone::decode::Run;
use whetstone::fold::{Counts, Split};
use whetstone::govern::{BulletRecord, Edit, Fate, Past, Request};
use whetstone::optimize::find;

use crate::patterns::request;
use crate::runs::{calling, outcome, run};

const WARY: &str =
    "Be wary of `guess`: runs that used it failed more often. Look for another way first.";

fn record(id: &str, text: &str, with: (u64, u64), without: (u64, u64)) -> BulletRecord {
    let split = |(success, failure)| Split { success, failure };
    BulletRecord {
        id: id.to_owned(),
        text: text.to_owned(),
        since: Some(VersionNumber(2)),
        fate: Fate::Open,
        with: split(with),
        without: split(without),
    }
}

/// A version that added `text` and fared so.
pub(crate) fn past(number: u32, fate: Fate, text: &str) -> Past {
    Past {
        number: VersionNumber(number),
        state: "rejected".to_owned(),
        author: "patterns".to_owned(),
        changes: vec![format!("add guidance: {text}")],
        runs: Counts::default(),
        mean_reward: None,
        fate,
        why: Some("no gain in 4000 units".to_owned()),
        added: vec![text.to_owned()],
        set: std::collections::BTreeMap::new(),
        held: Counts::default(),
        failures: Vec::new(),
    }
}

fn runs() -> Vec<Run> {
    let one = |id: u64| {
        let success = id.is_multiple_of(2);
        let tools: &[&str] = if success { &["look"] } else { &["look", "guess"] };
        calling(run(id, 1_000_000, outcome(success)), tools)
    };
    (0..40).map(one).collect()
}

fn edits(request: &Request) -> Vec<Edit> {
    find(request).into_iter().flat_map(|finding| finding.edits).map(|p| p.edit).collect()
}

fn added(request: &Request) -> Vec<String> {
    let text = |edit| match edit {
        Edit::AddBullet { text } => Some(text),
        _ => None,
    };
    edits(request).into_iter().filter_map(text).collect()
}

#[test]
fn what_failed_is_not_proposed_again() {
    let mut request = request("Mitigate.", &runs());
    assert!(added(&request).contains(&WARY.to_owned()));
    for (fate, back) in [
        (Fate::NoGain, false),
        (Fate::Harmful, false),
        (Fate::Refused, false),
        (Fate::Proven, true),
        (Fate::Open, true),
    ] {
        request.history = vec![past(2, fate, WARY)];
        assert_eq!(added(&request).contains(&WARY.to_owned()), back, "{fate:?}");
    }
    request.history = vec![past(2, Fate::NoGain, &WARY.replace("guess", "other"))];
    assert!(added(&request).contains(&WARY.to_owned()), "another tool is another matter");
    request.history.clear();
    request.retired = vec![record("w1", WARY, (30, 30), (31, 29))];
    assert!(!added(&request).contains(&WARY.to_owned()));
}

#[test]
fn a_config_value_that_failed_is_not_set_again() {
    let limit = |id: u64| Run { rounds: 20, ..run(id, 1_000_000, outcome(id.is_multiple_of(2))) };
    let mut request = request("Mitigate.", &(0..40).map(limit).collect::<Vec<_>>());
    let set = Edit::SetConfig { key: "max_step".to_owned(), value: json!(25) };
    assert_eq!(edits(&request), [set]);
    let mut failed = past(2, Fate::NoGain, "");
    failed.added.clear();
    failed.set.insert("max_step".to_owned(), json!(25));
    request.history = vec![failed];
    assert_eq!(edits(&request), []);
}

#[test]
fn bullets_that_help_nobody_go_and_those_that_are_vouched_for_stay() {
    let prompt =
        "Mitigate.\n\n## Learned guidance\n- [w1] Think hard.\n- [w2] Plan.\n- [w3] Rest.\n";
    let mut request = request(prompt, &[]);
    let vouched = BulletRecord { fate: Fate::Vouched, ..record("w2", "Plan.", (10, 50), (50, 10)) };
    request.bullets = vec![
        record("w1", "Think hard.", (30, 30), (30, 30)),
        vouched,
        record("w3", "Rest.", (10, 30), (30, 30)),
    ];
    assert_eq!(edits(&request), [Edit::RemoveBullet { id: "w1".to_owned() }]);
    let finding = find(&request).into_iter().find(|f| f.kind == "guidance_without_effect").unwrap();
    assert_eq!(
        finding.summary,
        "w1 shows no gain and is unproven: 30 of 60 runs with it succeeded, 30 of 60 without"
    );
}

#[test]
fn a_bullet_about_a_tool_that_is_gone_goes_too() {
    let prompt = format!("M.\n\n## Learned guidance\n- [w1] {WARY}\n- [w2] Set `replicas` to 1.\n");
    let mut request = request(&prompt, &[]);
    request.bullets = vec![
        record("w1", WARY, (1, 1), (1, 1)),
        record("w2", "Set `replicas` to 1.", (1, 1), (1, 1)),
    ];
    assert_eq!(edits(&request), [], "nobody says which tools there are");
    request.content.config.insert("sync_tools".to_owned(), json!([{ "name": "look" }]));
    assert_eq!(edits(&request), [Edit::RemoveBullet { id: "w1".to_owned() }]);
}

#[test]
fn an_error_of_a_trusted_tool_is_taught_up_to_what_it_quotes() {
    let error = "submit: environment must be one of prod, staging, dev; got <str>";
    let one = |id: u64| {
        let run = calling(run(id, 1_000_000, outcome(id >= 8)), &["submit"]);
        Run { signature: (id < 8).then(|| error.to_owned()), ..run }
    };
    let mut request = request("Mitigate.", &(0..20).map(one).collect::<Vec<_>>());
    let taught = "`submit` demands: environment must be one of prod, staging, dev.";
    assert!(!added(&request).contains(&taught.to_owned()), "nobody trusts it");
    request.policy.guard.trusted_tools.insert("submit".to_owned());
    assert!(added(&request).contains(&taught.to_owned()), "{:?}", added(&request));
    let prompt = format!("M.\n\n## Learned guidance\n- [w1] {taught}\n");
    request.content.prompts.insert("system".to_owned(), prompt);
    assert!(!added(&request).contains(&taught.to_owned()), "it is said");
}

#[test]
fn a_limit_of_tries_is_not_raised_where_trying_again_does_not_help() {
    let of = |helped: u64| {
        let one = |id: u64| {
            let retried = id < 30;
            let success = if retried { id < helped } else { id < 34 };
            Run { retries: u32::from(retried) * 9, ..run(id, 1_000_000, outcome(success)) }
        };
        request("Mitigate.", &(0..34).map(one).collect::<Vec<_>>())
    };
    let raised = |edit: &Edit| matches!(edit, Edit::SetConfig { value, .. } if *value == json!(13));
    assert!(edits(&of(12)).iter().any(raised), "{:?}", edits(&of(12)));
    assert!(!edits(&of(3)).iter().any(raised), "{:?}", edits(&of(3)));
}

#[test]
fn tries_that_never_pay_get_fewer() {
    let of = |paying: u64| {
        let one = |id: u64| {
            let retried = id < 40;
            let success = if retried { id < paying } else { id.is_multiple_of(2) };
            Run { retries: u32::from(retried) * 4, ..run(id, 1_000_000, outcome(success)) }
        };
        request("Mitigate.", &(0..100).map(one).collect::<Vec<_>>())
    };
    let set = Edit::SetConfig { key: "max_retry_attempts".to_owned(), value: json!(7) };
    assert_eq!(edits(&of(0)), [set]);
    let kinds = |request| find(&request).into_iter().map(|f| f.kind).collect::<Vec<_>>();
    assert!(kinds(of(0)).contains(&"retries_in_vain"));
    assert_eq!(edits(&of(20)), []);
    assert!(kinds(of(20)).contains(&"retries_pay"));
}
