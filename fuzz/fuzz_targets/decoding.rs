//! What must hold of any bytes in any format: no panic, a run and its announcement are within their bounds, what was read is
//! read the same when it is written as our own record.

use whetstone::base::EventTime;
use whetstone::decode::{Format, Options, Report, Run, decode};

pub(crate) fn check(input: &[u8], format: Option<Format>) {
    let arrived = EventTime::from_millis(1_780_000_000_000);
    let agent = "fuzzed".parse().ok();
    let options = Options { format, agent, ..Options::arrived(arrived) };
    for decoded in decode(input, &options) {
        let Ok(report) = decoded.result else { continue };
        let kept = match &report {
            Report::Run(trace) => serde_json::to_vec(&Run::digest(trace)),
            Report::Started(announcement) => serde_json::to_vec(announcement),
        };
        let kept = kept.expect("what is kept serializes");
        assert!(kept.len() < 64 * 1024, "{} bytes of {report:?}", kept.len());
        let written = serde_json::to_vec(&report).expect("a report serializes");
        let native = Options { format: Some(Format::Native), ..options.clone() };
        let again = decode(&written, &native).remove(0).result;
        assert_eq!(again.as_ref(), Ok(&report), "what we write we read");
    }
}
