//! Throughput side by side: Whetstone, what does the same in Kafka Streams, Quix Streams and Bytewax, and a
//! consumer that only counts, on one real broker, in turn.
//!
//! `cargo bench --bench throughput`; benches/throughput/README.md says what is compared and how to read it.

mod answer;
mod broker;
mod cluster;
mod contenders;
mod load;
mod measure;
mod options;
mod produce;
mod progress;
mod table;
mod turn;
mod windows;

use std::io::Write as _;

use anyhow::{Result, ensure};
use clap::Parser as _;

use crate::broker::{Broker, place};
use crate::cluster::Cluster;
use crate::contenders::{Kind, Turn};
use crate::load::Load;
use crate::options::{Options, Part};
use crate::produce::{Produced, produce};
use crate::table::{Table, Turns};

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(Part::Count { brokers, topic, group, records }) = &options.part {
        return contenders::count(brokers, topic, group, *records);
    }
    let mut turns = Vec::new();
    for kind in &options.contenders {
        match kind.prepare() {
            Ok(()) => turns.push(*kind),
            Err(problem) => remark(&format!("{} is left out: {problem:#}", kind.name())),
        }
    }
    let broker = Broker::start(options.broker_cpus())?;
    let cluster = Cluster::connect(&broker.address)?;
    let (mut tables, mut failed) = (Vec::new(), 0);
    for load in loads(&options) {
        remark(&format!("{}: writing {} traces", load.name(), load.traces));
        cluster.delete_topics(None)?;
        cluster.create_topics(&load)?;
        let produced = produce(&broker.address, load)?;
        let taken = rounds(&turns, &options, (&broker, &cluster), &produced);
        failed += taken.iter().map(|turns| turns.problems.len()).sum::<usize>();
        let table = Table::new(&produced, &taken);
        if !options.json {
            writeln!(std::io::stdout(), "{}", table.text())?;
        }
        tables.push(table);
    }
    if options.json {
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&tables)?)?;
    }
    ensure!(failed == 0, "{failed} turns have no figure");
    Ok(())
}

/// How it goes, beside the results.
fn remark(text: &str) {
    writeln!(std::io::stderr(), "{text}").ok();
}

fn loads(options: &Options) -> Vec<Load> {
    // Event time ends with the hour before this one: what is older than a topic's retention may be forgotten.
    let now = jiff::Timestamp::now().as_millisecond();
    let begin = windows::start(now) - windows::COUNT * windows::LENGTH;
    let of_shape = |shape| {
        let (traces, seed) = (options.traces(shape), options.seed);
        options.agents.iter().map(move |agents| Load {
            shape,
            traces,
            agents: *agents,
            seed,
            begin,
        })
    };
    options.shapes.iter().copied().flat_map(of_shape).collect()
}

/// Everybody's turns at a load, one round after the other.
fn rounds(
    kinds: &[Kind],
    options: &Options,
    (broker, cluster): (&Broker, &Cluster),
    produced: &Produced,
) -> Vec<Turns> {
    let none = |kind: &Kind| Turns { kind: *kind, measured: Vec::new(), problems: Vec::new() };
    let mut all: Vec<_> = kinds.iter().map(none).collect();
    for round in 1..=options.rounds {
        for turns in &mut all {
            let id = format!("{}-{}-{round}", produced.load.name(), turns.kind.name());
            let dir = place().join("turns").join(&id);
            std::fs::remove_dir_all(&dir).ok();
            let brokers = &broker.address;
            let turn = Turn { options, brokers, load: &produced.load, id, dir };
            match turn::take(turns.kind, &turn, (broker, cluster), produced) {
                Ok(measured) => {
                    remark(&format!("{}: {:.1} s", turn.id, measured.seconds));
                    turns.measured.push(measured);
                }
                Err(problem) => {
                    remark(&format!("{}: {problem:#}", turn.id));
                    turns.problems.push(format!("round {round}: {problem:#}"));
                }
            }
        }
    }
    all
}
