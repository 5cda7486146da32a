//! Which format an input is in, and its pieces to that format's decoder.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{Reason, Reject, Trace, chat, limits, native, stratus_record, stratus_trajectory};
use crate::base::{AgentName, EventTime};

/// An input format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own JSON record.
    Native,
    /// The original meta-agent's trace record.
    StratusRecord,
    /// A Stratus trajectory file.
    StratusTrajectory,
    /// Runs of tau-bench.
    TauBench,
    /// A file of tau2-bench, or one of its simulations.
    Tau2Bench,
}

impl Format {
    const ALL: [Self; 5] = [
        Self::Native,
        Self::StratusRecord,
        Self::StratusTrajectory,
        Self::TauBench,
        Self::Tau2Bench,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::StratusRecord => "stratus-record",
            Self::StratusTrajectory => "stratus-trajectory",
            Self::TauBench => "tau-bench",
            Self::Tau2Bench => "tau2-bench",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|format| format.name()).collect();
            format!("{text:?} is no format: use one of {}", names.join(", "))
        })
    }
}

/// What the decoder is told besides the bytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The format; detected if not given.
    pub format: Option<Format>,
    /// The agent of records that name none.
    pub agent: Option<AgentName>,
    /// When the bytes arrived.
    pub arrived: EventTime,
    /// The largest input that is read, in bytes.
    pub max_record_bytes: usize,
}

impl Options {
    /// Detected format, no agent, the usual bound.
    pub fn arrived(arrived: EventTime) -> Self {
        let max_record_bytes = limits::MAX_RECORD_BYTES;
        Self { format: None, agent: None, arrived, max_record_bytes }
    }
}

/// One run of an input, or the reason why not.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The line it stands on, counted from 1; in a JSON array the item, counted from 1.
    pub line: u64,
    /// The run.
    pub result: Result<Trace, Reject>,
}

/// Every run in `input`, which is one JSON object, an array of them, JSON lines, or a file of one of
/// the known formats. What is wrong with one run costs that run alone.
pub fn decode(input: &[u8], options: &Options) -> Vec<Decoded> {
    let refuse =
        |reason, detail: &str| vec![Decoded { line: 1, result: Err(Reject::new(reason, detail)) }];
    if input.len() > options.max_record_bytes {
        let (bytes, max) = (input.len(), options.max_record_bytes);
        return refuse(Reason::RecordTooLarge, &format!("{bytes} bytes, at most {max} are read"));
    }
    let trimmed = input.trim_ascii();
    let whole = std::str::from_utf8(trimmed);
    match (whole, trimmed.first()) {
        (_, None) => refuse(Reason::MalformedJson, "the record is empty"),
        (Ok(text), Some(b'[')) => match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(items) => (1..)
                .zip(items)
                .flat_map(|(line, item)| {
                    let decoded = item_of(item.get(), options);
                    decoded.into_iter().map(move |decoded| Decoded { line, ..decoded })
                })
                .collect(),
            Err(problem) => refuse(Reason::MalformedJson, &problem.to_string()),
        },
        (Ok(text), _) if is_trajectory(text, options) => stratus_trajectory::decode(text, options),
        (Ok(text), _) if serde_json::from_str::<&RawValue>(text).is_ok() => item_of(text, options),
        (Err(_), _) if !input.contains(&b'\n') => {
            refuse(Reason::InvalidUtf8, "the record is not UTF-8")
        }
        _ => lines(input, options),
    }
}

fn lines(input: &[u8], options: &Options) -> Vec<Decoded> {
    let numbered = (1..).zip(input.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii));
    numbered
        .filter(|(_, line)| !line.is_empty())
        .flat_map(|(line, bytes)| {
            let decoded = match std::str::from_utf8(bytes) {
                Ok(text) => item_of(text, options),
                Err(problem) => {
                    let result = Err(Reject::new(Reason::InvalidUtf8, problem));
                    vec![Decoded { line, result }]
                }
            };
            decoded.into_iter().map(move |decoded| Decoded { line, ..decoded })
        })
        .collect()
}

fn is_trajectory(text: &str, options: &Options) -> bool {
    match options.format {
        Some(format) => format == Format::StratusTrajectory,
        None => text.lines().next().is_some_and(stratus_trajectory::is_line),
    }
}

/// One JSON value: a run, or a tau2-bench file of many.
fn item_of(text: &str, options: &Options) -> Vec<Decoded> {
    let format = match options.format.map_or_else(|| detect(text), Ok) {
        Ok(format) => format,
        Err(reject) => return vec![Decoded { line: 1, result: Err(reject) }],
    };
    let result = match format {
        Format::Native => native::decode(text, options),
        Format::StratusRecord => stratus_record::decode(text, options),
        Format::StratusTrajectory => return stratus_trajectory::decode(text, options),
        Format::TauBench => chat::decode_tau(text, options),
        Format::Tau2Bench if probe(text).is_ok_and(|probe| probe.simulations.is_none()) => {
            chat::simulation(text, None, options)
        }
        Format::Tau2Bench => return chat::decode_tau2(text, options),
    };
    vec![Decoded { line: 1, result }]
}

/// The keys by which formats are told apart.
#[derive(Deserialize)]
struct Probe {
    agent: Option<IgnoredAny>,
    trace_id: Option<IgnoredAny>,
    agent_type: Option<IgnoredAny>,
    traj: Option<IgnoredAny>,
    simulations: Option<IgnoredAny>,
    reward_info: Option<IgnoredAny>,
    messages: Option<IgnoredAny>,
}

fn probe(text: &str) -> Result<Probe, Reject> {
    serde_json::from_str(text).map_err(|problem| match problem.classify() {
        serde_json::error::Category::Data => {
            Reject::new(Reason::UnknownFormat, format!("not one JSON object: {problem}"))
        }
        _ => Reject::new(Reason::MalformedJson, problem),
    })
}

fn detect(text: &str) -> Result<Format, Reject> {
    let probe = probe(text)?;
    if probe.agent_type.is_some() {
        Ok(Format::StratusRecord)
    } else if probe.simulations.is_some()
        || (probe.messages.is_some() && probe.reward_info.is_some())
    {
        Ok(Format::Tau2Bench)
    } else if probe.traj.is_some() {
        Ok(Format::TauBench)
    } else if probe.agent.is_some() || probe.trace_id.is_some() {
        Ok(Format::Native)
    } else {
        let detail = "no known format: see configs/trace.schema.json for our own";
        Err(Reject::new(Reason::UnknownFormat, detail))
    }
}

/// `text` as a `T`; a refusal names the field that does not fit.
pub(super) fn typed<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Reject> {
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|problem| {
        let path = problem.path().to_string();
        let inner = problem.into_inner();
        match inner.classify() {
            serde_json::error::Category::Data => {
                Reject::new(Reason::InvalidField, format!("{path}: {inner}"))
            }
            _ => Reject::new(Reason::MalformedJson, inner),
        }
    })?;
    json.end().map_err(|problem| Reject::new(Reason::MalformedJson, problem))?;
    Ok(value)
}
