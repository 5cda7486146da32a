//! The configuration: what the defaults are, what beats what, and the errors people read.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use insta::assert_snapshot;
use proptest::prelude::*;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use whetstone::base::AgentName;
use whetstone::config::{
    Config, ConfigError, DEFAULTS, Hook, Llm, LlmPrice, Log, Otel, Repo, Roles,
};
use whetstone::consume::KafkaSettings;
use whetstone::decode::Outcome;
use whetstone::decode::otlp::Rules;
use whetstone::fold::WindowKind;
use whetstone::govern::{FeedbackSpec, LlmBudget, Rollout};
use whetstone::hygiene::{RedactionRules, Redactor};

const HOUR: i64 = 3_600_000;

/// What is written where.
#[derive(Default)]
struct Written<'a> {
    file: &'a str,
    environment: &'a [(&'a str, &'a str)],
    flags: &'a [&'a str],
}

impl Written<'_> {
    fn load(&self) -> Result<Config, ConfigError> {
        self.load_from(TempDir::new().unwrap().path())
    }

    fn load_from(&self, dir: &Path) -> Result<Config, ConfigError> {
        let path = dir.join("whetstone.yaml");
        fs::write(&path, self.file).unwrap();
        let environment = self.environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let flags: Vec<_> = self.flags.iter().map(|flag| (*flag).to_owned()).collect();
        Config::load(Some(&path), environment, &flags)
    }

    /// The error's text, with the file's name for its path.
    fn error(&self) -> String {
        let dir = TempDir::new().unwrap();
        let error = self.load_from(dir.path()).unwrap_err().to_string();
        error.replace(&format!("{}/", dir.path().display()), "")
    }
}

fn file(file: &str) -> Written<'_> {
    Written { file, ..Written::default() }
}

/// Each file, and below it its error.
fn errors(files: &[&str]) -> String {
    files.iter().map(|text| format!("{text}\n    {}\n", file(text).error())).collect()
}

fn agent(name: &str) -> AgentName {
    name.parse().unwrap()
}

#[test]
fn the_file_of_defaults_says_what_the_defaults_are() {
    let loaded = file(DEFAULTS).load().unwrap();
    assert_eq!(format!("{loaded:#?}"), format!("{:#?}", Config::default()));
    assert_eq!(fs::read_to_string("configs/whetstone.yaml").unwrap(), DEFAULTS);
}

#[test]
fn the_defaults_are_these() {
    let config = Config::default();
    assert_eq!(config.data_dir, PathBuf::from("whetstone-data"));
    assert_eq!(config.retention, 30 * 24 * HOUR);
    assert_eq!(config.http.listen, "127.0.0.1:8087".parse().unwrap());
    assert!(config.http.listen.ip().is_loopback() && config.http.token.is_none());
    let all = Roles { decode: true, aggregate: true, optimize: true, publish: true };
    assert_eq!(config.roles, all);
    let repo = Repo {
        path: None,
        configs: "configs".to_owned(),
        versions: "versions".to_owned(),
        remote: None,
        branch: None,
        poll_interval: Duration::from_secs(30),
    };
    assert_eq!(config.repo, repo);
    let llm = Llm {
        enabled: true,
        model: "gemini-2.5-flash".to_owned(),
        endpoint: None,
        timeout: Duration::from_secs(300),
        attempts: 3,
        temperature: 0.7,
        max_tokens: 8_000,
        price: None,
        keep_calls: Duration::from_secs(30 * 24 * 3600),
        cache: Duration::from_secs(24 * 3600),
    };
    assert_eq!(config.llm, llm);
}

#[test]
fn a_flag_beats_the_environment_and_that_beats_the_file() {
    let check = |environment, flags, expected| {
        let config = Written { file: "min_traces: 20", environment, flags }.load().unwrap();
        assert_eq!(config.policy(&agent("any")).min_traces, expected);
    };
    let variable: &[_] = &[("WHETSTONE_MIN_TRACES", "30")];
    check(&[], &[], 20);
    check(variable, &[], 30);
    check(variable, &["min_traces=40"], 40);
    check(variable, &["min_traces=40", "min_traces=50"], 50);
}

#[test]
fn a_section_written_in_part_keeps_its_other_defaults() {
    let config = file("windows:\n  length: 12h\nllm:\nhttp: {}\n").load().unwrap();
    let windows = config.policy(&agent("any")).windows;
    assert_eq!(windows.kind, WindowKind::Sliding { length: 12 * HOUR, slide: HOUR });
    assert_eq!(windows.allowed_lateness, HOUR);
    assert!(config.llm.enabled);
    file("").load().unwrap();
    file("# nothing but a comment\n").load().unwrap();
}

#[test]
fn an_agents_part_is_laid_over_that_of_all() {
    let text = "
min_traces: 20
windows: { length: 6h }
agents:
  mitigation:
    rollout: immediate
    windows: { kind: count, runs: 50 }
    guard:
      tunables:
        max_step: null
        temperature: { min: 0, max: 1, step: 0.1 }
  sre.diagnosis:
";
    let environment: &[_] = &[("WHETSTONE_AGENTS__MITIGATION__COOLDOWN", "2h")];
    let config = Written { file: text, environment, ..Written::default() }.load().unwrap();
    let base = config.policy(&agent("other"));
    assert_eq!(config.policy(&agent("sre.diagnosis")), base);
    assert_eq!((base.min_traces, base.rollout, base.cooldown), (20, Rollout::Trial, HOUR));

    let own = config.policy(&agent("mitigation"));
    assert_eq!((own.min_traces, own.rollout, own.cooldown), (20, Rollout::Immediate, 2 * HOUR));
    assert_eq!(own.windows.kind, WindowKind::Count { runs: 50 });
    let tunables: Vec<_> = own.guard.tunables.keys().map(String::as_str).collect();
    assert_eq!(tunables, ["max_retry_attempts", "temperature"]);
}

