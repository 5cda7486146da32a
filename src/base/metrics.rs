//! Every metric there is, in one place: named by Prometheus' conventions, of bounded cardinality.
//!
//! No label carries an agent's name or any other text from outside.

use prometheus::{
    Counter, Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// The metrics of one process. Not global: each test has its own.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// `whetstone_build_info{version}`: 1, for what is running.
    pub build: IntGaugeVec,
    /// `whetstone_start_time_seconds`: when the process began to count, in Unix time.
    pub start_time: Gauge,
    /// `whetstone_ready`: 1 while `/readyz` says so.
    pub ready: IntGauge,
    /// `whetstone_role_running{role}`: 1 while a configured role runs, 0 while it waits to start again.
    pub role_running: IntGaugeVec,
    /// `whetstone_last_poll_timestamp_seconds{role}`: when a role last asked the log for more, in Unix time.
    pub last_poll: GaugeVec,
    /// `whetstone_last_commit_timestamp_seconds{role}`: when a role last committed, in Unix time; 0 if it has not.
    pub last_commit: GaugeVec,
    /// `whetstone_record_age_seconds{role}`: how long the oldest record of a role's last step had lain on the
    /// log when it was committed; 0 once a poll finds nothing.
    pub record_age: GaugeVec,
    /// `whetstone_records_total{role}`: records a role has taken in and committed.
    pub records: IntCounterVec,
    /// `whetstone_record_bytes_total{role}`: their keys and values.
    pub bytes: IntCounterVec,
    /// `whetstone_outputs_total{role}`: records a role has committed in its turn.
    pub outputs: IntCounterVec,
    /// `whetstone_output_bytes_total{role}`: their keys and values.
    pub output_bytes: IntCounterVec,
    /// `whetstone_steps_total{role,result}`: atomic steps: committed, aborted.
    pub steps: IntCounterVec,
    /// `whetstone_rebalances_total{role,change}`: partitions assigned or revoked, once a change.
    pub rebalances: IntCounterVec,
    /// `whetstone_role_restarts_total{role}`: roles that started again after a passing failure.
    pub restarts: IntCounterVec,
    /// `whetstone_dead_letters_total{reason}`.
    pub dead_letters: IntCounterVec,
    /// `whetstone_runs_total{outcome}`: runs decoded, by outcome.
    pub runs: IntCounterVec,
    /// `whetstone_runs_started_total`: runs announced when they began, each as often as it was announced.
    pub runs_started: IntCounter,
    /// `whetstone_traces_passed_on_total`: traces that the aggregate role read, since traces are keyed by agent, and
    /// that were not where their agent is.
    pub traces_passed_on: IntCounter,
    /// `whetstone_spans_left_total{result}`: spans that are in no run: duplicate, unclaimed (nothing to do
    /// with an agent), given_up.
    pub spans_left: IntCounterVec,
    /// `whetstone_traces_held`: traces whose runs are not whole, or are remembered.
    pub traces_held: IntGauge,
    /// `whetstone_held_trace_bytes`: about how much memory they take.
    pub held_trace_bytes: IntGauge,
    /// `whetstone_held_trace_limit_bytes`: how much they may take.
    pub held_trace_limit: IntGauge,
    /// `whetstone_runs_refused_total{reason}`: runs that joined no window: duplicate, late, unknown_version.
    pub runs_refused: IntCounterVec,
    /// `whetstone_otlp_requests_total{signal,result}`: messages of OpenTelemetry's: taken, refused whole,
    /// unavailable (to be sent again), ignored (all metrics).
    pub otlp_requests: IntCounterVec,
    /// `whetstone_otlp_items_total{signal,result}`: spans and log records in those that were taken: kept,
    /// refused, ignored (log records that say nothing of a run).
    pub otlp_items: IntCounterVec,
    /// `whetstone_labels_total{result}`: labels by what became of them: joined, early, duplicate, and refused
    /// as conflicting, already_known or late.
    pub labels: IntCounterVec,
    /// `whetstone_runs_labelled_total`: runs whose outcome is that of a label.
    pub runs_labelled: IntCounter,
    /// `whetstone_runs_unlabelled_total{reason}`: runs that waited, and whose outcome came when their window
    /// had closed (after_window), or not at all (given_up).
    pub runs_unlabelled: IntCounterVec,
    /// `whetstone_optimizations_total{result}`: proposals by result: edits, no_change.
    pub optimizations: IntCounterVec,
    /// `whetstone_llm_fallbacks_total{reason}`: optimizations in which pattern edits stood in for the model.
    pub llm_fallbacks: IntCounterVec,
    /// `whetstone_llm_tokens_total{direction}`: tokens sent to and received from the model.
    pub llm_tokens: IntCounterVec,
    /// `whetstone_llm_cost_usd_total`: what those tokens with a known price cost, in US dollars.
    pub llm_cost: Counter,
    /// `whetstone_llm_calls_total{result}`: calls to the model: answered, cached, failed, interrupted,
    /// over_budget, breaker_open. Cached ones and the last two were not made.
    pub llm_calls: IntCounterVec,
    /// `whetstone_quarantined_lines_total`: lines of runs that were kept from the model since they read
    /// like instructions.
    pub quarantined: IntCounter,
    /// `whetstone_llm_resting`: 1 while the model is left alone because it failed too often.
    pub llm_resting: IntGauge,
    /// `whetstone_gate_verdicts_total{result}`: candidates the gate was asked about: passed, failed, unanswered.
    pub gate: IntCounterVec,
    /// `whetstone_decisions_total{decision}`.
    pub decisions: IntCounterVec,
    /// `whetstone_projections_total{result}`: versions projected into the config repo.
    pub projections: IntCounterVec,
    /// `whetstone_repo_syncs_total{operation,result}`: fetches and pushes of the config repo: done, rejected
    /// (others were faster: fetched, then tried again), failed.
    pub repo_syncs: IntCounterVec,
    /// `whetstone_lag_records{role,topic,partition}`: records still ahead of a role.
    pub lag: IntGaugeVec,
    /// `whetstone_agents`: agents this process owns.
    pub agents: IntGauge,
    /// `whetstone_agents_paused`: those of them that nothing is optimized for.
    pub agents_paused: IntGauge,
    /// `whetstone_trials_running`: trials under way.
    pub trials: IntGauge,
    /// `whetstone_holdbacks_running`: promoted versions whose predecessor is held back on a few units.
    pub holdbacks: IntGauge,
    /// `whetstone_candidates_waiting`: candidates that wait for a person.
    pub candidates: IntGauge,
    /// `whetstone_optimizations_open`: requests that no proposal has answered yet.
    pub optimizations_open: IntGauge,
    /// `whetstone_runs_waiting`: runs that wait for their label.
    pub runs_waiting: IntGauge,
    /// `whetstone_commit_duration_seconds{role}`: duration of the atomic step.
    pub commit: HistogramVec,
    /// `whetstone_restoring{role}`: 1 while a role brings in what belongs to new partitions.
    pub restoring: IntGaugeVec,
    /// `whetstone_restore_duration_seconds`: how long it took to restore the agents of new partitions.
    pub restore: Histogram,
}

