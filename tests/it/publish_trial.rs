//! The trial file: what agents that read files are told of a version beside the active one.

use serde_json::{Value, json};
use whetstone::base::VersionNumber;
use whetstone::govern::{Content, Split, State, VersionRecord};
use whetstone::publish::{ConfigRepo, Fetched, Projection, RepoOptions};

use crate::publish::{Bench, agent, baseline, learned, project_all, record, with_remote};

const FILE: &str = "configs/fixer_agent_trial.yaml";

pub(crate) fn trial(salt: &str, share_bp: u16) -> State {
    State::Trial { split: Split { salt: salt.to_owned(), share_bp } }
}

pub(crate) fn holdback(share_bp: u16) -> State {
    State::Holdback { split: Split { salt: "holdback-v2".to_owned(), share_bp } }
}

fn rejected() -> State {
    State::Rejected { reason: "12 of 40 against 29 of 41".to_owned() }
}

fn content(number: u32) -> Content {
    match number {
        1 => baseline(),
        _ => learned(baseline(), &[&format!("Lesson {number}.")], 20 + number),
    }
}

fn records(states: impl IntoIterator<Item = (u32, State)>) -> Vec<VersionRecord> {
    let contents: Vec<Content> = (1..=4).map(content).collect();
    let content = |number: u32| contents[number as usize - 1].clone();
    let states = states.into_iter().zip(1..);
    states.map(|((number, state), rev)| record(number, content(number), state, rev)).collect()
}

/// A trial that is won, with the old version held back for a while, and one that is lost.
fn life() -> Vec<VersionRecord> {
    records([
        (1, State::Active),
        (2, State::Candidate),
        (2, trial("trial-v2", 1_000)),
        (2, trial("trial-v2", 5_000)),
        (1, holdback(500)),
        (2, State::Active),
        (1, State::Superseded),
        (3, trial("trial-v3", 250)),
        (3, rejected()),
    ])
}

/// What the newest record of each version says, as a compacted topic keeps it.
fn compacted(records: &[VersionRecord]) -> Vec<VersionRecord> {
    let is_newest = |record: &&VersionRecord| {
        let same = |other: &&VersionRecord| other.version.number == record.version.number;
        records.iter().rfind(same).unwrap().revision == record.revision
    };
    records.iter().filter(is_newest).cloned().collect()
}

