//! Stratus trajectory files: several runs, attempts and answers in one stream of lines.

use serde_json::{Value, json};
use whetstone::decode::{Outcome, Reason, Reject, Tokens, Trace, limits};

use super::decode::decode_text;

fn ai(name: &str, id: &Value) -> Value {
    json!({"type": "AIMessage", "content": "Let me look", "tool_calls": [{"name": name, "args": {}, "id": id}],
        "usage_metadata": {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}})
}

fn answer(id: &Value, text: &str) -> Value {
    json!({"type": "ToolMessage", "content": text, "tool_call_id": id, "name": "x"})
}

fn event(stage: &str, steps: u32, messages: &[Value]) -> Value {
    json!({"type": "event", "stage": stage, "event_index": 0, "num_steps": steps, "submitted": true,
        "rollback_stack": "", "messages": messages, "last_message": {}})
}

fn metadata(problem: &str) -> Value {
    json!({"type": "metadata", "problem_id": problem, "timestamp": "0704_1458",
        "timestamp_readable": "2026-05-04 15:07:13", "total_stages": 3, "total_events": 4})
}

/// A trajectory file of two agents, the second in two attempts.
pub(crate) fn trajectory() -> String {
    let seen = vec![ai("get_logs", &json!("a"))];
    let mut more = seen.clone();
    more.extend([
        answer(&json!("a"), "Error: gone"),
        ai("submit", &json!("b")),
        answer(&json!("b"), "ok"),
    ]);
    let lines = [
        metadata("p1"),
        json!({"type": "stage_start", "stage": "diagnosis", "num_events": 2}),
        event("diagnosis", 1, &seen),
        event("diagnosis", 2, &more),
        event("mitigation_attempt_0", 5, &[ai("fix", &json!("c")), answer(&json!("c"), "ok")]),
        event("mitigation_attempt_1", 4, &[ai("fix", &json!("d")), answer(&json!("d"), "ok")]),
    ];
    lines.map(|line| line.to_string()).join("\n")
}

fn runs(text: &str) -> Vec<Trace> {
    decode_text(text)
        .into_iter()
        .map(|decoded| decoded.result.unwrap().into_run().unwrap())
        .collect()
}

#[test]
fn a_trajectory_file_is_one_run_an_agent_and_attempts_are_retries() {
    let traces = runs(&trajectory());
    assert_eq!(traces.len(), 2);
    let (diagnosis, mitigation) = (&traces[0], &traces[1]);
    assert_eq!(diagnosis.agent.as_str(), "diagnosis");
    assert_eq!(diagnosis.trace_id, "p1_0704_1458_diagnosis");
    assert_eq!(diagnosis.start.to_string(), "2026-05-04T15:07:13Z");
    assert!(diagnosis.latency() < 1e-9, "zero: not known");
    assert_eq!(diagnosis.tool_calls().map(|c| c.ok).collect::<Vec<_>>(), [false, true]);
    assert_eq!(diagnosis.tokens, Tokens { input: 20, output: 4 }, "the last event alone");
    assert_eq!((diagnosis.rounds, diagnosis.outcome), (Some(2), Outcome::Unknown));
    assert_eq!((mitigation.agent.as_str(), mitigation.retries), ("mitigation", 1));
    assert_eq!(mitigation.rounds, Some(5), "the longest attempt: max_step limits each");
    assert_eq!(mitigation.tool_calls().count(), 2);
}

