//! The log of the process, on standard error, and its spans, if they are to go somewhere.

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use secrecy::ExposeSecret as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer};

use super::failure::Failure;
use crate::config::Telemetry;

/// For one message of spans.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// One object a line, for machines
    Json,
}

/// Sends what spans are left when it goes.
pub(super) struct Spans(SdkTracerProvider);

impl Drop for Spans {
    fn drop(&mut self) {
        if let Err(problem) = self.0.shutdown_with_timeout(TIMEOUT) {
            tracing::warn!(%problem, "the last spans are not sent");
        }
    }
}

/// Starts the log; `WHETSTONE_LOG` filters it as `RUST_LOG` does elsewhere, and `default` where that is
/// not set. Spans are for `telemetry` alone: of the log's lines none goes there, as they may quote from
/// runs.
pub(super) fn start(
    default: &str,
    format: LogFormat,
    telemetry: Option<&Telemetry>,
) -> Result<Option<Spans>, Failure> {
    use std::io::IsTerminal as _;
    let filter =
        EnvFilter::try_from_env("WHETSTONE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Text => {
            lines.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let provider = telemetry.map(provider).transpose()?;
    let spans = provider.as_ref().map(|provider| {
        let ours = filter_fn(|what| what.is_span() && what.target().starts_with("whetstone"));
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("whetstone"));
        layer.with_location(false).with_threads(false).with_filter(ours)
    });
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).init();
    Ok(provider.map(Spans))
}

fn provider(telemetry: &Telemetry) -> Result<SdkTracerProvider, Failure> {
    let Telemetry { endpoint, token, share } = telemetry;
    let header = |token: &secrecy::SecretString| {
        ("authorization".to_owned(), format!("Bearer {}", token.expose_secret()))
    };
    let headers: HashMap<_, _> = token.iter().map(header).collect();
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(TIMEOUT)
        .with_headers(headers)
        .build()
        .map_err(|problem| {
            Failure::Usage(anyhow::anyhow!("telemetry.endpoint cannot be used: {problem}"))
        })?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource =
        Resource::builder_empty().with_service_name("whetstone").with_attribute(version).build();
    let chosen = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(*share)));
    let provider = SdkTracerProvider::builder().with_sampler(chosen).with_resource(resource);
    Ok(provider.with_batch_exporter(exporter).build())
}
