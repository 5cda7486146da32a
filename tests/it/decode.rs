//! Every input format, good and bad.

use proptest::prelude::*;
use serde_json::{Value, json};
use whetstone::base::EventTime;
use whetstone::decode::{
    Decoded, Format, LlmCall, Options, Outcome, Reason, Run, Step, Thought, Tokens, ToolCall,
    Trace, decode, limits,
};

const FORMATS: [Format; 5] = [
    Format::Native,
    Format::StratusRecord,
    Format::StratusTrajectory,
    Format::TauBench,
    Format::Tau2Bench,
];

fn options() -> Options {
    Options::arrived(EventTime::from_millis(1_780_000_000_000))
}

fn decode_text(text: &str) -> Vec<Decoded> {
    decode(text.as_bytes(), &options())
}

fn one(text: &str) -> Trace {
    let mut decoded = decode_text(text);
    assert_eq!(decoded.len(), 1, "{decoded:?}");
    decoded.remove(0).result.unwrap()
}

fn native() -> Value {
    json!({"agent": "helper", "trace_id": "r1", "start": 1_770_000_000.5, "end": 1_770_000_002, "outcome": "success"})
}

fn with(field: &str, value: Value) -> String {
    let mut record = native();
    record[field] = value;
    record.to_string()
}

#[test]
fn a_native_record_is_read_in_all_its_spellings_of_time() {
    let trace = one(&native().to_string());
    assert_eq!((trace.agent.as_str(), trace.trace_id.as_str()), ("helper", "r1"));
    assert_eq!(trace.start.as_millis(), 1_770_000_000_500);
    assert!((trace.latency() - 1.5).abs() < 1e-9);
    for start in [json!("2026-02-02T02:40:00.5Z"), json!("2026-02-02T03:40:00.5+01:00")] {
        assert_eq!(one(&with("start", start)).start, trace.start);
    }
    assert_eq!(one(&with("start_ms", json!(1_770_000_000_500_i64))).start, trace.start);
}

#[test]
fn each_bad_record_has_a_named_reason() {
    let check = |text: &str, reason: Reason, hint: &str| {
        let decoded = decode_text(text);
        let reject = decoded[0].result.clone().unwrap_err();
        let text: String = text.chars().take(200).collect();
        assert_eq!(reject.reason, reason, "{text}: {reject}");
        assert!(reject.detail.contains(hint), "{text}: {reject}");
    };
    check("", Reason::MalformedJson, "empty");
    check("{", Reason::MalformedJson, "");
    check("[1, 2", Reason::MalformedJson, "");
    check("42", Reason::UnknownFormat, "");
    check("{}", Reason::UnknownFormat, "trace.schema.json");
    check(&"[".repeat(100_000), Reason::MalformedJson, "");
    check(&format!("{{\"agent\":{}", "{\"a\":".repeat(5000)), Reason::MalformedJson, "");
    check(&with("agent", json!("../../etc/passwd")), Reason::InvalidAgent, "etc/passwd");
    check(&with("agent", json!(7)), Reason::InvalidField, "agent");
    check(&with("agent", Value::Null), Reason::MissingAgent, "--agent");
    check(&with("trace_id", json!("")), Reason::InvalidTraceId, "");
    check(&with("trace_id", json!("x".repeat(129))), Reason::InvalidTraceId, "");
    check(&with("start", json!(0)), Reason::TimeTooOld, "1970");
    check(&with("end", json!("2100-01-01T00:00:00Z")), Reason::TimeInFuture, "2100");
    check(&with("end", json!(1_769_999_999)), Reason::EndBeforeStart, "");
    check(&with("end", json!(1e300)), Reason::InvalidField, "end");
    check(&with("end", json!("tomorrow")), Reason::InvalidField, "end");
    check(&with("start", Value::Null), Reason::InvalidField, "start is missing");
    check(&with("outcome", json!("fine")), Reason::InvalidField, "outcome");
    check(&with("steps", json!({})), Reason::InvalidField, "steps");
    check(&with("retries", json!(-1)), Reason::InvalidField, "retries");
    let call = json!([{"type": "tool", "name": "t", "ok": true, "duration": -1.0}]);
    check(&with("steps", call), Reason::NotFinite, "duration");
    let nan = native().to_string().replace("1770000002", "NaN");
    check(&nan, Reason::MalformedJson, "");
    let thoughts = vec![json!({"type": "thought", "text": "x"}); limits::MAX_STEPS + 1];
    check(&with("steps", json!(thoughts)), Reason::TooManySteps, "100001");
    check(&with("task", json!("x".repeat(limits::MAX_RECORD_BYTES))), Reason::RecordTooLarge, "");
}

