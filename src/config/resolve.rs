//! From what was written to what it means, checking every value on the way.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde_yaml::Value;

use super::checks::Checks;
use super::duration::{DAY, HOUR, SECOND};
use super::key::Key;
use super::policy::micros;
use super::raw::{
    Raw, RawHttp, RawLlm, RawPolicy, RawPrice, RawProposals, RawRedaction, RawRepo, RawRoles,
};
use super::secret::configured;
use super::shape::merge;
use super::{
    Config, Http, Llm, LlmPrice, Log, Proposals, Repo, Roles, gate, kafka, otel, policy, telemetry,
};
use crate::base::AgentName;
use crate::govern::Policy;
use crate::hygiene::{RedactionRules, Redactor};

/// What `raw` means; where something is impossible, what is.
pub(super) fn resolve(
    raw: Raw,
    environment: &BTreeMap<String, String>,
) -> Result<Config, Vec<(Key, String)>> {
    let mut checks = Checks::default();
    let agents = agents(&raw.policy, raw.agents, &mut checks);
    let data_dir = PathBuf::from(checks.text("data_dir", raw.data_dir));
    let keyed_traces = raw.log.kind == "kafka" && raw.kafka.traces_keyed_by_agent;
    let log = match raw.log.kind.as_str() {
        "kafka" => kafka::resolve(raw.kafka, &data_dir, environment, &mut checks),
        "embedded" => Log::Embedded,
        other => {
            checks.problem("log.kind", format!("must be embedded or kafka, not {other:?}"));
            Log::Embedded
        }
    };
    let config = Config {
        data_dir,
        log,
        retention: checks.duration("retention", &raw.retention, HOUR..=3650 * DAY),
        http: http(&raw.http, environment, &mut checks),
        roles: roles(&raw.roles),
        repo: repo(raw.repo, &mut checks),
        llm: llm(raw.llm, &mut checks),
        proposals: proposals(raw.proposals, &mut checks),
        gate: gate::resolve(&raw.gate, environment, &mut checks),
        redaction: redaction(raw.redaction, &mut checks),
        keyed_traces,
        otel: otel::resolve(&raw.otel, &mut checks),
        telemetry: telemetry::resolve(&raw.telemetry, environment, &mut checks),
        policy: policy::resolve(raw.policy, &mut checks),
        agents,
    };
    if checks.problems.is_empty() { Ok(config) } else { Err(checks.problems) }
}

/// Each agent's part laid over `base`. What is wrong with the base is not said again.
fn agents(
    base: &RawPolicy,
    agents: BTreeMap<String, Value>,
    checks: &mut Checks,
) -> BTreeMap<AgentName, Policy> {
    let mut base_checks = Checks::default();
    policy::resolve(base.clone(), &mut base_checks);
    let mut policies = BTreeMap::new();
    for (name, over) in agents {
        let name: AgentName = match name.parse() {
            Ok(name) => name,
            Err(invalid) => {
                checks.problem_of("agents", &name, format!("names no agent: {invalid}"));
                continue;
            }
        };
        let at = Key::default().child("agents").child(name.as_str());
        let mut own = Checks::below(at.clone());
        match laid_over(base, over) {
            Ok(raw) => {
                policies.insert(name, policy::resolve(raw, &mut own));
            }
            Err(error) => checks.problem_of("agents", name.as_str(), error),
        }
        let inherited = |key: &Key| base_checks.problems.iter().any(|(k, _)| at.below(k) == *key);
        checks.problems.extend(own.problems.into_iter().filter(|(key, _)| !inherited(key)));
    }
    policies
}

fn laid_over(base: &RawPolicy, over: Value) -> serde_yaml::Result<RawPolicy> {
    let mut tree = serde_yaml::to_value(base)?;
    if !over.is_null() {
        merge(&mut tree, over);
    }
    serde_yaml::from_value(tree)
}

fn http(raw: &RawHttp, environment: &BTreeMap<String, String>, checks: &mut Checks) -> Http {
    let listen = raw.listen.parse().unwrap_or_else(|_| {
        let wanted = "takes an IP address and a port such as 127.0.0.1:8087 or [::1]:8087";
        checks.problem("http.listen", format!("{wanted}, not {:?}", raw.listen));
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
    });
    let (variable, file) = (raw.token_env.as_deref(), raw.token_file.as_deref());
    let token = configured("http.token", variable, file, environment, checks);
    let asked = raw.token_env.is_some() || raw.token_file.is_some();
    if !listen.ip().is_loopback() && !asked {
        let what = format!("{listen} can be reached from other machines");
        checks.problem("http.listen", format!("{what}: set http.token_env or http.token_file"));
    }
    let (variable, file) = (raw.read_token_env.as_deref(), raw.read_token_file.as_deref());
    let read_token = configured("http.read_token", variable, file, environment, checks);
    if let Some(which) = variable.map(|_| "env").or(file.map(|_| "file"))
        && !asked
    {
        let what = "is for requests that only read: set http.token_env or http.token_file as well";
        checks.problem(&format!("http.read_token_{which}"), what.to_owned());
    }
    Http { listen, token, read_token }
}

