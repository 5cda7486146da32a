//! The second half of the decode role: spans, which decode places by trace, become agent events.
//!
//! A trace lives where its partition of `trace-spans` is, and comes with it from the log's table. What time
//! it is in a partition, its own records say, so that a backlog is worked through as if it came in at its
//! time; only where nothing more is to come, the clock goes on by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::codec;
use super::role::{Context, Member, RoleError};
use crate::base::{EventTime, Metrics};
use crate::consume::{NewRecord, Partition, Polled, Record, Share, Topic};
use crate::decode::Run;
use crate::decode::assembly::{Assembled, Assembly, GivenUp, Tally, Verdict};
use crate::decode::otlp::Batch;
use crate::govern::{Event, EventBody, Label};

const BATCH: usize = 512;
/// How soon it is noticed that a run's grace period is over.
const POLL: Duration = Duration::from_millis(200);
/// How often it is asked whether a silent partition has more to come.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks in a row must find the same number of records ahead: where there are transactions, that
/// many are their markers.
const STILL: u32 = 3;

pub(super) fn run(context: &Context) -> Result<(), RoleError> {
    let mut consumer = context.join("assemble", &[Topic::TraceSpans])?;
    let mut owned: BTreeMap<i32, Owned> = BTreeMap::new();
    let mut looked = Instant::now();
    while !context.stop.is_cancelled() {
        match consumer.poll(BATCH, POLL)? {
            Polled::Assigned(partitions) => {
                context.restoring("assemble", || take_over(&mut owned, &partitions, context))?;
            }
            Polled::Revoked(partitions) => {
                for partition in partitions {
                    owned.remove(&partition.number);
                }
            }
            Polled::Records(records) => take(&mut owned, &records, context)?,
        }
        if looked.elapsed() > LOOK {
            looked = Instant::now();
            look(&mut owned, &mut consumer, context)?;
        }
        step(&mut owned, &mut consumer, context)?;
    }
    Ok(())
}

/// A partition's traces, and what time it is there.
struct Owned {
    assembly: Assembly,
    now: EventTime,
    /// Whether a record came since the last look, and how many looks found so many ahead.
    heard: bool,
    ahead: u64,
    looks: u32,
}

fn take_over(
    owned: &mut BTreeMap<i32, Owned>,
    partitions: &[Partition],
    context: &Context,
) -> Result<(), RoleError> {
    let numbers: Vec<_> = partitions.iter().map(|partition| partition.number).collect();
    for number in &numbers {
        let assembly = Assembly::new(context.config.otel.rules.clone());
        let now = EventTime::from_millis(0);
        owned.insert(*number, Owned { assembly, now, heard: true, ahead: 0, looks: 0 });
    }
    for record in context.log.table(Topic::TraceState, Share::Of(&numbers))? {
        let (key, piece) = codec::trace_piece(&record)?;
        if let Some(owned) = owned.get_mut(&record.partition) {
            owned.assembly.restore(key, piece);
        }
    }
    Ok(())
}

fn take(
    owned: &mut BTreeMap<i32, Owned>,
    records: &[Record],
    context: &Context,
) -> Result<(), RoleError> {
    let most = room(owned, context);
    for record in records {
        let Some(owned) = owned.get_mut(&record.partition) else { continue };
        let batch: Batch = codec::from_json(record)?;
        owned.heard = true;
        owned.now = owned.now.max(record.at);
        owned.assembly.advance(owned.now, most);
        owned.assembly.take(batch, owned.now);
        owned.assembly.advance(owned.now, most);
    }
    Ok(())
}

/// Lets the clock go on where nothing more is to come.
fn look(
    owned: &mut BTreeMap<i32, Owned>,
    consumer: &mut Member,
    context: &Context,
) -> Result<(), RoleError> {
    let most = room(owned, context);
    let lag: BTreeMap<_, _> =
        consumer.lag()?.into_iter().map(|(partition, ahead)| (partition.number, ahead)).collect();
    for (number, owned) in owned {
        let ahead = lag.get(number).copied().unwrap_or_default();
        let still = !owned.heard && ahead == owned.ahead;
        owned.looks = if still { owned.looks.saturating_add(1) } else { 0 };
        (owned.heard, owned.ahead) = (false, ahead);
        if owned.looks >= STILL || (ahead == 0 && owned.looks > 0) {
            owned.now = owned.now.max(context.clock.now());
            owned.assembly.advance(owned.now, most);
        }
    }
    Ok(())
}

