//! The config repo, on real git repositories and checked with the `git` program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;
use whetstone::base::{AgentName, EventTime, VersionNumber};
use whetstone::govern::{Author, Content, Reason, State, Version, VersionRecord};
use whetstone::publish::{
    ConfigRepo, Fetched, Projection, PublishError, Pushed, RepoOptions, Standing,
};

const PROMPTS: &str = "# written by hand\nsystem: >\n    Find the\n    fault.\n  \n    Then stop.\n  \n\nuser: >\n  Look at {app}.\n\n  You have {max_step} steps.";
const CONFIG: &str = "# each step is one tool call\nmax_step: 20  # enough\ntools:\n  - name: wait\n    description: |\n      Waits.\n";

/// A work tree with one agent, committed by a person.
pub(crate) struct Bench {
    _folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self::empty();
        bench.write("configs/fixer_agent_prompts.yaml", PROMPTS);
        bench.write("configs/fixer_agent_config.yaml", CONFIG);
        bench.write("configs/shared_prompt.yaml", "nobody: x\n");
        bench.write("README.md", "Hi\n");
        bench.git(&["add", "-A"]);
        bench.git(&["commit", "-qm", "Baseline"]);
        bench
    }

    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("repo");
        ConfigRepo::init(RepoOptions::new(&path)).unwrap();
        let bench = Self { _folder: folder, path };
        bench.name_person();
        bench
    }

    pub(crate) fn clone_of(remote: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("repo");
        run(folder.path(), &["clone", "-q", remote.to_str().unwrap(), "repo"]);
        let bench = Self { _folder: folder, path };
        bench.name_person();
        bench
    }

    fn name_person(&self) {
        self.git(&["config", "user.name", "Jane"]);
        self.git(&["config", "user.email", "jane@example.org"]);
    }

    pub(crate) fn repo(&self) -> ConfigRepo {
        ConfigRepo::open(RepoOptions::new(&self.path)).unwrap()
    }

    pub(crate) fn repo_with_remote(&self) -> ConfigRepo {
        let remote = Some("origin".to_owned());
        ConfigRepo::open(RepoOptions { remote, ..RepoOptions::new(&self.path) }).unwrap()
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run(&self.path, arguments)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn text(&self, path: &str) -> String {
        fs::read_to_string(self.path.join(path)).unwrap()
    }

    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    pub(crate) fn status(&self) -> String {
        self.git(&["status", "--porcelain"])
    }

    /// A person commits a change of one file.
    pub(crate) fn commit(&self, path: &str, from: &str, to: &str) {
        self.write(path, &self.text(path).replace(from, to));
        self.git(&["commit", "-qam", "By hand"]);
    }
}

pub(crate) fn run(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").args(arguments).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn short(commit: &str) -> String {
    format!("commit {}", commit.get(..12).unwrap())
}

pub(crate) fn agent() -> AgentName {
    "fixer".parse().unwrap()
}

pub(crate) fn record(number: u32, content: Content, state: State, revision: u64) -> VersionRecord {
    let version = Version {
        agent: agent(),
        number: VersionNumber(number),
        parent: number.checked_sub(1).filter(|n| *n > 0).map(VersionNumber),
        digest: content.digest(),
        content,
        author: if number == 1 {
            Author::Human { name: "Jane <Doe>".to_owned() }
        } else {
            Author::Llm { model: "small".to_owned() }
        },
        reasons: vec![Reason {
            change: format!("max_step: 20 -> {number}"),
            why: "7 of 12 runs hit the limit\nWhetstone-Revision: 99".to_owned(),
        }],
        evidence: "12 runs, 7 failed".to_owned(),
        created: EventTime::from_millis(1_764_697_218_260),
    };
    let at = EventTime::from_millis(1_764_697_300_000 + i64::try_from(revision).unwrap());
    VersionRecord { version, state, revision, at }
}

