//! What the model costs: nothing is called that the budget, the log of calls or the breaker forbids, and
//! nothing is spent that is not booked, whoever dies when.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use whetstone::base::{EventTime, ManualClock};
use whetstone::govern::{Author, LlmBudget, LlmReport, Proposal, Request, RequestId, Spend};
use whetstone::optimize::{CallFiles, LlmSettings, LoggedCall, Optimizer, Price, read_calls};
use wiremock::{MockServer, ResponseTemplate};

use crate::optimize::{
    ANY, CONFIG, PROMPTS, bullet, endpoint, no_change, optimizer, request, says, settings, when,
};

const DAY: i64 = 86_400_000;

/// What [`says`] tells that a call takes.
const CALL: u64 = 110;

fn files(dir: &TempDir) -> CallFiles {
    let day = Duration::from_hours(24);
    CallFiles { folder: dir.path().join("llm-calls"), keep: 30 * day, cache: day }
}

fn logged(server: &MockServer, dir: &TempDir) -> LlmSettings {
    LlmSettings { calls: Some(files(dir)), ..settings(&endpoint(server)) }
}

async fn propose(settings: LlmSettings, request: &Request) -> Proposal {
    let clock = Arc::new(ManualClock::at(request.at));
    Optimizer::new(settings, clock).propose(request).await
}

fn with_budget(budget: LlmBudget) -> Request {
    let mut request = request();
    request.policy.llm_budget = budget;
    request
}

fn tokens_a_day(tokens: u64) -> LlmBudget {
    LlmBudget { tokens_per_day: Some(tokens), ..LlmBudget::default() }
}

fn calls(dir: &TempDir) -> Vec<LoggedCall> {
    read_calls(&files(dir).folder, None).unwrap()
}

