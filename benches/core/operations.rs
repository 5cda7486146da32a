//! What the pure core does with a trace on its way, each on a fixed input: simulated agents' traces from a seed.

use std::hint::black_box;

use whetstone::app::{event_record, read_event, state_records};
use whetstone::base::{AgentName, EventTime, VersionNumber};
use whetstone::consume::{NewRecord, Record};
use whetstone::decode::{Options, Report, Run, Trace, decode};
use whetstone::govern::{
    Agent, Command, CommandKind, Content, Event, EventBody, GuardRules, Piece, Pieces,
    Placeholders, Policy, TrialSpec, check,
};
use whetstone::simulate::{scenarios, simulated_agents};

const START: i64 = 1_770_000_000_000;
const TRACES: u64 = 1000;

/// Something that is done so many times in one go.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) times: u64,
    pub(crate) work: Box<dyn FnMut() -> u64>,
}

fn operation(name: &'static str, times: u64, work: impl FnMut() -> u64 + 'static) -> Operation {
    Operation { name, times, work: Box::new(work) }
}

fn name() -> AgentName {
    "sim-triage".parse().expect("a name")
}

fn content() -> Content {
    let text = "Find the service that caused the alert in {app_name}.\n".repeat(60);
    Content { prompts: [("system".to_owned(), text)].into(), ..Content::default() }
}

/// Traces of a simulated agent, a minute apart.
fn traces() -> Vec<Trace> {
    let agents = simulated_agents();
    let agent = agents.first().expect("an agent");
    let mut rng = fastrand::Rng::with_seed(1);
    let start =
        |id: u64| EventTime::from_millis(START + 60_000 * i64::try_from(id).expect("small"));
    (0..TRACES)
        .map(|id| agent.run(id, (VersionNumber(1), &content()), start(id), &mut rng))
        .collect()
}

fn run_event(run: Run) -> Event {
    Event { agent: run.agent.clone(), at: EventTime::from_millis(START), body: EventBody::Run(run) }
}

/// An agent with a version, and nothing else.
fn adopted(policy: &Policy) -> Agent {
    let mut agent = Agent::new(name());
    let kind = CommandKind::Adopt { content: content(), source: "bench".to_owned() };
    let command = Command { agent: name(), by: "bench".to_owned(), kind };
    let at = EventTime::from_millis(START);
    agent.apply(&Event { agent: name(), at, body: EventBody::Command(command) }, policy);
    agent
}

/// A record as it would be read.
fn read_back(record: NewRecord) -> Record {
    let NewRecord { topic, key, value, headers } = record;
    let at = EventTime::from_millis(START);
    Record { topic, partition: 0, offset: 0, at, key, value, headers }
}

pub(crate) fn operations() -> Vec<Operation> {
    let traces = traces();
    let runs: Vec<Run> = traces.iter().map(Run::digest).collect();
    let mut all = on_the_way(traces, runs.clone());
    all.extend(state(runs));
    all.extend(decisions());
    all
}

/// From the bytes of a trace to what its agent's windows make of it.
fn on_the_way(traces: Vec<Trace>, runs: Vec<Run>) -> Vec<Operation> {
    let records: Vec<Vec<u8>> =
        traces.iter().map(|trace| serde_json::to_vec(trace).expect("it serializes")).collect();
    let options = Options::arrived(EventTime::from_millis(START + 86_400_000));
    let events: Vec<Event> = runs.into_iter().map(run_event).collect();
    let written: Vec<Record> = events.iter().map(|event| read_back(event_record(event))).collect();
    let policy = Policy::default();
    let (to_write, to_apply) = (events.clone(), events);
    let decoded = move |record: &Vec<u8>| {
        let told = decode(black_box(record), &options).pop().expect("a report").result;
        matches!(told, Ok(Report::Run(_)))
    };
    vec![
        operation("decode", TRACES, move || {
            records.iter().filter(|record| decoded(record)).count() as u64
        }),
        operation("digest", TRACES, move || {
            traces.iter().map(Run::digest).map(|run| u64::from(run.attempts)).sum()
        }),
        operation("event/write", TRACES, move || {
            to_write.iter().map(|event| event_record(event).value.len() as u64).sum()
        }),
        operation("event/read", TRACES, move || {
            written.iter().filter(|record| read_event(record).is_ok()).count() as u64
        }),
        operation("aggregate", TRACES, move || {
            let mut agent = adopted(&policy);
            to_apply.iter().map(|event| agent.apply(event, &policy).len() as u64).sum()
        }),
    ]
}

/// An agent that has taken all of `runs`: to pieces, and together again.
fn state(runs: Vec<Run>) -> Vec<Operation> {
    const TIMES: u64 = 100;
    let policy = Policy::default();
    let mut agent = adopted(&policy);
    for run in runs {
        agent.apply(&run_event(run), &policy);
    }
    let fresh = agent.clone();
    let records: Vec<Record> = state_records(&mut agent).into_iter().map(read_back).collect();
    vec![
        operation("state/write", TIMES, move || {
            let pieces = |_| state_records(&mut fresh.clone()).len() as u64;
            (0..TIMES).map(pieces).sum()
        }),
        operation("state/read", TIMES, move || {
            (0..TIMES).map(|_| u64::from(assembled(&records).is_some())).sum()
        }),
    ]
}

fn assembled(records: &[Record]) -> Option<Agent> {
    let mut pieces = Pieces::default();
    for record in records {
        let key = std::str::from_utf8(&record.key).ok()?;
        let piece: Piece = key.strip_prefix(name().as_str())?.parse().ok()?;
        let body = record.value.get(1..)?;
        pieces.read(piece, &mut rmp_serde::Deserializer::from_read_ref(body)).ok()?;
    }
    Agent::assemble(name(), pieces).ok()
}

/// What happens to few traces, or to none.
fn decisions() -> Vec<Operation> {
    let scenarios = scenarios();
    let scenario = *scenarios.first().expect("a scenario");
    let spec = TrialSpec::default();
    let units = scenario.run(&name(), &spec, 1).units;
    let (parent, mut candidate) = (content(), content());
    if let Some(text) = candidate.prompts.get_mut("system") {
        text.push_str("\n## Learned guidance\n- [w1] Use `get_traces` where it can help.\n");
    }
    let (rules, prompt) = (GuardRules::default(), parent.prompts["system"].clone());
    vec![
        // A whole trial in a simulated world, which takes part of it.
        operation("trial", units, move || scenario.run(&name(), &spec, 1).units),
        operation("guard/check", 1, move || {
            let found = check(&parent, black_box(&candidate), &rules, "system", &[].into());
            u64::from(found.is_ok())
        }),
        operation("guard/placeholders", 1, move || {
            black_box(Placeholders::of(black_box(&prompt)));
            1
        }),
    ]
}