#[test]
fn a_budget_has_a_limit_or_none_and_a_price_has_both_parts() {
    let text = "
llm: { model: m, price: { input: 0.3, output: 2.5 } }
llm_budget: { usd_per_day: 1.5 }
agents:
  mitigation:
    llm_budget: { tokens_per_day: null, calls_per_request: 3 }
";
    let flags: &[_] = &["agents.diagnosis.llm_budget.usd_per_day=null"];
    let config = Written { file: text, flags, ..Written::default() }.load().unwrap();
    assert_eq!(config.llm.price, Some(LlmPrice { input: 300_000, output: 2_500_000 }));
    let budget = |name| {
        let LlmBudget { tokens_per_day, micros_per_day, calls_per_request } =
            config.policy(&agent(name)).llm_budget;
        (tokens_per_day, micros_per_day, calls_per_request)
    };
    assert_eq!(budget("any"), (Some(1_000_000), Some(1_500_000), 12));
    assert_eq!(budget("mitigation"), (None, Some(1_500_000), 3));
    assert_eq!(budget("diagnosis"), (Some(1_000_000), None, 12));
    let errors = errors(&[
        "llm: { price: { input: 1 } }",
        "llm: { price: { input: free, output: 1 } }",
        "llm: { price: { input: 20000, output: 1 } }",
        "llm: { keep_calls: 1h, cache: 31d }",
        "llm_budget: { tokens_per_day: 1.5, usd_per_day: -1, calls_per_request: 0 }",
    ]);
    assert_snapshot!(errors, @r#"
    llm: { price: { input: 1 } }
        whetstone.yaml:1: llm.price.output is missing: a price has both input and output
    llm: { price: { input: free, output: 1 } }
        2 problems in the configuration:
      whetstone.yaml:1: llm.price.input takes a number, or null, not "free"
      whetstone.yaml:1: llm.price.input is missing: a price has both input and output
    llm: { price: { input: 20000, output: 1 } }
        whetstone.yaml:1: llm.price.input must be from 0 to 10000, not 20000
    llm: { keep_calls: 1h, cache: 31d }
        2 problems in the configuration:
      whetstone.yaml:1: llm.cache must be from 0s to 30d, not 31d
      whetstone.yaml:1: llm.keep_calls must be from 1d to 3650d, not 1h
    llm_budget: { tokens_per_day: 1.5, usd_per_day: -1, calls_per_request: 0 }
        3 problems in the configuration:
      whetstone.yaml:1: llm_budget.tokens_per_day takes a whole number of at least 0, or null, not 1.5
      whetstone.yaml:1: llm_budget.usd_per_day must be from 0 to 1000000, not -1
      whetstone.yaml:1: llm_budget.calls_per_request must be from 1 to 1000, not 0
    "#);
}

#[test]
fn variables_and_flags_read_each_kind_of_value() {
    let config = Written {
        environment: &[
            ("WHETSTONE_LLM__TEMPERATURE", "1"),
            ("WHETSTONE_LLM__ENABLED", "false"),
            ("WHETSTONE_REPO__PATH", "123"),
            ("WHETSTONE_WINDOWS__LENGTH", "2d"),
            ("WHETSTONE_SEED", "18446744073709551615"),
            ("WHETSTONE_CONFIG", "not ours to read"),
            ("WHETSTONE_LOG", "debug"),
            ("WHETSTONE_TEST_ANYTHING", "1"),
            ("PATH", "/bin"),
        ],
        flags: &["repo.branch=a=b", "repo.remote=", "data_dir=/tmp/no thing"],
        ..Written::default()
    };
    let config = config.load().unwrap();
    assert_eq!((config.llm.temperature, config.llm.enabled), (1.0, false));
    assert_eq!(config.repo.path, Some(PathBuf::from("123")));
    assert_eq!((config.repo.branch.as_deref(), config.repo.remote.as_deref()), (Some("a=b"), None));
    assert_eq!(config.data_dir, PathBuf::from("/tmp/no thing"));
    assert_eq!(config.policy(&agent("any")).seed, u64::MAX);
}

#[test]
fn a_token_comes_from_a_variable_or_a_file_and_is_never_shown() {
    let environment: &[_] = &[("WHETSTONE_TOKEN", " s3cret\n")];
    let flags: &[_] = &["http.token_env=WHETSTONE_TOKEN"];
    let file = "http: { listen: '0.0.0.0:80' }";
    let config = Written { file, environment, flags }.load().unwrap();
    assert_eq!(config.http.token.as_ref().unwrap().expose_secret(), "s3cret");
    assert!(!format!("{config:?}").contains("s3cret"));

    let dir = TempDir::new().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, "from a file\n").unwrap();
    let text = format!("http: {{ token_file: {path:?} }}");
    let config = Written { file: &text, ..Written::default() }.load().unwrap();
    assert_eq!(config.http.token.unwrap().expose_secret(), "from a file");
}

