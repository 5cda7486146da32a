//! Feedback: how a run turned out, said apart from it. One JSON object, an array of them, or one a line, as
//! `configs/feedback.schema.json` describes them.

use serde::{Deserialize, Serialize};

use super::detect::{each, object, refusal, sized, typed, whole};
use super::draft::{agent, check_id, no_agent};
use super::text::{clean, identity};
use super::{Decoded, Options, Outcome, Reason, Reject, Run};
use crate::base::AgentName;

/// How a run turned out, validated. Its serde form is the record as it may come in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// The agent that ran. `None` only where the id is that of an OpenTelemetry trace, which tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The run's id, or that of the trace whose runs it is about, see [`Run::trace_of`]; 1 to 128 bytes.
    pub trace_id: String,
    /// How it turned out; never unknown.
    pub outcome: Outcome,
    /// Who or what says so: one line of at most 128 bytes.
    pub by: String,
}

/// The record as written. Unknown fields are ignored: a later Whetstone may write more.
#[derive(Deserialize)]
struct Raw {
    agent: Option<String>,
    #[serde(default)]
    trace_id: String,
    outcome: Option<Outcome>,
    success: Option<bool>,
    score: Option<f64>,
    threshold: Option<f64>,
    by: Option<String>,
}

impl Feedback {
    /// The score from which on a run is a success, where nothing else is said.
    pub const THRESHOLD: f64 = 0.5;

    /// Who says so where nobody is named.
    const NOBODY: &str = "feedback";

    /// Feedback of these parts; `by` is cut to size and to one line.
    ///
    /// # Errors
    /// If the outcome is unknown, the id is none a run can have, or there is no agent and the id is no
    /// trace's.
    pub fn new(
        agent: Option<AgentName>,
        trace_id: String,
        outcome: Outcome,
        by: Option<&str>,
    ) -> Result<Self, Reject> {
        check_id(&trace_id)?;
        if agent.is_none() && !Run::is_trace(&trace_id) {
            return Err(no_agent());
        }
        if outcome == Outcome::Unknown {
            let detail = "outcome is unknown: say success, failure or aborted, or nothing at all";
            return Err(Reject::new(Reason::InvalidField, detail));
        }
        let by = by.map(|by| identity(clean(by).trim())).filter(|by| !by.is_empty());
        Ok(Self { agent, trace_id, outcome, by: by.unwrap_or_else(|| Self::NOBODY.to_owned()) })
    }

    /// The outcome of a run that scored `score` where `threshold` or more is a success.
    ///
    /// # Errors
    /// If one of them is not in [0, 1].
    pub fn scored(score: f64, threshold: f64) -> Result<Outcome, Reject> {
        for (name, value) in [("score", score), ("threshold", threshold)] {
            if !(0.0..=1.0).contains(&value) {
                let detail = format!("{name} is {value}: it must be from 0 to 1");
                return Err(Reject::new(Reason::InvalidField, detail));
            }
        }
        Ok(if score >= threshold { Outcome::Success } else { Outcome::Failure })
    }
}

/// All feedback in `input`. What is wrong with one costs that one alone, and beyond
/// [`limits::MAX_REJECTS`](super::limits::MAX_REJECTS) refusals the rest is counted in a last one.
pub fn decode_feedback(input: &[u8], options: &Options) -> Vec<Decoded<Feedback>> {
    match sized(input, options) {
        Ok(input) => {
            each(input, whole(input), |text| vec![Decoded { line: 1, result: item(text, options) }])
        }
        Err(reject) => refusal(reject),
    }
}

fn item(text: &str, options: &Options) -> Result<Feedback, Reject> {
    object(text)?;
    let raw: Raw = typed(text)?;
    let outcome = raw.turned_out()?;
    Feedback::new(agent(raw.agent, options)?, raw.trace_id, outcome, raw.by.as_deref())
}

