//! What is watched and who watches it: a real Prometheus scrapes a real server, its own tool reads our metrics
//! and rules, and nothing that the rules, the dashboard or the guide name is made up.
//!
//! Where Prometheus is not installed, the tests that want it say so and pass, except in CI.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use whetstone::govern::Decision;

use crate::server::{Place, Running, free_port};

const ALERTS: &str = include_str!("../../deploy/monitoring/alerts.yaml");
const RECORDING: &str = include_str!("../../deploy/monitoring/recording.yaml");
const UNIT_TESTS: &str = include_str!("../../deploy/monitoring/alerts_test.yaml");
const DASHBOARD: &str = include_str!("../../deploy/monitoring/dashboard.json");
const GUIDE: &str = include_str!("../../docs/operate.md");

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring")
}

/// `program` of Prometheus'; `None` if it is not installed. `wanted_by` is told so then.
fn tool(program: &str, wanted_by: &str) -> Option<Command> {
    let found = Command::new(program).arg("--version").output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(Command::new(program));
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no {program} in CI");
    // Not by eprintln, which the test harness keeps to itself.
    writeln!(std::io::stderr(), "skipped: {wanted_by} (no {program})").unwrap();
    None
}

fn passes(command: &mut Command) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said));
}

/// A server with every role, to which nothing has happened yet.
async fn fresh() -> (Place, Running) {
    let place = Place::new(&["llm.enabled=false"]);
    let server = place.start().await;
    (place, server)
}

async fn scrape(place: &Place) -> String {
    reqwest::get(place.url("/metrics")).await.unwrap().text().await.unwrap()
}

/// The names of metrics in `text`, of whatever kind it is. Those of recorded series hold colons.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text
        .split(|c| !word(c))
        .filter(|word| word.contains("whetstone_") && !word.contains("__") && !word.ends_with(':'));
    words.map(str::to_owned).collect()
}