async fn received(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

/// All that stands in the files of `folder`.
fn texts(folder: &Path) -> String {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

fn is_silent(llm: &LlmReport, says: &str) {
    let fallback = llm.fallback.as_deref().unwrap_or_default();
    assert!(fallback.contains(says), "{fallback:?} says nothing of {says:?}");
}

#[tokio::test]
async fn what_passes_the_budget_is_not_called_and_nobody_is_blamed() {
    let server = MockServer::start().await;
    when(&server, ANY, no_change(), 9).await;
    let (optimizer, _) = optimizer(settings(&endpoint(&server)));
    for _ in 0..4 {
        let proposal = optimizer.propose(&with_budget(tokens_a_day(8_000))).await;
        assert_eq!(proposal.prompt.author, Author::Patterns);
        assert!(!proposal.prompt.answer.edits().is_empty());
        assert_eq!((proposal.llm.calls, proposal.llm.over_budget), (0, 2));
        is_silent(&proposal.llm, "the day's budget of 8000 tokens is used up: 0 are spent and the");
        is_silent(&proposal.llm, "it starts anew at 00:00 UTC; raise llm_budget.tokens_per_day");
    }
    assert_eq!(received(&server).await, 0);
    let proposal = optimizer.propose(&request()).await;
    assert_eq!((proposal.llm.fallback, proposal.llm.calls), (None, 2), "the breaker is closed");
}

#[tokio::test]
async fn what_was_spent_counts_until_midnight() {
    let server = MockServer::start().await;
    when(&server, ANY, no_change(), 9).await;
    let (optimizer, clock) = optimizer(settings(&endpoint(&server)));
    let mut request = with_budget(tokens_a_day(1_000_000));
    request.at = EventTime::from_millis(3 * DAY - 2);
    request.spent = Spend::of_call(990_000, 5_000, None);
    clock.set(EventTime::from_millis(3 * DAY - 1));
    is_silent(&optimizer.propose(&request).await.llm, "995000 are spent");
    clock.set(EventTime::from_millis(3 * DAY));
    assert_eq!(optimizer.propose(&request).await.llm.fallback, None);
}

#[tokio::test]
async fn what_one_half_spends_the_other_has_not() {
    let server = MockServer::start().await;
    let mut dear = answered("{\"edits\":[],\"no_change_reason\":\"All is well.\"}");
    dear["usage"] = json!({"prompt_tokens": 60_000, "completion_tokens": 35_000});
    when(&server, ANY, ResponseTemplate::new(200).set_body_json(dear), 9).await;
    let proposal = propose(settings(&endpoint(&server)), &with_budget(tokens_a_day(100_000))).await;
    assert_eq!((proposal.llm.calls, proposal.llm.over_budget), (1, 1), "{:?}", proposal.llm);
    is_silent(&proposal.llm, "config: the day's budget");
    is_silent(&proposal.llm, "95000 are spent");
}

/// A server's answer that says `text` and nothing of what it took.
fn answered(text: &str) -> Value {
    json!({
        "id": "1", "object": "chat.completion", "created": 1, "model": "small",
        "choices": [{"index": 0, "finish_reason": "stop",
                     "message": {"role": "assistant", "content": text}}],
    })
}

#[tokio::test]
async fn money_is_counted_where_there_is_a_price_and_kept_where_there_is_none() {
    let server = MockServer::start().await;
    when(&server, ANY, no_change(), 9).await;
    let budget = LlmBudget { micros_per_day: Some(5_000_000), ..LlmBudget::default() };
    let request = with_budget(budget);
    let proposal = propose(settings(&endpoint(&server)), &request).await;
    is_silent(&proposal.llm, "what small costs is not known");
    is_silent(&proposal.llm, "set llm.price");
    assert_eq!(received(&server).await, 0);

    let price = Some(Price { input: 300_000, output: 2_500_000 });
    let priced = LlmSettings { price, ..settings(&endpoint(&server)) };
    let proposal = propose(priced.clone(), &request).await;
    assert_eq!((proposal.llm.fallback, proposal.llm.cost_micros), (None, Some(2 * (30 + 25))));
    let spent = Spend { cost_micros: 4_999_000, ..Spend::default() };
    let proposal = propose(priced, &Request { spent, ..request }).await;
    is_silent(&proposal.llm, "the day's budget of 5.0000 USD is used up: 4.9990 are spent");
}

#[tokio::test]
async fn calls_for_one_request_are_limited_whatever_becomes_of_them() {
    let server = MockServer::start().await;
    when(&server, ANY, ResponseTemplate::new(500), 99).await;
    let request = with_budget(LlmBudget { calls_per_request: 3, ..LlmBudget::default() });
    let proposal = propose(settings(&endpoint(&server)), &request).await;
    assert_eq!(received(&server).await, 3);
    assert_eq!((proposal.llm.calls, proposal.llm.failed, proposal.llm.over_budget), (3, 3, 1));
    is_silent(
        &proposal.llm,
        "config: the server answered 500: ; not asked again: 3 calls were made",
    );
    assert_eq!(proposal.llm.input_tokens, 0, "who refuses to answer sends no bill");
}

#[tokio::test]
async fn what_nobody_tells_is_booked_as_estimated() {
    let server = MockServer::start().await;
    let mut silent = answered("{\"edits\":[],\"no_change_reason\":\"All is well.\"}");
    when(&server, PROMPTS, ResponseTemplate::new(200).set_body_json(&silent), 1).await;
    silent["usage"] = json!({"prompt_tokens": 70, "completion_tokens": 0, "total_tokens": 70});
    silent["choices"][0]["message"]["content"] =
        json!("{\"changes\":[],\"no_change_reason\":\"x\"}");
    when(&server, CONFIG, ResponseTemplate::new(200).set_body_json(silent), 1).await;
    let llm = propose(settings(&endpoint(&server)), &request()).await.llm;
    assert_eq!((llm.fallback.as_deref(), llm.estimated), (None, 2));
    assert_eq!(llm.output_tokens, 2 * 8_000);
    assert!(llm.input_tokens > 1_000, "{llm:?}");

    let slow = MockServer::start().await;
    when(&slow, ANY, no_change().set_delay(Duration::from_secs(60)), 99).await;
    let timeout = Duration::from_millis(50);
    let hasty = LlmSettings { timeout, max_attempts: 1, ..settings(&endpoint(&slow)) };
    let llm = propose(hasty, &request()).await.llm;
    assert_eq!((llm.calls, llm.failed, llm.estimated), (2, 2, 2), "the server may have worked");
    assert_eq!(llm.output_tokens, 2 * 8_000);
}

#[tokio::test]
async fn a_call_is_logged_before_and_after_it() {
    let (server, dir) = (MockServer::start().await, TempDir::new().unwrap());
    when(&server, PROMPTS, says(bullet("Look first.")), 9).await;
    when(&server, CONFIG, ResponseTemplate::new(401).set_body_string("no"), 9).await;
    propose(logged(&server, &dir), &request()).await;
    let calls = calls(&dir);
    let purposes: Vec<_> = calls.iter().map(|logged| logged.call.purpose.as_str()).collect();
    assert_eq!(purposes, ["prompts", "config"]);
    let sent = &calls[0].call.sent;
    assert_eq!(
        (sent.model.as_str(), sent.max_tokens, sent.format.as_str()),
        ("small", 8_000, "json_schema")
    );
    assert!(sent.system.contains(PROMPTS) && sent.messages[0].content.contains("bad_tool"));
    let answer = calls[0].answer.as_ref().unwrap();
    assert_eq!(answer.text.as_deref(), Some(bullet("Look first.").as_str()));
    assert_eq!((answer.input_tokens, answer.output_tokens), (100, 10));
    let failed = calls[1].answer.as_ref().unwrap();
    assert_eq!(failed.failure.as_deref(), Some("the server answered 401: no"));
    assert_eq!((failed.text.as_deref(), failed.input_tokens), (None, 0));
    let lines: Vec<Value> = texts(&files(&dir).folder)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["call", "answer", "call", "answer"]);
}

#[tokio::test]
async fn the_same_question_is_answered_from_the_log_and_paid_for_once() {
    let (server, dir) = (MockServer::start().await, TempDir::new().unwrap());
    when(&server, PROMPTS, says(bullet("Look first.")), 9).await;
    when(&server, CONFIG, no_change(), 9).await;
    let first = propose(logged(&server, &dir), &request()).await;
    // As if nobody had heard of it: the worker died before it could hand it in.
    let second = propose(logged(&server, &dir), &request()).await;
    assert_eq!(received(&server).await, 2);
    assert_eq!(second.prompt, first.prompt);
    let LlmReport { calls, resumed, cached, input_tokens, output_tokens, .. } = second.llm;
    assert_eq!((calls, resumed, cached), (2, 2, 2));
    assert_eq!((input_tokens, output_tokens), (200, 20), "what the first one spent is handed in");

    let mut off = logged(&server, &dir);
    off.calls.as_mut().unwrap().cache = Duration::ZERO;
    assert_eq!(propose(off, &request()).await.llm.cached, 0);
    let later = ManualClock::at(request().at.plus_millis(DAY));
    let later = Optimizer::new(logged(&server, &dir), Arc::new(later));
    assert_eq!(later.propose(&request()).await.llm.cached, 0);
    assert_eq!(received(&server).await, 6);
}

#[tokio::test]
async fn a_call_without_an_answer_counts_at_its_estimate() {
    let (server, dir) = (MockServer::start().await, TempDir::new().unwrap());
    when(&server, ANY, no_change().set_delay(Duration::from_secs(60)), 1).await;
    when(&server, ANY, no_change(), 9).await;
    {
        // Dropped in the middle of the call, like the task of a worker that loses its partition.
        let clock = Arc::new(ManualClock::at(request().at));
        let optimizer = Optimizer::new(logged(&server, &dir), clock);
        let request = request();
        let proposal = optimizer.propose(&request);
        tokio::pin!(proposal);
        while received(&server).await == 0 {
            let waited = tokio::time::timeout(Duration::from_millis(5), &mut proposal).await;
            assert!(waited.is_err());
        }
    }
    let estimate = calls(&dir)[0].call.estimate;
    assert_eq!(calls(&dir)[0].answer, None);

    // Another request of the day: the dead one's call is nowhere else.
    let other = RequestId { number: 99, ..request().id };
    let budget = tokens_a_day(estimate.tokens() + 5_000);
    let tight = Request { id: other, ..with_budget(budget) };
    let llm = propose(logged(&server, &dir), &tight).await.llm;
    assert_eq!((llm.calls, llm.over_budget), (0, 2), "{llm:?}");
    let tomorrow = Arc::new(ManualClock::at(request().at.plus_millis(DAY)));
    let tomorrow = Optimizer::new(logged(&server, &dir), tomorrow);
    assert_eq!(tomorrow.propose(&tight).await.llm.fallback, None);

    // The same request again: it hands in what was spent for it.
    let again = propose(logged(&server, &dir), &request()).await.llm;
    assert_eq!((again.calls, again.resumed, again.fallback), (3, 1, None));
    assert_eq!(again.input_tokens, estimate.input_tokens + 200);
}

#[tokio::test]
async fn a_loop_of_crashes_ends_at_the_limit_of_calls() {
    let (server, dir) = (MockServer::start().await, TempDir::new().unwrap());
    when(&server, ANY, no_change().set_delay(Duration::from_secs(60)), 99).await;
    let request = with_budget(LlmBudget { calls_per_request: 3, ..LlmBudget::default() });
    for crash in 0..3 {
        let clock = Arc::new(ManualClock::at(request.at));
        let optimizer = Optimizer::new(logged(&server, &dir), clock);
        let proposal = optimizer.propose(&request);
        tokio::pin!(proposal);
        while received(&server).await == crash {
            let waited = tokio::time::timeout(Duration::from_millis(5), &mut proposal).await;
            assert!(waited.is_err());
        }
    }
    let llm = propose(logged(&server, &dir), &request).await.llm;
    assert_eq!(received(&server).await, 3);
    assert_eq!((llm.calls, llm.resumed, llm.over_budget), (3, 3, 2));
}

#[tokio::test]
async fn what_cannot_be_logged_is_not_called() {
    let (server, dir) = (MockServer::start().await, TempDir::new().unwrap());
    when(&server, ANY, no_change(), 9).await;
    let blocked = files(&dir).folder;
    std::fs::write(&blocked, "in the way").unwrap();
    let clock = Arc::new(ManualClock::at(request().at));
    let optimizer = Optimizer::new(logged(&server, &dir), clock);
    for _ in 0..4 {
        let proposal = optimizer.propose(&request()).await;
        assert_eq!((proposal.llm.calls, &proposal.prompt.author), (0, &Author::Patterns));
        is_silent(&proposal.llm, "llm-calls cannot be made");
    }
    assert_eq!(received(&server).await, 0);
    std::fs::remove_file(&blocked).unwrap();
    assert_eq!(optimizer.propose(&request()).await.llm.fallback, None, "it mends itself");
    std::fs::remove_dir_all(&blocked).unwrap();
}

#[tokio::test]
async fn no_secret_gets_into_the_log() {
    let (server, dir) = (MockServer::start().await, TempDir::new().unwrap());
    let (key, password, token) =
        ("k3y-of-the-provider", "hunter2hunter2", "ghp_a1B2c3D4e5F6g7H8i9J0k1L2");
    let echo = format!("no such key: {key}, and password={password}");
    when(&server, CONFIG, ResponseTemplate::new(401).set_body_string(echo), 9).await;
    when(&server, PROMPTS, says(bullet(&format!("Use {key} and {token}."))), 9).await;
    let mut request = request();
    request.window.exemplars.worst[0].excerpt = format!("export API_KEY={key} password={password}");
    request.content.prompts.insert("notes".to_owned(), format!("Log in with {token} or {key}."));
    let user = endpoint(&server).replace("http://", "http://me:hunter2hunter2@");
    let settings = LlmSettings {
        key: Some(SecretString::from(key)),
        endpoint: Some(format!("{user}?key={key}")),
        ..logged(&server, &dir)
    };
    let plain = LlmSettings { endpoint: Some(endpoint(&server)), ..settings.clone() };
    propose(plain, &request).await;
    propose(settings, &request).await;
    assert!(received(&server).await > 2);
    let written = texts(&files(&dir).folder);
    assert!(written.contains("Log in with [redacted] or [key]."), "{written}");
    for secret in [key, password, token, "Bearer", "uthorization"] {
        assert!(!written.contains(secret), "{secret} is in {written}");
    }
    // An answer that something was hidden in is not what the model said, and is asked for again.
    assert!(calls(&dir).iter().all(|logged| logged.answer.as_ref().is_none_or(|a| !a.whole)));
}

#[tokio::test]
async fn a_breaker_that_is_open_is_counted() {
    let (server, dir) = (MockServer::start().await, TempDir::new().unwrap());
    when(&server, ANY, ResponseTemplate::new(400), 99).await;
    let clock = Arc::new(ManualClock::at(request().at));
    let optimizer = Optimizer::new(logged(&server, &dir), clock);
    assert!(!optimizer.is_resting());
    optimizer.propose(&request()).await;
    let llm = optimizer.propose(&request()).await.llm;
    assert_eq!((llm.failed, llm.breaker_open), (1, 1));
    assert!(optimizer.is_resting());
    let calls = received(&server).await;
    let llm = optimizer.propose(&request()).await.llm;
    assert_eq!((llm.breaker_open, received(&server).await), (2, calls));
}

#[tokio::test]
async fn a_preview_is_the_call_that_is_then_made() {
    let (server, dir) = (MockServer::start().await, TempDir::new().unwrap());
    when(&server, ANY, no_change(), 9).await;
    let settings = LlmSettings {
        price: Some(Price { input: 300_000, output: 2_500_000 }),
        ..logged(&server, &dir)
    };
    let clock = Arc::new(ManualClock::at(request().at));
    let optimizer = Optimizer::new(settings, clock);
    let previews = optimizer.preview(&request()).unwrap();
    assert_eq!(received(&server).await, 0);
    assert!(!files(&dir).folder.exists());
    assert_eq!(
        previews.iter().map(|p| p.purpose.as_str()).collect::<Vec<_>>(),
        ["prompts", "config"]
    );
    assert_eq!(previews[0].spent, Spend::default());
    assert_eq!(previews[1].spent.tokens(), previews[0].estimate.tokens());
    assert!(
        previews.iter().all(|p| p.objection.is_none() && p.estimate.cost_micros > Some(20_000))
    );
    optimizer.propose(&request()).await;
    for (preview, logged) in previews.iter().zip(calls(&dir)) {
        assert_eq!((&preview.hash, &preview.sent), (&logged.call.hash, &logged.call.sent));
        assert_eq!(preview.estimate, logged.call.estimate);
    }
    let other = Request { at: request().at.plus_millis(1), ..request() };
    let spent = optimizer.preview(&other).unwrap()[0].spent.tokens();
    assert_eq!(spent, 2 * CALL, "the log tells what was spent");

    let poor = with_budget(tokens_a_day(10));
    assert!(optimizer.preview(&poor).unwrap()[0].objection.is_some());
    let off = LlmSettings { enabled: false, ..LlmSettings::default() };
    let clock = || Arc::new(ManualClock::at(request().at));
    assert_eq!(Optimizer::new(off, clock()).preview(&request()).unwrap(), []);
    let keyless = Optimizer::new(LlmSettings::default(), clock());
    let objection = keyless.preview(&request()).unwrap()[0].objection.clone();
    assert!(objection.unwrap().contains("set GOOGLE_API_KEY"));
}