pub(crate) fn baseline() -> Content {
    Bench::new().repo().read(&agent()).unwrap().unwrap()
}

pub(crate) fn learned(mut content: Content, bullets: &[&str], max_step: u32) -> Content {
    let system = content.prompts.get_mut("system").unwrap();
    system.push_str("\n## Learned guidance\n");
    for (index, bullet) in bullets.iter().enumerate() {
        system.push_str(&format!("- [w{}] {bullet}\n", index + 1));
    }
    content.config.insert("max_step".to_owned(), json!(max_step));
    content
}

/// Three versions' lives: a baseline, a candidate that is promoted, one that is rejected, a third
/// that is promoted and rolled back.
fn life() -> Vec<VersionRecord> {
    let one = baseline();
    let two = learned(one.clone(), &["Wait after a fix."], 25);
    let three = learned(one.clone(), &["Wait after a fix.", "Then check."], 25);
    let four = learned(one.clone(), &["Other."], 30);
    let reason = || "worse".to_owned();
    vec![
        record(1, one.clone(), State::Active, 1),
        record(2, two.clone(), State::Candidate, 2),
        record(1, one, State::Superseded, 3),
        record(2, two.clone(), State::Active, 4),
        record(3, three.clone(), State::Candidate, 5),
        record(3, three, State::Rejected { reason: reason() }, 6),
        record(4, four.clone(), State::Active, 7),
        record(4, four, State::RolledBack { reason: reason() }, 8),
        record(2, two, State::Active, 9),
    ]
}

pub(crate) fn project_all(repo: &ConfigRepo, records: &[VersionRecord]) -> Vec<Projection> {
    records.iter().map(|record| repo.project(record).unwrap()).collect()
}

#[test]
fn a_life_becomes_commits_and_the_files_follow_the_active_version() {
    let bench = Bench::new();
    let repo = bench.repo();
    assert_eq!(repo.agents().unwrap(), [agent()]);
    assert_eq!(repo.published(&agent()).unwrap(), None);
    for record in life() {
        let before = bench.head();
        let projection = repo.project(&record).unwrap();
        let writes = matches!(record.state, State::Candidate | State::Active);
        assert_eq!(matches!(projection, Projection::Committed { .. }), writes, "{projection:?}");
        assert_eq!(bench.head() != before, writes);
        assert_eq!(bench.status(), "");
        if record.state == State::Active {
            assert_eq!(repo.read(&agent()).unwrap(), Some(record.version.content.clone()));
            let standing =
                Standing { version: record.version.number, digest: record.version.digest };
            let published = repo.published(&agent()).unwrap().unwrap();
            assert_eq!((published.revision, published.standing), (record.revision, Some(standing)));
        }
        assert_eq!(repo.human_edit(&agent()).unwrap(), None);
    }
    let versions: Vec<u32> = repo.versions(&agent()).unwrap().iter().map(|v| v.number.0).collect();
    assert_eq!(versions, [1, 2, 3, 4]);
    assert_eq!(repo.versions(&agent()).unwrap()[1], life()[1].version);
    // Another process finds the same.
    assert_eq!(bench.repo().published(&agent()).unwrap().unwrap().revision, 9);
}

#[test]
fn a_diff_shows_what_changed_and_nothing_else() {
    let bench = Bench::new();
    let records = life();
    project_all(&bench.repo(), &records[..4]);
    let diff = bench.git(&["diff", "-U0", "HEAD~1", "--", "configs"]);
    let lines = |sign: &str| {
        let line = |line: &&str| line.starts_with(sign) && !line.starts_with(&sign.repeat(3));
        diff.lines().filter(line).collect::<Vec<_>>()
    };
    assert_eq!(lines("-"), ["-max_step: 20  # enough"]);
    assert_eq!(
        lines("+"),
        [
            "+max_step: 25  # enough",
            "+",
            "+",
            "+    ## Learned guidance",
            "+",
            "+    - [w1] Wait after a fix."
        ]
    );
    bench.repo().project(&record(1, baseline(), State::Active, 5)).unwrap();
    // Back at the first version, every byte is as its author left it.
    assert_eq!(bench.text("configs/fixer_agent_prompts.yaml"), PROMPTS);
    assert_eq!(bench.text("configs/fixer_agent_config.yaml"), CONFIG);
    assert_eq!(bench.git(&["log", "-1", "--format=%s"]).trim(), "fixer v1: back from v2");
}

