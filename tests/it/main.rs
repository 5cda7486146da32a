//! Integration tests, in one binary so that the crate is linked once.
#![cfg(test)]

mod agent;
mod broker;
mod cli;
mod config;
mod decode;
mod decode_hostile;
mod decode_trajectory;
mod fold;
mod http;
mod kafka_poison;
mod kafka_secure;
mod kafka_topics;
mod killed;
mod log_conformance;
mod log_embedded;
mod log_kafka;
mod log_killed;
mod log_model;
mod model_down;
mod optimize;
mod patterns;
mod patterns_offer;
mod pieces;
mod publish;
mod readme;
mod real_data;
mod recalled;
mod runs;
mod server;
mod tidy;