impl Raw {
    fn turned_out(&self) -> Result<Outcome, Reject> {
        let threshold = self.threshold.unwrap_or(Feedback::THRESHOLD);
        let wrong = match (self.outcome, self.success, self.score) {
            (None, None, Some(score)) => return Feedback::scored(score, threshold),
            _ if self.threshold.is_some() => "threshold goes with score alone",
            (Some(outcome), None, None) => return Ok(outcome),
            (None, Some(true), None) => return Ok(Outcome::Success),
            (None, Some(false), None) => return Ok(Outcome::Failure),
            _ => "say how the run turned out by one of outcome, success and score",
        };
        Err(Reject::new(Reason::InvalidField, wrong))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::base::EventTime;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn read(text: &str) -> Vec<(u64, Result<Feedback, Reject>)> {
        let options = Options::arrived(EventTime::from_millis(0));
        let decoded = decode_feedback(text.as_bytes(), &options).into_iter();
        decoded.map(|Decoded { line, result }| (line, result)).collect()
    }

    fn one(record: &Value) -> Result<Feedback, Reject> {
        let mut all = read(&record.to_string());
        assert_eq!(all.len(), 1, "{record}");
        all.remove(0).1
    }

    #[test]
    fn an_outcome_can_be_said_in_three_ways() {
        let check = |field: &str, value: Value, expected: Outcome| {
            let record = json!({"agent": "a", "trace_id": "t", field: value, "later": [1]});
            assert_eq!(one(&record).unwrap().outcome, expected, "{record}");
        };
        check("outcome", json!("success"), Outcome::Success);
        check("outcome", json!("failure"), Outcome::Failure);
        check("outcome", json!("aborted"), Outcome::Aborted);
        check("success", json!(true), Outcome::Success);
        check("success", json!(false), Outcome::Failure);
        check("score", json!(0.5), Outcome::Success);
        check("score", json!(0.49), Outcome::Failure);
        check("score", json!(1), Outcome::Success);
        let strict = json!({"agent": "a", "trace_id": "t", "score": 0.7, "threshold": 0.8});
        assert_eq!(one(&strict).unwrap().outcome, Outcome::Failure);
    }

    #[test]
    fn each_bad_record_has_a_named_reason() {
        let check = |changed: Value, reason: Reason, hint: &str| {
            let mut record = json!({"agent": "a", "trace_id": "t"});
            let fields = changed.as_object().unwrap().clone();
            record.as_object_mut().unwrap().extend(fields);
            let reject = one(&record).unwrap_err();
            assert_eq!(reject.reason, reason, "{record}: {reject}");
            assert!(reject.detail.contains(hint), "{record}: {reject}");
        };
        check(json!({}), Reason::InvalidField, "one of outcome, success and score");
        check(json!({"outcome": "success", "success": true}), Reason::InvalidField, "one of");
        check(json!({"success": true, "score": 1.0}), Reason::InvalidField, "one of");
        check(json!({"outcome": "unknown"}), Reason::InvalidField, "unknown");
        check(json!({"outcome": "fine"}), Reason::InvalidField, "outcome");
        check(json!({"success": "yes"}), Reason::InvalidField, "success");
        check(json!({"score": 1.5}), Reason::InvalidField, "from 0 to 1");
        check(json!({"score": -0.1}), Reason::InvalidField, "from 0 to 1");
        check(json!({"score": 0.1, "threshold": 7}), Reason::InvalidField, "threshold");
        check(json!({"success": true, "threshold": 0.5}), Reason::InvalidField, "threshold");
        let good = json!({"success": true});
        let with = |field: &str, value: Value| {
            let mut record = good.clone();
            record[field] = value;
            record
        };
        check(with("agent", Value::Null), Reason::MissingAgent, "--agent");
        check(with("agent", json!("../x")), Reason::InvalidAgent, "../x");
        check(with("trace_id", json!("")), Reason::InvalidTraceId, "printable");
        check(with("trace_id", json!("a\nb")), Reason::InvalidTraceId, "printable");
        check(with("trace_id", json!("x".repeat(129))), Reason::InvalidTraceId, "129");
        check(with("by", json!(7)), Reason::InvalidField, "by");
        for text in ["7", "\"success\"", "null", "[[\"a\", \"t\", null, true]]"] {
            assert_eq!(
                read(text)[0].1.clone().unwrap_err().reason,
                Reason::UnknownFormat,
                "{text}"
            );
        }
        for text in ["", "{", "\u{feff} "] {
            assert_eq!(
                read(text)[0].1.clone().unwrap_err().reason,
                Reason::MalformedJson,
                "{text}"
            );
        }
    }

    #[test]
    fn a_trace_tells_its_agent_itself() {
        let feedback = one(&json!({"trace_id": TRACE, "success": true})).unwrap();
        assert_eq!((feedback.agent, feedback.trace_id.as_str()), (None, TRACE));
        let named = json!({"agent": "a", "trace_id": TRACE, "success": true});
        assert!(one(&named).unwrap().agent.is_some());
        let run = format!("{TRACE}-00f067aa0ba902b7");
        let reject = one(&json!({"trace_id": run, "success": true})).unwrap_err();
        assert_eq!(reject.reason, Reason::MissingAgent);
    }

    #[test]
    fn whoever_says_so_fits_on_a_line() {
        let by = |by: Value| {
            one(&json!({"agent": "a", "trace_id": "t", "success": true, "by": by})).unwrap().by
        };
        assert_eq!(by(json!("ada")), "ada");
        assert_eq!(by(Value::Null), "feedback");
        assert_eq!(by(json!(" \n ")), "feedback");
        assert_eq!(by(json!("a\u{1b}[31m\nb\u{202e}c")), "a [31m b c");
        assert!(by(json!("ä".repeat(500))).len() <= 128);
    }

    #[test]
    fn one_bad_record_costs_itself_alone() {
        let good = |id: &str| json!({"agent": "a", "trace_id": id, "success": true}).to_string();
        let text = format!("{}\n\nnonsense\n{}\r\n", good("r1"), good("r2"));
        let lines: Vec<_> = read(&text).iter().map(|(line, read)| (*line, read.is_ok())).collect();
        assert_eq!(lines, [(1, true), (3, false), (4, true)]);
        let items = read(&format!("[{}, 7, {}]", good("r1"), good("r2")));
        let items: Vec<_> = items.iter().map(|(line, read)| (*line, read.is_ok())).collect();
        assert_eq!(items, [(1, true), (2, false), (3, true)]);
        let many = format!("[{}]", vec!["7"; 5_000].join(","));
        let refused = read(&many);
        assert_eq!(refused.len(), 1_001);
        assert!(refused[1_000].1.as_ref().unwrap_err().detail.contains("4000 more"));
    }

    #[test]
    fn the_schema_says_what_is_taken() {
        let schema: Value =
            serde_json::from_str(include_str!("../../configs/feedback.schema.json")).unwrap();
        let full = json!({"agent": "a", "trace_id": "t", "outcome": "success", "by": "ada"});
        let written = serde_json::to_value(one(&full).unwrap()).unwrap();
        assert_eq!(written, full, "what is written can be read");
        let described = |key: &str| schema["properties"][key]["description"].is_string();
        for key in written.as_object().unwrap().keys() {
            assert!(described(key), "{key}");
        }
        assert!(["success", "score", "threshold"].into_iter().all(described));
        let minimal = json!({"trace_id": TRACE, "success": true});
        for required in schema["required"].as_array().unwrap() {
            let mut record = minimal.clone();
            assert!(record.as_object_mut().unwrap().remove(required.as_str().unwrap()).is_some());
            assert!(one(&record).is_err(), "{required}");
        }
        for (way, value) in schema["oneOf"].as_array().unwrap().iter().zip([
            json!("failure"),
            json!(true),
            json!(0.25),
        ]) {
            let way = way["required"][0].as_str().unwrap();
            one(&json!({"agent": "a", "trace_id": "t", way: value})).unwrap();
        }
        for outcome in schema["properties"]["outcome"]["enum"].as_array().unwrap() {
            one(&json!({"agent": "a", "trace_id": "t", "outcome": outcome})).unwrap();
        }
        for example in schema["examples"].as_array().unwrap() {
            one(example).unwrap();
        }
    }
}
