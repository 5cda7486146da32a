//! OpenTelemetry's protocol over HTTP and gRPC, rule by rule, as its specification has them.

use std::io::Write as _;
use std::sync::{Arc, Barrier};

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::{Client, RequestBuilder, Response};
use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use whetstone::base::{EventTime, Metrics, SystemClock};
use whetstone::consume::{
    Consumer, EmbeddedLog, Follower, Log, LogError, NewRecord, Record, Share, Start, Subscription,
    Topic,
};
use whetstone::decode::otlp::{Batch, Role};
use whetstone::serve::{Server, serve};

use crate::kafka_poison::Failing;
use crate::log_conformance::read;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const MIB: usize = 1024 * 1024;

/// A server on a port of its own, while `work` runs.
fn serving<T>(
    log: Arc<dyn Log>,
    token: Option<&str>,
    work: impl AsyncFnOnce(String, Metrics) -> T,
) -> T {
    let server = Server {
        token: token.map(SecretString::from),
        ..Server::new(log, Metrics::new().unwrap())
    };
    let metrics = server.metrics.clone();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::select! {
            ended = serve(server, listener, CancellationToken::new()) => panic!("{ended:?}"),
            result = work(url, metrics) => result,
        }
    })
}

fn log() -> (TempDir, Arc<EmbeddedLog>) {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path(), Arc::new(SystemClock)).unwrap();
    (dir, Arc::new(log))
}

fn batches(log: &EmbeddedLog) -> Vec<Batch> {
    let batch = |value: &[u8]| serde_json::from_slice(value).unwrap();
    read(log, Topic::TraceSpans).iter().map(|record| batch(&record.value)).collect()
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn span(trace: u8, id: u8) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        name: "execute_tool get_logs".to_owned(),
        start_time_unix_nano: 1_770_000_000_000_000_000,
        end_time_unix_nano: 1_770_000_001_000_000_000,
        attributes: vec![attribute("gen_ai.operation.name", "execute_tool")],
        ..Span::default()
    }
}

fn spans(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

fn logs(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }
}

fn evaluation(trace: Option<u8>) -> LogRecord {
    LogRecord {
        trace_id: trace.map_or_else(Vec::new, |trace| vec![trace; 16]),
        event_name: "gen_ai.evaluation.result".to_owned(),
        attributes: vec![
            attribute("gen_ai.evaluation.name", "correct"),
            attribute("gen_ai.evaluation.score.label", "pass"),
        ],
        ..LogRecord::default()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What `google.rpc.Status` says.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

async fn read_as<T: Message + Default>(response: Response) -> T {
    assert_eq!(response.headers()["content-type"], PROTOBUF);
    T::decode(response.bytes().await.unwrap()).unwrap()
}

fn post(url: &str, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    Client::new().post(format!("{url}{path}")).header("Content-Type", kind).body(body)
}

fn has(metrics: &Metrics, line: &str) {
    let text = metrics.render().unwrap();
    assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
}

fn items(metrics: &Metrics, signal: &str, result: &str, count: u32) {
    let labels = format!("result=\"{result}\",signal=\"{signal}\"");
    has(metrics, &format!("whetstone_otlp_items_total{{{labels}}} {count}"));
}

fn requests(metrics: &Metrics, signal: &str, result: &str, count: u32) {
    let labels = format!("result=\"{result}\",signal=\"{signal}\"");
    has(metrics, &format!("whetstone_otlp_requests_total{{{labels}}} {count}"));
}

#[test]
fn spans_are_on_the_log_by_trace_when_the_answer_comes_in_the_form_of_the_request() {
    let (_dir, log) = log();
    serving(log.clone(), None, async |url, metrics| {
        let message = spans(vec![span(2, 1), span(1, 2), span(2, 3)]);
        let protobuf = message.encode_to_vec();
        let json = serde_json::to_vec(&message).unwrap();
        let mut sent = 0;
        for (kind, body) in
            [(PROTOBUF, &protobuf), (JSON, &json), ("application/json; charset=utf-8", &json)]
        {
            for zipped in [false, true] {
                let request = if zipped {
                    post(&url, "/v1/traces", kind, gzip(body)).header("Content-Encoding", "gzip")
                } else {
                    post(&url, "/v1/traces", kind, body.clone())
                };
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), 200, "{kind} {zipped}");
                if kind == PROTOBUF {
                    let answer: ExportTraceServiceResponse = read_as(answer).await;
                    assert_eq!(answer, ExportTraceServiceResponse::default());
                } else {
                    assert_eq!(answer.headers()["content-type"], JSON);
                    assert_eq!(answer.text().await.unwrap(), "{}");
                }
                sent += 1;
                assert_eq!(read(&*log, Topic::TraceSpans).len(), 2 * sent);
            }
        }
        items(&metrics, "traces", "kept", 18);
        requests(&metrics, "traces", "taken", 6);
    });
    let records = read(&*log, Topic::TraceSpans);
    let all = batches(&log);
    for pair in records.chunks(2).zip(all.chunks(2)) {
        assert_eq!(pair.1, &all[..2]);
        assert_eq!(pair.0[0].key, "01".repeat(16).as_bytes());
        assert_eq!(pair.0[1].key, "02".repeat(16).as_bytes());
    }
    assert_eq!((all[0].spans.len(), all[1].spans.len()), (1, 2));
    assert!(matches!(&all[0].spans[0].role, Role::Tool(tool) if tool.name == "get_logs"));
}