/// How many bytes of spans a partition may hold.
fn room(owned: &BTreeMap<i32, Owned>, context: &Context) -> usize {
    context.config.otel.max_bytes / owned.len().max(1)
}

/// Commits what was made, and what changed.
fn step(
    owned: &mut BTreeMap<i32, Owned>,
    consumer: &mut Member,
    context: &Context,
) -> Result<(), RoleError> {
    let (mut outputs, mut counts) = (Vec::new(), Counts::default());
    for owned in owned.values_mut() {
        let (made, tally) = owned.assembly.take_made();
        counts.spans(tally);
        outputs.extend(made.iter().map(|made| output(made, owned.now, &mut counts)));
        outputs.extend(owned.assembly.take_changes().iter().map(codec::trace_change));
    }
    let held: (usize, usize) = owned.values().fold((0, 0), |(traces, bytes), owned| {
        (traces + owned.assembly.len(), bytes + owned.assembly.weight())
    });
    if consumer.has_taken() || !outputs.is_empty() {
        consumer.commit(outputs)?;
    }
    // Once a step: a flood must not become one of the log.
    if let Some(example) = &counts.example {
        let spans = counts.given_up;
        tracing::warn!(spans, traces = counts.reasons.len(), %example, "spans given up");
    }
    // Only now: a step that came to nothing is made again, and would be counted twice.
    counts.show(&context.metrics);
    let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    context.metrics.traces_held.set(gauge(held.0));
    context.metrics.held_trace_bytes.set(gauge(held.1));
    Ok(())
}

fn output(made: &Assembled, now: EventTime, counts: &mut Counts) -> NewRecord {
    match made {
        Assembled::Run(trace) => {
            counts.runs.push(trace.outcome);
            let agent = trace.agent.clone();
            let run = Run::digest(trace);
            codec::event(&Event { agent, at: now, body: EventBody::Run(run) })
        }
        Assembled::Verdict(Verdict { agent, trace_id, outcome, by }) => {
            let (trace_id, outcome, by) = (trace_id.clone(), *outcome, by.clone());
            let body = EventBody::Label(Label { trace_id, outcome, by });
            codec::event(&Event { agent: agent.clone(), at: now, body })
        }
        Assembled::GivenUp(given_up) => {
            counts.given_up(given_up);
            letter(given_up)
        }
    }
}

/// Spans that make no run are gone by now. What is told is which trace they were of.
fn letter(GivenUp { trace, reject, spans }: &GivenUp) -> NewRecord {
    let value = serde_json::json!({ "trace": trace, "spans": spans });
    codec::json(Topic::DeadLetters, trace.to_string(), &value)
        .with_header("whetstone-reason", reject.reason.to_string())
        .with_header("whetstone-detail", reject.detail.clone())
        .with_header("whetstone-topic", Topic::TraceSpans.to_string())
}

/// What a step did, for those who count.
#[derive(Default)]
struct Counts {
    runs: Vec<crate::decode::Outcome>,
    reasons: Vec<&'static str>,
    duplicate: u64,
    unclaimed: u64,
    given_up: u64,
    example: Option<String>,
}

impl Counts {
    fn spans(&mut self, tally: Tally) {
        self.duplicate += tally.duplicate;
        self.unclaimed += tally.unclaimed;
    }

    fn given_up(&mut self, given_up: &GivenUp) {
        self.reasons.push(given_up.reject.reason.as_str());
        self.given_up += given_up.spans as u64;
        let example = || format!("trace {}: {}", given_up.trace, given_up.reject);
        self.example.get_or_insert_with(example);
    }

    fn show(&self, metrics: &Metrics) {
        for outcome in &self.runs {
            metrics.runs.with_label_values(&[outcome.name()]).inc();
        }
        for reason in &self.reasons {
            metrics.dead_letters.with_label_values(&[reason]).inc();
        }
        let left = [
            ("duplicate", self.duplicate),
            ("unclaimed", self.unclaimed),
            ("given_up", self.given_up),
        ];
        for (result, count) in left {
            metrics.spans_left.with_label_values(&[result]).inc_by(count);
        }
    }
}