#[test]
fn a_gate_is_a_command_or_a_url() {
    let environment: &[_] =
        &[("PATH", "/bin"), ("HOME", "/h"), ("MY_KEY", "s3cret"), ("OTHER", "not for it")];
    let flags: &[_] = &["gate.command=python3 'my gate.py' --fast", "gate.environment=MY_KEY"];
    let gate = Written { file: "", environment, flags }.load().unwrap().gate.unwrap();
    assert!(!format!("{gate:?}").contains("s3cret"));
    assert_eq!((gate.timeout.as_secs(), gate.attempts), (600, 2));
    let Hook::Command { program, arguments, environment: given } = gate.hook else { panic!() };
    assert_eq!(
        (program.as_str(), arguments),
        ("python3", ["my gate.py", "--fast"].map(str::to_owned).to_vec())
    );
    assert_eq!(given.keys().collect::<Vec<_>>(), ["HOME", "MY_KEY", "PATH"]);

    let file = "gate: { url: 'https://gate.example.com/?a=b', token_env: MY_KEY, timeout: 1h }";
    let gate = Written { file, environment, flags: &[] }.load().unwrap().gate.unwrap();
    assert!(!format!("{gate:?}").contains("s3cret"));
    let Hook::Url { url, token } = gate.hook else { panic!() };
    assert_eq!(
        (url.as_str(), token.unwrap().expose_secret()),
        ("https://gate.example.com/?a=b", "s3cret")
    );
    assert!(Config::default().gate.is_none());
}