#[test]
fn a_commit_says_who_what_and_why() {
    let bench = Bench::new();
    project_all(&bench.repo(), &life()[..2]);
    let format = |format: &str, at: &str| bench.git(&["log", "-1", format, at]);
    assert_eq!(format("--format=%an|%cn|%ct", "HEAD~1").trim(), "Jane  Doe|whetstone|1764697300");
    assert_eq!(
        format("--format=%an|%s", "HEAD").trim(),
        "whetstone|fixer v2: propose max_step: 20 -> 2"
    );
    let digest = life()[0].version.digest.to_string();
    assert_eq!(
        format("--format=%(trailers:only)", "HEAD").trim(),
        format!(
            "Whetstone-Agent: fixer\nWhetstone-Version: v2\nWhetstone-Revision: 2\n\
             Whetstone-State: candidate\nWhetstone-Digest: {digest}\nWhetstone-Active: v1"
        )
    );
    let body = format("--format=%b", "HEAD");
    assert!(body.contains("7 of 12 runs hit the limit Whetstone-Revision: 99"), "{body}");
    assert!(body.contains("Evidence: 12 runs, 7 failed"), "{body}");
}

#[test]
fn projecting_again_changes_nothing_and_a_rebuild_gives_the_same() {
    let bench = Bench::new();
    let untouched = bench.path.with_file_name("again");
    run(bench.path.parent().unwrap(), &["clone", "-q", "repo", "again"]);
    project_all(&bench.repo(), &life());
    let head = bench.head();
    for repo in [bench.repo(), bench.repo()] {
        for (projection, record) in project_all(&repo, &life()).into_iter().zip(life()) {
            assert_eq!(projection, Projection::AlreadyThere, "{}", record.revision);
        }
    }
    assert_eq!(bench.head(), head);
    let again = ConfigRepo::open(RepoOptions::new(&untouched)).unwrap();
    project_all(&again, &life());
    // The same records on the same baseline: the very same commits.
    assert_eq!(run(&untouched, &["rev-parse", "HEAD"]).trim(), head);
}

#[test]
fn a_repo_is_made_from_nothing() {
    let bench = Bench::empty();
    let repo = bench.repo();
    assert_eq!(repo.agents().unwrap(), []);
    project_all(&repo, &life());
    assert_eq!(repo.read(&agent()).unwrap(), Some(life()[8].version.content.clone()));
    assert_eq!((bench.status().as_str(), repo.agents().unwrap()), ("", vec![agent()]));
}

#[test]
fn what_people_have_not_committed_is_neither_swept_in_nor_lost() {
    let bench = Bench::new();
    bench.write("README.md", "Hi there\n");
    bench.write("configs/shared_prompt.yaml", "nobody: staged\n");
    bench.git(&["add", "configs/shared_prompt.yaml"]);
    bench.write("configs/new_agent_prompts.yaml", "system: new\n");
    project_all(&bench.repo(), &life());
    assert_eq!(
        bench.status(),
        " M README.md\nM  configs/shared_prompt.yaml\n?? configs/new_agent_prompts.yaml\n"
    );
    let touched = bench.git(&["log", "--author=whetstone", "--format=", "--name-only"]);
    assert!(touched.lines().all(|path| path.contains("fixer")), "{touched}");
}