fn parsed(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn says(bench: &Bench) -> Value {
    parsed(&bench.text(FILE))
}

fn on_trial(number: u32, share_bp: u16, active: u32) -> Value {
    json!({"kind": "trial", "version": number, "file": format!("versions/fixer_v{number}.yaml"),
        "salt": format!("trial-v{number}"), "share_bp": share_bp, "active": active})
}

fn held_back(number: u32, active: u32) -> Value {
    json!({"kind": "holdback", "version": number, "file": format!("versions/fixer_v{number}.yaml"),
        "salt": "holdback-v2", "share_bp": 500, "active": active})
}

fn nothing(active: u32) -> Value {
    json!({"kind": null, "version": null, "file": null, "salt": null, "share_bp": 0,
        "active": active})
}

#[test]
fn the_file_follows_the_records_a_commit_each() {
    let bench = Bench::new();
    let repo = bench.repo();
    let expected = [
        ("fixer v1: max_step: 20 -> 1", None),
        ("fixer v2: propose max_step: 20 -> 2", None),
        ("fixer v2: on trial for 10 % of runs", Some(on_trial(2, 1_000, 1))),
        ("fixer v2: on trial for 50 % of runs", Some(on_trial(2, 5_000, 1))),
        ("fixer v1: held back for 5 % of runs", Some(held_back(1, 1))),
        ("fixer v2: max_step: 20 -> 2", Some(held_back(1, 2))),
        ("fixer v1: no longer held back", Some(nothing(2))),
        ("fixer v3: on trial for 2.5 % of runs", Some(on_trial(3, 250, 2))),
        ("fixer v3: rejected: 12 of 40 against 29 of 41", Some(nothing(2))),
    ];
    for (record, (subject, file)) in life().iter().zip(expected) {
        let before = bench.head();
        assert!(matches!(repo.project(record).unwrap(), Projection::Committed { .. }));
        assert_eq!(bench.git(&["rev-parse", "HEAD~1"]).trim(), before, "one commit: {subject}");
        assert_eq!(bench.git(&["log", "-1", "--format=%s"]).trim(), subject);
        assert_eq!(bench.path.join(FILE).exists(), file.is_some(), "{subject}");
        if let Some(file) = file {
            assert_eq!(says(&bench), file, "{subject}");
            if let Some(path) = file["file"].as_str() {
                bench.git(&["cat-file", "-e", &format!("HEAD:{path}")]);
            }
        }
        assert_eq!(bench.status(), "");
        assert_eq!(repo.human_edit(&agent()).unwrap(), None);
    }
    assert_eq!(repo.agents().unwrap(), [agent()]);
    let body = bench.git(&["log", "-1", "--format=%b"]);
    assert!(body.contains("rejected: 12 of 40 against 29 of 41\n"), "{body}");
}

#[test]
fn what_clears_the_file_comes_in_any_order() {
    let check = |states: &[(u32, State)], expected: Value| {
        let bench = Bench::new();
        project_all(&bench.repo(), &records(states.iter().cloned()));
        assert_eq!(says(&bench), expected, "{states:?}");
    };
    let tried = [(1, State::Active), (2, trial("trial-v2", 1_000))];
    let after = |states: &[(u32, State)]| [&tried, states].concat();
    check(&after(&[(2, State::Active)]), nothing(2));
    check(&after(&[(1, State::Superseded), (2, State::Active)]), nothing(2));
    check(&after(&[(2, State::Active), (1, holdback(500))]), held_back(1, 2));
    check(&after(&[(2, State::Candidate)]), nothing(1));
    let back = (2, State::RolledBack { reason: "drift".to_owned() });
    let held = after(&[(1, holdback(500)), (2, State::Active)]);
    check(&[&held[..], &[back, (1, State::Active)]].concat(), nothing(1));
    // Another version's record says nothing of it, but for the active one's number.
    check(&after(&[(3, rejected()), (4, State::Candidate)]), on_trial(2, 1_000, 1));
    check(&after(&[(1, State::Superseded), (3, State::Active)]), on_trial(2, 1_000, 3));
}

#[test]
fn projecting_again_and_rebuilding_give_the_same() {
    let bench = Bench::new();
    let again = Bench::clone_of(&bench.path);
    project_all(&bench.repo(), &life());
    let head = bench.head();
    for records in [life(), compacted(&life())] {
        for projection in project_all(&bench.repo(), &records) {
            assert_eq!(projection, Projection::AlreadyThere);
        }
    }
    assert_eq!(bench.head(), head);
    project_all(&again.repo(), &life());
    assert_eq!(again.head(), head, "the very same commits");
}

/// Histories at random, projected in parts and from what compaction leaves.
#[test]
fn the_newest_records_alone_give_the_same() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let records = records(history(&mut random));
        let bench = Bench::empty();
        let (known, cut) = (random.usize(..records.len()), random.usize(..records.len()));
        let repo = bench.repo();
        project_all(&repo, &records[..known]);
        // Whoever takes over starts from what the topic held then, and gets some of it once more.
        project_all(&repo, &compacted(&records[..cut]));
        project_all(&repo, &compacted(&records));
        project_all(&bench.repo(), &records[known.min(cut)..]);
        let (active, second) = expected(&records);
        let context = format!("seed {seed}, known {known}, cut {cut}: {records:#?}");
        match second {
            Some(second) => assert_eq!(says(&bench), second, "{context}"),
            None if bench.path.join(FILE).exists() => {
                assert_eq!(says(&bench), nothing(active), "{context}");
            }
            None => {}
        }
        assert_eq!(bench.repo().read(&agent()).unwrap(), Some(content(active)), "{context}");
        assert_eq!(bench.status(), "", "{context}");
    }
}

/// The active version, and what the file says if a second one is out.
fn expected(records: &[VersionRecord]) -> (u32, Option<Value>) {
    let newest = compacted(records);
    let active = newest.iter().find(|record| record.state == State::Active).unwrap();
    let active = active.version.number.0;
    let second = newest.iter().find_map(|record| {
        let split = record.state.split()?;
        let number = record.version.number.0;
        Some(match record.state {
            State::Trial { .. } => on_trial(number, split.share_bp, active),
            _ => held_back(number, active),
        })
    });
    (active, second)
}

/// Trials of v2 to v4, each won or lost, or still open at the end.
fn history(random: &mut fastrand::Rng) -> Vec<(u32, State)> {
    let mut states = vec![(1, State::Active)];
    let (mut active, mut held) = (1, None);
    for number in 2..=random.u32(2..=4) {
        if random.bool() {
            states.push((number, State::Candidate));
        }
        for share in 1..=random.u16(1..=3) {
            states.extend(held.take().map(|held| (held, State::Superseded)));
            states.push((number, trial(&format!("trial-v{number}"), share * 1_000)));
        }
        match random.u8(..4) {
            0 => states.push((number, rejected())),
            1 => {
                states.extend([(active, State::Superseded), (number, State::Active)]);
                active = number;
            }
            2 => {
                states.extend([(active, holdback(500)), (number, State::Active)]);
                held = Some(active);
                active = number;
            }
            _ if number == 4 => {}
            _ => states.push((number, State::Candidate)),
        }
    }
    states
}

