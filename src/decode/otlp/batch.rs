//! What a message holds of one trace, and how it is written.

use serde::{Deserialize, Serialize};

use super::{Evaluation, Span, TraceId};

/// What one record or request holds of one trace. Its serde form travels on `trace-spans`.
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

/// The same, of some of them.
#[derive(Serialize)]
struct Part<'a> {
    trace: TraceId,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    spans: &'a [Span],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    evaluations: &'a [Evaluation],
}

impl Batch {
    /// The most bytes of a record, in the form of [`Batch::written`]: topics that operators made themselves
    /// take no more than a megabyte.
    pub const RECORD_BYTES: usize = 512 * 1024;

    /// As JSON: in one piece, or, where that is more than `most` bytes, in as many as it takes, each a batch
    /// of its own. One span or evaluation alone may be larger; a few KB at most.
    pub fn written(&self, most: usize) -> Vec<Vec<u8>> {
        let Self { trace, spans, evaluations } = self;
        let mut pieces = Vec::new();
        Part { trace: *trace, spans, evaluations }.write(most, &mut pieces);
        pieces
    }
}

impl Part<'_> {
    #[expect(clippy::expect_used, reason = "our messages have text keys and finite numbers")]
    fn write(&self, most: usize, pieces: &mut Vec<Vec<u8>>) {
        let Self { trace, spans, evaluations } = *self;
        let items = spans.len() + evaluations.len();
        if items == 0 {
            return;
        }
        let written = serde_json::to_vec(self).expect("batches serialize");
        if written.len() <= most || items == 1 {
            pieces.push(written);
            return;
        }
        let (first, second) = spans.split_at(spans.len() / 2);
        let (before, after) = evaluations.split_at(evaluations.len().div_ceil(2));
        for (spans, evaluations) in [(first, before), (second, after)] {
            Part { trace, spans, evaluations }.write(most, pieces);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Outcome;
    use crate::decode::otlp::{LlmFacts, Role, SpanId, Status, Usage};

    fn span(id: u64) -> Span {
        let text = Some("x".repeat(500));
        Span {
            id: SpanId::from_bytes(&id.to_be_bytes()).unwrap(),
            parent: None,
            start: id,
            end: id,
            status: Status::Ok,
            error: None,
            session: None,
            prompts: Vec::new(),
            outcome: None,
            evaluations: Vec::new(),
            role: Role::Llm(LlmFacts { model: None, usage: Usage::default(), text, asked: None }),
        }
    }

    #[test]
    fn a_batch_is_written_in_as_many_pieces_as_it_takes_and_nothing_is_lost() {
        let trace = TraceId::from_bytes(&[1; 16]).unwrap();
        let evaluation = |index: usize| Evaluation {
            span: None,
            name: format!("evaluation {index}"),
            outcome: Outcome::Success,
        };
        for (spans, evaluations) in [(0, 1), (1, 0), (1, 1), (7, 0), (100, 3), (3, 100)] {
            let batch = Batch {
                trace,
                spans: (1..=spans).map(span).collect(),
                evaluations: (0..evaluations).map(evaluation).collect(),
            };
            let whole = serde_json::to_vec(&batch).unwrap();
            assert_eq!(batch.written(whole.len()), std::slice::from_ref(&whole));
            for most in [1, 700, 5_000] {
                let (mut spans, mut evaluations) = (Vec::new(), Vec::new());
                for piece in batch.written(most) {
                    let read: Batch = serde_json::from_slice(&piece).unwrap();
                    let items = read.spans.len() + read.evaluations.len();
                    assert!(piece.len() <= most || items == 1, "{} bytes", piece.len());
                    assert_eq!(read.trace, trace);
                    spans.extend(read.spans);
                    evaluations.extend(read.evaluations);
                }
                assert_eq!((spans, evaluations), (batch.spans.clone(), batch.evaluations.clone()));
            }
        }
    }
}