#[test]
fn what_is_refused_of_a_message_is_counted_and_named_and_the_rest_is_kept() {
    let (_dir, log) = log();
    serving(log.clone(), None, async |url, metrics| {
        let nameless = Span { trace_id: vec![0; 16], ..span(1, 1) };
        let backwards = Span { end_time_unix_nano: 1, ..span(1, 2) };
        let message = spans(vec![nameless.clone(), span(1, 3), backwards, nameless]);
        let why = "3 of 4 spans are refused; \
                   invalid_trace_id (2): a trace id has 16 bytes, not all of them 0; this one has 16; \
                   end_before_start (1): span 0202020202020202 ends 1769999999999999999 ns before it starts";

        let answer = post(&url, "/v1/traces", PROTOBUF, message.encode_to_vec()).send().await;
        let answer: ExportTraceServiceResponse = read_as(answer.unwrap()).await;
        let partial = answer.partial_success.unwrap();
        assert_eq!((partial.rejected_spans, partial.error_message.as_str()), (3, why));
        let body = serde_json::to_vec(&message).unwrap();
        let answer = post(&url, "/v1/traces", JSON, body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let expected = json!({"partialSuccess": {"rejectedSpans": "3", "errorMessage": why}});
        assert_eq!(answer.json::<Value>().await.unwrap(), expected);
        // What OpenTelemetry's own crate makes of it.
        let read: ExportTraceServiceResponse = serde_json::from_value(
            json!({"partialSuccess": {"rejectedSpans": 3, "errorMessage": why}}),
        )
        .unwrap();
        assert_eq!(read.partial_success.unwrap(), partial);
        items(&metrics, "traces", "kept", 2);
        items(&metrics, "traces", "refused", 6);
    });
    assert_eq!(batches(&log).len(), 2);
}

#[test]
fn of_log_records_evaluations_are_kept_and_metrics_are_thrown_away_and_counted() {
    let (_dir, log) = log();
    serving(log.clone(), None, async |url, metrics| {
        let other = LogRecord { trace_id: vec![1; 16], ..LogRecord::default() };
        let message = logs(vec![evaluation(Some(1)), other, evaluation(None)]);
        let answer = post(&url, "/v1/logs", PROTOBUF, message.encode_to_vec()).send().await;
        let answer: ExportLogsServiceResponse = read_as(answer.unwrap()).await;
        let partial = answer.partial_success.unwrap();
        assert_eq!(partial.rejected_log_records, 1);
        assert!(partial.error_message.contains("no_trace (1)"), "{partial:?}");
        let body = serde_json::to_vec(&message).unwrap();
        let answer = post(&url, "/v1/logs", JSON, body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["partialSuccess"]["rejectedLogRecords"], "1");
        for (result, count) in [("kept", 2), ("ignored", 2), ("refused", 2)] {
            items(&metrics, "logs", result, count);
        }

        let answer = post(&url, "/v1/metrics", PROTOBUF, "whatever it is").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.bytes().await.unwrap(), "");
        let answer = post(&url, "/v1/metrics", JSON, "{}").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "{}");
        requests(&metrics, "metrics", "ignored", 2);
    });
    let batches = batches(&log);
    assert_eq!(batches.len(), 2);
    assert_eq!((batches[0].spans.len(), batches[0].evaluations.len()), (0, 1));
}