#[test]
fn bytes_that_are_no_text_are_refused_by_name() {
    let decoded = decode(b"\xff\xfe{}", &options());
    assert_eq!(decoded[0].result.clone().unwrap_err().reason, Reason::InvalidUtf8);
}

#[test]
fn a_bad_line_costs_itself_alone() {
    let good = native().to_string();
    let mut input = format!("{good}\n{{\"agent\"\n\n").into_bytes();
    input.extend_from_slice(b"\xff\n");
    input.extend_from_slice(good.as_bytes());
    let decoded = decode(&input, &options());
    let kinds: Vec<_> =
        decoded.iter().map(|d| (d.line, d.result.as_ref().err().map(|r| r.reason))).collect();
    let expected =
        [(1, None), (2, Some(Reason::MalformedJson)), (4, Some(Reason::InvalidUtf8)), (5, None)];
    assert_eq!(kinds, expected);
}

#[test]
fn a_long_run_is_taken_and_its_digest_is_small() {
    let call = |n: usize| json!({"type": "tool", "name": format!("tool{}", n % 500), "ok": false, "error": "e".repeat(400)});
    let steps: Vec<_> = (0..10_000).map(call).collect();
    let run = Run::digest(&one(&with("steps", json!(steps))));
    assert_eq!(run.attempts, 10_000);
    assert_eq!(run.tools.len(), limits::MAX_TOOLS);
    assert!(serde_json::to_vec(&run).unwrap().len() < 12_000);
}

fn stratus(agent: &str, success: bool, submission: &Value, extra: &Value) -> String {
    let mut record = json!({
        "trace_id": "s1", "agent_type": format!("AgentType.{agent}"),
        "problem_context": {"problem_id": "p1", "app_description": "a shop"},
        "start_time": 1_764_000_000.25, "end_time": 1_764_000_060.25, "success": success,
        "final_submission": submission,
        "tool_calls": [
            {"tool_name": "look", "arguments": {"a": 1}, "timestamp": 2.0, "success": true, "response": "fine", "duration": 0.5},
            {"tool_name": "act", "arguments": {}, "timestamp": 3.0, "success": true, "response": "Command Rejected: no", "duration": 0.1}
        ],
        "thinking_steps": [{"reasoning": "Plan: look", "tool_choice": "look", "justification": "", "timestamp": 1.0}],
        "performance_metrics": {}
    });
    for (key, value) in extra.as_object().unwrap() {
        record[key] = value.clone();
    }
    record.to_string()
}

#[test]
fn a_stratus_record_is_read_without_the_originals_mistakes() {
    let trace = one(&stratus("MITIGATION", true, &json!("done"), &json!({})));
    assert_eq!(trace.agent.as_str(), "mitigation");
    assert!((trace.latency() - 60.0).abs() < 1e-9, "seconds");
    let calls: Vec<_> = trace.tool_calls().map(|call| (call.name.as_str(), call.ok)).collect();
    assert_eq!(
        calls,
        [("look", true), ("act", false)],
        "a response that says it failed has failed"
    );
    assert!(matches!(&trace.steps[0], Step::Thought(_)), "steps stand in order of time");
}

#[test]
fn stratus_labels_are_believed_only_where_they_were_determined() {
    let check = |agent, success, submission: Value, extra: Value, expected| {
        let text = stratus(agent, success, &submission, &extra);
        assert_eq!(one(&text).outcome, expected, "{text}");
    };
    let judged =
        json!({"ground_truth": {}, "oracle_results_enhanced": {"mitigation": {"success": false}}});
    let unjudged = json!({"ground_truth": null, "oracle_results_enhanced": null});
    check("MITIGATION", true, json!("ok"), json!({}), Outcome::Success);
    check("MITIGATION", false, json!("ok"), json!({}), Outcome::Failure);
    check("MITIGATION", false, Value::Null, judged.clone(), Outcome::Failure);
    check("MITIGATION", false, Value::Null, unjudged, Outcome::Unknown);
    check("DIAGNOSIS", false, Value::Null, judged.clone(), Outcome::Unknown);
    check("ROLLBACK", true, Value::Null, judged.clone(), Outcome::Unknown);
    check("MITIGATION", true, json!("Error: Max retries exceeded"), judged, Outcome::Aborted);
    check("DIAGNOSIS", false, json!("Execution failed: 'x'"), json!({}), Outcome::Aborted);
    check(
        "DIAGNOSIS",
        false,
        json!("Problem p execution failed: 'x'"),
        json!({}),
        Outcome::Aborted,
    );
}

