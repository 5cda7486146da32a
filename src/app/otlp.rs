//! What a Collector wrote to Kafka: one record holds spans of many traces, keyed by none or one of them. Each
//! trace's go to `trace-spans`, where they meet.

use super::codec;
use crate::base::Metrics;
use crate::consume::{NewRecord, Record, Topic};
use crate::decode::otlp::{Batch, Encoding, Evaluation, Received, Rules, TraceId, logs, spans};
use crate::decode::{Outcome, Reject};

/// What a record held, for those who count.
pub(super) struct Items {
    signal: &'static str,
    kept: usize,
    refused: usize,
    ignored: usize,
}

impl Items {
    pub(super) fn count(&self, metrics: &Metrics) {
        let results = [("kept", self.kept), ("refused", self.refused), ("ignored", self.ignored)];
        for (result, count) in results {
            let items = metrics.otlp_items.with_label_values(&[self.signal, result]);
            items.inc_by(count as u64);
        }
    }
}

/// What a record of a Collector's holds.
pub(super) struct Read {
    /// Its spans, placed by trace.
    pub(super) outputs: Vec<NewRecord>,
    pub(super) items: Items,
    /// Why some of it is in none of these.
    pub(super) reject: Option<Reject>,
}

pub(super) fn read(record: &Record, rules: &Rules) -> Result<Read, Reject> {
    let encoding = Encoding::detect(&record.value);
    let (signal, received) = match record.topic {
        Topic::OtlpLogs => ("logs", logs(&record.value, encoding, rules)?),
        _ => ("traces", spans(&record.value, encoding, rules)?),
    };
    let Received { batches, kept, ignored, refused, rejects } = received;
    let outputs = batches.iter().map(placed).collect();
    // The record as it came is the dead letter, once, whatever number of its spans make no sense.
    let reject = rejects.into_iter().next().map(|first| {
        let detail = format!("{refused} refused of {}, first: {}", kept + refused, first.detail);
        Reject::new(first.reason, detail)
    });
    Ok(Read { outputs, items: Items { signal, kept, refused, ignored }, reject })
}

/// A batch as its record.
fn placed(batch: &Batch) -> NewRecord {
    codec::json(Topic::TraceSpans, batch.trace.to_string(), batch)
}

/// What somebody says of a whole trace, as the record that brings it to the trace's spans.
pub(super) fn said(trace: TraceId, by: String, outcome: Outcome) -> NewRecord {
    let evaluation = Evaluation { span: None, name: by, outcome };
    placed(&Batch { trace, spans: Vec::new(), evaluations: vec![evaluation] })
}
