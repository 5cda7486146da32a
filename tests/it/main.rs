//! Integration tests, in one binary so that the crate is linked once.
#![cfg(test)]

mod agent;
mod decode;
mod real_data;
mod log_conformance;
mod log_embedded;
mod log_killed;
mod log_model;
mod fold;
mod patterns;
mod patterns_offer;
mod runs;
mod publish;
mod tidy;
