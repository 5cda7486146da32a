//! A flood of spans whose agent never comes, against a whole server: how much memory it takes.
//!
//! `cargo bench --bench flood` starts the server on a log in a directory, with 64 MiB for spans
//! (`MEMORY_MIB=…`), and posts 1,000,000 spans (`SPANS=…`) to `/v1/traces`, each of a trace of its own and
//! every second one a call of a tool. One agent's run begins before the flood and ends after it: with room
//! for it, it is told, and else given up by name. What is printed is measured, on the machine it runs on.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

type Failure = Box<dyn std::error::Error>;

const BATCH: u64 = 1_000;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Ends the server when it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Server {
    /// A line of what the system says of the process's memory, in MiB.
    fn memory(&self, name: &str) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line")?;
        let kib: f64 = line.split_whitespace().next().ok_or("no number")?.parse()?;
        Ok(kib / 1024.0)
    }
}

fn span(trace: u64, id: u64, parent: u64, attributes: &[(&str, &str)]) -> Result<Span, Failure> {
    let now = u64::try_from(jiff::Timestamp::now().as_nanosecond())?;
    let attribute = |(key, text): &(&str, &str)| KeyValue {
        key: (*key).to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue((*text).to_owned())) }),
        ..KeyValue::default()
    };
    Ok(Span {
        trace_id: (u128::from(trace) << 64 | 1).to_be_bytes().to_vec(),
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if parent > 0 { parent.to_be_bytes().to_vec() } else { Vec::new() },
        name: "a span".to_owned(),
        start_time_unix_nano: now - 1_000_000_000,
        end_time_unix_nano: now,
        attributes: attributes.iter().map(attribute).collect(),
        ..Span::default()
    })
}

const TOOL: [(&str, &str); 2] =
    [("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "search")];
const AGENT: [(&str, &str); 2] =
    [("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", "survivor")];

async fn post(client: &reqwest::Client, url: &str, spans: Vec<Span>) -> Result<(), Failure> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let request = client.post(format!("{url}/v1/traces")).body(body);
    let response = request.header("content-type", "application/x-protobuf").send().await?;
    Ok(response.error_for_status().map(drop)?)
}

/// The metrics of one name, by their labels.
async fn metrics(url: &str, name: &str) -> Result<BTreeMap<String, f64>, Failure> {
    let text = reqwest::get(format!("{url}/metrics")).await?.text().await?;
    let value = |line: &str| {
        let (labels, value) = line.strip_prefix(name)?.rsplit_once(' ')?;
        (labels.is_empty() || labels.starts_with('{'))
            .then(|| (labels.to_owned(), value.parse().ok()))
    };
    text.lines()
        .filter_map(value)
        .map(|(labels, value)| Ok((labels, value.ok_or("a number")?)))
        .collect()
}

async fn value(url: &str, name: &str) -> Result<f64, Failure> {
    Ok(metrics(url, name).await?.values().sum())
}

fn main() -> Result<(), Failure> {
    tokio::runtime::Runtime::new()?.block_on(run())
}

/// A server that is ready, and its address.
async fn start(dir: &Path, mib: u64) -> Result<(Server, String), Failure> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let url = format!("http://127.0.0.1:{port}");
    let settings = [
        format!("data_dir={}", dir.display()),
        format!("http.listen=127.0.0.1:{port}"),
        format!("otel.memory_mib={mib}"),
        "otel.timeout=1h".to_owned(),
        "llm.enabled=false".to_owned(),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_whetstone"));
    command.arg("run").args(settings.iter().flat_map(|setting| ["--set", setting]));
    let log = std::fs::File::create(dir.join("log"))?;
    let server = Server(command.stdout(Stdio::null()).stderr(log).spawn()?);
    let begun = Instant::now();
    while !reqwest::get(format!("{url}/readyz")).await.is_ok_and(|r| r.status().is_success()) {
        if begun.elapsed() > Duration::from_secs(30) {
            return Err(std::fs::read_to_string(dir.join("log"))?.into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok((server, url))
}

async fn run() -> Result<(), Failure> {
    let (spans, mib) = (setting("SPANS", 1_000_000), setting("MEMORY_MIB", 64));
    let dir = tempfile::tempdir()?;
    let (server, url) = start(dir.path(), mib).await?;
    let mut out = std::io::stdout();
    let client = reqwest::Client::new();
    writeln!(out, "before:   {:.0} MiB resident", server.memory("VmRSS:")?)?;
    post(&client, &url, vec![span(1, 3, 2, &TOOL)?]).await?;
    let begun = Instant::now();
    let mut held: f64 = 0.0;
    for first in (2..spans + 2).step_by(usize::try_from(BATCH)?) {
        let batch = (first..(first + BATCH).min(spans + 2))
            .map(|trace| span(trace, 9, 8, if trace % 2 == 0 { &TOOL } else { &[] }));
        post(&client, &url, batch.collect::<Result<_, _>>()?).await?;
        if first % 50_000 < BATCH {
            held = held.max(value(&url, "whetstone_held_trace_bytes").await?);
        }
    }
    let posted = begun.elapsed().as_secs_f64();
    post(&client, &url, vec![span(1, 2, 0, &AGENT)?]).await?;
    while value(&url, "whetstone_lag_records{role=\"assemble\"").await? > 8.0
        || value(&url, "whetstone_runs_total").await?
            + value(&url, "whetstone_dead_letters_total{reason=\"no_agent_span\"}").await?
            < 1.0
    {
        held = held.max(value(&url, "whetstone_held_trace_bytes").await?);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = begun.elapsed().as_secs_f64();
    writeln!(
        out,
        "posted:   {spans} spans in {posted:.1} s, all of them assembled after {took:.1} s"
    )?;
    writeln!(out, "held:     {:.1} MiB of spans at most, {mib} MiB allowed", held / 1_048_576.0)?;
    writeln!(out, "resident: {:.0} MiB at most", server.memory("VmHWM:")?)?;
    for name in
        ["whetstone_spans_left_total", "whetstone_dead_letters_total", "whetstone_runs_total"]
    {
        for (labels, value) in metrics(&url, name).await? {
            writeln!(out, "counted:  {name}{labels} {value}")?;
        }
    }
    if held > mib as f64 * 1_048_576.0 {
        return Err("more was held than is allowed".into());
    }
    Ok(())
}