#[test]
fn a_human_edit_wins_until_it_is_adopted() {
    let records = life();
    for committed in [true, false] {
        let bench = Bench::new();
        let repo = bench.repo();
        let edit = repo.human_edit(&agent()).unwrap().unwrap();
        assert_eq!((edit.content, edit.by), (baseline(), "Jane".to_owned()));
        project_all(&repo, &records[..2]);

        let path = "configs/fixer_agent_prompts.yaml";
        bench.write(path, &bench.text(path).replace("Then stop.", "Then go on."));
        if committed {
            bench.git(&["commit", "-qam", "Go on"]);
        }
        let (head, text) = (bench.head(), bench.text(path));
        let edit = repo.human_edit(&agent()).unwrap().unwrap();
        let source = if committed { short(&head) } else { "working tree".into() };
        assert_eq!((edit.source, edit.by.as_str()), (source, "Jane"));
        assert!(edit.content.prompts["system"].contains("go on"));

        assert_eq!(repo.project(&records[3]).unwrap(), Projection::HumanEditPending);
        assert_eq!((bench.head(), bench.text(path)), (head, text.clone()));
        // Proposals go on being published meanwhile.
        let next = record(3, learned(baseline(), &["C."], 9), State::Candidate, 5);
        assert!(matches!(repo.project(&next).unwrap(), Projection::Committed { .. }));
        assert!(repo.human_edit(&agent()).unwrap().is_some());

        let adopted = record(4, edit.content, State::Active, 6);
        assert!(matches!(repo.project(&adopted).unwrap(), Projection::Committed { .. }));
        assert_eq!((bench.status().as_str(), bench.text(path)), ("", text));
        assert_eq!(repo.human_edit(&agent()).unwrap(), None);
    }
}

#[test]
fn comments_and_layout_are_no_edit_and_stay() {
    let bench = Bench::new();
    let repo = bench.repo();
    project_all(&repo, &life()[..2]);
    let path = "configs/fixer_agent_config.yaml";
    bench.commit(path, "# enough", "# plenty");
    assert_eq!(repo.human_edit(&agent()).unwrap(), None);
    repo.project(&life()[3]).unwrap();
    assert!(bench.text(path).contains("max_step: 25  # plenty"));
}

#[test]
fn an_interrupted_write_is_finished_and_is_nobodys_edit() {
    let records = life();
    let (one, two) = (&records[0].version.content, &records[3].version.content);
    // Where the write may have stopped: which halves of the content it had written.
    for (prompts, config) in [(true, false), (true, true), (false, false)] {
        let bench = Bench::new();
        project_all(&bench.repo(), &records[..2]);
        let done = Bench::clone_of(&bench.path);
        project_all(&done.repo(), &records[..4]);
        begin(&bench, one, two);
        for (written, half) in [(prompts, "prompts"), (config, "config")] {
            let path = format!("configs/fixer_agent_{half}.yaml");
            if written {
                bench.write(&path, &done.text(&path));
            }
        }
        let repo = bench.repo();
        assert_eq!(repo.human_edit(&agent()).unwrap(), None, "{prompts} {config}");
        assert_ne!(repo.read(&agent()).unwrap().as_ref() == Some(one), prompts);
        project_all(&repo, &records[3..4]);
        assert_eq!((bench.head(), bench.status()), (done.head(), String::new()));
    }
    // What came before is projected again ahead of it: the note is not theirs.
    let bench = Bench::new();
    project_all(&bench.repo(), &records[..7]);
    let done = Bench::clone_of(&bench.path);
    project_all(&done.repo(), &records);
    let found = bench.repo().read(&agent()).unwrap().unwrap();
    begin(&bench, &found, &records[8].version.content);
    let path = "configs/fixer_agent_prompts.yaml";
    bench.write(path, &done.text(path));
    project_all(&bench.repo(), &records);
    assert_eq!((bench.head(), bench.status()), (done.head(), String::new()));
    // Stopped after the commit, before the note of it was removed.
    let bench = Bench::new();
    project_all(&bench.repo(), &records[..4]);
    begin(&bench, one, two);
    assert_eq!(bench.repo().project(&records[3]).unwrap(), Projection::AlreadyThere);
    assert!(!bench.path.join(".git/whetstone/fixer.json").exists());
}