#[test]
fn what_makes_no_sense_is_refused_in_the_form_of_the_request_and_not_to_be_sent_again() {
    let (_dir, log) = log();
    serving(log.clone(), None, async |url, metrics| {
        for path in ["/v1/traces", "/v1/logs"] {
            let answer = post(&url, path, PROTOBUF, "\u{7f}\u{1}").send().await.unwrap();
            assert_eq!(answer.status(), 400);
            assert!(!answer.headers().contains_key("retry-after"));
            let status: Status = read_as(answer).await;
            assert_eq!(status.code, 3);
            assert!(status.message.starts_with("malformed_protobuf: "), "{status:?}");
            for (body, reason) in [
                ("{", "malformed_json: "),
                ("{\"resourceSpans\": 1, \"resourceLogs\": 1}", "invalid_field: "),
            ] {
                let answer = post(&url, path, JSON, body).send().await.unwrap();
                assert_eq!(answer.status(), 400);
                let status: Value = answer.json().await.unwrap();
                assert_eq!(status["code"], 3);
                assert!(status["message"].as_str().unwrap().starts_with(reason), "{status}");
            }
            let zipped = post(&url, path, PROTOBUF, "no gzip").header("Content-Encoding", "gzip");
            assert_eq!(zipped.send().await.unwrap().status(), 400);
            let cut = gzip(&spans(vec![span(1, 1)]).encode_to_vec());
            let zipped = post(&url, path, PROTOBUF, cut[..cut.len() / 2].to_vec());
            let zipped = zipped.header("Content-Encoding", "gzip").send().await.unwrap();
            assert_eq!(zipped.status(), 400);

            // What a web page may send unasked is among these.
            for kind in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=a",
                "application/protobuf",
                "",
            ] {
                let answer = post(&url, path, kind, "{}").send().await.unwrap();
                assert_eq!(answer.status(), 415, "{kind}");
                let status: Value = answer.json().await.unwrap();
                assert!(status["message"].as_str().unwrap().contains(PROTOBUF), "{status}");
            }
            let brotli = post(&url, path, PROTOBUF, "x").header("Content-Encoding", "br");
            let answer = brotli.send().await.unwrap();
            assert_eq!(answer.status(), 415);
            let status: Status = read_as(answer).await;
            assert!(status.message.contains("gzip"), "{status:?}");
            let get = Client::new().get(format!("{url}{path}")).send().await.unwrap();
            assert_eq!(get.status(), 405);
        }
        requests(&metrics, "traces", "refused", 11);
    });
    assert_eq!(batches(&log), []);
}

#[test]
fn what_is_too_large_is_refused_also_where_it_comes_as_a_small_gzip() {
    let (_dir, log) = log();
    serving(log.clone(), None, async |url, _| {
        let answer = post(&url, "/v1/traces", PROTOBUF, vec![0; 17 * MIB]).send().await.unwrap();
        assert_eq!(answer.status(), 413);
        let status: Status = read_as(answer).await;
        assert!(status.message.contains("16777216"), "{status:?}");
        let bomb = gzip(&vec![b' '; 512 * MIB]);
        assert!(bomb.len() < 4 * MIB, "{}", bomb.len());
        for (path, kind) in [("/v1/traces", JSON), ("/v1/logs", PROTOBUF), ("/v1/metrics", JSON)] {
            let bomb = post(&url, path, kind, bomb.clone()).header("Content-Encoding", "gzip");
            assert_eq!(bomb.send().await.unwrap().status(), 413);
        }
        // Small ones that would be large once decoded: empty spans, two or three bytes each.
        let count = 4 * MIB;
        let spans = [0x12, 0x00].repeat(count);
        let nested = |field: u8, inner: Vec<u8>| {
            let mut length = Vec::new();
            prost::encode_length_delimiter(inner.len(), &mut length).unwrap();
            [vec![field], length, inner].concat()
        };
        let protobuf = nested(0x0a, nested(0x12, spans));
        let json = format!(
            "{{\"resourceSpans\": [{{\"scopeSpans\": [{{\"spans\": [{}{{}}]}}]}}]}}",
            "{},".repeat(count)
        );
        for (kind, body) in [(PROTOBUF, protobuf), (JSON, json.into_bytes())] {
            let answer = post(&url, "/v1/traces", kind, body).send().await.unwrap();
            assert_eq!(answer.status(), 413, "{kind}");
            let text = String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned();
            assert!(text.contains("record_too_large: it has so many parts"), "{text}");
        }
    });
    assert_eq!(batches(&log), []);
}

