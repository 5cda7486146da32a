//! What a request tells of the past: how versions fared, and what stands behind each learned bullet.

use std::collections::BTreeMap;

use serde_json::json;
use whetstone::base::EventTime;
use whetstone::decode::{Outcome, Run};
use whetstone::fold::WindowKind;
use whetstone::govern::{
    Agent, Answer, Author, BulletRecord, Command, CommandKind, Content, Edit, Effect, Event,
    EventBody, Fate, LlmReport, Part, Policy, Proposal, Proposed, Request, Rollout,
};

use crate::runs::{outcome, run};

/// An agent under a policy, driven event by event.
pub(crate) struct Drive {
    pub(crate) agent: Agent,
    pub(crate) policy: Policy,
    clock: i64,
    runs: u64,
}

impl Drive {
    pub(crate) fn new(rollout: Rollout) -> Self {
        let mut policy = Policy { rollout, ..Policy::default() };
        policy.windows.kind = WindowKind::Count { runs: 1_000_000 };
        policy.min_traces = 1_000_000;
        let agent = Agent::new("mitigation".parse().unwrap());
        let mut drive = Self { agent, policy, clock: 0, runs: 0 };
        let content = Content {
            prompts: BTreeMap::from([("system".to_owned(), "Mitigate.\n".to_owned())]),
            config: BTreeMap::from([("max_step".to_owned(), json!(20))]),
        };
        drive.order(CommandKind::Adopt { content, source: "repo".to_owned() });
        drive.policy.min_traces = 4;
        drive
    }

    pub(crate) fn apply(&mut self, body: EventBody) -> Vec<Effect> {
        self.clock += 1_000;
        let agent = self.agent.name().clone();
        let event = Event { agent, at: EventTime::from_millis(self.clock), body };
        self.agent.apply(&event, &self.policy)
    }

    fn order(&mut self, kind: CommandKind) -> Vec<Effect> {
        let agent = self.agent.name().clone();
        self.apply(EventBody::Command(Command { agent, by: "ann".to_owned(), kind }))
    }

    /// Runs of the active version, so many of them successes.
    pub(crate) fn runs(&mut self, successes: u64, failures: u64, signature: &str) {
        self.order(CommandKind::Pause);
        for index in 0..successes + failures {
            self.runs += 1;
            let made: Run = run(self.runs, self.clock, outcome(index < successes));
            let signature = (made.outcome == Outcome::Failure).then(|| signature.to_owned());
            self.apply(EventBody::Run(Run {
                signature,
                version: self.agent.view().active,
                ..made
            }));
        }
        self.order(CommandKind::Resume);
    }

    pub(crate) fn request(&mut self) -> Request {
        let effects = self.order(CommandKind::Optimize);
        let request = effects.into_iter().find_map(|effect| match effect {
            Effect::Request(request) => Some(*request),
            _ => None,
        });
        request.expect("the window holds enough")
    }

    /// Answers `request` with `edits`; the decisions, each with its reason.
    fn propose(&mut self, request: &Request, edits: Vec<Edit>) -> Vec<(String, String)> {
        let none = |author| Part {
            author,
            answer: Answer::NoChange { reason: "none".to_owned() },
            refused: Vec::new(),
        };
        let edits =
            edits.into_iter().map(|edit| Proposed { edit, why: "why".to_owned() }).collect();
        let proposal = Proposal {
            request: request.id.clone(),
            parent: request.parent,
            prompt: Part { answer: Answer::Edits { edits }, ..none(Author::Patterns) },
            config: none(Author::Patterns),
            llm: LlmReport::default(),
            findings: Vec::new(),
            considered: Vec::new(),
            gate: None,
            gate_problem: None,
        };
        let effects = self.apply(EventBody::Proposal(Box::new(proposal)));
        let decided = |effect| match effect {
            Effect::Decision(decision) => Some((decision.decision, decision.reason)),
            _ => None,
        };
        effects.into_iter().filter_map(decided).collect()
    }
}

fn add(text: &str) -> Edit {
    Edit::AddBullet { text: text.to_owned() }
}