#[test]
fn others_commits_in_between_change_nothing() {
    let (_remote, ours, theirs) = with_remote();
    let repo = ours.repo_with_remote();
    project_all(&repo, &life()[..3]);
    repo.push().unwrap();
    theirs.git(&["pull", "-q"]);
    project_all(&repo, &life()[3..5]);
    theirs.commit("README.md", "Hi", "Hello");
    theirs.git(&["push", "-q"]);
    assert_eq!(repo.fetch().unwrap(), Fetched::Rewound { dropped: 2 });
    assert_eq!(says(&ours), on_trial(2, 1_000, 1), "the file is as it was pushed");
    project_all(&repo, &compacted(&life()[..6]));
    assert_eq!((says(&ours), ours.status()), (held_back(1, 2), String::new()));
}

#[test]
fn a_persons_edit_of_the_file_is_overwritten_and_of_the_configs_is_not() {
    let bench = Bench::new();
    let repo = bench.repo();
    project_all(&repo, &life()[..3]);
    let prompts = "configs/fixer_agent_prompts.yaml";
    for garbage in ["version: 1\nshare_bp: 10000\n", "", "\u{0}{", "version: 99\n"] {
        bench.write(FILE, garbage);
        bench.git(&["commit", "-qam", "By hand"]);
        assert_eq!(repo.human_edit(&agent()).unwrap(), None, "no config, so no edit");
        let revision = repo.published(&agent()).unwrap().unwrap().revision + 1;
        let next = record(2, content(2), trial("trial-v2", 3_000), revision);
        project_all(&repo, &[next]);
        assert_eq!((says(&bench), bench.status()), (on_trial(2, 3_000, 1), String::new()));
    }
    // One that the trial's end would not have to touch is put right, too.
    std::fs::remove_file(bench.path.join(FILE)).unwrap();
    bench.git(&["commit", "-qam", "Away with it"]);
    project_all(&repo, &[record(3, content(3), State::Candidate, 20)]);
    assert_eq!(says(&bench), on_trial(2, 3_000, 1));

    bench.commit(prompts, "Then stop.", "Then go on.");
    let edited = bench.text(prompts);
    let projections = project_all(
        &repo,
        &[
            record(2, content(2), trial("trial-v2", 9_000), 21),
            record(2, content(2), State::Active, 22),
        ],
    );
    assert!(matches!(projections[0], Projection::Committed { .. }));
    assert_eq!(projections[1], Projection::HumanEditPending);
    assert_eq!((bench.text(prompts), says(&bench)), (edited, on_trial(2, 9_000, 1)));
    let edit = repo.human_edit(&agent()).unwrap().unwrap();
    let adopted =
        [record(2, content(2), State::Superseded, 23), record(4, edit.content, State::Active, 24)];
    project_all(&repo, &adopted);
    assert_eq!((says(&bench), bench.status()), (nothing(4), String::new()));
}

#[test]
fn an_interrupted_write_is_finished() {
    for until in 2..life().len() {
        let bench = Bench::new();
        project_all(&bench.repo(), &life()[..until]);
        let done = Bench::clone_of(&bench.path);
        project_all(&done.repo(), &life()[..=until]);
        // Stopped after the trial file, which is all that such a record changes, before the commit.
        if life()[until].state != State::Active {
            bench.write(FILE, &done.text(FILE));
        }
        project_all(&bench.repo(), &life()[..=until]);
        assert_eq!((bench.head(), bench.status()), (done.head(), String::new()), "{until}");
    }
}

#[test]
fn a_folder_of_a_repository_will_do() {
    let bench = Bench::new();
    std::fs::create_dir_all(bench.path.join("clients/sre")).unwrap();
    bench.git(&["mv", "configs", "clients/sre/files"]);
    bench.git(&["commit", "-qm", "Move"]);
    let options = RepoOptions {
        configs: "files".to_owned(),
        versions: "old/versions".to_owned(),
        ..RepoOptions::new(bench.path.join("clients/sre"))
    };
    project_all(&ConfigRepo::open(options).unwrap(), &life()[..3]);
    let says = parsed(&bench.text("clients/sre/files/fixer_agent_trial.yaml"));
    assert_eq!(says["file"], "clients/sre/old/versions/fixer_v2.yaml");
    assert!(bench.text(says["file"].as_str().unwrap()).contains("Lesson 2."));
    assert_eq!(bench.status(), "");
}

#[test]
fn a_trial_before_anything_is_active_has_no_active_version() {
    let bench = Bench::empty();
    let repo = bench.repo();
    project_all(&repo, &[record(2, content(2), trial("trial-v2", 1_000), 3)]);
    assert_eq!((&says(&bench)["active"], repo.agents().unwrap().len()), (&Value::Null, 0));
    project_all(&repo, &[record(1, content(1), State::Active, 4)]);
    assert_eq!(says(&bench), on_trial(2, 1_000, 1));
    let published = repo.published(&agent()).unwrap().unwrap();
    assert_eq!(published.beside.version(), Some(VersionNumber(2)));
}
