//! Which format an input is in, and its pieces to that format's decoder.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::found::Found;
use super::{
    Reason, Reject, Report, chat, limits, native, stratus_record, stratus_trajectory, usual,
};
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

/// One report of an input, or what else it holds, or the reason why not.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded<R = Report> {
    /// The line it stands on, counted from 1; in a JSON array the item, in a file of tau2-bench the
    /// simulation, each counted from 1. A run of a Stratus trajectory stands where its last event does.
    pub line: u64,
    /// The report.
    pub result: Result<R, Reject>,
}

/// Every report in `input`, which is one JSON object, an array of them, JSON lines, or a file of one of
/// the known formats. What is wrong with one costs that one alone; an input of several lines none of
/// which is JSON counts as one broken record, and beyond [`limits::MAX_REJECTS`] refusals the rest is
/// counted in a last one.
pub fn decode(input: &[u8], options: &Options) -> Vec<Decoded> {
    let input = match sized(input, options) {
        Ok(input) => input,
        Err(reject) => return refusal(reject),
    };
    if options.format.is_none_or(|format| format == Format::Native)
        && let Some(report) = usual::report(input, options)
    {
        return vec![Decoded { line: 1, result: Ok(report) }];
    }
    by_format(input, options)
}

/// The same for whatever there may be.
fn by_format(input: &[u8], options: &Options) -> Vec<Decoded> {
    let whole = whole(input);
    let first_line =
        || numbered(input).find_map(|(_, line)| line.ok().filter(|line| is_json(line)));
    if is_trajectory(whole.or_else(first_line), options) {
        return stratus_trajectory::decode(input, options);
    }
    each(input, whole, |text| item(text, options))
}

/// `input` without what some editors put before it, if it is neither too large nor empty.
pub(super) fn sized<'a>(input: &'a [u8], options: &Options) -> Result<&'a [u8], Reject> {
    if input.len() > options.max_record_bytes {
        let (bytes, max) = (input.len(), options.max_record_bytes);
        let detail = format!("{bytes} bytes, at most {max} are read");
        return Err(Reject::new(Reason::RecordTooLarge, detail));
    }
    let input = input.strip_prefix(BYTE_ORDER_MARK).unwrap_or(input);
    if input.trim_ascii().is_empty() {
        return Err(Reject::new(Reason::MalformedJson, "the record is empty"));
    }
    Ok(input)
}

/// `input`, if it is one JSON value.
pub(super) fn whole(input: &[u8]) -> Option<&str> {
    std::str::from_utf8(input.trim_ascii()).ok().filter(|text| is_json(text))
}

