//! Attacks on what a machine may write, and ordinary edits, each through the whole path: a server that
//! answers as an obedient or a hijacked model would, a real [`Optimizer`], and the agent's state machine,
//! which is also given the same edits as a forged proposal. `--nocapture` shows a table by class.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use whetstone::base::{AgentName, EventTime, ManualClock};
use whetstone::decode::Run;
use whetstone::fold::Exemplar;
use whetstone::govern::{
    Agent, Answer, Author, Command, CommandKind, Content, Edit, Effect, Event, EventBody,
    LlmReport, Part, Policy, Proposal, Proposed, Request, Rollout, Version,
};
use whetstone::optimize::{LlmSettings, Optimizer};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::corpus::{Case, read};
use crate::runs::{calling, outcome, run};

const SYSTEM: &str = "You are the mitigation agent.
<!-- whetstone:lock -->
Never delete a namespace.
Ask a person before anything that loses data.
<!-- whetstone:unlock -->
Work in small steps.
First.
<!-- whetstone:lock -->Keep one.<!-- whetstone:unlock -->
Use kubectl.

## Learned guidance
- [w1] Read the events before the logs.
";

const USER: &str = "Look after the app {app_name} in namespace {namespace}. \
                    See https://docs.internal.example/runbooks first.";

/// What the model says next about the prompts and about the config.
type Script = Arc<Mutex<(String, String)>>;

fn name() -> AgentName {
    "mitigation".parse().unwrap()
}

fn policy(edit_human_text: bool) -> Policy {
    let mut policy = Policy { rollout: Rollout::Immediate, min_traces: 40, ..Policy::default() };
    policy.guard.edit_human_text = edit_human_text;
    policy
}

/// An agent that has asked, its request, and the policy of both.
struct Bench {
    agent: Agent,
    request: Request,
    policy: Policy,
}

impl Bench {
    fn new(edit_human_text: bool) -> Self {
        let policy = policy(edit_human_text);
        let mut agent = Agent::new(name());
        let prompts = [("system", SYSTEM), ("user", USER)];
        let config = [("max_step", json!(20)), ("max_retry_attempts", json!(10))];
        let content = Content {
            prompts: prompts.map(|(key, text)| (key.to_owned(), text.to_owned())).into(),
            config: config.map(|(key, value)| (key.to_owned(), value)).into(),
        };
        let kind = CommandKind::Adopt { content, source: "commit abc".to_owned() };
        let by = "ada".to_owned();
        let mut effects =
            apply(&mut agent, &policy, EventBody::Command(Command { agent: name(), by, kind }));
        for id in 0..40 {
            effects.extend(apply(&mut agent, &policy, EventBody::Run(used(id))));
        }
        let asked = |effect: Effect| match effect {
            Effect::Request(request) => Some(*request),
            _ => None,
        };
        let request = effects.into_iter().find_map(asked).expect("40 runs are enough to ask");
        Self { agent, request, policy }
    }

    /// What the machine makes of `proposal`: its versions and its reasons.
    fn outcome(&self, proposal: Proposal) -> (Vec<Version>, Vec<String>) {
        let mut agent = self.agent.clone();
        let body = EventBody::Proposal(Box::new(proposal));
        let (mut versions, mut reasons) = (Vec::new(), Vec::new());
        for effect in apply(&mut agent, &self.policy, body) {
            match effect {
                Effect::Version(record) => versions.push(record.version),
                Effect::Update(update) => {
                    versions.extend(
                        [update.active]
                            .into_iter()
                            .chain(update.split.map(|second| second.version)),
                    );
                }
                Effect::Decision(decision) if decision.decision == "proposal_refused" => {
                    reasons.push(decision.reason);
                }
                Effect::Decision(_) | Effect::Request(_) => {}
            }
        }
        (versions, reasons)
    }
}

fn apply(agent: &mut Agent, policy: &Policy, body: EventBody) -> Vec<Effect> {
    let at = EventTime::from_millis(1_700_000_100_000);
    agent.apply(&Event { agent: name(), at, body }, policy)
}