#[test]
fn a_token_is_wanted_here_too() {
    let (_dir, log) = log();
    serving(log, Some("open-sesame"), async |url, metrics| {
        for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
            let body = || post(&url, path, PROTOBUF, "");
            for wrong in
                [body(), body().bearer_auth("open"), body().header("Authorization", "open-sesame")]
            {
                let answer = wrong.send().await.unwrap();
                assert_eq!(answer.status(), 401);
                let status: Status = read_as(answer).await;
                assert_eq!(status.code, 16);
            }
            assert_eq!(body().bearer_auth("open-sesame").send().await.unwrap().status(), 200);
        }
        requests(&metrics, "traces", "refused", 3);
    });
}

#[test]
fn a_large_trace_comes_in_pieces_that_any_topic_takes() {
    let (_dir, log) = log();
    let long = "x".repeat(1900);
    let large = |id: u16| Span {
        span_id: (u64::from(id) + 1).to_be_bytes().to_vec(),
        attributes: vec![
            attribute("gen_ai.operation.name", "chat"),
            attribute("gen_ai.completion", &long),
            attribute("gen_ai.prompt", &long),
        ],
        ..span(1, 1)
    };
    serving(log.clone(), None, async |url, _| {
        let message = spans((0..2000).map(large).collect()).encode_to_vec();
        let answer = post(&url, "/v1/traces", PROTOBUF, message).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    });
    let records = read(&*log, Topic::TraceSpans);
    assert!(records.len() > 4, "{}", records.len());
    assert!(records.iter().all(|record| record.value.len() <= MIB));
    assert!(records.iter().all(|record| record.key == records[0].key));
    assert_eq!(batches(&log).iter().map(|batch| batch.spans.len()).sum::<usize>(), 2000);
}

/// A message in a frame of gRPC's.
fn framed(message: &[u8]) -> Vec<u8> {
    frame(0, message)
}

fn frame(compressed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[compressed], &length[..], message].concat()
}

async fn call(url: &str, service: &str, body: Vec<u8>, token: Option<&str>) -> Response {
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let request = client
        .post(format!("{url}/opentelemetry.proto.collector.{service}/Export"))
        .header("Content-Type", "application/grpc")
        .header("TE", "trailers")
        .header("grpc-encoding", "gzip")
        .body(body);
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    request.send().await.unwrap()
}

#[test]
fn grpc_is_spoken_on_the_same_port() {
    let (_dir, log) = log();
    serving(log.clone(), Some("open-sesame"), async |url, metrics| {
        let token = Some("open-sesame");
        let (traces, logs_service) = ("trace.v1.TraceService", "logs.v1.LogsService");
        let nameless = Span { trace_id: Vec::new(), ..span(1, 1) };
        let message = framed(&spans(vec![span(1, 1), nameless]).encode_to_vec());
        let answer = call(&url, traces, message.clone(), token).await;
        assert_eq!((answer.status().as_u16(), answer.headers().get("grpc-status")), (200, None));
        let answer = answer.bytes().await.unwrap();
        let answer = ExportTraceServiceResponse::decode(&answer[5..]).unwrap();
        assert_eq!(answer.partial_success.unwrap().rejected_spans, 1);

        let message_of_logs = framed(&logs(vec![evaluation(Some(2))]).encode_to_vec());
        let answer = call(&url, logs_service, message_of_logs, token).await;
        assert_eq!(answer.bytes().await.unwrap(), [0; 5].as_slice());
        let answer = call(&url, "metrics.v1.MetricsService", framed(b"anything"), token).await;
        assert_eq!(answer.bytes().await.unwrap(), [0; 5].as_slice());

        let status = async |body, token| {
            let answer = call(&url, traces, body, token).await;
            answer.headers()["grpc-status"].to_str().unwrap().parse::<u32>().unwrap()
        };
        assert_eq!(status(message.clone(), None).await, 16);
        assert_eq!(status(message, Some("open")).await, 16);
        assert_eq!(status(framed(&[0x7f, 1]), token).await, 3);
        // Not OUT_OF_RANGE, which says to send it again.
        assert_eq!(status(framed(&vec![0; 17 * MIB]), token).await, 8);
        assert_eq!(status(frame(1, &gzip(&vec![0; 512 * MIB])), token).await, 8);
        let zipped = frame(1, &gzip(&spans(vec![span(1, 1)]).encode_to_vec()));
        assert_eq!(
            call(&url, traces, zipped, token).await.bytes().await.unwrap(),
            [0; 5].as_slice()
        );
        requests(&metrics, "traces", "taken", 2);
        requests(&metrics, "traces", "refused", 5);
        requests(&metrics, "logs", "taken", 1);
        requests(&metrics, "metrics", "ignored", 1);

        let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
        let plain = post(&url, path, "text/plain", "").bearer_auth("open-sesame");
        assert_eq!(plain.send().await.unwrap().status(), 415);
    });
    let batches = batches(&log);
    assert_eq!((batches.len(), batches[0].spans.len(), batches[1].evaluations.len()), (3, 1, 1));
}