fn named(records: &[BulletRecord]) -> Vec<(&str, Fate, u64, u64)> {
    let one = |r: &BulletRecord| (r.with.total(), r.without.total());
    records.iter().map(|r| (r.text.as_str(), r.fate, one(r).0, one(r).1)).collect()
}

#[test]
fn a_bullet_is_counted_with_the_versions_that_have_it() {
    let mut drive = Drive::new(Rollout::Immediate);
    drive.runs(4, 6, "look: timed out");
    let request = drive.request();
    assert!(request.bullets.is_empty());
    drive.propose(&request, vec![add("Look first.")]);
    drive.runs(3, 2, "fix: refused");
    let request = drive.request();
    drive.propose(&request, vec![add("Fix last.")]);
    drive.runs(5, 0, "");
    let request = drive.request();
    assert_eq!(
        named(&request.bullets),
        [("Look first.", Fate::Open, 10, 10), ("Fix last.", Fate::Open, 5, 15)]
    );
    assert_eq!(request.bullets[0].since.map(|v| v.0), Some(2));
    let past: Vec<_> = request.history.iter().map(|p| (p.number.0, p.held.known())).collect();
    assert_eq!(past, [(1, 10), (2, 5), (3, 5)]);
    assert_eq!(request.history[0].failures, [("look: timed out".to_owned(), 6)]);
    assert_eq!(request.history[1].failures, [("fix: refused".to_owned(), 2)]);
    assert_eq!(request.history[2].added, ["Fix last."]);
    assert!(request.history[2].failures.is_empty());
}

#[test]
fn what_a_person_decides_is_remembered_of_what_a_version_brought() {
    let mut drive = Drive::new(Rollout::Manual);
    drive.runs(4, 6, "x");
    let request = drive.request();
    drive.propose(&request, vec![add("Look first.")]);
    drive.order(CommandKind::Approve { version: whetstone::base::VersionNumber(2) });
    drive.runs(4, 6, "x");
    let request = drive.request();
    assert_eq!(named(&request.bullets), [("Look first.", Fate::Vouched, 10, 10)]);
    assert_eq!(request.history[1].why.as_deref(), Some("approved by ann"));

    drive.propose(&request, vec![add("Fix last.")]);
    let reason = "too vague".to_owned();
    drive.order(CommandKind::Reject { version: whetstone::base::VersionNumber(3), reason });
    let request = drive.request();
    let past = &request.history[2];
    assert_eq!((past.fate, past.why.as_deref()), (Fate::Refused, Some("by ann: too vague")));
    assert_eq!(past.added, ["Fix last."]);
    assert_eq!(named(&request.bullets), [("Look first.", Fate::Vouched, 10, 10)]);
}

#[test]
fn unproven_bullets_do_not_pile_up() {
    let mut drive = Drive::new(Rollout::Immediate);
    drive.policy.guard.max_unproven_bullets = 2;
    drive.runs(4, 6, "x");
    let request = drive.request();
    assert_eq!(drive.propose(&request, vec![add("One."), add("Two.")])[0].0, "activated");
    drive.runs(4, 6, "x");
    let request = drive.request();
    let refused = drive.propose(&request, vec![add("Three.")]);
    assert_eq!(refused[0].0, "proposal_refused");
    assert!(refused[0].1.contains("3 bullets are unproven, at most 2"), "{refused:?}");
    let request = drive.request();
    let remove = Edit::RemoveBullet { id: "w1".to_owned() };
    assert_eq!(drive.propose(&request, vec![remove, add("Three.")])[0].0, "activated");

    // What a person wrote or left in an edit of theirs that brought it does not count.
    let mut content = request.content;
    let text = "Mitigate.\n\n## Learned guidance\n- [w7] Four.\n- [w8] Five.\n- [w9] Six.\n";
    content.prompts.insert("system".to_owned(), text.to_owned());
    drive.order(CommandKind::Adopt { content, source: "repo".to_owned() });
    drive.runs(4, 6, "x");
    let request = drive.request();
    assert_eq!(drive.propose(&request, vec![add("Seven.")])[0].0, "activated");
}
