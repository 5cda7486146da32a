//! What no input may do to the decoder: panic, grow without a bound, or take another's place.

use proptest::prelude::*;
use serde_json::json;
use whetstone::base::{EventTime, VersionNumber};
use whetstone::decode::{
    Announcement, Format, LlmCall, Options, Outcome, Reason, Report, Run, Step, Thought, Tokens,
    ToolCall, Trace, decode, decode_feedback, limits,
};

use super::decode::{chats, decode_text, native, one, options, report, stratus, with};
use super::decode_trajectory::trajectory;
use super::started::start;

const FORMATS: [Format; 5] = [
    Format::Native,
    Format::StratusRecord,
    Format::StratusTrajectory,
    Format::TauBench,
    Format::Tau2Bench,
];

fn in_every_format(bytes: &[u8]) {
    for feedback in decode_feedback(bytes, &options()).into_iter().filter_map(|one| one.result.ok())
    {
        assert!(feedback.trace_id.len() <= limits::MAX_NAME_BYTES);
        assert!(
            feedback.by.len() <= limits::MAX_NAME_BYTES && feedback.outcome != Outcome::Unknown
        );
        let written = serde_json::to_vec(&feedback).unwrap();
        assert_eq!(decode_feedback(&written, &options()).remove(0).result, Ok(feedback));
    }
    for format in FORMATS.map(Some).into_iter().chain([None]) {
        let found = decode(bytes, &Options { format, ..options() });
        assert!(
            found.iter().filter(|found| found.result.is_err()).count() <= limits::MAX_REJECTS + 1
        );
    }
}