impl Metrics {
    /// Fresh metrics in a registry of their own.
    ///
    /// # Errors
    /// If two metrics share a name: a mistake in this file.
    #[expect(clippy::too_many_lines, reason = "a list: each metric once, with its words")]
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let counter = |name: &str, help: &str, label: &str| counters(name, help, &[label]);
        let lag = IntGaugeVec::new(
            Opts::new("whetstone_lag_records", "Records still ahead of a role."),
            &["role", "topic", "partition"],
        )?;
        registry.register(Box::new(lag.clone()))?;
        let agents = IntGauge::new("whetstone_agents", "Agents this process owns.")?;
        registry.register(Box::new(agents.clone()))?;
        let runs_started = IntCounter::new(
            "whetstone_runs_started_total",
            "Runs announced when they began, each as often as it was announced.",
        )?;
        registry.register(Box::new(runs_started.clone()))?;
        let traces_passed_on = IntCounter::new(
            "whetstone_traces_passed_on_total",
            "Traces that were not in their agent's partition though they are keyed by agent.",
        )?;
        registry.register(Box::new(traces_passed_on.clone()))?;
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let runs_labelled = IntCounter::new(
            "whetstone_runs_labelled_total",
            "Runs whose outcome is that of a label.",
        )?;
        registry.register(Box::new(runs_labelled.clone()))?;
        let llm_resting = IntGauge::new(
            "whetstone_llm_resting",
            "1 while the model is left alone because it failed too often.",
        )?;
        registry.register(Box::new(llm_resting.clone()))?;
        let llm_cost = Counter::new(
            "whetstone_llm_cost_usd_total",
            "Cost of the tokens with a known price, in US dollars.",
        )?;
        registry.register(Box::new(llm_cost.clone()))?;
        let quarantined = IntCounter::new(
            "whetstone_quarantined_lines_total",
            "Lines of runs kept from the model since they read like instructions.",
        )?;
        registry.register(Box::new(quarantined.clone()))?;
        let gauges = |name: &str, help: &str| {
            let gauges = GaugeVec::new(Opts::new(name, help), &["role"])?;
            registry.register(Box::new(gauges.clone()))?;
            Ok::<_, prometheus::Error>(gauges)
        };
        let switches = |name: &str, help: &str, label: &str| {
            let switches = IntGaugeVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(switches.clone()))?;
            Ok::<_, prometheus::Error>(switches)
        };
        let start_time = Gauge::new(
            "whetstone_start_time_seconds",
            "When the process began to count, in Unix time.",
        )?;
        registry.register(Box::new(start_time.clone()))?;
        let commit = HistogramVec::new(
            HistogramOpts::new("whetstone_commit_duration_seconds", "Duration of the atomic step.")
                .buckets(prometheus::exponential_buckets(0.000_5, 2.0, 16)?),
            &["role"],
        )?;
        registry.register(Box::new(commit.clone()))?;
        let restore = Histogram::with_opts(
            HistogramOpts::new(
                "whetstone_restore_duration_seconds",
                "Time to restore the agents of new partitions.",
            )
            .buckets(prometheus::exponential_buckets(0.01, 2.0, 14)?),
        )?;
        registry.register(Box::new(restore.clone()))?;
        Ok(Self {
            build: switches("whetstone_build_info", "1, for the version that runs.", "version")?,
            start_time,
            ready: gauge("whetstone_ready", "1 while the server says that it is ready.")?,
            role_running: switches(
                "whetstone_role_running",
                "1 while a configured role runs, 0 while it waits to start again.",
                "role",
            )?,
            last_poll: gauges(
                "whetstone_last_poll_timestamp_seconds",
                "When a role last asked the log for more, in Unix time.",
            )?,
            last_commit: gauges(
                "whetstone_last_commit_timestamp_seconds",
                "When a role last committed, in Unix time; 0 if it has not.",
            )?,
            record_age: gauges(
                "whetstone_record_age_seconds",
                "How long the oldest record of a role's last step had lain on the log; 0 when idle.",
            )?,
            records: counter("whetstone_records_total", "Records a role has committed.", "role")?,
            bytes: counter(
                "whetstone_record_bytes_total",
                "Bytes of the records that a role has committed.",
                "role",
            )?,
            outputs: counter("whetstone_outputs_total", "Records a role has written.", "role")?,
            output_bytes: counter(
                "whetstone_output_bytes_total",
                "Bytes of the records that a role has written.",
                "role",
            )?,
            steps: counters(
                "whetstone_steps_total",
                "Atomic steps, by result.",
                &["role", "result"],
            )?,
            rebalances: counters(
                "whetstone_rebalances_total",
                "Changes of the partitions a role has.",
                &["role", "change"],
            )?,
            restarts: counter(
                "whetstone_role_restarts_total",
                "Roles that started again after a passing failure.",
                "role",
            )?,
            dead_letters: counter(
                "whetstone_dead_letters_total",
                "Records that could not be read, by reason.",
                "reason",
            )?,
            runs: counter("whetstone_runs_total", "Runs decoded, by outcome.", "outcome")?,
            runs_started,
            traces_passed_on,
            spans_left: counter(
                "whetstone_spans_left_total",
                "Spans that are in no run, by what became of them.",
                "result",
            )?,
            traces_held: gauge(
                "whetstone_traces_held",
                "Traces whose runs are not whole, or are remembered.",
            )?,
            held_trace_bytes: gauge(
                "whetstone_held_trace_bytes",
                "About how much memory the traces take that are held.",
            )?,
            held_trace_limit: gauge(
                "whetstone_held_trace_limit_bytes",
                "How much memory the traces that are held may take.",
            )?,
            runs_refused: counter(
                "whetstone_runs_refused_total",
                "Runs that joined no window, by reason.",
                "reason",
            )?,
            otlp_requests: counters(
                "whetstone_otlp_requests_total",
                "Messages of OpenTelemetry's, by what they are about and by result.",
                &["signal", "result"],
            )?,
            otlp_items: counters(
                "whetstone_otlp_items_total",
                "Spans and log records in messages of OpenTelemetry's, by result.",
                &["signal", "result"],
            )?,
            labels: counter("whetstone_labels_total", "Labels, by what became of them.", "result")?,
            runs_labelled,
            runs_unlabelled: counter(
                "whetstone_runs_unlabelled_total",
                "Runs whose outcome no window has got, by reason.",
                "reason",
            )?,
            optimizations: counter(
                "whetstone_optimizations_total",
                "Proposals made, by result.",
                "result",
            )?,
            llm_fallbacks: counter(
                "whetstone_llm_fallbacks_total",
                "Optimizations in which pattern edits stood in for the model, by reason.",
                "reason",
            )?,
            llm_tokens: counter(
                "whetstone_llm_tokens_total",
                "Tokens sent to and received from the model.",
                "direction",
            )?,
            llm_cost,
            quarantined,
            llm_calls: counter(
                "whetstone_llm_calls_total",
                "Calls to the model, by result.",
                "result",
            )?,
            llm_resting,
            gate: counter(
                "whetstone_gate_verdicts_total",
                "Candidates the offline gate was asked about, by result.",
                "result",
            )?,
            decisions: counter("whetstone_decisions_total", "Decisions, by kind.", "decision")?,
            projections: counter(
                "whetstone_projections_total",
                "Versions projected into the config repo, by result.",
                "result",
            )?,
            repo_syncs: counters(
                "whetstone_repo_syncs_total",
                "Fetches and pushes of the config repo, by result.",
                &["operation", "result"],
            )?,
            lag,
            agents,
            agents_paused: gauge(
                "whetstone_agents_paused",
                "Agents this process owns that nothing is optimized for.",
            )?,
            trials: gauge("whetstone_trials_running", "Trials under way.")?,
            holdbacks: gauge(
                "whetstone_holdbacks_running",
                "Promoted versions whose predecessor is held back on a few units.",
            )?,
            candidates: gauge(
                "whetstone_candidates_waiting",
                "Candidates that wait for a person.",
            )?,
            optimizations_open: gauge(
                "whetstone_optimizations_open",
                "Requests that no proposal has answered yet.",
            )?,
            runs_waiting: gauge("whetstone_runs_waiting", "Runs that wait for their label.")?,
            commit,
            restoring: switches(
                "whetstone_restoring",
                "1 while a role brings in what belongs to new partitions.",
                "role",
            )?,
            restore,
            registry,
        })
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// If a metric cannot be encoded.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        String::from_utf8(text).map_err(|problem| prometheus::Error::Msg(problem.to_string()))
    }
}