/// The note of a write that has begun.
fn begin(bench: &Bench, before: &Content, after: &Content) {
    let note = json!({ "before": before, "after": after });
    bench.write(".git/whetstone/fixer.json", &note.to_string());
}

#[test]
fn an_edit_that_is_committed_before_a_write_that_has_begun_wins() {
    let records = life();
    let bench = Bench::new();
    let repo = bench.repo();
    project_all(&repo, &records[..2]);
    begin(&bench, &records[0].version.content, &records[3].version.content);
    let path = "configs/fixer_agent_prompts.yaml";
    bench.commit(path, "Then stop.", "Then go on.");
    let (head, text) = (bench.head(), bench.text(path));
    assert_eq!(repo.project(&records[3]).unwrap(), Projection::HumanEditPending);
    assert_eq!((bench.head(), bench.text(path)), (head, text));
    assert!(repo.human_edit(&agent()).unwrap().is_some());
}

#[test]
fn a_version_file_never_changes() {
    let bench = Bench::new();
    let repo = bench.repo();
    project_all(&repo, &life()[..2]);
    let other = record(2, learned(baseline(), &["X."], 7), State::Active, 4);
    assert!(matches!(repo.project(&other), Err(PublishError::VersionTaken { .. })));
    let path = "versions/fixer_v2.yaml";
    bench.write(path, &bench.text(path).replace("Wait after", "Run before"));
    for error in [repo.versions(&agent()).err(), repo.project(&life()[3]).err()] {
        assert!(error.unwrap().to_string().contains(path));
    }
    fs::rename(bench.path.join(path), bench.path.join("versions/fixer_v3.yaml")).unwrap();
    assert!(repo.versions(&agent()).is_err());
}

#[test]
fn what_cannot_be_done_is_refused_with_what_to_do() {
    let says = |result: Result<ConfigRepo, PublishError>, text: &str| {
        let error = result.err().unwrap().to_string();
        assert!(error.contains(text), "{error}");
    };
    let nowhere = tempfile::tempdir().unwrap();
    says(ConfigRepo::open(RepoOptions::new(nowhere.path())), "git init");
    let bench = Bench::new();
    let options = RepoOptions::new(&bench.path);
    let branch = Some("other".to_owned());
    says(ConfigRepo::open(RepoOptions { branch, ..options.clone() }), "git switch other");
    let configs = "../configs".to_owned();
    says(ConfigRepo::open(RepoOptions { configs, ..options }), "inside the repository");

    let repo = bench.repo();
    let refused = |revision: u64, text: &str| {
        let error = repo.project(&VersionRecord { revision, ..life()[3].clone() }).unwrap_err();
        assert!(error.to_string().contains(text), "{error}");
    };
    project_all(&repo, &life()[..2]);
    let path = "configs/fixer_agent_config.yaml";
    bench.commit(path, "tools:", "tools: [");
    refused(4, path);
    assert!(repo.human_edit(&agent()).unwrap_err().to_string().contains(path));
    bench.commit(path, "tools: [", "tools:");
    fs::remove_file(bench.path.join("configs/fixer_agent_prompts.yaml")).unwrap();
    refused(4, "git checkout");
    bench.git(&["checkout", "-q", "."]);
    let mut changed = life()[3].clone();
    changed.version.content.prompts.clear();
    assert!(matches!(repo.project(&changed), Err(PublishError::BadRecord { .. })));
    bench.git(&["checkout", "-q", "--detach"]);
    refused(4, "git switch");
}