#[test]
fn a_formats_name_is_read_back() {
    for format in FORMATS {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert!("tau".parse::<Format>().unwrap_err().contains("tau-bench"));
}

#[test]
fn fields_of_other_formats_do_not_change_what_a_record_is() {
    for field in ["agent_type", "traj", "simulations", "messages", "reward_info"] {
        assert_eq!(one(&with(field, json!("mine"))).agent.as_str(), "helper", "{field}");
    }
    let own = format!("\u{feff}{}\r\n", native());
    assert_eq!(one(&own).agent.as_str(), "helper", "a byte order mark says nothing");
}

#[test]
fn a_broken_record_of_many_lines_is_one_refusal() {
    let call = json!({"type": "tool", "name": "look", "ok": true});
    let pretty = serde_json::to_string_pretty(
        &serde_json::from_str::<serde_json::Value>(&with("steps", json!([call.clone(), {}, call])))
            .unwrap(),
    )
    .unwrap();
    let decoded = decode_text(pretty.trim_end_matches('}'));
    assert_eq!(decoded.len(), 1, "{decoded:?}");
    assert_eq!(decoded[0].result.clone().unwrap_err().reason, Reason::MalformedJson);
}

#[test]
fn refusals_are_bounded_and_what_is_beyond_is_counted() {
    let check = |input: String, reason: Reason| {
        let decoded = decode_text(&input);
        assert_eq!(decoded.len(), limits::MAX_REJECTS + 1);
        let last = decoded.last().unwrap().result.clone().unwrap_err();
        assert_eq!(last.reason, reason);
        assert!(last.detail.contains("99000 more"), "{last}");
    };
    check(format!("[0{}]", ",0".repeat(99_999)), Reason::UnknownFormat);
    check("{}\n".repeat(100_000), Reason::UnknownFormat);
    let good = native().to_string();
    let mixed = format!("{}{good}\n", "x\n".repeat(5_000));
    let decoded = decode_text(&mixed);
    let runs: Vec<_> = decoded.iter().filter(|d| d.result.is_ok()).map(|d| d.line).collect();
    assert_eq!(runs, [5_001], "a run after too many refusals is still read");
}

#[test]
fn depth_costs_a_refusal_and_no_stack() {
    let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let ignored = native().to_string().replacen('{', &format!("{{\"extra\":{deep},"), 1);
    assert_eq!(one(&ignored).agent.as_str(), "helper", "what is ignored may be deep");
    for hole in ["\"response\":\"fine\"", "\"arguments\":{\"a\":1}"] {
        let record = stratus("DIAGNOSIS", &json!(true), &json!("x"), &json!({}));
        let key = hole.split_once(':').unwrap().0;
        assert!(record.contains(hole), "{record}");
        in_every_format(record.replace(hole, &format!("{key}:{deep}")).as_bytes());
    }
    let [tau, tau2] = chats();
    in_every_format(tau.replace("null", &deep).as_bytes());
    in_every_format(tau2.replace("\"Hello\"", &deep).as_bytes());
    in_every_format(trajectory().replace("\"args\":{}", &format!("\"args\":{deep}")).as_bytes());
    in_every_format(deep.as_bytes());
}

#[test]
fn sessions_that_begin_alike_stay_apart() {
    let long = "s".repeat(300);
    let session = |end: &str| one(&with("session", json!(format!("{long}{end}")))).session.unwrap();
    assert_ne!(session("a"), session("b"));
    assert!(session("a").len() <= limits::MAX_NAME_BYTES);
    assert_eq!(one(&with("session", json!(""))).session, None);
}

#[test]
fn an_excerpt_keeps_task_and_result_and_draws_nothing() {
    let step = json!({"type": "tool", "name": "n".repeat(99), "ok": false,
        "arguments": "\u{1b}[2J".repeat(50), "error": "\u{202e}e".repeat(99)});
    let mut record: serde_json::Value =
        serde_json::from_str(&with("steps", json!(vec![step; 20]))).unwrap();
    record["task"] = json!("T\n".repeat(500));
    record["result"] = json!("R\r".repeat(500));
    let run = Run::digest(&one(&record.to_string()));
    assert!(run.excerpt.len() <= limits::MAX_EXCERPT_BYTES);
    assert!(run.excerpt.starts_with("task: T T") && run.excerpt.contains("\nresult: R R"));
    assert!(run.excerpt.contains("earlier steps"), "{}", run.excerpt);
    let harmless = |c: char| c == '\n' || !(c.is_control() || c == '\u{202e}');
    assert!(run.excerpt.chars().all(harmless), "{:?}", run.excerpt);
}

#[test]
fn a_run_of_unknown_outcome_or_success_has_no_signature_of_its_result() {
    let check = |outcome: &str, steps: serde_json::Value, expected: Option<&str>| {
        let record = json!({"agent": "a", "trace_id": "t", "start": 1_770_000_000, "end": 1_770_000_001,
            "outcome": outcome, "steps": steps, "result": "gave up after 3 tries"});
        let run = Run::digest(&one(&record.to_string()));
        assert_eq!(run.signature.as_deref(), expected, "{outcome}");
    };
    let failing = json!([{"type": "tool", "name": "get2", "ok": false, "error": "no 'x' 7"}]);
    check("failure", json!([]), Some("gave up after <n> tries"));
    check("aborted", json!([]), Some("gave up after <n> tries"));
    check("unknown", json!([]), None);
    check("success", failing.clone(), None);
    check("unknown", failing.clone(), Some("get2: no <str> <n>"));
    check("failure", failing, Some("get2: no <str> <n>"));
}

fn any_step() -> impl Strategy<Value = Step> {
    let text = "\\PC{0,40}";
    let call = (
        prop_oneof![Just("look".to_owned()), text.boxed(), "\\PC{100,200}".boxed()],
        any::<bool>(),
        prop::option::of("(?s).{0,60}"),
        prop::option::of(0.0..1e6f64),
        prop::option::of("(?s).{0,400}"),
    );
    let call = call.prop_map(|(name, ok, error, duration, arguments)| ToolCall {
        name,
        ok,
        error,
        duration,
        arguments,
    });
    prop_oneof![
        call.prop_map(Step::Tool),
        "(?s).{0,80}".prop_map(|text| Step::Thought(Thought { text })),
        (prop::option::of(text), any::<u32>(), any::<u64>()).prop_map(|(model, input, output)| {
            Step::Llm(LlmCall { model, tokens: Tokens { input: input.into(), output } })
        }),
    ]
}

prop_compose! {
    fn any_trace()(
        agent in "[a-z][a-z0-9_.-]{0,20}",
        trace_id in "[!-~]{1,40}",
        (session, version) in (prop::option::of("\\PC{1,200}"), prop::option::of(1..9u32)),
        (start, length) in (0..1000i64, 0..1_000_000i64),
        outcome in 0..4usize,
        steps in prop::collection::vec(any_step(), 0..60),
        (task, result) in (prop::option::of("(?s).{0,200}"), prop::option::of("(?s).{0,200}")),
        (retries, input, output, rounds) in any::<(u32, u64, u64, Option<u32>)>(),
    ) -> Trace {
        let start = EventTime::from_millis(1_770_000_000_000 + start);
        let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Aborted, Outcome::Unknown];
        Trace {
            agent: agent.parse().unwrap(),
            trace_id,
            session,
            version: version.map(VersionNumber),
            start,
            end: start.plus_millis(length),
            outcome: outcomes[outcome],
            task,
            result,
            steps,
            retries,
            tokens: Tokens { input, output },
            cost_usd: rounds.map(|rounds| f64::from(rounds) / 64.0),
            rounds,
        }
    }
}

