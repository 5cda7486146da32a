//! OpenTelemetry's spans and log records: bytes in, what is kept of them out, by trace.
//!
//! Knows what attributes mean, and nothing of how spans become runs: that is [`super::assembly`]'s. What is
//! wrong with one span costs that one alone.

mod attributes;
mod conventions;
mod evaluation;
mod ids;
mod parts;
mod prompts;
mod rules;
mod span;
mod weight;
mod wire;

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as proto;
use serde::{Deserialize, Serialize};

use self::attributes::Attributes;
pub(in crate::decode) use self::conventions::agent_name;
pub use self::evaluation::Evaluation;
pub use self::ids::{InvalidId, SpanId, TraceId};
pub use self::parts::MAX_BATCH_BYTES;
pub(in crate::decode) use self::parts::rows;
pub use self::prompts::PromptLink;
pub use self::rules::Rules;
pub use self::span::{AgentFacts, LlmFacts, Role, Span, Status, ToolFacts, Usage};
pub use self::wire::Encoding;
use super::limits::MAX_REJECTS;
use super::text::{MAX_ERROR_BYTES, clean, cut};
use super::{Outcome, Reason, Reject};

/// What one record or request holds of one trace, or a part of that. Its serde form travels on `trace-spans`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The trace.
    pub trace: TraceId,
    /// Spans of it, as they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
    /// Evaluations that came by themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evaluations: Vec<Evaluation>,
}

/// What a record or a request turned out to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    /// Its traces, in order of their ids; a large one in several parts.
    pub batches: Vec<Batch>,
    /// Spans or log records that are kept.
    pub kept: usize,
    /// Log records that say nothing of a run: most do not.
    pub ignored: usize,
    /// Spans or log records that are refused.
    pub refused: usize,
    /// Why: the first [`MAX_REJECTS`] of them.
    pub rejects: Vec<Reject>,
}

/// Reads a message of spans.
///
/// # Errors
/// If it is no such message. Spans that make no sense are refused one by one.
pub fn spans(input: &[u8], encoding: Encoding, rules: &Rules) -> Result<Received, Reject> {
    let request: ExportTraceServiceRequest = wire::read(input, encoding)?;
    Ok(spans_of(request, rules))
}

/// What is kept of a message of spans.
pub fn spans_of(request: ExportTraceServiceRequest, rules: &Rules) -> Received {
    let mut gathered = Gathered::default();
    for resource_spans in request.resource_spans {
        let service = service(resource_spans.resource.as_ref());
        for span in resource_spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            gathered
                .add(kept(&span, service.as_deref(), rules), |batch, span| batch.spans.push(span));
        }
    }
    gathered.finish()
}

/// Reads a message of log records, of which evaluations are kept.
///
/// # Errors
/// If it is no such message. Evaluations that belong to no trace are refused one by one.
pub fn logs(input: &[u8], encoding: Encoding, rules: &Rules) -> Result<Received, Reject> {
    let request: ExportLogsServiceRequest = wire::read(input, encoding)?;
    Ok(logs_of(request, rules))
}

/// What is kept of a message of log records.
pub fn logs_of(request: ExportLogsServiceRequest, rules: &Rules) -> Received {
    let mut gathered = Gathered::default();
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    for record in scopes.flat_map(|scope| scope.log_records) {
        match said(&record, rules) {
            None => gathered.received.ignored += 1,
            Some(evaluation) => {
                gathered.add(evaluation, |batch, evaluation| batch.evaluations.push(evaluation));
            }
        }
    }
    gathered.finish()
}

#[derive(Default)]
struct Gathered {
    batches: BTreeMap<TraceId, Batch>,
    received: Received,
}

impl Gathered {
    fn add<T>(&mut self, read: Result<(TraceId, T), Reject>, push: impl FnOnce(&mut Batch, T)) {
        match read {
            Ok((trace, item)) => {
                let new = || Batch { trace, spans: Vec::new(), evaluations: Vec::new() };
                push(self.batches.entry(trace).or_insert_with(new), item);
                self.received.kept += 1;
            }
            Err(reject) => {
                self.received.refused += 1;
                if self.received.rejects.len() < MAX_REJECTS {
                    self.received.rejects.push(reject);
                }
            }
        }
    }

    fn finish(self) -> Received {
        Received { batches: self.batches.into_values().flat_map(parts).collect(), ..self.received }
    }
}

fn parts(batch: Batch) -> impl Iterator<Item = Batch> {
    let Batch { trace, spans, evaluations } = batch;
    let spans = rows(spans, Span::weight).into_iter();
    let spans = spans.map(move |spans| Batch { trace, spans, evaluations: Vec::new() });
    let evaluations = rows(evaluations, Evaluation::weight).into_iter();
    spans.chain(evaluations.map(move |evaluations| Batch { trace, spans: Vec::new(), evaluations }))
}