/// A log whose appends say that they began, and end when as many as the barrier wants are there.
struct Slow(tokio::sync::mpsc::Sender<()>, Arc<Barrier>);

impl Log for Slow {
    fn append(&self, _: Vec<NewRecord>) -> Result<(), LogError> {
        self.0.blocking_send(()).unwrap();
        self.1.wait();
        Ok(())
    }

    fn join(&self, _: &Subscription<'_>) -> Result<Box<dyn Consumer>, LogError> {
        unreachable!()
    }

    fn follow(&self, _: Topic, _: Start) -> Result<Box<dyn Follower>, LogError> {
        unreachable!()
    }

    fn table(&self, _: Topic, _: Share<'_>) -> Result<Vec<Record>, LogError> {
        unreachable!()
    }

    fn trim(&self, _: EventTime) -> Result<u64, LogError> {
        unreachable!()
    }
}

#[test]
fn a_message_that_waits_too_long_for_its_turn_is_to_be_sent_again() {
    let (began, mut begins) = tokio::sync::mpsc::channel(8);
    let barrier = Arc::new(Barrier::new(5));
    serving(Arc::new(Slow(began, barrier.clone())), None, async |url, metrics| {
        let message = spans(vec![span(1, 1)]).encode_to_vec();
        let send = || post(&url, "/v1/traces", PROTOBUF, message.clone()).send();
        let four = async { tokio::join!(send(), send(), send(), send()) };
        tokio::select! {
            answers = four => panic!("{answers:?}"),
            _ = async { for _ in 0..4 { begins.recv().await; } } => {}
        }
        // Their senders have given up, and they are still being written.
        let fifth = send().await.unwrap();
        assert_eq!(fifth.status(), 503);
        assert!(fifth.headers().contains_key("retry-after"));
        requests(&metrics, "traces", "unavailable", 1);
        tokio::task::spawn_blocking(move || barrier.wait()).await.unwrap();
    });
}

#[test]
fn a_log_that_fails_says_whether_to_send_it_again() {
    let check = |failure: fn() -> LogError, expected: (u16, i32), retry: Option<&str>| {
        serving(Arc::new(Failing(failure)), None, async |url, metrics| {
            let message = spans(vec![span(1, 1)]).encode_to_vec();
            let answer = post(&url, "/v1/traces", PROTOBUF, message.clone()).send().await.unwrap();
            assert_eq!(answer.status(), expected.0);
            let after = answer.headers().get("retry-after").map(|value| value.to_str().unwrap());
            assert_eq!(after, retry);
            let status: Status = read_as(answer).await;
            assert_eq!(status.code, expected.1);
            assert!(status.message.starts_with(&failure().to_string()), "{status:?}");
            let answer = call(&url, "trace.v1.TraceService", framed(&message), None).await;
            assert_eq!(answer.headers()["grpc-status"], expected.1.to_string());
            let result = if retry.is_some() { "unavailable" } else { "refused" };
            requests(&metrics, "traces", result, 2);
            assert!(!metrics.render().unwrap().contains("result=\"kept\""));
            // Nothing is kept of it, so the log is not asked.
            let nothing = post(&url, "/v1/traces", PROTOBUF, "").send().await.unwrap();
            assert_eq!(nothing.status(), 200);
        });
    };
    check(|| LogError::Unavailable("no answer".to_owned()), (503, 14), Some("5"));
    check(
        || LogError::Lost { group: "g".to_owned(), why: "gone".to_owned() },
        (503, 14),
        Some("5"),
    );
    check(|| LogError::TooLarge { topic: "trace-spans".to_owned(), bytes: 9 }, (413, 8), None);
    check(|| LogError::Store("disk full".to_owned()), (500, 13), None);
}