/// What `item` makes of each value of `input`, which is `whole` or has one a line.
pub(super) fn each<R>(
    input: &[u8],
    whole: Option<&str>,
    item: impl Fn(&str) -> Vec<Decoded<R>>,
) -> Vec<Decoded<R>> {
    match whole {
        Some(text) if text.starts_with('[') => array(text, item),
        Some(text) => item(text),
        None => lines(input, item),
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

pub(super) fn refusal<R>(reject: Reject) -> Vec<Decoded<R>> {
    vec![Decoded { line: 1, result: Err(reject) }]
}

fn at<R>(line: u64, decoded: Vec<Decoded<R>>) -> impl Iterator<Item = Decoded<R>> {
    decoded.into_iter().map(move |decoded| Decoded { line, ..decoded })
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

/// The lines of `input` that are not blank, counted from 1.
pub(super) fn numbered(input: &[u8]) -> impl Iterator<Item = (u64, Result<&str, Reject>)> {
    let lines = input.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let text = |line| {
        std::str::from_utf8(line).map_err(|problem| Reject::new(Reason::InvalidUtf8, problem))
    };
    (1..).zip(lines).filter(|(_, line)| !line.is_empty()).map(move |(n, line)| (n, text(line)))
}

fn lines<R>(input: &[u8], item: impl Fn(&str) -> Vec<Decoded<R>>) -> Vec<Decoded<R>> {
    let mut found = Found::default();
    for (line, text) in numbered(input) {
        match text {
            Ok(text) => found.extend(at(line, item(text))),
            Err(reject) => found.push(Decoded { line, result: Err(reject) }),
        }
    }
    let mut decoded = found.finish();
    // One broken record written over many lines would otherwise be refused once a line. A half-written
    // array still gives the items that have a line of their own.
    let broken = |decoded: &Decoded<R>| {
        let reason = decoded.result.as_ref().err().map(|reject| reject.reason);
        matches!(reason, Some(Reason::MalformedJson | Reason::InvalidUtf8))
    };
    if decoded.first().is_some_and(broken) && decoded.iter().all(|decoded| decoded.result.is_err())
    {
        decoded.truncate(1);
    }
    decoded
}

fn array<R>(text: &str, item: impl Fn(&str) -> Vec<Decoded<R>>) -> Vec<Decoded<R>> {
    let items: Vec<&RawValue> = match typed(text) {
        Ok(items) => items,
        Err(reject) => return refusal(reject),
    };
    let mut found = Found::default();
    for (number, raw) in (1..).zip(items) {
        found.extend(at(number, item(raw.get())));
    }
    found.finish()
}

fn is_trajectory(first: Option<&str>, options: &Options) -> bool {
    match options.format {
        Some(format) => format == Format::StratusTrajectory,
        None => first.is_some_and(stratus_trajectory::is_line),
    }
}

/// One JSON value: a report, or a tau2-bench file of many.
fn item(text: &str, options: &Options) -> Vec<Decoded> {
    if options.format.is_none_or(|format| format == Format::Native)
        && let Some(report) = usual::report(text.as_bytes(), options)
    {
        return vec![Decoded { line: 1, result: Ok(report) }];
    }
    let format = object(text).and_then(|()| options.format.map_or_else(|| detect(text), Ok));
    let result = match format {
        Err(reject) => Err(reject),
        Ok(Format::Native) => native::decode(text, options),
        Ok(Format::StratusRecord) => stratus_record::decode(text, options).map(Report::Run),
        Ok(Format::StratusTrajectory) => {
            return stratus_trajectory::decode(text.as_bytes(), options);
        }
        Ok(Format::TauBench) => chat::decode_tau(text, options).map(Report::Run),
        Ok(Format::Tau2Bench) if probe(text).is_ok_and(|probe| probe.simulations.is_none()) => {
            chat::simulation(text, None, options).map(Report::Run)
        }
        Ok(Format::Tau2Bench) => return chat::decode_tau2(text, options),
    };
    vec![Decoded { line: 1, result }]
}

/// Whether `text` can be a record at all. An array could also be read as a struct, field by field.
pub(super) fn object(text: &str) -> Result<(), Reject> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) if text.trim_start().starts_with('{') => Ok(()),
        Ok(_) => Err(Reject::new(Reason::UnknownFormat, "a record is one JSON object")),
        Err(problem) => Err(Reject::new(Reason::MalformedJson, problem)),
    }
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
    termination_reason: Option<IgnoredAny>,
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
    let simulated = probe.reward_info.is_some() || probe.termination_reason.is_some();
    // `agent` first: our own records may carry any other field besides, and no other format has it.
    if probe.agent.is_some() {
        Ok(Format::Native)
    } else if probe.agent_type.is_some() {
        Ok(Format::StratusRecord)
    } else if probe.simulations.is_some() || (probe.messages.is_some() && simulated) {
        Ok(Format::Tau2Bench)
    } else if probe.traj.is_some() {
        Ok(Format::TauBench)
    } else if probe.trace_id.is_some() {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// What the other ways make of `text`.
    fn slowly(text: &str, options: &Options) -> Option<Report> {
        if is_trajectory(whole(text.as_bytes()), options) || object(text).is_err() {
            return None;
        }
        (detect(text) == Ok(Format::Native)).then(|| native::decode(text, options).ok()).flatten()
    }

    fn anything() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            prop_oneof![Just(0i64), Just(-1), Just(3), Just(1_770_000_050), any::<i64>()]
                .prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z\u{e4}\"\\\\ ]{0,6}".prop_map(Value::from),
            Just(json!("tool")),
            Just(json!("thought")),
            Just(json!(["tool", "look", true])),
            Just(json!({"input": 3, "output": "x"})),
            Just(
                json!([{"type": "llm", "tokens": {"input": 3}}, {"type": "thought", "text": "I plan"}])
            ),
        ]
    }

    fn key() -> impl Strategy<Value = &'static str> {
        let keys = "event agent trace_id session version start start_ms end end_ms outcome task result steps \
                    retries tokens cost_usd rounds type name ok error duration arguments text model other";
        prop::sample::select(keys.split_whitespace().collect::<Vec<_>>())
    }

    proptest! {
        /// A record and a step of it in which some fields are said otherwise, left out or said twice.
        #[test]
        fn the_usual_way_reads_what_the_others_do(
            kind in prop::sample::select(vec!["tool", "thought", "llm"]),
            record in prop::collection::vec((key(), anything()), 0..3),
            step in prop::collection::vec((key(), anything()), 0..3),
            twice in prop::option::weighted(0.1, (key(), anything())),
        ) {
            let mut said = json!({"type": kind, "name": "look up", "ok": false, "error": "no \u{e4}\n", "duration": 0.25,
                "arguments": "{\"b\": 1, \"a\": 2}", "text": "First I look", "model": "m", "tokens": {"input": 7}});
            for (key, value) in step {
                said[key] = value;
            }
            let mut whole = json!({"agent": "helper", "trace_id": "r1", "start": 1_770_000_000.5, "end_ms": 1_770_000_100_000i64,
                "outcome": "failure", "steps": [said.clone(), {"type": "tool", "name": "act", "ok": true}, said]});
            for (key, value) in record {
                whole[key] = value;
            }
            let mut text = whole.to_string();
            if let Some((key, value)) = twice {
                text.insert_str(1, &format!("{}:{value},", json!(key)));
            }
            let options = Options::arrived(EventTime::from_millis(1_780_000_000_000));
            let quickly = usual::report(text.as_bytes(), &options);
            if let Some(report) = quickly {
                prop_assert_eq!(Some(report), slowly(&text, &options), "{}", text);
            }
        }
    }

    #[test]
    fn the_usual_way_is_taken() {
        let text = r#" {"agent": "a", "trace_id": "t", "start": 1770000000, "end": "2026-02-03T00:00:00Z", "later": {},
            "steps": [{"type": "llm", "more": []}, {"arguments": "{}", "ok": true, "name": "n", "type": "tool"}]}"#;
        let options = Options::arrived(EventTime::from_millis(1_780_000_000_000));
        let report = usual::report(text.as_bytes(), &options).unwrap();
        assert_eq!(Some(report), slowly(text, &options));
        for other in [
            &format!("[{text}]"),
            &text.replace("\"agent\"", "\"agents\""),
            &text.replace("\"later\"", "\"type\""),
            &text.replace("true", "1"),
            "{\"agent\": \"a\u{0}",
        ] {
            assert_eq!(usual::report(other.as_bytes(), &options), None, "{other}");
        }
    }
}
