//! What a trace costs on its way through the pure core: `cargo bench`.
#![expect(clippy::expect_used, reason = "a bench may stop where its own data is wrong")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

use whetstone::base::{AgentName, EventTime, VersionNumber};
use whetstone::decode::{Options, Run, Trace, decode};
use whetstone::govern::{
    Agent, Command, CommandKind, Content, Event, EventBody, GuardRules, Placeholders, Policy, check,
};
use whetstone::simulate::simulated_agents;

const START: i64 = 1_770_000_000_000;

fn name() -> AgentName {
    "sim-triage".parse().expect("a name")
}

fn content() -> Content {
    let text = "Find the service that caused the alert in {app_name}.\n".repeat(60);
    Content { prompts: [("system".to_owned(), text)].into(), ..Content::default() }
}

/// Traces of a simulated agent, a minute apart.
fn traces(count: u64) -> Vec<Trace> {
    let agents = simulated_agents();
    let agent = agents.first().expect("an agent");
    let mut rng = fastrand::Rng::with_seed(1);
    let start =
        |id: u64| EventTime::from_millis(START + 60_000 * i64::try_from(id).expect("small"));
    (0..count)
        .map(|id| agent.run(id, (VersionNumber(1), &content()), start(id), &mut rng))
        .collect()
}

fn benches(criterion: &mut Criterion) {
    let traces = traces(1000);
    let record = serde_json::to_vec(traces.first().expect("a trace")).expect("it serializes");
    let options = Options::arrived(EventTime::from_millis(START + 86_400_000));
    let mut group = criterion.benchmark_group("trace");
    group.throughput(Throughput::Bytes(record.len() as u64));
    group.bench_function("decode", |b| b.iter(|| decode(black_box(&record), &options)));
    group.finish();

    let runs: Vec<Run> = traces.iter().map(Run::digest).collect();
    let mut group = criterion.benchmark_group("run");
    group.throughput(Throughput::Elements(runs.len() as u64));
    group.bench_function("digest", |b| {
        b.iter(|| traces.iter().map(Run::digest).map(|run| run.attempts).sum::<u32>());
    });
    group.bench_function("apply", |b| b.iter(|| applied(&runs)));
    group.finish();

    let (parent, mut candidate) = (content(), content());
    if let Some(text) = candidate.prompts.get_mut("system") {
        text.push_str("\n## Learned guidance\n- [w1] Use `get_traces` where it can help.\n");
    }
    let rules = GuardRules::default();
    criterion.bench_function("guard/check", |b| {
        b.iter(|| check(&parent, black_box(&candidate), &rules, "system", &[].into()));
    });
    criterion.bench_function("guard/placeholders", |b| {
        b.iter(|| Placeholders::of(black_box(&parent.prompts["system"])));
    });
}

/// An agent that has taken in `runs`.
fn applied(runs: &[Run]) -> Agent {
    let policy = Policy::default();
    let mut agent = Agent::new(name());
    let at = EventTime::from_millis(START);
    let adopt = CommandKind::Adopt { content: content(), source: "bench".to_owned() };
    let command = Command { agent: name(), by: "bench".to_owned(), kind: adopt };
    agent.apply(&Event { agent: name(), at, body: EventBody::Command(command) }, &policy);
    for run in runs {
        let body = EventBody::Run(run.clone());
        agent.apply(&Event { agent: name(), at, body }, &policy);
    }
    agent
}

criterion_group!(core, benches);
criterion_main!(core);