fn roles(raw: &RawRoles) -> Roles {
    Roles {
        decode: raw.decode,
        aggregate: raw.aggregate,
        optimize: raw.optimize,
        publish: raw.publish,
    }
}

fn repo(raw: RawRepo, checks: &mut Checks) -> Repo {
    for (key, folder) in [("repo.configs", &raw.configs), ("repo.versions", &raw.versions)] {
        let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if folder.is_empty() || !Path::new(folder).components().all(inside) {
            let wanted = "takes a folder in the repository such as configs";
            checks.problem(key, format!("{wanted}, not {folder:?}"));
        }
    }
    let poll = checks.duration("repo.poll_interval", &raw.poll_interval, SECOND..=DAY);
    Repo {
        path: raw.path.map(|path| PathBuf::from(checks.text("repo.path", path))),
        configs: raw.configs,
        versions: raw.versions,
        remote: raw.remote.map(|remote| checks.text("repo.remote", remote)),
        branch: raw.branch.map(|branch| checks.text("repo.branch", branch)),
        poll_interval: millis(poll),
    }
}

fn llm(raw: RawLlm, checks: &mut Checks) -> Llm {
    if let Some(endpoint) = &raw.endpoint
        && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
    {
        let wanted = "takes a URL such as http://127.0.0.1:8080/v1/";
        checks.problem("llm.endpoint", format!("{wanted}, not {endpoint:?}"));
    }
    let timeout = checks.duration("llm.timeout", &raw.timeout, SECOND..=HOUR);
    let attempts = checks.within("llm.attempts", raw.attempts, 1..=10);
    let max_tokens = checks.within("llm.max_tokens", raw.max_tokens, 1..=1_000_000);
    let cache = checks.duration("llm.cache", &raw.cache, 0..=30 * DAY);
    Llm {
        enabled: raw.enabled,
        model: checks.text("llm.model", raw.model),
        endpoint: raw.endpoint,
        timeout: millis(timeout),
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        temperature: checks.within("llm.temperature", raw.temperature, 0.0..=2.0),
        max_tokens: u32::try_from(max_tokens).unwrap_or(u32::MAX),
        price: price(&raw.price, checks),
        keep_calls: millis(checks.duration("llm.keep_calls", &raw.keep_calls, DAY..=3650 * DAY)),
        cache: millis(cache),
    }
}

fn price(raw: &RawPrice, checks: &mut Checks) -> Option<LlmPrice> {
    let mut checked = |key, price| micros(checks.within(key, price, 0.0..=10_000.0));
    let input = raw.input.map(|price| checked("llm.price.input", price));
    let output = raw.output.map(|price| checked("llm.price.output", price));
    match (input, output) {
        (Some(input), Some(output)) => Some(LlmPrice { input, output }),
        (None, None) => None,
        (None, Some(_)) => {
            checks.problem("llm.price.input", "is missing: a price has both input and output");
            None
        }
        (Some(_), None) => {
            checks.problem("llm.price.output", "is missing: a price has both input and output");
            None
        }
    }
}

fn proposals(raw: RawProposals, checks: &mut Checks) -> Proposals {
    let candidates = checks.within("proposals.candidates", raw.candidates, 1..=2);
    let tokens = checks.within("proposals.evidence_tokens", raw.evidence_tokens, 500..=1_000_000);
    Proposals {
        critique: raw.critique,
        candidates: u32::try_from(candidates).unwrap_or(u32::MAX),
        evidence_tokens: usize::try_from(tokens).unwrap_or(usize::MAX),
        template: raw.template.map(|path| PathBuf::from(checks.text("proposals.template", path))),
    }
}

/// Every rule is tried here, so that the optimizer need not.
fn redaction(raw: RawRedaction, checks: &mut Checks) -> RedactionRules {
    let RawRedaction { emails, ips, rules } = raw;
    for (name, rule) in &rules {
        let rules = BTreeMap::from([(name.clone(), rule.clone())]);
        if let Err(bad) = Redactor::new(&RedactionRules { emails, ips, rules }) {
            checks.problem_of("redaction.rules", name, bad);
        }
    }
    RedactionRules { emails, ips, rules }
}

pub(super) fn millis(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
