//! See `decoding`.
#![no_main]

mod decoding;

use libfuzzer_sys::fuzz_target;
use whetstone::decode::Format;

fuzz_target!(|input: &[u8]| decoding::check(input, Some(Format::Native)));
