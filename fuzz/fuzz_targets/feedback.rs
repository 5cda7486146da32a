//! What must hold of any bytes taken for feedback: no panic, and what we write we read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whetstone::base::EventTime;
use whetstone::decode::{Options, decode_feedback};

fuzz_target!(|input: &[u8]| {
    let agent = "fuzzed".parse().ok();
    let options = Options { agent, ..Options::arrived(EventTime::from_millis(0)) };
    for decoded in decode_feedback(input, &options) {
        let Ok(feedback) = decoded.result else { continue };
        let written = serde_json::to_vec(&feedback).expect("feedback serializes");
        assert!(written.len() < 4 * 1024, "{feedback:?}");
        assert_eq!(decode_feedback(&written, &options).remove(0).result, Ok(feedback));
    }
});