/// Without what histograms add to their names.
fn base(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn metrics_of(scraped: &str) -> BTreeSet<String> {
    let kinds = scraped.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    kinds.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

fn rules(text: &str, kind: &str) -> Vec<serde_yaml::Value> {
    let text: serde_yaml::Value = serde_yaml::from_str(text).unwrap();
    let groups = text["groups"].as_sequence().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_sequence().unwrap());
    rules.filter(|rule| rule.get(kind).is_some()).cloned().collect()
}

fn alerts() -> Vec<String> {
    let name = |rule: &serde_yaml::Value| rule["alert"].as_str().unwrap().to_owned();
    rules(ALERTS, "alert").iter().map(name).collect()
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

fn questions() -> Vec<String> {
    let targets = |panel: &Value| panel["targets"].as_array().cloned().unwrap_or_default();
    let expr = |target: Value| target["expr"].as_str().unwrap().to_owned();
    panels().iter().flat_map(targets).map(expr).collect()
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics() {
    let Some(mut promtool) = tool("promtool", "the metrics' names and help") else { return };
    runtime().block_on(async {
        let (place, _server) = fresh().await;
        let text = scrape(&place).await;
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = promtool.stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    });
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    let Some(mut promtool) = tool("promtool", "the rules' syntax") else { return };
    passes(promtool.current_dir(folder()).args(["check", "config", "prometheus.yaml"]));
    passes(
        Command::new("promtool")
            .current_dir(folder())
            .args(["check", "rules", "--lint=all", "--lint-fatal"])
            .args(["recording.yaml", "alerts.yaml"]),
    );
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let tested: serde_yaml::Value = serde_yaml::from_str(UNIT_TESTS).unwrap();
    for alert in alerts() {
        let tests = tested["tests"].as_sequence().unwrap();
        let test = tests.iter().find(|test| test["name"].as_str() == Some(&alert));
        let test = test.unwrap_or_else(|| panic!("{alert} has no unit test"));
        let looks = test["alert_rule_test"].as_sequence().unwrap();
        let fires =
            |look: &serde_yaml::Value| !look["exp_alerts"].as_sequence().unwrap().is_empty();
        assert!(looks.iter().any(fires), "{alert} is never seen to fire");
        assert!(looks.iter().all(|look| look["alertname"].as_str() == Some(&alert)));
        let series = test["input_series"].as_sequence().unwrap();
        let well =
            |series: &serde_yaml::Value| series["series"].as_str().unwrap().contains("quiet");
        assert!(series.iter().any(well), "{alert} is not tried on one that is well");
    }
    let Some(mut promtool) = tool("promtool", "the alerts' unit tests") else { return };
    passes(promtool.current_dir(folder()).args(["test", "rules", "alerts_test.yaml"]));
}

#[test]
fn whatever_is_watched_is_there_from_the_start() {
    let recorded: BTreeSet<_> = rules(RECORDING, "record")
        .iter()
        .map(|rule| rule["record"].as_str().unwrap().to_owned())
        .collect();
    let mut watched: BTreeSet<String> = names(&questions().join(" "));
    for rule in rules(ALERTS, "alert").iter().chain(&rules(RECORDING, "record")) {
        watched.extend(names(rule["expr"].as_str().unwrap()));
    }
    runtime().block_on(async {
        let (place, _server) = fresh().await;
        let mut text = scrape(&place).await;
        // The lag is asked for every few seconds, and cannot be known before.
        for _ in 0..1500 {
            if text.contains("whetstone_lag_records{") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            text = scrape(&place).await;
        }
        let there = metrics_of(&text);
        for name in &watched {
            assert!(there.contains(base(name)) || recorded.contains(name), "{name} is not there");
        }
        let shown = names(&questions().join(" "));
        for name in &there {
            let on_it = shown.iter().any(|shown| base(shown) == name);
            assert!(on_it, "{name} is not on the dashboard");
        }
        check_series(&text);
        for decision in Decision::KINDS {
            assert!(text.contains(&format!("{{decision=\"{decision}\"}} ")), "{decision}");
        }
    });
}

/// Each value of a label that an alert asks for is there before anything happened.
fn check_series(scraped: &str) {
    for rule in rules(ALERTS, "alert").iter().chain(&rules(RECORDING, "record")) {
        let expr = rule["expr"].as_str().unwrap();
        for (before, rest) in expr.match_indices('{').map(|(at, _)| expr.split_at(at)) {
            let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
            let name = name.unwrap();
            let matchers = rest.split_once('}').unwrap().0.trim_start_matches('{');
            let exact = matchers.split(',').filter(|one| !one.contains("!=") && !one.contains('~'));
            for matcher in exact.filter(|_| name != "up") {
                let of_it = |line: &&str| line.starts_with(&format!("{name}{{"));
                let found = scraped.lines().filter(of_it).any(|line| line.contains(matcher));
                assert!(found, "{name}{{{matcher}}} is not there");
            }
        }
    }
    for role in ["decode", "assemble", "aggregate", "optimize", "publish"] {
        let line = format!("whetstone_role_running{{role=\"{role}\"}} 1");
        assert!(scraped.contains(&line), "{line} is not in\n{scraped}");
    }
    assert!(scraped.contains("\nwhetstone_ready 1\n"));
}

#[test]
fn the_dashboard_is_whole() {
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels() {
        let title = panel["title"].as_str().unwrap().to_owned();
        assert!(ids.insert(panel["id"].as_i64().unwrap()), "{title}: its id is taken");
        let at = |field: &str| panel["gridPos"][field].as_i64().unwrap();
        assert!(at("x") + at("w") <= 24, "{title} is off the grid");
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{title} lies on another");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title} is not explained");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let expr = target["expr"].as_str().unwrap();
            assert!(expr.contains("job=~\"$job\""), "{title} shows other jobs: {expr}");
        }
    }
}

#[test]
fn the_questions_of_the_dashboard_are_understood() {
    let Some(mut promtool) = tool("promtool", "the dashboard's queries") else { return };
    let dir = tempfile::tempdir().unwrap();
    let rule = |(index, expr): (usize, &String)| {
        let expr = expr.replace("$__rate_interval", "5m").replace("$__interval", "5m");
        let expr = expr.replace("$job", ".*").replace("$instance", ".*");
        serde_json::json!({ "record": format!("panel:{index}"), "expr": expr })
    };
    let rules: Vec<_> = questions().iter().enumerate().map(rule).collect();
    let text = serde_json::json!({ "groups": [{ "name": "panels", "rules": rules }] }).to_string();
    std::fs::write(dir.path().join("panels.yaml"), text).unwrap();
    passes(promtool.current_dir(dir.path()).args(["check", "rules", "panels.yaml"]));
}

#[test]
fn the_guide_tells_of_every_alert_and_every_metric() {
    let severities = ["critical", "warning", "info"];
    for rule in rules(ALERTS, "alert") {
        let name = rule["alert"].as_str().unwrap();
        assert!(GUIDE.contains(&format!("\n### {name}\n")), "{name} has no section in the guide");
        let anchor = format!("docs/operate.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook_url"].as_str(), Some(&*anchor));
        assert!(severities.contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
    }
    let sections = GUIDE.lines().filter_map(|line| line.strip_prefix("### Whetstone"));
    let known = alerts();
    for section in sections {
        assert!(known.contains(&format!("Whetstone{section}")), "there is no alert {section}");
    }
    runtime().block_on(async {
        let (place, _server) = fresh().await;
        let (mut there, told) = (metrics_of(&scrape(&place).await), names(GUIDE));
        // It comes with the first look at the log.
        there.insert("whetstone_lag_records".to_owned());
        for name in &there {
            assert!(GUIDE.contains(&format!("`{name}")), "the guide does not name {name}");
        }
        let recorded = names(RECORDING);
        for name in told.iter().filter(|name| name.starts_with("whetstone_")) {
            let known = there.contains(base(name)) || recorded.contains(name);
            assert!(known, "the guide names {name}, which there is not");
        }
    });
}

#[test]
fn the_list_of_decisions_is_whole() {
    let mut made = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/govern");
    for file in ["agent.rs", "labels.rs", "proposals.rs", "trials.rs"] {
        let text = std::fs::read_to_string(source.join(file)).unwrap();
        let production = text.split("#[cfg(test)]").next().unwrap().replace(['\n', ' '], "");
        for maker in ["decision(\"", "decided(self,\""] {
            let calls = production.split(maker).skip(1);
            made.extend(calls.map(|call| call.split('"').next().unwrap().to_owned()));
        }
    }
    assert!(made.len() > 15, "{made:?}");
    for decision in made {
        assert!(Decision::KINDS.contains(&decision.as_str()), "{decision} is not listed");
    }
}

/// Ends with the test.
struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start_prometheus(mut command: Command, dir: &Path, place: &Place) -> (Prometheus, String) {
    let target = place.url("").trim_start_matches("http://").to_owned();
    let config = std::fs::read_to_string(folder().join("prometheus.yaml")).unwrap();
    assert!(config.contains("127.0.0.1:8087"));
    let config = config.replace("127.0.0.1:8087", &target).replace("interval: 15s", "interval: 1s");
    std::fs::write(dir.join("prometheus.yaml"), config).unwrap();
    for file in ["recording.yaml", "alerts.yaml"] {
        std::fs::copy(folder().join(file), dir.join(file)).unwrap();
    }
    let address = format!("127.0.0.1:{}", free_port());
    command.current_dir(dir).args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data"]);
    command.arg(format!("--web.listen-address={address}"));
    let log = std::fs::File::create(dir.join("prometheus.log")).unwrap();
    let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    (Prometheus(child), format!("http://{address}"))
}

/// Asks Prometheus until `done` says so of the answer's data.
async fn until(dir: &Path, url: &str, query: &[(&str, &str)], done: impl Fn(&Value) -> bool) {
    let mut last = Value::Null;
    let url = reqwest::Url::parse_with_params(url, query).unwrap();
    for _ in 0..3000 {
        if let Ok(response) = reqwest::get(url.clone()).await
            && let Ok(value) = response.json::<Value>().await
        {
            if done(&value["data"]) {
                return;
            }
            last = value;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = std::fs::read_to_string(dir.join("prometheus.log")).unwrap_or_default();
    panic!("never came about: {url}: {last:#}\n{log}");
}

#[test]
fn a_real_prometheus_scrapes_it_and_keeps_its_rules() {
    let Some(prometheus) = tool("prometheus", "a real Prometheus") else { return };
    runtime().block_on(async {
        let (place, _server) = fresh().await;
        let dir = tempfile::tempdir().unwrap();
        let (_prometheus, url) = start_prometheus(prometheus, dir.path(), &place);
        let query = format!("{url}/api/v1/query");
        let is = |data: &Value, wanted: &str| data["result"][0]["value"][1] == wanted;
        let up = [("query", "up{job=\"whetstone\"} + on (job, instance) whetstone_ready")];
        until(dir.path(), &query, &up, |data| is(data, "2")).await;
        let recorded = [("query", "job_role:whetstone_lag_records:sum{role=\"decode\"}")];
        until(dir.path(), &query, &recorded, |data| is(data, "0")).await;
        let well = |data: &Value| {
            let groups = data["groups"].as_array().cloned().unwrap_or_default();
            let rules = |group: &Value| group["rules"].as_array().cloned().unwrap_or_default();
            let rules: Vec<_> = groups.iter().flat_map(rules).collect();
            let wanted = alerts().len() + self::rules(RECORDING, "record").len();
            rules.len() == wanted && rules.iter().all(|rule| rule["health"] == "ok")
        };
        until(dir.path(), &format!("{url}/api/v1/rules"), &[], well).await;
        let silent = |data: &Value| data["alerts"].as_array().is_some_and(Vec::is_empty);
        until(dir.path(), &format!("{url}/api/v1/alerts"), &[], silent).await;
    });
}

#[test]
fn what_is_under_way_is_counted_and_taken_back() {
    runtime().block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let _server = place.start().await;
        let known = |view: &Value| view["active"] == 1;
        place.until("/api/agents/sim-triage", known).await;
        for (order, paused) in [("pause", 1), ("resume", 0)] {
            passes(&mut place.command(&[order, "sim-triage"]));
            let line = format!("\nwhetstone_agents_paused {paused}\n");
            let mut text = scrape(&place).await;
            for _ in 0..1500 {
                if text.contains(&line) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                text = scrape(&place).await;
            }
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
    });
}

#[test]
fn the_log_is_json_where_that_is_asked_for() {
    runtime().block_on(async {
        let place = Place::new(&["llm.enabled=false"]);
        let log = place.dir.path().join("json.log");
        let file = std::fs::File::create(&log).unwrap();
        let mut command = place.command(&["run", "--log-format", "json"]);
        let child = command.stdout(Stdio::null()).stderr(file).spawn().unwrap();
        let _ends = Prometheus(child);
        place.until_file(&log, |text| text.contains("whetstone is running")).await;
        let text = std::fs::read_to_string(&log).unwrap();
        // The last line may be half written.
        let whole = text.rsplit_once('\n').unwrap().0;
        for line in whole.lines().filter(|line| !line.starts_with("no config repo")) {
            let line: Value = serde_json::from_str(line).unwrap();
            assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
        }
    });
}
