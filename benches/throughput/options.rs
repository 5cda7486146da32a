//! What can be chosen on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::contenders::Kind;
use crate::load::Shape;

/// Throughput side by side: each contender reads the same traces from one real broker, in turn.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Traces of about 1 KB in a load; of those of about 8 KB it has a quarter.
    #[arg(long, default_value_t = 2_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    pub(crate) traces: u64,
    /// Agents in a load, one load for each number.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 50_000],
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) agents: Vec<u32>,
    /// Size of a trace, one load for each.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Shape::Small, Shape::Large])]
    pub(crate) shapes: Vec<Shape>,
    /// Who is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Kind::ALL)]
    pub(crate) contenders: Vec<Kind>,
    /// Rounds; in each, every contender has its turn.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Instances of Whetstone that share the work.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=12))]
    pub(crate) instances: u32,
    /// How often the others commit, in milliseconds. Whetstone has a pace of its own.
    #[arg(long, default_value_t = 100)]
    pub(crate) commit_ms: u32,
    /// Where Kafka Streams keeps its windows.
    #[arg(long, value_enum, default_value_t = Store::Memory)]
    pub(crate) store: Store,
    /// Threads of Kafka Streams and workers of Bytewax.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: u32,
    /// Cores of the broker, as taskset lists them.
    #[arg(long, default_value = "0")]
    pub(crate) broker_cpus: String,
    /// Cores of the contender.
    #[arg(long, default_value = "1")]
    pub(crate) contender_cpus: String,
    /// Let the system place broker and contender.
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// When a contender that is not done is given up.
    #[arg(long, default_value_t = 900, value_name = "SECONDS")]
    pub(crate) limit: u64,
    /// Seeds the traces.
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// The binary to measure; one built without the tests' failpoints is a little quicker.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_whetstone"))]
    pub(crate) whetstone: PathBuf,
    /// JSON instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// `cargo bench` says so to every bench.
    #[arg(long, hide = true)]
    bench: bool,
    /// What this binary is started as by itself.
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    /// Counts the records of a topic and their bytes, and does nothing else.
    #[command(hide = true)]
    Count { brokers: String, topic: String, group: String, records: u64 },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Store {
    Memory,
    Rocksdb,
}

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Rocksdb => "rocksdb",
        }
    }
}

impl Options {
    pub(crate) fn traces(&self, shape: Shape) -> u64 {
        match shape {
            Shape::Small => self.traces,
            Shape::Large => self.traces / 4,
        }
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.limit)
    }

    pub(crate) fn broker_cpus(&self) -> Option<&str> {
        (!self.no_pin).then_some(self.broker_cpus.as_str())
    }

    pub(crate) fn contender_cpus(&self) -> Option<&str> {
        (!self.no_pin).then_some(self.contender_cpus.as_str())
    }
}
