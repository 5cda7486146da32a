//! What must hold of any bytes as spans or log records: no panic, what is kept is within its bounds and
//! reads back, and whatever was held is let go in the end.

use whetstone::base::EventTime;
use whetstone::decode::Run;
use whetstone::decode::assembly::{Assembled, Assembly};
use whetstone::decode::otlp::{Batch, Encoding, Received, Rules, logs, spans};

const ARRIVED: i64 = 1_780_000_000_000;

pub(crate) fn check(input: &[u8], encoding: Encoding) {
    let rules = Rules { outcome_attributes: vec!["ok".to_owned()], ..Rules::default() };
    let mut assembly = Assembly::new(rules.clone());
    for received in [spans(input, encoding, &rules), logs(input, encoding, &rules)] {
        let Ok(Received { batches, .. }) = received else { continue };
        for batch in batches {
            let written = serde_json::to_vec(&batch).expect("batches serialize");
            let read: Batch = serde_json::from_slice(&written).expect("what was written reads back");
            assert_eq!(read, batch);
            assembly.take(batch, EventTime::from_millis(ARRIVED));
        }
    }
    let mut now = ARRIVED;
    for wait in [rules.grace, rules.timeout, rules.remember] {
        now += wait;
        assembly.advance(EventTime::from_millis(now), usize::MAX);
        for made in assembly.take_made().0 {
            if let Assembled::Run(trace) = made {
                let kept = serde_json::to_vec(&Run::digest(&trace)).expect("runs serialize");
                assert!(kept.len() < 64 * 1024, "{} bytes", kept.len());
            }
        }
    }
    assert!(assembly.is_empty() && assembly.weight() == 0);
}

fn weight(batch: &Batch) -> usize {
    batch.spans.iter().map(whetstone::decode::otlp::Span::weight).sum()
}
