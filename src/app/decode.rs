//! The decode role: records of any input format become agent events, or dead letters.

use super::codec;
use super::otlp::{self, Items, Read};
use super::role::{Context, RoleError, STEP_RECORDS};
use crate::base::{EventTime, Metrics};
use crate::consume::{LogError, NewRecord, Polled, Record, Subscription, Topic};
use crate::decode::otlp::Rules;
use crate::decode::{
    Announcement, Feedback, Options, Outcome, Reason, Reject, Report, Run, decode, decode_feedback,
};
use crate::govern::{Command, Event, EventBody, Label, Started};

/// Where producers place traces by agent, the last is the aggregate role's.
const INPUTS: [Topic; 5] = [
    Topic::AgentFeedback,
    Topic::PromptCommands,
    Topic::OtlpSpans,
    Topic::OtlpLogs,
    Topic::AgentTraces,
];

/// Bytes of a record that its dead letter holds: at first all, and less each time that the log did not
/// take it so.
const MOST: [usize; 3] = [usize::MAX, 512 * 1024, 16 * 1024];

pub(super) fn run(context: &Context) -> Result<(), RoleError> {
    cutting(|most| consume(context, most))
}

/// What comes in may be larger than what the log takes from us, since it was compressed better or has
/// more headers. That must stop nobody: the letter is then cut.
pub(super) fn cutting(
    mut role: impl FnMut(usize) -> Result<(), RoleError>,
) -> Result<(), RoleError> {
    let mut result = Ok(());
    for most in MOST {
        result = role(most);
        match &result {
            Err(RoleError::Log(problem @ LogError::TooLarge { .. })) => {
                tracing::warn!(%problem, "tries again with dead letters cut");
            }
            _ => break,
        }
    }
    result
}

fn consume(context: &Context, most: usize) -> Result<(), RoleError> {
    let inputs = INPUTS.split_last().map_or(&INPUTS[..0], |(_, rest)| rest);
    let (topics, after) = if context.config.keyed_traces {
        (inputs, None)
    } else {
        (INPUTS.as_slice(), Some((Topic::AgentTraces, "aggregate")))
    };
    let subscription = Subscription { group: "decode", topics, after, ..Subscription::default() };
    let mut consumer = context.join_as("decode", &subscription)?;
    while let Some(polled) = consumer.next(STEP_RECORDS)? {
        // It keeps nothing from one record to the next, so it does not matter whose they are.
        let Polled::Records(records) = polled else { continue };
        let mut made = Made::default();
        records.iter().for_each(|record| step(record, most, &context.config.otel.rules, &mut made));
        consumer.commit(made.outputs)?;
        // Only now: a step that came to nothing is made again, and would be counted twice.
        made.kinds.iter().for_each(|kind| kind.count(&context.metrics));
    }
    Ok(())
}

/// What was made of a step's records.
#[derive(Default)]
struct Made {
    outputs: Vec<NewRecord>,
    kinds: Vec<Kind>,
}

/// What was made of a record, for those who count.
pub(super) enum Kind {
    Items(Items),
    Run(Outcome),
    Started,
    Label,
    Order,
    Letter(Reason),
}

impl Kind {
    pub(super) fn count(&self, metrics: &Metrics) {
        match self {
            Self::Run(of) => metrics.runs.with_label_values(&[of.name()]).inc(),
            Self::Started => metrics.runs_started.inc(),
            Self::Items(items) => items.count(metrics),
            // Counted by what becomes of it.
            Self::Label | Self::Order => {}
            Self::Letter(why) => metrics.dead_letters.with_label_values(&[why.as_str()]).inc(),
        }
    }
}

/// One record in, its events, spans and dead letters out.
fn step(record: &Record, most: usize, rules: &Rules, made: &mut Made) {
    let results = match record.topic {
        Topic::PromptCommands => vec![command(record, most)],
        Topic::AgentFeedback => feedback(record, made),
        Topic::OtlpSpans | Topic::OtlpLogs => match otlp::read(record, rules) {
            Ok(Read { outputs, items, reject }) => {
                made.outputs.extend(outputs);
                made.kinds.push(Kind::Items(items));
                reject.into_iter().map(Err).collect()
            }
            Err(reject) => vec![Err(reject)],
        },
        _ => reports(record),
    };
    for result in results {
        let (output, kind) = match result {
            Ok(event) => (codec::event(&event), kind(&event)),
            Err(reject) => refused(record, &reject, most),
        };
        made.outputs.push(output);
        made.kinds.push(kind);
    }
}