#[test]
fn a_gate_that_makes_no_sense_is_refused() {
    let errors = errors(&[
        "gate: { command: a, url: 'http://b' }",
        "gate: { command: \"a 'b\" }",
        "gate: { command: '' }",
        "gate: { command: a, token_file: b }",
        "gate: { command: a, environment: 'KEY=s3cret' }",
        "gate: { command: a, environment: KEY }",
        "gate: { url: 'ftp://b' }",
        "gate: { url: 'http://me:s3cret@b' }",
        "gate: { url: 'http://b', environment: KEY }",
        "gate: { timeout: 2d }",
        "gate: { attempts: 0 }",
    ]);
    assert_snapshot!(errors, @r#"
    gate: { command: a, url: 'http://b' }
        whetstone.yaml:1: gate.url and gate.command are both set: set one
    gate: { command: "a 'b" }
        whetstone.yaml:1: gate.command has a quote that does not end
    gate: { command: '' }
        whetstone.yaml:1: gate.command must not be empty
    gate: { command: a, token_file: b }
        2 problems in the configuration:
      whetstone.yaml:1: gate.token_file cannot be read from "b": No such file or directory (os error 2)
      whetstone.yaml:1: gate.token_file is for gate.url; a command gets variables by gate.environment
    gate: { command: a, environment: 'KEY=s3cret' }
        whetstone.yaml:1: gate.environment takes names of variables, not their values
    gate: { command: a, environment: KEY }
        whetstone.yaml:1: gate.environment names the variable "KEY", which is not set
    gate: { url: 'ftp://b' }
        whetstone.yaml:1: gate.url takes a URL such as https://gate.example.com/candidates
    gate: { url: 'http://me:s3cret@b' }
        whetstone.yaml:1: gate.url holds a name or a password: set gate.token_env or gate.token_file instead
    gate: { url: 'http://b', environment: KEY }
        whetstone.yaml:1: gate.environment is for gate.command, which is not set
    gate: { timeout: 2d }
        whetstone.yaml:1: gate.timeout must be from 1s to 1d, not 2d
    gate: { attempts: 0 }
        whetstone.yaml:1: gate.attempts must be from 1 to 10, not 0
    "#);
}

#[test]
fn operators_say_what_else_is_redacted() {
    let text = "redaction:\n  emails: false\n  rules: { employee: '\\bE-\\d{6}\\b' }\n";
    let flags = ["redaction.ips=true", "redaction.rules.desk=D[.]\\d=\\d"];
    let written = Written { file: text, flags: &flags, ..Written::default() };
    let rules = written.load().unwrap().redaction;
    assert_eq!((rules.emails, rules.ips, rules.rules.len()), (false, true, 2));
    let redactor = Redactor::new(&rules).unwrap();
    let shown = redactor.redact("E-123456 at D.1=2, a@b.example, 10.0.0.7");
    assert_eq!(shown, "[redacted] at [redacted], a@b.example, [redacted]");
    assert_eq!(Config::default().redaction, RedactionRules::default());
}

#[test]
fn a_redaction_rule_that_makes_no_sense_is_refused() {
    let rule = |rule: &str| format!("redaction:\n  rules:\n    desk: '{rule}'");
    let check = |text: &str, part: &str| {
        let error = file(text).error();
        assert!(error.starts_with("whetstone.yaml:3: redaction.rules.desk "), "{error}");
        assert!(error.contains(part), "{error}");
    };
    check(&rule("("), "is no regular expression: unclosed group");
    check(&rule("x*"), "matches where nothing stands");
    check(&rule(r"\w{1000}{100}"), "size limit");
    check("redaction:\n  rules:\n    desk: [a]", "takes a text");
    assert!(file("redaction: { names: true }").error().contains("there is no key redaction.names"));
}

#[test]
fn operators_say_what_becomes_of_spans() {
    let defaults = Otel { rules: Rules::default(), max_bytes: 256 << 20 };
    assert_eq!(Config::default().otel, defaults);
    let text = "
otel:
  grace: 0s
  memory_mib: 1
  outcome:
    evaluations: correctness 'Task completed'
    attributes: run.result  run.ok
    unset: success
";
    let environment: &[_] =
        &[("WHETSTONE_OTEL__OUTCOME__THRESHOLD", "3"), ("WHETSTONE_OTEL__TIMEOUT", "2h")];
    let flags: &[_] = &["otel.outcome.aborted_errors=timeout 503", "otel.remember=2h"];
    let otel = Written { file: text, environment, flags }.load().unwrap().otel;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let rules = Rules {
        evaluations: names(&["correctness", "Task completed"]),
        threshold: 3.0,
        outcome_attributes: names(&["run.result", "run.ok"]),
        aborted_errors: names(&["timeout", "503"]),
        unset: Outcome::Success,
        grace: 0,
        timeout: 2 * HOUR,
        remember: 2 * HOUR,
    };
    assert_eq!(otel, Otel { rules, max_bytes: 1 << 20 });
}

#[test]
fn rules_for_spans_that_make_no_sense_are_refused() {
    let errors = errors(&[
        "otel: { grace: 2h, timeout: 0s, remember: 31d, memory_mib: 0 }",
        "otel: { grace: 1m, timeout: 30s }",
        "otel: { timeout: 2d }",
        "otel: { outcome: { evaluations: \"it's\" } }",
        "otel: { outcome: { threshold: high, unset: aborted } }",
        "otel: { outcome: { threshold: 1e7 } }",
        "agents: { mitigation: { otel: { grace: 1s } } }",
    ]);
    assert_snapshot!(errors, @r#"
    otel: { grace: 2h, timeout: 0s, remember: 31d, memory_mib: 0 }
        4 problems in the configuration:
      whetstone.yaml:1: otel.memory_mib must be from 1 to 65536, not 0
      whetstone.yaml:1: otel.grace must be from 0s to 1h, not 2h
      whetstone.yaml:1: otel.timeout must be from 1s to 7d, not 0s
      whetstone.yaml:1: otel.remember must be from 1m to 30d, not 31d
    otel: { grace: 1m, timeout: 30s }
        whetstone.yaml:1: otel.timeout must be at least otel.grace (1m), not 30s
    otel: { timeout: 2d }
        whetstone.yaml:1: otel.remember must be at least otel.timeout (2d), not 24h
    otel: { outcome: { evaluations: "it's" } }
        whetstone.yaml:1: otel.outcome.evaluations has a quote that does not end
    otel: { outcome: { threshold: high, unset: aborted } }
        2 problems in the configuration:
      whetstone.yaml:1: otel.outcome.threshold takes a number, not "high"
      whetstone.yaml:1: otel.outcome.unset must be unknown, success or failure, not "aborted"
    otel: { outcome: { threshold: 1e7 } }
        whetstone.yaml:1: otel.outcome.threshold must be from -1000000 to 1000000, not 10000000
    agents: { mitigation: { otel: { grace: 1s } } }
        whetstone.yaml:1: there is no key agents.mitigation.otel: otel is the same for all agents
    "#);
}

#[test]
fn everything_wrong_is_said_at_once_with_its_place() {
    let text = "# mine
windows:
  lenght: 12h
  slide: fast
min_traces: ten
slide: 1h
rollout: hope
trial: { share: 0.95 }
http:
  listen: localhost:8087
  token: s3cret
agents:
  mitigation:
    seed: -1
    min_traces: 0
  ../etc:
    seed: 1
llm: none
guard:
  tunables:
    max_step: { min: 9, max: 1 }
    pause: { min: 1, max: 2 }
";
    let written = Written {
        file: text,
        environment: &[("WHETSTONE_HTTP_LISTEN", "::1"), ("WHETSTONE_LLM__ATTEMPTS", "11")],
        flags: &["windows.kind=slidding", "reward.latency_weight=0.5", "window.length=1h", "seed"],
    };
    assert_snapshot!(written.error(), @r#"
    20 problems in the configuration:
      whetstone.yaml:3: there is no key windows.lenght; did you mean windows.length?
      whetstone.yaml:4: windows.slide takes a duration such as 90s, 30m, 24h or 7d, not "fast"
      whetstone.yaml:5: min_traces takes a whole number of at least 0, not "ten"
      whetstone.yaml:6: there is no key slide; did you mean windows.slide?
      whetstone.yaml:7: rollout must be trial, manual or immediate, not "hope"
      whetstone.yaml:8: trial.share must be from 0.001 to 0.9, not 0.95
      whetstone.yaml:10: http.listen takes an IP address and a port such as 127.0.0.1:8087 or [::1]:8087, not "localhost:8087"
      whetstone.yaml:11: there is no key http.token; did you mean http.token_env?
      whetstone.yaml:14: agents.mitigation.seed takes a whole number of at least 0, not -1
      whetstone.yaml:15: agents.mitigation.min_traces must be from 1 to 1000000, not 0
      whetstone.yaml:16: agents.../etc names no agent: agent name "../etc" is not allowed: use 1 to 64 ASCII letters, digits, '_', '-' or '.', starting with a letter or digit
      whetstone.yaml:18: llm is a section: set the keys in it, not "none"
      whetstone.yaml:21: guard.tunables.max_step has its min above its max
      whetstone.yaml:22: guard.tunables.pause needs min, max and step
      WHETSTONE_HTTP_LISTEN: there is no key http_listen; did you mean WHETSTONE_HTTP__LISTEN?
      WHETSTONE_LLM__ATTEMPTS: llm.attempts must be from 1 to 10, not 11
      --set reward.latency_weight=0.5: reward.latency_weight is a cost: it must be 0 or below
      --set seed: write it as key=value, e.g. windows.length=6h
      --set window.length=…: there is no key window.length; did you mean windows.length?
      --set windows.kind=slidding: windows.kind must be sliding, tumbling or count, not "slidding"
    "#);
}

#[test]
fn each_impossible_value_is_named_with_what_is_allowed() {
    let errors = errors(&[
        "windows: { slide: 5h }",
        "windows: { slide: 1m }",
        "windows: { length: 90 }",
        "windows: { length: 0s }",
        "windows: { kind: tumbling, length: 1s }",
        "windows: { kind: count, runs: 5 }",
        "min_traces:",
        "roles: [decode]",
        "roles: { decode: yes }",
        "log: { kind: pulsar }",
        "llm: { temperature: .nan }",
        "llm: { endpoint: localhost }",
        "repo: { versions: ../elsewhere, branch: 1.0 }",
        "guidance_key: ''",
        "retention: 1 month",
        "agents: [mitigation]",
        "agents: { mitigation: { llm: { enabled: false } } }",
    ]);
    assert_snapshot!(errors, @r#"
    windows: { slide: 5h }
        whetstone.yaml:1: windows.slide must go into windows.length (24h) evenly
    windows: { slide: 1m }
        whetstone.yaml:1: windows.slide is too short: 24h and 1h late hold more than 200 slides
    windows: { length: 90 }
        whetstone.yaml:1: windows.length takes a duration such as 90s, 30m, 24h or 7d, not 90
    windows: { length: 0s }
        whetstone.yaml:1: windows.length must be from 1s to 366d, not 0s
    windows: { kind: tumbling, length: 1s }
        whetstone.yaml:1: windows.allowed_lateness must not be above 200 times windows.length
    windows: { kind: count, runs: 5 }
        whetstone.yaml:1: windows.runs must be at least min_traces (10), or no window ever holds enough
    min_traces:
        whetstone.yaml:1: min_traces takes a whole number of at least 0, not nothing
    roles: [decode]
        whetstone.yaml:1: roles is a section: set the keys in it, not a list
    roles: { decode: yes }
        whetstone.yaml:1: roles.decode takes true or false, not "yes"
    log: { kind: pulsar }
        whetstone.yaml:1: log.kind must be embedded or kafka, not "pulsar"
    llm: { temperature: .nan }
        whetstone.yaml:1: llm.temperature takes a number, not .nan
    llm: { endpoint: localhost }
        whetstone.yaml:1: llm.endpoint takes a URL such as http://127.0.0.1:8080/v1/, not "localhost"
    repo: { versions: ../elsewhere, branch: 1.0 }
        2 problems in the configuration:
      whetstone.yaml:1: repo.branch takes a text: put it in quotes, not 1.0
      whetstone.yaml:1: repo.versions takes a folder in the repository such as configs, not "../elsewhere"
    guidance_key: ''
        whetstone.yaml:1: guidance_key must not be empty
    retention: 1 month
        whetstone.yaml:1: retention takes a duration such as 90s, 30m, 24h or 7d, not "1 month"
    agents: [mitigation]
        whetstone.yaml:1: agents is a section of names: set the keys below a name in it, not a list
    agents: { mitigation: { llm: { enabled: false } } }
        whetstone.yaml:1: there is no key agents.mitigation.llm: llm is the same for all agents
    "#);
}

#[test]
fn a_server_that_others_reach_needs_a_token_that_is_there() {
    let errors = errors(&[
        "http: { listen: '0.0.0.0:8087' }",
        "http: { token_env: MY_TOKEN }",
        "http: { token_file: /nowhere/token }",
        "http: { token_env: A, token_file: b }",
    ]);
    assert_snapshot!(errors, @r#"
    http: { listen: '0.0.0.0:8087' }
        whetstone.yaml:1: http.listen 0.0.0.0:8087 can be reached from other machines: set http.token_env or http.token_file
    http: { token_env: MY_TOKEN }
        whetstone.yaml:1: http.token_env names the variable "MY_TOKEN", which is not set
    http: { token_file: /nowhere/token }
        whetstone.yaml:1: http.token_file cannot be read from "/nowhere/token": No such file or directory (os error 2)
    http: { token_env: A, token_file: b }
        whetstone.yaml:1: http.token_file and http.token_env are both set: set one
    "#);
    let empty = Written {
        file: "http: { token_env: MY_TOKEN }",
        environment: &[("MY_TOKEN", " ")],
        ..Written::default()
    };
    assert_snapshot!(empty.error(), @"whetstone.yaml:1: http.token_env gives nothing: it is empty");
}

/// A section of a cluster that is asked for.
fn kafka(section: &str) -> String {
    format!("{{ log: {{ kind: kafka }}, kafka: {{ {section} }} }}")
}

fn settings(written: &Written<'_>) -> KafkaSettings {
    match written.load().unwrap().log {
        Log::Kafka { settings, .. } => *settings,
        Log::Embedded => panic!("not on Kafka"),
    }
}

#[test]
fn what_is_said_of_a_cluster_becomes_what_its_client_knows() {
    let text = kafka(
        "brokers: 'one:9092, [::1]:9093', prefix: a.b_c-, instance: pod-0, replication_factor: 3, \
         create_topics: true, partitions: 24, security: { protocol: sasl_ssl, ca_file: ca.pem, \
         mechanism: SCRAM-SHA-512, username: ada, password_env: WHETSTONE_KAFKA_PASSWORD }, \
         properties: { ssl.key.password: 'env:WHETSTONE_KEY_PASSWORD', debug: broker, \
         compression.codec: lz4 }",
    );
    let environment: &[_] =
        &[("WHETSTONE_KAFKA_PASSWORD", "s3cret\n"), ("WHETSTONE_KEY_PASSWORD", "k3y")];
    let flags: &[_] = &["kafka.properties.socket.timeout.ms=30000", "data_dir=here"];
    let written = Written { file: &text, environment, flags };
    let config = written.load().unwrap();
    let shown = format!("{config:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("k3y"), "{shown}");
    let Log::Kafka { settings, create_topics } = config.log else { panic!("{shown}") };
    assert!(create_topics);
    assert_eq!(settings.brokers, "one:9092, [::1]:9093");
    assert_eq!((settings.prefix.as_str(), settings.instance.as_deref()), ("a.b_c-", Some("pod-0")));
    assert_eq!((settings.partitions, settings.replication), (24, Some(3)));
    assert_eq!(settings.state_dir, PathBuf::from("here"));
    let properties = settings.properties.iter();
    let properties: Vec<_> =
        properties.map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    let expected = [
        ("compression.type", "lz4"),
        ("debug", "broker"),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.password", "s3cret"),
        ("sasl.username", "ada"),
        ("security.protocol", "sasl_ssl"),
        ("socket.timeout.ms", "30000"),
        ("ssl.ca.location", "ca.pem"),
        ("ssl.key.password", "k3y"),
    ];
    assert_eq!(properties, expected);
}

#[test]
fn a_secret_of_a_cluster_may_be_in_a_file() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("password");
    fs::write(&path, "from a file\n").unwrap();
    let check = |section: String, property: &str| {
        let text = kafka(&section);
        let settings = settings(&file(&text));
        assert_eq!(settings.properties[property].expose_secret(), "from a file", "{section}");
    };
    let login = "protocol: sasl_plaintext, mechanism: PLAIN, username: ada";
    check(format!("security: {{ {login}, password_file: {path:?} }}"), "sasl.password");
    check(format!("properties: {{ sasl.password: 'file:{}' }}", path.display()), "sasl.password");
    let text = kafka(
        "security: { protocol: sasl_ssl, mechanism: OAUTHBEARER, token_file: /run/token }, \
         replication_factor: 0",
    );
    let settings = settings(&file(&text));
    assert_eq!(settings.token_file, Some(PathBuf::from("/run/token")));
    assert_eq!(settings.replication, None);
}

/// Each section of a cluster, and below it its error.
fn impossible(sections: &[&str]) -> String {
    let error = |section: &&str| format!("{section}\n    {}\n", file(&kafka(section)).error());
    sections.iter().map(error).collect()
}

#[test]
fn each_impossible_value_of_a_cluster_is_named_with_what_is_allowed() {
    let shown = impossible(&[
        "brokers: ''",
        "brokers: 'one:9092,two'",
        "brokers: 'http://one:9092'",
        "brokers: 'one:0'",
        "prefix: 'a b'",
        "instance: ''",
        "instance: pod/0",
        "partitions: 0",
        "replication_factor: 11",
        "create_topics: please",
        "properties: { enable.idempotence: 'false' }",
        "properties: { request.required.acks: '1' }",
        "properties: { sasl.password: s3cret }",
        "properties: { socket.timeout.ms: 'env:UNSET' }",
        "properties: { socket.timeout.ms: 'file:/nowhere' }",
        "properties: { linger.ms: '1', queue.buffering.max.ms: '2' }",
        "security: { protocol: ssl }, properties: { security.protocol: plaintext }",
        "broker: one:9092",
    ]);
    assert_snapshot!(shown, @r#"
    brokers: ''
        whetstone.yaml:1: kafka.brokers takes host:port, several with commas between them, not ""
    brokers: 'one:9092,two'
        whetstone.yaml:1: kafka.brokers takes host:port, several with commas between them, not "one:9092,two"
    brokers: 'http://one:9092'
        whetstone.yaml:1: kafka.brokers takes host:port, several with commas between them, not "http://one:9092"
    brokers: 'one:0'
        whetstone.yaml:1: kafka.brokers takes host:port, several with commas between them, not "one:0"
    prefix: 'a b'
        whetstone.yaml:1: kafka.prefix takes letters, digits, '.', '_' and '-', not "a b"
    instance: ''
        whetstone.yaml:1: kafka.instance must not be empty
    instance: pod/0
        whetstone.yaml:1: kafka.instance takes letters, digits, '.', '_' and '-', not "pod/0"
    partitions: 0
        whetstone.yaml:1: kafka.partitions must be from 1 to 10000, not 0
    replication_factor: 11
        whetstone.yaml:1: kafka.replication_factor must be from 0 to 10, not 11
    create_topics: please
        whetstone.yaml:1: kafka.create_topics takes true or false, not "please"
    properties: { enable.idempotence: 'false' }
        whetstone.yaml:1: kafka.properties.enable.idempotence cannot be set: exactly-once rests on it
    properties: { request.required.acks: '1' }
        whetstone.yaml:1: kafka.properties.request.required.acks cannot be set: exactly-once rests on it
    properties: { sasl.password: s3cret }
        whetstone.yaml:1: kafka.properties.sasl.password is a secret: write env:NAME or file:PATH instead of the value
    properties: { socket.timeout.ms: 'env:UNSET' }
        whetstone.yaml:1: kafka.properties.socket.timeout.ms names the variable "UNSET", which is not set
    properties: { socket.timeout.ms: 'file:/nowhere' }
        whetstone.yaml:1: kafka.properties.socket.timeout.ms cannot be read from "/nowhere": No such file or directory (os error 2)
    properties: { linger.ms: '1', queue.buffering.max.ms: '2' }
        whetstone.yaml:1: kafka.properties.queue.buffering.max.ms is set already, by kafka.security or as linger.ms: set it once
    security: { protocol: ssl }, properties: { security.protocol: plaintext }
        whetstone.yaml:1: kafka.properties.security.protocol is set already, by kafka.security or as security.protocol: set it once
    broker: one:9092
        whetstone.yaml:1: there is no key kafka.broker; did you mean kafka.brokers?
    "#);
}

#[test]
fn a_cluster_that_nobody_uses_is_not_looked_at() {
    file("kafka: { brokers: '' }").load().unwrap();
}

#[test]
fn each_impossible_login_is_named_with_what_is_allowed() {
    let shown = impossible(&[
        "security: { protocol: SASL_SSL }",
        "security: { protocol: sasl_ssl }",
        "security: { mechanism: PLAIN }",
        "security: { protocol: sasl_ssl, mechanism: GSSAPI, username: a, password_file: /dev/null }",
        "security: { protocol: sasl_ssl, mechanism: PLAIN }",
        "security: { protocol: sasl_ssl, mechanism: PLAIN, username: a }",
        "security: { protocol: sasl_ssl, mechanism: OAUTHBEARER }",
        "security: { protocol: sasl_ssl, mechanism: OAUTHBEARER, token_file: t, username: a }",
        "security: { protocol: sasl_ssl, mechanism: PLAIN, username: a, password_env: UNSET }",
        "security: { protocol: sasl_ssl, mechanism: PLAIN, username: a, password_env: A, password_file: b }",
        "security: { ca_file: ca.pem, username: a, token_file: t }",
        "security: { protocol: ssl, certificate_file: c.pem }",
    ]);
    assert_snapshot!(shown, @r#"
    security: { protocol: SASL_SSL }
        whetstone.yaml:1: kafka.security.protocol must be one of plaintext, ssl, sasl_plaintext, sasl_ssl, not "SASL_SSL"
    security: { protocol: sasl_ssl }
        whetstone.yaml:1: kafka.security.mechanism must be set: one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
    security: { mechanism: PLAIN }
        whetstone.yaml:1: kafka.security.mechanism needs protocol sasl_ssl or sasl_plaintext, not plaintext
    security: { protocol: sasl_ssl, mechanism: GSSAPI, username: a, password_file: /dev/null }
        2 problems in the configuration:
      whetstone.yaml:1: kafka.security.mechanism must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, not "GSSAPI"
      whetstone.yaml:1: kafka.security.password_file gives nothing: it is empty
    security: { protocol: sasl_ssl, mechanism: PLAIN }
        whetstone.yaml:1: kafka.security.username must be set for PLAIN
    security: { protocol: sasl_ssl, mechanism: PLAIN, username: a }
        whetstone.yaml:1: kafka.security.password_env or kafka.security.password_file must be set for PLAIN
    security: { protocol: sasl_ssl, mechanism: OAUTHBEARER }
        whetstone.yaml:1: kafka.security.token_file must be set for OAUTHBEARER
    security: { protocol: sasl_ssl, mechanism: OAUTHBEARER, token_file: t, username: a }
        whetstone.yaml:1: kafka.security.username is not for OAUTHBEARER, which takes a token_file
    security: { protocol: sasl_ssl, mechanism: PLAIN, username: a, password_env: UNSET }
        whetstone.yaml:1: kafka.security.password_env names the variable "UNSET", which is not set
    security: { protocol: sasl_ssl, mechanism: PLAIN, username: a, password_env: A, password_file: b }
        whetstone.yaml:1: kafka.security.password_file and kafka.security.password_env are both set: set one
    security: { ca_file: ca.pem, username: a, token_file: t }
        3 problems in the configuration:
      whetstone.yaml:1: kafka.security.ca_file needs protocol sasl_ssl or ssl, not plaintext
      whetstone.yaml:1: kafka.security.username needs protocol sasl_ssl or sasl_plaintext, not plaintext
      whetstone.yaml:1: kafka.security.token_file needs mechanism OAUTHBEARER
    security: { protocol: ssl, certificate_file: c.pem }
        whetstone.yaml:1: kafka.security.certificate_file needs the other of certificate_file and key_file too
    "#);
}

#[test]
fn a_secret_in_a_wrong_place_is_refused_and_not_repeated() {
    let check = |file: &str, environment: &[(&str, &str)], flags: &[&str], says: &str| {
        let error = Written { file, environment, flags }.load().unwrap_err();
        let error = format!("{error} {error:?}");
        assert!(error.contains(says), "{says:?} is not in {error}");
        assert!(!error.contains("12345"), "a secret: {error}");
    };
    let on = "log: { kind: kafka }";
    let file = |section: &str| kafka(section);
    let hint = "kafka.properties.sasl.password is a secret: write env:NAME or file:PATH";
    check(&file("properties: { sasl.password: '12345' }"), &[], &[], hint);
    check(&file("properties: { sasl.password: 12345 }"), &[], &[], "put it in quotes");
    check(&file("properties: 12345"), &[], &[], "is a section of names");
    check(&file("security: { password: 12345 }"), &[], &[], "did you mean");
    check(&file("security: { password_env: pw-12345 }"), &[], &[], "not the secret");
    check(on, &[("WHETSTONE_KAFKA__PROPERTIES__SASL.PASSWORD", "12345")], &[], hint);
    check(on, &[("WHETSTONE_KAFKA__SECURITY__PASSWORD", "12345")], &[], "did you mean");
    check(on, &[], &["kafka.properties.sasl.password=12345"], hint);
    check(on, &[], &["kafka.properties.sasl.password 12345"], "write it as key=value");
    check(on, &[], &["kafka.properties=12345"], "is a section of names");
    check(on, &[], &["kafka.security.password=12345"], "did you mean");
    check(on, &[], &["Kafka.properties.sasl.password=12345"], "there is no key Kafka.");
    check(on, &[], &["sasl.password=12345"], "there is no key sasl.password");
    check(on, &[], &["http.token=12345"], "did you mean http.token_env");
}

#[test]
fn a_file_that_is_no_configuration_is_an_error() {
    let errors = errors(&[
        "windows: {",
        "seed: 1\nseed: 2",
        "just text",
        "- a\n- list",
        "1: 2\nnull: 3\n? [a]\n: 4",
    ]);
    assert_snapshot!(errors, @r#"
    windows: {
        whetstone.yaml:2: is no YAML: did not find expected node content at line 2 column 1, while parsing a flow node
    seed: 1
    seed: 2
        whetstone.yaml:1: is no YAML: duplicate entry with key "seed"
    just text
        whetstone.yaml: holds no keys: write lines such as `min_traces: 20`
    - a
    - list
        whetstone.yaml: holds no keys: write lines such as `min_traces: 20`
    1: 2
    null: 3
    ? [a]
    : 4
        3 problems in the configuration:
      whetstone.yaml: there is no key - a
      whetstone.yaml:1: there is no key 1
      whetstone.yaml:2: there is no key null
    "#);
    let missing = Config::load(Some("/nowhere/whetstone.yaml".as_ref()), [], &[]);
    assert_snapshot!(missing.unwrap_err(), @"cannot read the configuration /nowhere/whetstone.yaml: No such file or directory (os error 2)");
}

#[test]
fn what_is_wrong_for_all_agents_is_not_said_again_for_each() {
    let text = "min_traces: 0\nagents: { a: { seed: 1 }, b: { cooldown: 2000d } }";
    assert_snapshot!(file(text).error(), @r#"
    2 problems in the configuration:
      whetstone.yaml:1: min_traces must be from 1 to 1000000, not 0
      whetstone.yaml:2: agents.b.cooldown must be from 0s to 366d, not 2000d
    "#);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn whatever_stands_in_the_file_no_line_of_it_causes_a_panic(
        lines in prop::collection::vec(
            r"[ -]{0,4}(windows|length|agents|a|<<|\? x|&a|!t|'|-|\t)?[:{}\[\]&*!|>'#, \t\r]{0,3}(\*a|1h|null|é|-1|.{0,6})",
            0..8,
        ),
    ) {
        // Either answer is right; that there is one is what is tested.
        let _either = file(&lines.join("\n")).load().map_err(|error| error.to_string());
    }
}

#[test]
fn a_wait_that_makes_no_sense_is_refused() {
    let errors = errors(&[
        "feedback: { horizon: 31d }",
        "feedback: { horizon: 1h, wait: 2h }",
        "feedback: { max_waiting: 100001 }",
    ]);
    assert_snapshot!(errors, @r#"
    feedback: { horizon: 31d }
        whetstone.yaml:1: feedback.horizon must be from 1s to 30d, not 31d
    feedback: { horizon: 1h, wait: 2h }
        whetstone.yaml:1: feedback.wait must not be above feedback.horizon (1h)
    feedback: { max_waiting: 100001 }
        whetstone.yaml:1: feedback.max_waiting must be from 0 to 100000, not 100001
    "#);
}

#[test]
fn feedback_is_waited_for_as_the_agent_says() {
    let agents = "agents: { slow: { feedback: { wait: 1h, max_waiting: 5 } } }";
    let config = file(&format!("feedback: {{ horizon: 2d }}\n{agents}")).load().unwrap();
    let hour = 3_600_000;
    let own = FeedbackSpec { horizon: 48 * hour, wait: hour, max_waiting: 5 };
    assert_eq!(config.policy(&agent("slow")).feedback, own);
    let usual = FeedbackSpec { horizon: 48 * hour, ..FeedbackSpec::default() };
    assert_eq!(config.policy(&agent("other")).feedback, usual);
}
