//! What was measured, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::contenders::Kind;
use crate::produce::Produced;
use crate::turn::Measured;

/// One contender at one load, over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    contender: &'static str,
    /// Records a second in each round.
    rounds: Vec<f64>,
    /// Their median.
    records_per_second: Option<f64>,
    megabytes_per_second: Option<f64>,
    /// Medians over the rounds, as all that follow.
    cpu_seconds_per_million: Option<f64>,
    broker_cpu_seconds_per_million: Option<f64>,
    peak_megabytes: Option<f64>,
    startup_seconds: Option<f64>,
    /// Records a second against those of the ceiling, and of Kafka Streams.
    of_ceiling: Option<f64>,
    of_streams: Option<f64>,
    /// Why there are rounds without a figure.
    problems: Vec<String>,
}

/// All contenders at one load.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    load: String,
    traces: u64,
    agents: u32,
    windows: usize,
    bytes_per_trace: f64,
    rows: Vec<Row>,
}

/// What came of a contender's turns.
pub(crate) struct Turns {
    pub(crate) kind: Kind,
    pub(crate) measured: Vec<Measured>,
    pub(crate) problems: Vec<String>,
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

fn rate(measured: &Measured) -> f64 {
    float(measured.records) / measured.seconds
}

fn row(turns: &Turns, bytes_each: f64) -> Row {
    let of = |value: fn(&Measured) -> f64| median(turns.measured.iter().map(value));
    let records_per_second = of(rate);
    Row {
        contender: turns.kind.name(),
        rounds: turns.measured.iter().map(rate).collect(),
        records_per_second,
        megabytes_per_second: records_per_second.map(|rate| rate * bytes_each / 1e6),
        cpu_seconds_per_million: of(|one| one.cpu / float(one.records) * 1e6),
        broker_cpu_seconds_per_million: of(|one| one.broker_cpu / float(one.records) * 1e6),
        peak_megabytes: of(|one| float(one.peak) / 1e6),
        startup_seconds: of(|one| one.startup),
        of_ceiling: None,
        of_streams: None,
        problems: turns.problems.clone(),
    }
}

impl Table {
    pub(crate) fn new(produced: &Produced, turns: &[Turns]) -> Self {
        let load = &produced.load;
        let bytes_per_trace = float(produced.bytes) / float(load.traces);
        let mut rows: Vec<_> = turns.iter().map(|turns| row(turns, bytes_per_trace)).collect();
        let rate_of = |kind: Kind| {
            let row = rows.iter().find(|row| row.contender == kind.name());
            row.and_then(|row| row.records_per_second)
        };
        let (ceiling, streams) = (rate_of(Kind::Ceiling), rate_of(Kind::Streams));
        for row in &mut rows {
            let against = |other: Option<f64>| Some(row.records_per_second? / other?);
            (row.of_ceiling, row.of_streams) = (against(ceiling), against(streams));
        }
        Self {
            load: load.name(),
            traces: load.traces,
            agents: load.agents,
            windows: produced.windows.len(),
            bytes_per_trace,
            rows,
        }
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let Self { traces, agents, windows, bytes_per_trace, .. } = self;
        let mut text = format!(
            "\n{traces} traces of {bytes_per_trace:.0} bytes, {agents} agents, {windows} windows\n\n\
             | contender | records/s | lowest to highest | MB/s | CPU s per million | broker's | peak MB | \
             of ceiling | of streams | first commit after s |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        );
        self.rows.iter().for_each(|row| text.push_str(&row.text()));
        let problems = self.rows.iter().flat_map(|row| {
            row.problems.iter().map(move |problem| format!("\n{}: {problem}\n", row.contender))
        });
        text.extend(problems);
        text
    }
}

impl Row {
    fn text(&self) -> String {
        let show = |value: Option<f64>, decimals: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
        };
        let lowest = self.rounds.iter().copied().min_by(f64::total_cmp);
        let highest = self.rounds.iter().copied().max_by(f64::total_cmp);
        let columns = [
            self.contender.to_owned(),
            show(self.records_per_second, 0),
            format!("{} to {}", show(lowest, 0), show(highest, 0)),
            show(self.megabytes_per_second, 1),
            show(self.cpu_seconds_per_million, 1),
            show(self.broker_cpu_seconds_per_million, 1),
            show(self.peak_megabytes, 0),
            show(self.of_ceiling, 3),
            show(self.of_streams, 2),
            show(self.startup_seconds, 1),
        ];
        let mut line = String::new();
        // Writing to a string does not fail.
        writeln!(line, "| {} |", columns.join(" | ")).unwrap_or_default();
        line
    }
}
