//! Every input format, good and bad.

use serde_json::{Value, json};
use whetstone::base::{EventTime, VersionNumber};
use whetstone::decode::{
    Decoded, LlmCall, Options, Outcome, Reason, Report, Run, Step, Thought, Tokens, ToolCall,
    Trace, decode, limits,
};

pub(crate) fn options() -> Options {
    Options::arrived(EventTime::from_millis(1_780_000_000_000))
}

pub(crate) fn decode_text(text: &str) -> Vec<Decoded> {
    decode(text.as_bytes(), &options())
}

pub(crate) fn one(text: &str) -> Trace {
    report(text).into_run().unwrap()
}

pub(crate) fn report(text: &str) -> Report {
    let mut decoded = decode_text(text);
    assert_eq!(decoded.len(), 1, "{decoded:?}");
    decoded.remove(0).result.unwrap()
}

fn first(decoded: Vec<Decoded>) -> Trace {
    decoded.into_iter().next().unwrap().result.unwrap().into_run().unwrap()
}

pub(crate) fn native() -> Value {
    json!({"agent": "helper", "trace_id": "r1", "start": 1_770_000_000.5, "end": 1_770_000_002, "outcome": "success"})
}

pub(crate) fn with(field: &str, value: Value) -> String {
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

pub(crate) fn stratus(agent: &str, success: &Value, submission: &Value, extra: &Value) -> String {
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
    let trace = one(&stratus("MITIGATION", &json!(true), &json!("done"), &json!({})));
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
fn a_stratus_record_may_name_the_version_it_ran() {
    let read = |version: Value| {
        let extra = json!({"prompt_version": version});
        let text = stratus("MITIGATION", &json!(true), &json!("done"), &extra);
        decode_text(&text).remove(0).result.map(|report| report.into_run().unwrap())
    };
    assert_eq!(read(json!(7)).unwrap().version, Some(VersionNumber(7)));
    assert_eq!(read(Value::Null).unwrap().version, None);
    assert_eq!(read(json!(0)).unwrap().version, None, "versions count from 1");
    for wrong in [json!("v7"), json!(-1), json!(7.5), json!(4_294_967_296_u64)] {
        let reject = read(wrong.clone()).unwrap_err();
        assert_eq!(reject.reason, Reason::InvalidField, "{wrong}: {reject}");
        assert!(reject.detail.contains("prompt_version"), "{wrong}: {reject}");
    }
}

#[test]
fn stratus_labels_are_believed_only_where_they_were_determined() {
    let check = |agent, success: Value, submission: Value, extra: Value, expected| {
        let text = stratus(agent, &success, &submission, &extra);
        assert_eq!(one(&text).outcome, expected, "{text}");
    };
    let oracle = |agent: &str, success: bool| json!({"ground_truth": {}, "oracle_results_enhanced": {agent: {"success": success}}});
    let unjudged = || json!({"ground_truth": null, "oracle_results_enhanced": null});
    let none = || json!({});

    // The earlier collector's labels are its own judgement, but a rollback's is a copy.
    check("MITIGATION", json!(true), json!("ok"), none(), Outcome::Success);
    check("MITIGATION", json!(false), json!("ok"), none(), Outcome::Failure);
    check("DIAGNOSIS", json!(false), json!("Failed to resolve"), none(), Outcome::Failure);
    check("ROLLBACK", json!(true), json!("ok"), none(), Outcome::Unknown);
    check("MITIGATION", Value::Null, json!("ok"), none(), Outcome::Unknown);

    // The later one's count beside an oracle that says the same of the same agent.
    check("MITIGATION", json!(false), Value::Null, oracle("mitigation", false), Outcome::Failure);
    check("MITIGATION", json!(true), Value::Null, oracle("mitigation", true), Outcome::Success);
    check("MITIGATION", json!(false), Value::Null, oracle("mitigation", true), Outcome::Unknown);
    check("MITIGATION", json!(false), Value::Null, unjudged(), Outcome::Unknown);
    check("MITIGATION", json!(true), Value::Null, unjudged(), Outcome::Unknown);
    check("DIAGNOSIS", json!(false), Value::Null, oracle("mitigation", false), Outcome::Unknown);
    check("DIAGNOSIS", json!(true), Value::Null, oracle("diagnosis", true), Outcome::Success);
    check("ROLLBACK", json!(true), Value::Null, oracle("mitigation", true), Outcome::Unknown);

    // The harness broke.
    let crash =
        |text: &str| check("MITIGATION", json!(false), json!(text), none(), Outcome::Aborted);
    crash("Error: Max retries exceeded. Unable to complete the request.");
    crash("Error: [Errno 32] Broken pipe");
    crash("Execution failed: string indices must be integers, not 'str'");
    crash("Problem p-1 execution failed: 'user'");
    let thought = |text: &str| json!({"thinking_steps": [{"reasoning": text, "timestamp": 1.0}]});
    let last = |text: &str, expected| {
        check("MITIGATION", json!(false), Value::Null, thought(text), expected);
    };
    last("Execution failed: 'user'", Outcome::Aborted);
    last("The pod reports Error: no memory", Outcome::Failure);
    check("MITIGATION", json!(false), json!("done"), thought("Error: x"), Outcome::Failure);
    check("MITIGATION", json!(false), json!("An Error: was found"), none(), Outcome::Failure);
}

#[test]
fn a_stratus_record_may_leave_out_what_it_does_not_know() {
    let bare = json!({"trace_id": "s2", "agent_type": "AgentType.DIAGNOSIS", "start_time": 1_764_000_000,
        "end_time": 1_764_000_001, "success": null, "final_submission": null, "tool_calls": null,
        "thinking_steps": null, "problem_context": null});
    let trace = one(&bare.to_string());
    assert_eq!((trace.outcome, trace.steps.len(), trace.task), (Outcome::Unknown, 0, None));
}

#[test]
fn chat_runs_are_read_from_both_benchmarks() {
    let tau = json!([{"task_id": 3, "reward": 1.0, "trial": 0, "info": {"task": {"instruction": "book a seat"}}, "traj": [
        {"role": "system", "content": "policy"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "book", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "name": "book", "content": "Error: full"}]}]);
    let named = Options { agent: Some("seats".parse().unwrap()), ..options() };
    let decoded = decode(tau.to_string().as_bytes(), &named);
    let trace = first(decoded);
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
    assert_eq!(first(decode(simulation.as_bytes(), &named)).trace_id, "u-1");
}

fn simulation(reward: &Value, ending: &str) -> Value {
    json!({"id": "u-1", "task_id": "7", "start_time": "2026-01-01T10:00:00.5", "end_time": "2026-01-01T10:00:20.5",
        "termination_reason": ending, "reward_info": reward, "messages": [
        {"role": "assistant", "content": [{"type": "text", "text": "Hello"}], "usage": {"prompt_tokens": null, "completion_tokens": 5}}]})
}

/// A run of each chat benchmark, for tests that damage them.
pub(crate) fn chats() -> [String; 2] {
    let tau = json!([{"task_id": 3, "reward": 1.0, "trial": 0, "info": {}, "traj": [
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "book", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "name": "book", "content": "Error: full"}]}]);
    let tau2 = json!({"info": {"environment_info": {"domain_name": "shop"}},
        "simulations": [simulation(&json!({"reward": 1.0}), "user_stop")]});
    [tau.to_string(), tau2.to_string()]
}

#[test]
fn a_simulation_fails_by_its_reward_and_aborts_by_what_broke() {
    let named = Options { agent: Some("shop".parse().unwrap()), ..options() };
    let check = |reward: Value, ending: &str, expected| {
        let text = simulation(&reward, ending).to_string();
        let trace = first(decode(text.as_bytes(), &named));
        assert_eq!(trace.outcome, expected, "{text}");
    };
    let reward = |reward: f64| json!({"reward": reward});
    check(reward(1.0), "user_stop", Outcome::Success);
    check(reward(0.999_999_9), "agent_stop", Outcome::Success);
    check(reward(0.5), "user_stop", Outcome::Failure);
    check(reward(0.0), "too_many_errors", Outcome::Failure);
    check(reward(0.0), "max_steps", Outcome::Failure);
    check(reward(0.0), "agent_error", Outcome::Failure);
    check(reward(0.0), "infrastructure_error", Outcome::Aborted);
    check(Value::Null, "user_error", Outcome::Aborted);
    check(Value::Null, "user_stop", Outcome::Unknown);
}

#[test]
fn calls_are_identical_if_their_arguments_mean_the_same() {
    let calls = json!([
        {"type": "tool", "name": "look", "ok": true, "arguments": "{\"a\": 1, \"b\": 2}"},
        {"type": "tool", "name": "look", "ok": true, "arguments": "{\"b\":2,\"a\":1}"},
        {"type": "tool", "name": "look", "ok": true, "arguments": "{\"b\":3,\"a\":1}"}]);
    let run = Run::digest(&one(&with("steps", calls)));
    assert_eq!((run.longest_repeat, run.repeated_tool), (2, Some(0)));
}

#[test]
fn the_schema_says_what_the_decoder_takes() {
    let schema: Value =
        serde_json::from_str(include_str!("../../configs/trace.schema.json")).unwrap();
    let call = ToolCall {
        name: "look".to_owned(),
        ok: false,
        error: Some("gone".to_owned()),
        duration: Some(0.5),
        arguments: Some("{}".to_owned()),
    };
    let model = LlmCall { model: Some("m".to_owned()), tokens: Tokens { input: 1, output: 2 } };
    let thought = Thought { text: "hm".to_owned() };
    let full = Trace {
        session: Some("s".to_owned()),
        task: Some("t".to_owned()),
        result: Some("r".to_owned()),
        version: Some(VersionNumber(2)),
        cost_usd: Some(0.25),
        rounds: Some(3),
        steps: vec![Step::Tool(call), Step::Thought(thought), Step::Llm(model)],
        ..one(&native().to_string())
    };
    let written = serde_json::to_value(&full).unwrap();
    assert_eq!(one(&written.to_string()), full);
    let described = |object: &Value, schema: &Value, what: &str| {
        for key in object.as_object().unwrap().keys() {
            let field = &schema["properties"][key];
            assert!(field.is_object(), "{key} of {what} is not in the schema");
            let said =
                ["description", "$ref", "const"].iter().any(|word| field.get(word).is_some());
            assert!(said, "{key} of {what} is not described");
        }
    };
    described(&written, &schema, "a run");
    described(&written["tokens"], &schema["$defs"]["tokens"], "tokens");
    for step in written["steps"].as_array().unwrap() {
        let kind = step["type"].as_str().unwrap();
        described(step, &schema["$defs"][kind], kind);
        for required in schema["$defs"][kind]["required"].as_array().unwrap() {
            let mut step = step.clone();
            step.as_object_mut().unwrap().remove(required.as_str().unwrap());
            let reject = decode_text(&with("steps", json!([step])))[0].result.clone().unwrap_err();
            assert_eq!(reject.reason, Reason::InvalidField, "{required} of {kind}");
        }
    }

    // What is required is demanded, and nothing else is.
    let minimal =
        json!({"agent": "a", "trace_id": "t", "start": 1_770_000_000, "end": 1_770_000_001});
    one(&minimal.to_string());
    let times = [&schema, &schema["else"]].map(|part| part["anyOf"][1]["required"][0].clone());
    for required in schema["required"].as_array().unwrap().iter().chain(&times) {
        let mut record = minimal.clone();
        assert!(record.as_object_mut().unwrap().remove(required.as_str().unwrap()).is_some());
        assert!(decode_text(&record.to_string())[0].result.is_err(), "{required}");
    }
    let examples = schema["examples"].as_array().unwrap().iter();
    let runs: Vec<_> =
        examples.map(|example| report(&example.to_string()).into_run().is_some()).collect();
    assert_eq!(runs, [true, false], "a run, and a start");
}
