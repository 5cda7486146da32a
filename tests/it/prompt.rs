//! What the command line says while two versions are out, on a log that holds no more than that.

use std::process::Output;

use serde_json::{Value, json};
use whetstone::base::{SystemClock, VersionNumber};
use whetstone::consume::{EmbeddedLog, Log as _, NewRecord, Topic};
use whetstone::govern::{Content, PromptUpdate, Second, Split, State, bucket};

use crate::publish::{agent, baseline, learned, record};
use crate::publish_trial::{holdback, trial};
use crate::server::Place;

const V1: u32 = 1;
const V2: u32 = 2;

fn content(number: u32) -> Content {
    learned(baseline(), &[&format!("Lesson {number}.")], 20 + number)
}

fn append(place: &Place, record: NewRecord) {
    let log = EmbeddedLog::open(&place.dir.path().join("data"), std::sync::Arc::new(SystemClock));
    log.unwrap().append(vec![record]).unwrap();
}

/// An update of an agent that runs `active`, and `second` where the split says so.
pub(crate) fn update(
    active: (u32, Content),
    candidate: Option<u32>,
    second: Option<(u32, Content, Split)>,
) -> PromptUpdate {
    let version = |number, content| record(number, content, State::Active, 1).version;
    let active = version(active.0, active.1);
    PromptUpdate {
        agent: agent(),
        revision: 7,
        at: active.created,
        active,
        candidate: candidate.map(VersionNumber),
        split: second.map(|(number, content, split)| {
            let version = version(number, content);
            Second { split, version }
        }),
    }
}

fn publish(place: &Place, update: &PromptUpdate) {
    let value = serde_json::to_vec(update).unwrap();
    append(place, NewRecord::new(Topic::PromptUpdates, update.agent.as_str(), value));
}

fn ended(place: &Place, arguments: &[&str], code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = place.command(arguments).output().unwrap();
    let [stdout, stderr] = [stdout, stderr].map(|said| String::from_utf8(said).unwrap());
    assert_eq!(status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
    (stdout, stderr)
}

fn printed(place: &Place, arguments: &[&str]) -> String {
    ended(place, arguments, 0).0
}

#[test]
fn a_unit_is_told_its_version_why_and_what_it_holds() {
    let place = Place::new(&[]);
    let check = |unit: &str, number: u32, because: &str, says: &str| {
        let asked = ["prompt", "fixer", "--unit", unit];
        let told = printed(&place, &[&asked[..], &["--json"]].concat());
        let expected = json!({"agent": "fixer", "unit": unit, "version": number, "because": because,
            "revision": 7, "content": content(number)});
        assert_eq!(serde_json::from_str::<Value>(&told).unwrap(), expected);
        let told = printed(&place, &asked);
        let begins = format!("fixer v{number} for {unit}\nbecause   {says}\n\n--- ");
        assert!(told.starts_with(&begins), "{told}");
        assert!(told.contains(&format!("Lesson {number}.")), "{told}");
        assert!(told.contains(&format!("--- config\nmax_step: {}\n", 20 + number)), "{told}");
    };
    publish(&place, &update((V1, content(V1)), Some(V2), None));
    check("run-1", V1, "active", "it is active, and no other is out");
    for unit in ["run-1", "session 42", "ümlaut-✓"] {
        // The share that just leaves the unit out, and one above.
        let out = |salt: &str| bucket(salt, &agent(), unit);
        let percent = |share_bp: u16| format!("{:.1} %", f64::from(share_bp) / 100.0);
        for share_bp in [out("trial-v2"), out("trial-v2") + 1] {
            let split = Split { salt: "trial-v2".to_owned(), share_bp };
            publish(&place, &update((V1, content(V1)), Some(V2), Some((V2, content(V2), split))));
            let share = percent(share_bp);
            if share_bp == out("trial-v2") {
                let says =
                    format!("it is active, and the unit is not among the {share} that get v2");
                check(unit, V1, "active", &says);
            } else {
                let says = format!("it is on trial, and the unit is among the {share} that try it");
                check(unit, V2, "trial", &says);
            }
        }
        let share_bp = out("holdback-v2") + 1;
        let split = Split { salt: "holdback-v2".to_owned(), share_bp };
        publish(&place, &update((V2, content(V2)), None, Some((V1, content(V1), split))));
        let share = percent(share_bp);
        let says =
            format!("it is held back to compare, and the unit is among the {share} that keep it");
        check(unit, V1, "holdback", &says);
    }
}

#[test]
fn who_cannot_be_told_a_version_is_told_what_to_do() {
    let place = Place::new(&[]);
    let (_, no_log) = ended(&place, &["prompt", "fixer", "--unit", "a"], 1);
    assert!(no_log.starts_with("error: "), "{no_log}");
    assert!(!place.dir.path().join("data").exists(), "looking makes nothing");
    publish(&place, &update((V1, content(V1)), None, None));
    let long = "x".repeat(129);
    for (arguments, code, part) in [
        (vec!["prompt", "fixer"], 2, "--unit <ID>"),
        (vec!["prompt", "fixer", "--unit", ""], 2, "1 to 128 bytes, not 0"),
        (vec!["prompt", "fixer", "--unit", &long], 2, "not 129"),
        (vec!["prompt", "nobody", "--unit", "a"], 1, "its files in the config repo"),
    ] {
        let (_, said) = ended(&place, &arguments, code);
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
    let told = printed(&place, &["prompt", "fixer", "--unit", "a\u{1b}[31mb"]);
    assert!(told.starts_with("fixer v1 for a[31mb\n"), "{told:?}");
}

#[test]
fn show_says_on_what_share_a_version_is_out() {
    let place = Place::new(&[]);
    for (number, state, stands) in [
        (V1, holdback(550), "holdback, 5.5 % of the units"),
        (V2, trial("trial-v2", 5_000), "trial, 50.0 % of the units"),
        (V2, State::Active, "active"),
    ] {
        let record = record(number, content(number), state, 1);
        let value = serde_json::to_vec(&record).unwrap();
        let key = format!("fixer/{number}");
        append(&place, NewRecord::new(Topic::PromptVersions, key, value));
        let shown = printed(&place, &["show", "fixer", &number.to_string()]);
        let title = format!("fixer v{number} ({stands})");
        assert_eq!(shown.lines().next(), Some(title.as_str()));
    }
}