#[test]
fn a_trajectory_file_is_one_run_an_agent_and_attempts_are_retries() {
    let ai = |name: &str, id: &str| json!({"type": "AIMessage", "content": "Let me look", "tool_calls": [{"name": name, "args": {}, "id": id}], "usage_metadata": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}});
    let tool = |id: &str, text: &str| json!({"type": "ToolMessage", "content": text, "tool_call_id": id, "name": "x"});
    let event = |stage: &str, steps: u32, messages: Vec<Value>| json!({"type": "event", "stage": stage, "event_index": 0, "num_steps": steps, "submitted": true, "rollback_stack": "", "messages": messages, "last_message": {}});
    let lines = [
        json!({"type": "metadata", "problem_id": "p1", "timestamp": "0704_1458", "timestamp_readable": "2026-05-04 15:07:13", "total_stages": 3, "total_events": 4}),
        json!({"type": "stage_start", "stage": "diagnosis", "num_events": 2}),
        event("diagnosis", 1, vec![ai("get_logs", "a")]),
        event(
            "diagnosis",
            2,
            vec![ai("get_logs", "a"), tool("a", "Error: gone"), ai("submit", "b"), tool("b", "ok")],
        ),
        event("mitigation_attempt_0", 3, vec![ai("fix", "c"), tool("c", "ok")]),
        event("mitigation_attempt_1", 4, vec![ai("fix", "d"), tool("d", "ok")]),
    ];
    let text: Vec<_> = lines.iter().map(Value::to_string).collect();
    let decoded = decode_text(&text.join("\n"));
    let traces: Vec<_> = decoded.into_iter().map(|d| d.result.unwrap()).collect();
    assert_eq!(traces.len(), 2);
    let (diagnosis, mitigation) = (&traces[0], &traces[1]);
    assert_eq!(diagnosis.agent.as_str(), "diagnosis");
    assert_eq!(diagnosis.tool_calls().map(|c| c.ok).collect::<Vec<_>>(), [false, true]);
    assert_eq!(diagnosis.tokens, Tokens { input: 20, output: 4 }, "the last event alone");
    assert_eq!((diagnosis.rounds, diagnosis.outcome), (Some(2), Outcome::Unknown));
    assert_eq!((mitigation.agent.as_str(), mitigation.retries), ("mitigation", 1));
    assert_eq!(mitigation.tool_calls().count(), 2);
}

#[test]
fn chat_runs_are_read_from_both_benchmarks() {
    let tau = json!([{"task_id": 3, "reward": 1.0, "trial": 0, "info": {"task": {"instruction": "book a seat"}}, "traj": [
        {"role": "system", "content": "policy"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "book", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "name": "book", "content": "Error: full"}]}]);
    let named = Options { agent: Some("seats".parse().unwrap()), ..options() };
    let decoded = decode(tau.to_string().as_bytes(), &named);
    let trace = decoded[0].result.clone().unwrap();
    assert_eq!((trace.agent.as_str(), trace.outcome), ("seats", Outcome::Success));
    assert_eq!(trace.task.as_deref(), Some("book a seat"));
    assert_eq!(
        trace.tool_calls().map(|c| (c.name.as_str(), c.ok)).collect::<Vec<_>>(),
        [("book", false)]
    );
    let unnamed = decode_text(&tau.to_string())[0].result.clone().unwrap_err();
    assert_eq!(unnamed.reason, Reason::MissingAgent);

    let tau2 = json!({"timestamp": "x", "info": {"environment_info": {"domain_name": "shop"}}, "tasks": [], "simulations": [{
        "id": "u-1", "task_id": "7", "start_time": "2026-01-01T10:00:00.5", "end_time": "2026-01-01T10:00:20.5",
        "termination_reason": "user_stop", "reward_info": {"reward": 0.0},
        "messages": [
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "name": "find", "arguments": {"q": 1}, "requestor": "assistant"}], "usage": {"prompt_tokens": 100, "completion_tokens": 5}},
            {"role": "tool", "id": "c1", "content": "x", "requestor": "assistant", "error": true},
            {"role": "user", "content": null, "tool_calls": [{"id": "u1", "name": "reboot", "arguments": {}, "requestor": "user"}], "usage": {"prompt_tokens": 9, "completion_tokens": 9}}]}]});
    let trace = one(&tau2.to_string());
    assert_eq!((trace.agent.as_str(), trace.outcome), ("shop", Outcome::Failure));
    assert!((trace.latency() - 20.0).abs() < 1e-9);
    assert_eq!(trace.tokens, Tokens { input: 100, output: 5 }, "the agent's alone");
    assert_eq!(
        trace.tool_calls().map(|c| (c.name.as_str(), c.ok)).collect::<Vec<_>>(),
        [("find", false)]
    );
    let simulation = tau2["simulations"][0].to_string();
    assert_eq!(decode(simulation.as_bytes(), &named)[0].result.clone().unwrap().trace_id, "u-1");
}