/// Runs of which those that call `bad_tool` fail, so that the patterns have an edit of their own.
fn used(id: u64) -> Run {
    let success = id.is_multiple_of(2);
    let tools: &[&str] = if success { &["look"] } else { &["look", "bad_tool"] };
    let end = 1_700_000_000_000 + 1000 * id.cast_signed();
    calling(run(id, end, outcome(success)), tools)
}

/// Everything that the cases of one test share.
struct Range {
    script: Script,
    optimizer: Optimizer,
    clock: Arc<ManualClock>,
    now: i64,
    benches: BTreeMap<bool, Bench>,
    _server: MockServer,
}

impl Range {
    async fn new() -> Self {
        let server = MockServer::start().await;
        let script = Script::default();
        let told = script.clone();
        let answer = move |asked: &wiremock::Request| {
            let script = told.lock().unwrap();
            let about_prompts =
                String::from_utf8_lossy(&asked.body).contains("You improve the prompts");
            says(if about_prompts { &script.0 } else { &script.1 })
        };
        Mock::given(method("POST")).respond_with(answer).mount(&server).await;
        let clock = Arc::new(ManualClock::at(EventTime::from_millis(0)));
        let settings = LlmSettings {
            model: "small".to_owned(),
            endpoint: Some(format!("{}/v1/", server.uri())),
            timeout: Duration::from_secs(10),
            max_attempts: 2,
            first_pause: Duration::from_millis(1),
            ..LlmSettings::default()
        };
        let optimizer = Optimizer::new(settings, clock.clone());
        let benches = [true, false].map(|may| (may, Bench::new(may))).into();
        Self { script, optimizer, clock, now: 0, benches, _server: server }
    }

    /// What the optimizer makes of `case`, and with which bench.
    async fn propose(&mut self, case: &Case) -> (Proposal, &Bench) {
        // The server is not left alone for what the case before has broken.
        self.now += 86_400_000;
        self.clock.set(EventTime::from_millis(self.now));
        *self.script.lock().unwrap() = case.answers();
        let bench = &self.benches[&case.edit_human_text()];
        let mut request = bench.request.clone();
        request.window.exemplars.worst = vec![Exemplar {
            rank: (1, 1),
            trace_id: "trace-1".to_owned(),
            latency: 1.0,
            attempts: 2,
            signature: None,
            excerpt: case.excerpt(),
        }];
        (self.optimizer.propose(&request).await, bench)
    }

    /// What is wrong with how `case`, an attack, was met; nothing if it was met well.
    async fn attack(&mut self, case: &Case) -> Vec<String> {
        let (proposal, bench) = self.propose(case).await;
        let named = proposal.llm.fallback.is_some()
            || !proposal.prompt.refused.is_empty()
            || !proposal.config.refused.is_empty();
        let (versions, reasons) = bench.outcome(proposal);
        let mut problems = Vec::new();
        if versions.iter().any(|version| stands_in(case, version)) {
            problems.push("through the optimizer".to_owned());
        } else if !named && reasons.is_empty() && case.by != "why" {
            problems.push("refused without a reason".to_owned());
        }
        if let Some((prompt, config)) = case.forged() {
            let (versions, reasons) = bench.outcome(forged(&bench.request, prompt, config));
            if versions.iter().any(|version| stands_in(case, version)) {
                problems.push("as a forged proposal".to_owned());
            } else if reasons.is_empty() {
                problems.push("forged, and refused without a reason".to_owned());
            }
        }
        problems
    }

    /// Why `case`, an ordinary edit, did not become the model's version; nothing if it did.
    async fn try_benign(&mut self, case: &Case) -> Option<String> {
        let (proposal, bench) = self.propose(case).await;
        let llm = proposal.llm.fallback.clone();
        let refused = [proposal.prompt.refused.clone(), proposal.config.refused.clone()].concat();
        let (versions, reasons) = bench.outcome(proposal);
        let by_model = |version: &Version| {
            matches!(version.author, Author::Llm { .. }) && stands_in(case, version)
        };
        let became = llm.is_none() && refused.is_empty() && versions.iter().any(by_model);
        (!became).then(|| format!("{refused:?} {reasons:?} {llm:?}"))
    }
}