#[test]
fn a_trajectory_file_may_name_the_version_of_each_agent() {
    let read = |versions: &Value| {
        let mut first = metadata("p1");
        first["prompt_versions"] = versions.clone();
        let text = trajectory().replacen(&metadata("p1").to_string(), &first.to_string(), 1);
        let runs = decode_text(&text).into_iter();
        runs.map(|run| {
            run.result.map(|report| report.into_run().unwrap().version.map(|version| version.0))
        })
        .collect::<Vec<_>>()
    };
    let known = |versions: Value| -> Vec<Option<u32>> {
        read(&versions).into_iter().map(Result::unwrap).collect()
    };
    assert_eq!(known(json!({"diagnosis": 3, "mitigation": 12})), [Some(3), Some(12)]);
    assert_eq!(known(json!({"mitigation": 12, "judge": 1})), [None, Some(12)]);
    assert_eq!(known(json!({"diagnosis": 0, "mitigation": null})), [None, None]);
    assert_eq!(known(Value::Null), [None, None]);
    let hint = |run: &Result<Option<u32>, Reject>| {
        run.as_ref().is_err_and(|reject| {
            reject.reason == Reason::InvalidField && reject.detail.contains("prompt_versions")
        })
    };
    for wrong in [json!("v3"), json!(-1), json!(1.5), json!({})] {
        let runs = read(&json!({"diagnosis": wrong, "mitigation": 12}));
        assert!(hint(&runs[0]) && runs[1] == Ok(Some(12)), "costs its own run alone: {runs:?}");
    }
    for wrong in [json!(3), json!([3, 12]), json!("3")] {
        assert!(read(&wrong).iter().all(hint), "{wrong}");
    }
}

#[test]
fn trajectory_files_one_after_the_other_stay_apart() {
    let both = format!("{}\n{}", trajectory(), trajectory().replace("\"p1\"", "\"p2\""));
    let traces = runs(&both);
    let ids: Vec<_> = traces.iter().map(|trace| trace.trace_id.as_str()).collect();
    let expected = [
        "p1_0704_1458_diagnosis",
        "p1_0704_1458_mitigation",
        "p2_0704_1458_diagnosis",
        "p2_0704_1458_mitigation",
    ];
    assert_eq!(ids, expected);
    assert!(traces.iter().all(|trace| trace.retries <= 1));
}

#[test]
fn answers_without_ids_belong_to_the_latest_calls_in_order() {
    let two = |ids: [Value; 2]| {
        json!({"type": "AIMessage", "content": [{"type": "text", "text": "Both."}], "tool_calls":
            [{"name": "first", "args": {}, "id": ids[0]}, {"name": "second", "args": {}, "id": ids[1]}]})
    };
    let none = &Value::Null;
    let check = |messages: Vec<Value>, expected: &[bool]| {
        let text = format!("{}\n{}", metadata("p"), event("diagnosis", 1, &messages));
        let calls: Vec<_> = runs(&text)[0].tool_calls().map(|call| call.ok).collect();
        assert_eq!(calls, expected);
    };
    let failed = || answer(none, "Error: no");
    check(vec![two([json!(null), json!(null)]), failed(), answer(none, "ok")], &[false, true]);
    check(vec![two([json!("a"), json!("b")]), failed(), answer(none, "ok")], &[false, true]);
    let late = vec![two([json!("a"), json!("b")]), answer(&json!("b"), "ok"), failed()];
    check(late, &[false, true]);
    let lost = vec![two([json!("a"), json!("b")]), two([json!("c"), json!("d")]), failed()];
    check(lost, &[true, true, false, true]);
}

#[test]
fn a_broken_line_of_a_trajectory_costs_itself_alone() {
    let text = format!("{{\"type\n{}\n{{\"type\": \"event\", \"stage\"", trajectory());
    let decoded = decode_text(&text);
    let kinds: Vec<_> = decoded.iter().map(|d| (d.line, d.result.is_ok())).collect();
    assert_eq!(kinds, [(1, false), (5, true), (7, true), (8, false)]);
    let orphan = event("diagnosis", 1, &[ai("look", &json!("a"))]).to_string();
    let reject = decode_text(&orphan)[0].result.clone().unwrap_err();
    assert_eq!(reject.reason, Reason::InvalidField);
    assert!(reject.detail.contains("metadata"), "{reject}");
    let long = runs(&trajectory().replace("\"p1\"", &format!("\"{}\"", "p".repeat(500))));
    assert_ne!(long[0].trace_id, long[1].trace_id, "cut ids stay apart");
    assert!(long[0].trace_id.len() <= limits::MAX_NAME_BYTES);
}
