//! What must hold of any bytes in any format: no panic, a run is within its bounds, what was read is
//! read the same when it is written as our own record.

use whetstone::base::EventTime;
use whetstone::decode::{Format, Options, Run, decode};

pub(crate) fn check(input: &[u8], format: Option<Format>) {
    let arrived = EventTime::from_millis(1_780_000_000_000);
    let agent = "fuzzed".parse().ok();
    let options = Options { format, agent, ..Options::arrived(arrived) };
    for decoded in decode(input, &options) {
        let Ok(trace) = decoded.result else { continue };
        let run = serde_json::to_vec(&Run::digest(&trace)).expect("a run serializes");
        assert!(run.len() < 64 * 1024, "a run of {} bytes", run.len());
        let written = serde_json::to_vec(&trace).expect("a trace serializes");
        let native = Options { format: Some(Format::Native), ..options.clone() };
        let again = decode(&written, &native).remove(0).result;
        assert_eq!(again.as_ref(), Ok(&trace), "what we write we read");
    }
}