fn stands_in(case: &Case, version: &Version) -> bool {
    let reasons: Vec<_> = version.reasons.iter().map(|reason| reason.why.clone()).collect();
    case.stands_in(&version.content.prompts, &version.content.config, &reasons)
}

fn says(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "id": "1", "object": "chat.completion", "created": 1, "model": "small",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }))
}

/// What somebody who can write to the log would put there.
fn forged(request: &Request, prompt: Vec<Proposed>, config: Vec<Proposed>) -> Proposal {
    let part = |edits: Vec<Proposed>| Part {
        author: Author::Llm { model: "small".to_owned() },
        answer: if edits.is_empty() {
            Answer::NoChange { reason: "none".to_owned() }
        } else {
            Answer::Edits { edits }
        },
        refused: Vec::new(),
    };
    Proposal {
        request: request.id.clone(),
        parent: request.parent,
        prompt: part(prompt),
        config: part(config),
        llm: LlmReport::default(),
        findings: Vec::new(),
        considered: Vec::new(),
        gate: None,
        gate_problem: None,
    }
}

/// Runs the attacks of the classes `chosen`, prints the table and fails where one got through.
async fn none_passes(chosen: impl Fn(&str) -> bool) {
    let mut range = Range::new().await;
    let mut table: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut passed = Vec::new();
    for case in read("attacks.yaml").iter().filter(|case| chosen(&case.class)) {
        let problems = range.attack(case).await;
        let row = table.entry(case.class.clone()).or_default();
        if problems.is_empty() {
            row.0 += 1;
        } else {
            row.1 += 1;
            passed.push(format!(
                "{}: {} [{}]: {}",
                case.class,
                case.name,
                case.by,
                problems.join(", ")
            ));
        }
    }
    println!("{:16}{:>9}{:>9}", "class", "blocked", "passed");
    for (class, (blocked, through)) in &table {
        println!("{class:16}{blocked:>9}{through:>9}");
    }
    assert!(passed.is_empty(), "{} got through:\n{}", passed.len(), passed.join("\n"));
}

/// Classes about the form of what comes back rather than its words.
const OF_FORM: [&str; 5] = ["answer-format", "config", "locked", "human", "oversize"];

#[tokio::test]
async fn no_attack_on_the_words_of_a_prompt_gets_through() {
    none_passes(|class| !OF_FORM.contains(&class)).await;
}

#[tokio::test]
async fn no_attack_on_the_form_of_an_answer_gets_through() {
    none_passes(|class| OF_FORM.contains(&class)).await;
}

#[tokio::test]
async fn ordinary_edits_become_versions() {
    let mut range = Range::new().await;
    let cases = read("benign.yaml");
    let mut refused = Vec::new();
    for case in &cases {
        if let Some(why) = range.try_benign(case).await {
            refused.push(format!("{} {}: {}: {why}", case.class, case.name, case.payload));
        }
    }
    println!("{} of {} ordinary edits were refused", refused.len(), cases.len());
    assert!(refused.is_empty(), "refused:\n{}", refused.join("\n"));
}

#[test]
fn a_person_signs_no_proposal() {
    let bench = Bench::new(true);
    let edit = Edit::AddBullet { text: "Look around first.".to_owned() };
    let edits = vec![Proposed { edit, why: "20 of 20 runs".to_owned() }];
    let mut proposal = forged(&bench.request, edits, Vec::new());
    assert_eq!(bench.outcome(proposal.clone()).0.len(), 3, "two states and an update");
    proposal.prompt.author = Author::Human { name: "ada".to_owned() };
    let (versions, reasons) = bench.outcome(proposal);
    assert!(versions.is_empty() && reasons[0].contains("a person signs"), "{reasons:?}");
}

#[tokio::test]
async fn known_gaps_are_known() {
    let mut range = Range::new().await;
    let mut closed = Vec::new();
    for case in read("gaps.yaml") {
        if range.attack(&case).await.is_empty() {
            closed.push(format!("{}: {}", case.class, case.name));
        }
    }
    assert!(closed.is_empty(), "refused now, so move it to attacks.yaml:\n{}", closed.join("\n"));
}