fn service(resource: Option<&Resource>) -> Option<String> {
    let name = Attributes::new(&resource?.attributes).text(&["service.name"])?;
    // What SDKs say where nobody gave them a name.
    Some(name).filter(|name| !name.starts_with("unknown_service"))
}

fn trace_id(bytes: &[u8]) -> Result<TraceId, Reject> {
    TraceId::from_bytes(bytes).ok_or_else(|| {
        let detail =
            format!("a trace id has 16 bytes, not all of them 0; this one has {}", bytes.len());
        Reject::new(Reason::InvalidTraceId, detail)
    })
}

fn span_id(bytes: &[u8]) -> Result<SpanId, Reject> {
    SpanId::from_bytes(bytes).ok_or_else(|| {
        let detail =
            format!("a span id has 8 bytes, not all of them 0; this one has {}", bytes.len());
        Reject::new(Reason::InvalidSpan, detail)
    })
}

/// What is kept of `span`.
fn kept(
    span: &proto::Span,
    service: Option<&str>,
    rules: &Rules,
) -> Result<(TraceId, Span), Reject> {
    let trace = trace_id(&span.trace_id)?;
    let id = span_id(&span.span_id)?;
    let parent = match span.parent_span_id.as_slice() {
        [] => None,
        bytes if bytes.iter().all(|byte| *byte == 0) => None,
        bytes => Some(span_id(bytes)?),
    };
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    if end < start {
        let detail = format!("span {id} ends {} ns before it starts", start - end);
        return Err(Reject::new(Reason::EndBeforeStart, detail));
    }
    let attributes = Attributes::new(&span.attributes);
    let role = conventions::role(&span.name, attributes, service);
    let mut evaluations = evaluation::of_span(attributes, id, rules);
    let events = span.events.iter().filter(|event| event.name == evaluation::EVENT);
    evaluations.extend(events.filter_map(|event| {
        evaluation::of_event(Attributes::new(&event.attributes), Some(id), rules)
    }));
    evaluations.truncate(evaluation::MAX);
    let kept = Span {
        id,
        parent,
        start,
        end,
        status: status(span),
        error: error(span),
        session: conventions::session(attributes),
        prompts: prompts::links(attributes),
        outcome: stated(attributes, rules),
        evaluations,
        role,
    };
    Ok((trace, kept))
}

fn status(span: &proto::Span) -> Status {
    match span.status.as_ref().map(|status| status.code) {
        Some(1) => Status::Ok,
        Some(2) => Status::Error,
        _ => Status::Unset,
    }
}

/// `error.type`, or the type of an exception, and what is said of it.
fn error(span: &proto::Span) -> Option<String> {
    let attributes = Attributes::new(&span.attributes);
    let exception = span.events.iter().rev().find(|event| event.name == "exception");
    let exception = exception.map(|event| Attributes::new(&event.attributes));
    let of_exception = |name: &str| exception.and_then(|attributes| attributes.text(&[name]));
    let kind = attributes.text(&["error.type", "exception.type"]);
    let failed = status(span) == Status::Error;
    if kind.is_none() && !failed {
        return None;
    }
    let kind = kind.or_else(|| of_exception("exception.type"));
    let stated = span.status.as_ref().map(|status| status.message.clone());
    let message = stated
        .filter(|message| !message.trim().is_empty())
        .or_else(|| attributes.text(&["exception.message"]))
        .or_else(|| of_exception("exception.message"));
    let error = match (kind, message) {
        // SDKs put the type before the message themselves.
        (Some(kind), Some(message)) if message.starts_with(&kind) => message,
        (Some(kind), Some(message)) => format!("{kind}: {message}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => return None,
    };
    Some(cut(&error, MAX_ERROR_BYTES).to_owned())
}

/// What an attribute that the operator named says of the run.
fn stated(attributes: Attributes<'_>, rules: &Rules) -> Option<Outcome> {
    rules.outcome_attributes.iter().find_map(|name| {
        let label = attributes.text(&[name]).and_then(|text| evaluation::outcome_of_label(&text));
        label.or_else(|| Some(rules.outcome_of_score(attributes.number(&[name])?)))
    })
}

/// The evaluation that a log record is; `None` if it is none. An event's name stands in a field of its own,
/// or, from older SDKs, in an attribute.
fn said(record: &LogRecord, rules: &Rules) -> Option<Result<(TraceId, Evaluation), Reject>> {
    let attributes = Attributes::new(&record.attributes);
    let named = || attributes.text(&["event.name"]);
    if record.event_name != evaluation::EVENT && named().as_deref() != Some(evaluation::EVENT) {
        return None;
    }
    let span = SpanId::from_bytes(&record.span_id);
    let evaluation = evaluation::of_event(attributes, span, rules)?;
    if record.trace_id.is_empty() {
        let name = clean(&evaluation.name);
        let detail = format!(
            "evaluation {name:?} belongs to no trace: emit it within the context of the span that it is about"
        );
        return Some(Err(Reject::new(Reason::NoTrace, detail)));
    }
    Some(trace_id(&record.trace_id).map(|trace| (trace, evaluation)))
}
