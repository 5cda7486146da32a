//! The modules that are fuzzed, out of the crate beside: they are pure and need few others' crates, so that
//! no broker's client, database or git is built with sanitizers along.

#![expect(dead_code, reason = "the rest of the crate uses what is not used here")]

#[path = "../src/base/mod.rs"]
pub mod base;
#[path = "../src/decode/mod.rs"]
pub mod decode;
