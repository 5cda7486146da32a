//! Integration tests, in one binary so that the crate is linked once.
#![cfg(test)]

mod agent;
mod decode;
mod decode_hostile;
mod decode_trajectory;
mod fold;
mod log_conformance;
mod log_embedded;
mod log_killed;
mod log_model;
mod patterns;
mod patterns_offer;
mod publish;
mod real_data;
mod runs;
mod tidy;
