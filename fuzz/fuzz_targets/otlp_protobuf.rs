#![no_main]

use libfuzzer_sys::fuzz_target;
use whetstone::decode::otlp::Encoding;

mod assembling;

fuzz_target!(|input: &[u8]| assembling::check(input, Encoding::Protobuf));