#[test]
fn line_endings_and_permissions_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    bench.git(&["config", "core.autocrlf", "true"]);
    let path = "configs/fixer_agent_prompts.yaml";
    bench.write(path, &PROMPTS.replace('\n', "\r\n"));
    let whole = bench.path.join(path);
    fs::set_permissions(&whole, fs::Permissions::from_mode(0o755)).unwrap();
    bench.git(&["commit", "-qam", "Executable"]);
    project_all(&bench.repo(), &life()[..4]);
    let text = bench.text(path);
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count());
    assert_eq!(bench.status(), "");
    assert!(bench.git(&["ls-files", "-s", path]).starts_with("100755"));
    assert!(!bench.git(&["show", &format!("HEAD:{path}")]).contains('\r'));
}

#[test]
fn a_folder_of_a_repository_will_do() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path.join("clients/sre")).unwrap();
    bench.git(&["mv", "configs", "clients/sre/files"]);
    bench.git(&["commit", "-qm", "Move"]);
    let options = RepoOptions {
        configs: "files".to_owned(),
        versions: "old/versions".to_owned(),
        ..RepoOptions::new(bench.path.join("clients/sre"))
    };
    let repo = ConfigRepo::open(options).unwrap();
    project_all(&repo, &life());
    assert_eq!(bench.status(), "");
    assert!(bench.text("clients/sre/old/versions/fixer_v4.yaml").contains("Other."));
}

#[test]
fn a_human_and_machine_can_commit_at_the_same_time() {
    let bench = Bench::new();
    let path = bench.path.clone();
    let person = std::thread::spawn(move || {
        for round in 0..8 {
            fs::write(path.join("README.md"), format!("{round}\n")).unwrap();
            // Git's own lock may refuse a person, as it does between two people.
            let commit = ["commit", "-qam", "Readme"];
            Command::new("git").args(commit).current_dir(&path).output().unwrap();
        }
    });
    let mut records = life();
    let repo = bench.repo();
    records.retain(|record| {
        loop {
            match repo.project(record) {
                Ok(_) => break true,
                Err(PublishError::Git { .. } | PublishError::Contended) => {}
                Err(error) => panic!("{error}"),
            }
        }
    });
    person.join().unwrap();
    assert_eq!(repo.read(&agent()).unwrap(), Some(life()[8].version.content.clone()));
    assert_eq!(repo.published(&agent()).unwrap().unwrap().revision, 9);
    let ours = bench.git(&["log", "--committer=whetstone", "--format=%s"]).lines().count();
    assert_eq!(ours, 6);
    assert!(!bench.status().contains("fixer"), "{}", bench.status());
}

/// A bare remote, our clone of it and a person's.
pub(crate) fn with_remote() -> (TempDir, Bench, Bench) {
    let folder = tempfile::tempdir().unwrap();
    let seed = Bench::new();
    run(folder.path(), &["clone", "-q", "--bare", seed.path.to_str().unwrap(), "remote.git"]);
    let remote = folder.path().join("remote.git");
    let (ours, theirs) = (Bench::clone_of(&remote), Bench::clone_of(&remote));
    (folder, ours, theirs)
}

#[test]
fn without_a_remote_nothing_is_sent() {
    let repo = Bench::new();
    assert_eq!(repo.repo().fetch().unwrap(), Fetched::NoRemote);
    assert_eq!(repo.repo().push().unwrap(), Pushed::NoRemote);
    // A name that is no remote is said, not hung on.
    let error = repo.repo_with_remote().fetch().unwrap_err();
    assert!(matches!(error, PublishError::Command { .. }), "{error}");
}