fn good_records() -> Vec<String> {
    let mut records = vec![
        native().to_string(),
        stratus("DIAGNOSIS", &json!(false), &json!("x"), &json!({})),
        trajectory(),
        start().to_string(),
        json!({"agent": "a", "trace_id": "t", "score": 0.7, "threshold": 0.5, "by": "ada"})
            .to_string(),
    ];
    records.extend(chats());
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_we_write_we_read(trace in any_trace()) {
        let once = one(&serde_json::to_string(&trace).unwrap());
        prop_assert_eq!(once.steps.len(), trace.steps.len());
        // Cutting is done once: what was read and is written again is read the same.
        prop_assert_eq!(one(&serde_json::to_string(&once).unwrap()), once);
    }

    #[test]
    fn what_we_announce_we_read(trace in any_trace()) {
        let Trace { agent, trace_id, session, version, start, .. } = trace;
        let start = Announcement { agent, trace_id, session, version, start };
        let once = report(&serde_json::to_string(&start).unwrap());
        let Report::Started(read) = &once else { panic!("{once:?}") };
        prop_assert_eq!((&read.agent, &read.trace_id, read.version, read.start), (&start.agent, &start.trace_id, start.version, start.start));
        prop_assert_eq!(read.session.is_some(), start.session.is_some());
        prop_assert_eq!(report(&serde_json::to_string(&once).unwrap()), once);
    }

    #[test]
    fn a_run_and_its_start_are_the_same_unit(session in "(?s).{0,200}", trace_id in "[!-~]{1,40}") {
        let mut run = native();
        (run["session"], run["trace_id"]) = (json!(session), json!(trace_id));
        let mut start = start();
        (start["session"], start["trace_id"]) = (json!(session), json!(trace_id));
        let run = Run::digest(&one(&run.to_string()));
        let Report::Started(start) = report(&start.to_string()) else { panic!("no start") };
        prop_assert_eq!((run.session, run.trace_id), (start.session, start.trace_id));
    }

    #[test]
    fn any_event_is_a_run_a_start_or_refused_by_name(
        event in prop_oneof![
            any::<f64>().prop_map(|number| json!(number)),
            any::<bool>().prop_map(|answer| json!(answer)),
            "(?s).{0,99}".prop_map(|text| json!(text)),
            "[sS]tart(ed)?|[eE]nd(ed)?".prop_map(|text| json!(text)),
            prop::collection::vec("(?s).{0,9}", 0..9).prop_map(|texts| json!({"started": texts})),
        ],
        ended: bool,
    ) {
        let mut record = if ended { native() } else { start() };
        record["event"] = event.clone();
        let read = decode_text(&record.to_string()).remove(0).result;
        match event.as_str() {
            _ if event.is_null() => prop_assert_eq!(read.is_ok(), ended),
            Some("started") => prop_assert_eq!(read.is_ok(), !ended),
            Some("ended") => prop_assert_eq!(read.is_ok(), ended),
            _ => prop_assert_eq!(read.unwrap_err().reason, Reason::UnknownEvent),
        }
    }

    #[test]
    fn a_digest_is_bounded_and_adds_up(trace in any_trace(), long in 0..5_000usize) {
        // Also of a trace that never went through the decoder.
        let trace = Trace { trace_id: "x".repeat(long), ..trace };
        let run = Run::digest(&trace);
        prop_assert!(serde_json::to_vec(&run).unwrap().len() < 20_000);
        prop_assert!(run.excerpt.len() <= limits::MAX_EXCERPT_BYTES);
        prop_assert!(run.signature.as_ref().is_none_or(|s| s.len() <= limits::MAX_SIGNATURE_BYTES));
        prop_assert!(run.tools.iter().all(|tool| tool.name.len() <= limits::MAX_NAME_BYTES));
        prop_assert_eq!(run.attempts as usize, trace.tool_calls().count());
        let named: u32 = run.tools.iter().map(|tool| tool.calls).sum();
        prop_assert!(named <= run.attempts);
        let followed: u32 = run.transitions.iter().map(|next| next.count).sum();
        prop_assert!(followed <= run.attempts.saturating_sub(1));
        prop_assert!(run.transitions.iter().all(|next| usize::from(next.from.max(next.to)) < run.tools.len()));
        prop_assert_eq!(run.longest_repeat > 0, run.attempts > 0);
    }

    #[test]
    fn no_bytes_make_any_format_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        in_every_format(&bytes);
    }

    #[test]
    fn no_damage_to_a_good_record_makes_any_format_panic(
        which in 0..7usize, at in 0..2000usize, byte: u8, cut in 0..2000usize,
    ) {
        let mut bytes = good_records().remove(which).into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        in_every_format(&bytes);
        bytes.truncate(length - cut % length);
        in_every_format(&bytes);
    }

    #[test]
    fn no_value_of_a_wrong_type_makes_any_format_panic(which in 0..7usize, nth in 0..40usize, wrong in 0..6usize) {
        let wrong = ["null", "-1", "1e308", "[]", "{}", "\"\\u0000\""][wrong];
        let record = good_records().remove(which);
        let ends: Vec<_> = record.match_indices("\":").map(|(at, _)| at + 2).collect();
        let from = ends[nth % ends.len()];
        let value = serde_json::Deserializer::from_str(record.get(from..).unwrap()).into_iter::<serde::de::IgnoredAny>();
        let mut value = value;
        prop_assert!(value.next().unwrap().is_ok());
        let damaged = format!("{}{wrong}{}", record.get(..from).unwrap(), record.get(from + value.byte_offset()..).unwrap());
        in_every_format(damaged.as_bytes());
    }
}