#[test]
fn the_schema_says_what_the_decoder_takes() {
    let schema: Value =
        serde_json::from_str(include_str!("../../configs/trace.schema.json")).unwrap();
    let full = Trace {
        session: Some("s".to_owned()),
        task: Some("t".to_owned()),
        result: Some("r".to_owned()),
        version: Some(whetstone::base::VersionNumber(2)),
        rounds: Some(3),
        ..one(&native().to_string())
    };
    let written = serde_json::to_value(full).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    for key in written.as_object().unwrap().keys() {
        assert!(properties.contains_key(key), "{key} is not in the schema");
    }
    for required in schema["required"].as_array().unwrap() {
        let mut record = native();
        record.as_object_mut().unwrap().remove(required.as_str().unwrap());
        assert!(decode_text(&record.to_string())[0].result.is_err(), "{required}");
    }
    for example in schema["examples"].as_array().unwrap() {
        one(&example.to_string());
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let text = "\\PC{0,40}";
    prop_oneof![
        (
            text,
            any::<bool>(),
            prop::option::of(text),
            prop::option::of(0.0..1e6f64),
            prop::option::of("\\PC{0,400}")
        )
            .prop_map(|(name, ok, error, duration, arguments)| Step::Tool(ToolCall {
                name,
                ok,
                error,
                duration,
                arguments
            })),
        "\\PC{0,80}".prop_map(|text| Step::Thought(Thought { text })),
        (any::<u32>(), any::<u32>()).prop_map(|(input, output)| Step::Llm(LlmCall {
            model: None,
            tokens: Tokens { input: input.into(), output: output.into() },
        })),
    ]
}

fn any_trace() -> impl Strategy<Value = Trace> {
    (
        "[a-z][a-z0-9_.-]{0,20}",
        "[!-~]{1,40}",
        (0..1000i64, 0..1_000_000i64),
        0..4usize,
        prop::collection::vec(any_step(), 0..60),
        prop::option::of("\\PC{0,200}"),
    )
        .prop_map(|(agent, trace_id, (start, length), outcome, steps, task)| {
            let start = EventTime::from_millis(1_770_000_000_000 + start);
            let outcomes = [Outcome::Success, Outcome::Failure, Outcome::Aborted, Outcome::Unknown];
            Trace {
                agent: agent.parse().unwrap(),
                trace_id,
                session: None,
                version: None,
                start,
                end: start.plus_millis(length),
                outcome: outcomes[outcome],
                result: task.clone(),
                task,
                steps,
                retries: 1,
                tokens: Tokens::default(),
                rounds: None,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_we_write_we_read(trace in any_trace()) {
        let written = serde_json::to_string(&trace).unwrap();
        let once = one(&written);
        prop_assert_eq!(once.steps.len(), trace.steps.len());
        // Cutting is done once: what was read and is written again is read the same.
        prop_assert_eq!(one(&serde_json::to_string(&once).unwrap()), once);
    }

    #[test]
    fn a_digest_is_bounded_and_adds_up(trace in any_trace()) {
        let run = Run::digest(&trace);
        prop_assert!(serde_json::to_vec(&run).unwrap().len() < 16_000);
        prop_assert_eq!(run.attempts as usize, trace.tool_calls().count());
        prop_assert!(run.tools.iter().map(|tool| tool.calls).sum::<u32>() <= run.attempts);
    }

    #[test]
    fn no_bytes_make_any_format_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for format in FORMATS.map(Some).into_iter().chain([None]) {
            decode(&bytes, &Options { format, ..options() });
        }
    }

    #[test]
    fn no_damage_to_a_good_record_makes_any_format_panic(
        which in 0..3usize, at in 0..2000usize, byte: u8, cut in 0..2000usize,
    ) {
        let records = [
            native().to_string(),
            stratus("DIAGNOSIS", false, &json!("x"), &json!({})),
            json!({"type": "metadata", "problem_id": "p", "timestamp": "t", "timestamp_readable": "2026-05-04 15:07:13"}).to_string(),
        ];
        let mut bytes = records[which].clone().into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        for format in FORMATS.map(Some).into_iter().chain([None]) {
            decode(&bytes, &Options { format, ..options() });
        }
    }
}