#[test]
fn commits_go_out_and_come_in() {
    let (_remote, ours, theirs) = with_remote();
    let repo = ours.repo_with_remote();
    assert_eq!(repo.fetch().unwrap(), Fetched::UpToDate);
    assert_eq!(repo.push().unwrap(), Pushed::UpToDate);
    project_all(&repo, &life()[..2]);
    assert_eq!(repo.fetch().unwrap(), Fetched::UpToDate);
    assert_eq!(repo.push().unwrap(), Pushed::Pushed);
    theirs.git(&["pull", "-q"]);
    assert_eq!(theirs.head(), ours.head());

    theirs.commit("configs/fixer_agent_prompts.yaml", "Then stop.", "Then go on.");
    theirs.git(&["push", "-q"]);
    ours.write("README.md", "Not committed\n");
    assert_eq!(repo.fetch().unwrap(), Fetched::FastForwarded);
    assert_eq!((ours.head(), ours.status().as_str()), (theirs.head(), " M README.md\n"));
    let edit = repo.human_edit(&agent()).unwrap().unwrap();
    assert_eq!((edit.source, edit.by.as_str()), (short(&theirs.head()), "Jane"));
}

#[test]
fn where_both_moved_on_people_win_and_versions_are_projected_again() {
    let (_remote, ours, theirs) = with_remote();
    let repo = ours.repo_with_remote();
    project_all(&repo, &life()[..1]);
    repo.push().unwrap();
    theirs.git(&["pull", "-q"]);
    project_all(&repo, &life()[1..4]);
    theirs.commit("configs/fixer_agent_prompts.yaml", "Then stop.", "Then go on.");
    theirs.git(&["push", "-q"]);

    assert_eq!(repo.push().unwrap(), Pushed::Rejected);
    assert_eq!(repo.fetch().unwrap(), Fetched::Rewound { dropped: 2 });
    assert_eq!((ours.head(), ours.status()), (theirs.head(), String::new()));
    assert!(!ours.path.join("versions/fixer_v2.yaml").exists());
    let again = project_all(&repo, &life()[..4]);
    assert_eq!(again[0], Projection::AlreadyThere);
    assert!(matches!(again[1], Projection::Committed { .. }));
    assert_eq!(again[3], Projection::HumanEditPending);
    let edit = repo.human_edit(&agent()).unwrap().unwrap();
    project_all(&repo, &[record(3, edit.content, State::Active, 5)]);
    assert_eq!(repo.push().unwrap(), Pushed::Pushed);
}

#[test]
fn what_a_person_has_not_pushed_or_committed_is_never_dropped() {
    let (_remote, ours, theirs) = with_remote();
    let repo = ours.repo_with_remote();
    project_all(&repo, &life()[..2]);
    theirs.commit("README.md", "Hi", "Hello");
    theirs.git(&["push", "-q"]);

    ours.write("README.md", "Mine\n");
    let head = ours.head();
    let error = repo.fetch().unwrap_err().to_string();
    assert!(error.contains("README.md"), "{error}");
    assert_eq!((ours.head(), ours.text("README.md")), (head, "Mine\n".to_owned()));

    ours.git(&["checkout", "-q", "."]);
    // Amended by a person, our commit is theirs.
    ours.git(&["commit", "-q", "--amend", "--no-edit"]);
    let head = ours.head();
    let error = repo.fetch().unwrap_err();
    assert!(matches!(error, PublishError::Diverged { .. }), "{error}");
    assert_eq!((ours.head(), ours.status()), (head, String::new()));
}

#[test]
fn an_empty_remote_takes_the_first_push() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "-q", "--bare", "-b", "main", "remote.git"]);
    let bench = Bench::new();
    bench.git(&["remote", "add", "origin", folder.path().join("remote.git").to_str().unwrap()]);
    let repo = bench.repo_with_remote();
    assert_eq!(repo.fetch().unwrap(), Fetched::UpToDate);
    assert_eq!(repo.push().unwrap(), Pushed::Pushed);
    assert_eq!(repo.push().unwrap(), Pushed::UpToDate);
}

#[test]
fn the_repo_can_move_to_a_thread_of_its_own() {
    fn is_send<T: Send>() {}
    is_send::<ConfigRepo>();
}
