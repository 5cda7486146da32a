//! See `decoding`.
#![no_main]

mod decoding;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| decoding::check(input, None));