/// The dead letter of a record.
pub(super) fn refused(record: &Record, reject: &Reject, most: usize) -> (NewRecord, Kind) {
    tracing::warn!(topic = %record.topic, offset = record.offset, %reject, "dead letter");
    (dead_letter(record, reject, most), Kind::Letter(reject.reason))
}

pub(super) fn kind(event: &Event) -> Kind {
    match &event.body {
        EventBody::Run(run) => Kind::Run(run.outcome),
        EventBody::Started(_) => Kind::Started,
        EventBody::Label(_) => Kind::Label,
        EventBody::Command(_) | EventBody::Proposal(_) => Kind::Order,
    }
}

fn options(record: &Record) -> Options {
    let agent = record.header("agent").and_then(|name| name.parse().ok());
    Options { agent, ..Options::arrived(record.at) }
}

/// Feedback on an agent's run is the agent's; that on a trace goes where the trace's spans meet.
fn feedback(record: &Record, made: &mut Made) -> Vec<Result<Event, Reject>> {
    let decoded = decode_feedback(&record.value, &options(record)).into_iter();
    let mut results = Vec::new();
    for decoded in decoded {
        match decoded.result {
            Ok(Feedback { agent: Some(agent), trace_id, outcome, by }) => {
                let body = EventBody::Label(Label { trace_id, outcome, by });
                results.push(Ok(Event { agent, at: record.at, body }));
            }
            Ok(Feedback { agent: None, trace_id, outcome, by }) => match trace_id.parse() {
                Ok(trace) => made.outputs.push(otlp::said(trace, by, outcome)),
                Err(problem) => results.push(Err(Reject::new(Reason::MissingAgent, problem))),
            },
            Err(reject) => results.push(Err(reject)),
        }
    }
    results
}

/// What a record of traces tells.
pub(super) fn reports(record: &Record) -> Vec<Result<Event, Reject>> {
    let options = options(record);
    let decoded = decode(&record.value, &options).into_iter();
    decoded.map(|decoded| Ok(reported(decoded.result?, record.at))).collect()
}

fn reported(report: Report, at: EventTime) -> Event {
    let agent = report.agent().clone();
    let body = match report {
        Report::Run(trace) => EventBody::Run(Run::digest(&trace)),
        Report::Started(Announcement { trace_id, session, version, start, .. }) => {
            EventBody::Started(Started { trace_id, session, version, start })
        }
    };
    Event { agent, at, body }
}

fn command(record: &Record, most: usize) -> Result<Event, Reject> {
    if record.value.len() > most {
        return Err(Reject::new(Reason::RecordTooLarge, "the log does not take it as an event"));
    }
    let command: Command = serde_json::from_slice(&record.value)
        .map_err(|problem| Reject::new(Reason::InvalidCommand, problem))?;
    let at: EventTime = record.at;
    Ok(Event { agent: command.agent.clone(), at, body: EventBody::Command(command) })
}

/// The record as it came, with the reason and the place in its headers. Where that is more than `most`
/// bytes, as much as fits, and its size.
fn dead_letter(record: &Record, reject: &Reject, most: usize) -> NewRecord {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    let bytes = headers + record.key.len() + record.value.len();
    let mut letter = NewRecord::new(Topic::DeadLetters, record.key.clone(), record.value.clone());
    if bytes <= most {
        letter.headers.clone_from(&record.headers);
    } else {
        letter.key.truncate(most / 4);
        letter.value.truncate(most / 2);
        if headers <= most / 4 {
            letter.headers.clone_from(&record.headers);
        }
        letter = letter.with_header("whetstone-cut-from-bytes", bytes.to_string());
    }
    letter
        .with_header("whetstone-reason", reject.reason.to_string())
        .with_header("whetstone-detail", reject.detail.clone())
        .with_header("whetstone-topic", record.topic.to_string())
        .with_header("whetstone-partition", record.partition.to_string())
        .with_header("whetstone-offset", record.offset.to_string())
}
