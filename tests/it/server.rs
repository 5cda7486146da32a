//! A `whetstone run` of its own for each test that wants one: the real binary, a real repo, a free port.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use whetstone::config::{Config, Log};
use whetstone::consume::KafkaSettings;
use whetstone::simulate::simulated_agents;

use crate::broker::{OnKafka, broker, fresh_prefix, topics_of};

/// The binary under test.
pub(crate) fn whetstone() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whetstone"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WHETSTONE_")) {
        command.env_remove(name);
    }
    command.env_remove("GOOGLE_API_KEY").env_remove("GEMINI_API_KEY").env("USER", "ada");
    command
}

/// A data directory, a config repo with the simulated agents, and how to serve them.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
    pub(crate) settings: Vec<String>,
    port: u16,
}

/// A running server. Killed when dropped.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }

    /// SIGTERM; the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Place {
    pub(crate) fn new(settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write_configs(&dir.path().join("repo"));
        let place = Self {
            settings: settings.iter().map(|text| (*text).to_owned()).collect(),
            port: free_port(),
            dir,
        };
        place.git(&["init", "--quiet"]);
        place.commit("Baseline");
        place
    }

    /// The same with its log on Kafka.
    pub(crate) fn on_kafka(kafka: &OnKafka, settings: &[&str]) -> Self {
        let mut place = Self::new(settings);
        place.settings.extend([
            "log.kind=kafka".to_owned(),
            format!("kafka.brokers={}", kafka.settings.brokers),
        ]);
        place.settings.extend(topics_of(&kafka.settings.prefix));
        place
    }

    /// One whose log is on the broker, with topics of its own that the server may create.
    pub(crate) fn on_new_topics(settings: &[&str], wanted_by: &str) -> Option<Self> {
        let broker = broker(wanted_by)?;
        let mut place = Self::new(&["log.kind=kafka", "llm.enabled=false"]);
        place.settings.push(format!("kafka.brokers={}", broker.address));
        place.settings.extend(topics_of(&fresh_prefix()));
        place.settings.extend(settings.iter().map(|text| (*text).to_owned()));
        Some(place)
    }

    /// Its settings, as the server reads them.
    pub(crate) fn config(&self) -> Config {
        let data = format!("data_dir={}", self.dir.path().join("data").display());
        let settings = std::iter::once(data).chain(self.settings.iter().cloned());
        Config::load(None, [], &settings.collect::<Vec<_>>()).unwrap()
    }

    /// What reaches its cluster.
    pub(crate) fn kafka(&self) -> KafkaSettings {
        match self.config().log {
            Log::Kafka { settings, .. } => *settings,
            Log::Embedded => panic!("not on Kafka"),
        }
    }

    pub(crate) fn repo(&self) -> PathBuf {
        self.dir.path().join("repo")
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        run_in(&self.repo(), "git", arguments)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The binary with this place's settings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = whetstone();
        command.args(arguments);
        let data = self.dir.path().join("data").display().to_string();
        let repo = self.repo().display().to_string();
        for setting in [
            format!("data_dir={data}"),
            format!("repo.path={repo}"),
            format!("http.listen=127.0.0.1:{}", self.port),
        ] {
            command.args(["--set", &setting]);
        }
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        command
    }

    /// Commits what stands in the repo.
    pub(crate) fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        let who = ["-c", "user.name=ada", "-c", "user.email=ada@localhost"];
        self.git(&[&who[..], &["commit", "--quiet", "--message", message]].concat());
    }

    /// Starts the server and waits until it is ready.
    pub(crate) async fn start(&self) -> Running {
        self.start_with(&[]).await
    }

    /// The same with these in its environment.
    pub(crate) async fn start_with(&self, environment: &[(&str, &str)]) -> Running {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("server.log"))
            .unwrap();
        let mut command = self.command(&["run"]);
        command.envs(environment.iter().copied());
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut running = Running(child);
        for _ in 0..1500 {
            let ready = reqwest::get(self.url("/readyz")).await;
            if ready.is_ok_and(|response| response.status().is_success()) {
                return running;
            }
            assert!(running.0.try_wait().unwrap().is_none(), "it ended: {}", self.server_log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("not ready: {}", self.server_log());
    }

    pub(crate) fn server_log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    /// Reads `file` until `done` says so of its text.
    pub(crate) async fn until_file(&self, file: &Path, done: impl Fn(&str) -> bool) {
        let mut text = String::new();
        for _ in 0..3000 {
            text = std::fs::read_to_string(file).unwrap_or_default();
            if done(&text) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never came about: {}: {text}\n{}", file.display(), self.server_log());
    }

    /// Asks `path` until `done` says so of the answer.
    pub(crate) async fn until(&self, path: &str, done: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..3000 {
            if let Ok(response) = reqwest::get(self.url(path)).await
                && let Ok(value) = response.json::<Value>().await
            {
                if done(&value) {
                    return value;
                }
                last = value;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never came about: {path}: {last:#}\n{}", self.server_log());
    }
}

/// The simulated agents' files, as people would have written them.
pub(crate) fn write_configs(repo: &Path) {
    let configs = repo.join("configs");
    std::fs::create_dir_all(&configs).unwrap();
    for agent in simulated_agents() {
        let file = |kind: &str| configs.join(format!("{}_agent_{kind}.yaml", agent.name));
        std::fs::write(file("prompts"), agent.prompts_yaml()).unwrap();
        std::fs::write(file("config"), agent.config_yaml()).unwrap();
    }
}

pub(crate) fn run_in(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
