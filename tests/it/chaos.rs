//! Everything that may fail does, at random, for a while: instances and the broker are killed, stopped
//! and hung, and instances crash by themselves between any two halves of the atomic step. At the end
//! every run was counted exactly once, every request was answered exactly once, versions are numbered
//! without a gap, and the git repo holds what the topic holds.
//!
//! `WHETSTONE_TEST_CHAOS_SECONDS` says for how long (120 if not set), `WHETSTONE_TEST_SEED` replays the
//! choices of a run. Where that is odd, agents' owners read traces themselves; which by their keys come anywhere, so
//! that one in a few is where its agent is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use whetstone::app::{agent_views, read_event};
use whetstone::base::{EventTime, VersionNumber};
use whetstone::consume::{KafkaLog, KafkaSettings, Log, NewRecord, Topic};
use whetstone::govern::{AgentView, Content, Event, EventBody, Request, VersionRecord};
use whetstone::simulate::simulated_agents;

use crate::broker::{script, skip, topics_of};
use crate::killed::setting;
use crate::log_conformance::{read, table};
use crate::server::{run_in, whetstone, write_configs};

pub(crate) const INSTANCES: usize = 3;
pub(crate) const PARTITIONS: i32 = 6;
/// Runs a batch, and batches a second: what three instances keep up with while they are being killed.
const BATCH: u64 = 20;
const PAUSE: Duration = Duration::from_millis(100);
/// In how long everything has settled once nothing fails any more.
const SETTLED: Duration = Duration::from_secs(120);

/// Where an instance may crash by itself, and how often in a thousand times it gets there.
const CRASHES: [(&str, u32); 6] = [
    ("step-begun", 15),
    ("step-produced", 15),
    ("step-before-commit", 15),
    ("step-committed", 15),
    ("publish-projected", 200),
    ("publish-pushed", 200),
];

/// A broker of its own, since it is killed.
struct Kafka {
    dir: PathBuf,
    address: String,
}

impl Kafka {
    /// `None` if there can be none here.
    fn start(dir: &Path) -> Option<Self> {
        if Self::output(dir, &["clean"]).status.code() == Some(3) {
            return None;
        }
        let started = Self::output(dir, &["start"]);
        if started.status.code() == Some(3) {
            return None;
        }
        Some(Self { dir: dir.to_owned(), address: Self::command(dir, &["start"]) })
    }

    fn output(dir: &Path, arguments: &[&str]) -> Output {
        Command::new(script()).args(arguments).arg("--dir").arg(dir).output().unwrap()
    }

    fn command(dir: &Path, arguments: &[&str]) -> String {
        let output = Self::output(dir, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kafka {arguments:?}: {error}");
        let output = String::from_utf8(output.stdout).unwrap();
        output.lines().last().unwrap_or_default().to_owned()
    }

    fn kill_and_start(&self) {
        Self::command(&self.dir, &["stop", "--kill"]);
        assert_eq!(Self::command(&self.dir, &["start"]), self.address, "the same port");
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        let arguments = ["stop", "--kill", "--dir"];
        Command::new(script()).args(arguments).arg(&self.dir).output().ok();
    }
}

/// One of the instances: its own clone of the repo, its own directory.
pub(crate) struct Instance {
    dir: PathBuf,
    child: Option<Child>,
    hung: bool,
}

pub(crate) struct World {
    dir: tempfile::TempDir,
    kafka: Kafka,
    prefix: String,
    /// Whether agents' owners read traces themselves.
    keyed: bool,
}

impl World {
    /// With a broker of its own, called `name`; `None` if there can be none here.
    pub(crate) fn new(name: &str, wanted_by: &str) -> Option<Self> {
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
        let Some(kafka) = Kafka::start(&target.join(format!("kafka-{name}"))) else {
            skip(wanted_by, "it kills a broker of its own, and Java or Maven is missing");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let origin = dir.path().join("origin");
        write_configs(&origin);
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "--all"],
            &["-c", "user.name=ada", "-c", "user.email=ada@localhost", "commit", "-qm", "Baseline"],
        ] {
            run_in(&origin, "git", arguments);
        }
        run_in(dir.path(), "git", &["clone", "--quiet", "--bare", "origin", "origin.git"]);
        let prefix = format!("{name}{:06x}.", fastrand::u32(..1 << 24));
        Some(Self { dir, kafka, prefix, keyed: false })
    }

    pub(crate) fn log(&self) -> KafkaLog {
        let settings = KafkaSettings {
            prefix: self.prefix.clone(),
            otlp_spans: format!("{}otlp_spans", self.prefix),
            otlp_logs: format!("{}otlp_logs", self.prefix),
            partitions: PARTITIONS,
            ..KafkaSettings::new(&self.kafka.address, self.dir.path().join("test"))
        };
        KafkaLog::open(settings).unwrap()
    }

    pub(crate) fn instance(&self, number: usize) -> Instance {
        let dir = self.dir.path().join(format!("instance-{number}"));
        std::fs::create_dir_all(&dir).unwrap();
        run_in(&dir, "git", &["clone", "--quiet", "../origin.git", "repo"]);
        Instance { dir, child: None, hung: false }
    }

    pub(crate) fn start(&self, instance: &mut Instance, failpoints: &str) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(instance.dir.join("log"))
            .unwrap();
        let mut command = whetstone();
        command.arg("run").env("FAILPOINTS", failpoints);
        let data = instance.dir.join("data").display().to_string();
        let repo = instance.dir.join("repo").display().to_string();
        for setting in topics_of(&self.prefix) {
            command.args(["--set", &setting]);
        }
        for setting in [
            "log.kind=kafka".to_owned(),
            format!("kafka.brokers={}", self.kafka.address),
            "kafka.properties.session.timeout.ms=6000".to_owned(),
            format!("data_dir={data}"),
            format!("repo.path={repo}"),
            "repo.remote=origin".to_owned(),
            "repo.poll_interval=2s".to_owned(),
            "http.listen=127.0.0.1:0".to_owned(),
            "rollout=immediate".to_owned(),
            "llm.enabled=false".to_owned(),
            "min_traces=60".to_owned(),
            "cooldown=0s".to_owned(),
            format!("kafka.traces_keyed_by_agent={}", self.keyed),
        ] {
            command.args(["--set", &setting]);
        }
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        instance.child = Some(child);
        instance.hung = false;
    }

    fn logs(&self) -> String {
        let tail = |number| {
            let path = self.dir.path().join(format!("instance-{number}/log"));
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<_> = text.lines().rev().take(30).collect();
            format!(
                "instance {number}:\n{}\n",
                lines.into_iter().rev().collect::<Vec<_>>().join("\n")
            )
        };
        (0..INSTANCES).map(tail).collect()
    }
}

impl Instance {
    fn signal(&self, signal: &str) {
        if let Some(child) = &self.child {
            Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        }
    }

    pub(crate) fn end(&mut self, signal: &str) {
        if self.hung {
            self.signal("-CONT");
        }
        self.signal(signal);
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
    }

    /// Whether it has crashed by itself.
    fn has_ended(&mut self) -> bool {
        match self.child.as_mut().map(|child| child.try_wait().unwrap()) {
            Some(Some(_)) => {
                self.child = None;
                true
            }
            Some(None) | None => false,
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.end("-KILL");
    }
}

/// What was sent, by agent, and what had to be sent again since nobody knew whether it had arrived.
struct Sent {
    runs: BTreeMap<String, u64>,
    again: u64,
}

/// Sends runs at a steady rate until told to stop. A batch whose fate is unknown is sent again, and
/// must count once all the same.
fn produce(log: &KafkaLog, seed: u64, stop: &AtomicBool, count: &AtomicU64) -> Sent {
    let agents = simulated_agents();
    let content = Content::default();
    let mut rng = Rng::with_seed(seed);
    let mut sent = Sent { runs: BTreeMap::new(), again: 0 };
    let mut next = 0;
    while !stop.load(Ordering::SeqCst) {
        let begun = Instant::now();
        let now = EventTime::from_millis(jiff::Timestamp::now().as_millisecond());
        let runs = (next..next + BATCH).zip(agents.iter().cycle());
        let runs: Vec<_> = runs
            .map(|(id, agent)| agent.run(id, (VersionNumber(1), &content), now, &mut rng))
            .collect();
        next += BATCH;
        let record = |run: &whetstone::decode::Trace| {
            let run = whetstone::decode::Trace { version: None, ..run.clone() };
            let value = serde_json::to_vec(&run).unwrap();
            // Keys that say nothing of the agent: nobody may rely on them.
            NewRecord::new(Topic::AgentTraces, format!("{:x}", fastrand::u16(..)), value)
        };
        let records: Vec<_> = runs.iter().map(record).collect();
        while log.append(records.clone()).is_err() {
            sent.again += BATCH;
            wait(Duration::from_millis(200));
        }
        for run in &runs {
            *sent.runs.entry(run.agent.to_string()).or_default() += 1;
        }
        count.fetch_add(BATCH, Ordering::SeqCst);
        wait(PAUSE.saturating_sub(begun.elapsed()));
    }
    sent
}

#[expect(clippy::disallowed_methods, reason = "when what fails is the test's random input")]
pub(crate) fn wait(time: Duration) {
    std::thread::sleep(time);
}

fn failpoints(rng: &mut Rng) -> String {
    let (name, rate) = CRASHES[rng.usize(..CRASHES.len())];
    format!("{name}={}%return", f64::from(rate) / 10.0)
}

/// Does one thing to somebody, and says what.
fn strike(world: &World, instances: &mut [Instance], rng: &mut Rng) -> &'static str {
    let index = rng.usize(..instances.len());
    let instance = &mut instances[index];
    match rng.u32(..100) {
        0..40 => {
            instance.end("-KILL");
            "killed"
        }
        40..60 => {
            instance.end("-TERM");
            "stopped"
        }
        60..85 => {
            // Longer than its session, or not.
            instance.signal("-STOP");
            instance.hung = instance.child.is_some();
            "hung"
        }
        _ => {
            world.kafka.kill_and_start();
            "broker killed"
        }
    }
}

#[test]
fn whatever_fails_nothing_is_lost_or_repeated() {
    let seconds = setting("WHETSTONE_TEST_CHAOS_SECONDS", 120);
    let seed = setting("WHETSTONE_TEST_SEED", fastrand::u64(..));
    eprintln!("{seconds} s of chaos; replay its choices with WHETSTONE_TEST_SEED={seed}");
    let mut rng = Rng::with_seed(seed);
    let Some(mut world) = World::new("chaos", module_path!()) else { return };
    world.keyed = seed % 2 == 1;
    let log = world.log();
    log.create_topics().unwrap();
    let mut instances: Vec<_> = (0..INSTANCES).map(|number| world.instance(number)).collect();
    for instance in &mut instances {
        world.start(instance, "");
    }
    // Runs count for a version once there is one.
    until(&world, &log, "the repo's baseline is adopted", |views| {
        views.iter().filter(|view| view.active.is_some()).count() == simulated_agents().len()
    });
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut struck: BTreeMap<&str, u32> = BTreeMap::new();
    let sent = std::thread::scope(|scope| {
        let producing = scope.spawn(|| produce(&world.log(), seed, &stop, &count));
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            wait(Duration::from_millis(rng.u64(300..4_000)));
            for instance in &mut instances {
                if instance.has_ended() {
                    *struck.entry("crashed by itself").or_default() += 1;
                }
                if instance.hung && rng.bool() {
                    instance.signal("-CONT");
                    instance.hung = false;
                }
                if instance.child.is_none() && rng.u32(..10) < 7 {
                    let failpoints = failpoints(&mut rng);
                    world.start(instance, &failpoints);
                }
            }
            *struck.entry(strike(&world, &mut instances, &mut rng)).or_default() += 1;
        }
        stop.store(true, Ordering::SeqCst);
        producing.join().unwrap()
    });
    for instance in &mut instances {
        instance.end("-KILL");
        world.start(instance, "");
    }
    eprintln!("{struck:?}; {:?} sent, {} of them again", sent.runs, sent.again);
    let settled_after = check(&world, &log, &sent);
    for instance in &mut instances {
        instance.end("-TERM");
    }
    eprintln!("settled {settled_after:.1} s after the last blow");
}

/// The agents once `done` says so of them.
pub(crate) fn until(
    world: &World,
    log: &KafkaLog,
    what: &str,
    done: impl Fn(&[AgentView]) -> bool,
) -> Vec<AgentView> {
    let begun = Instant::now();
    loop {
        let views = agent_views(log).unwrap();
        if done(&views) {
            return views;
        }
        if begun.elapsed() > SETTLED {
            panic!("never: {what}\n{}\n{views:#?}", world.logs());
        }
        wait(Duration::from_millis(300));
    }
}

fn check(world: &World, log: &KafkaLog, sent: &Sent) -> f64 {
    let begun = Instant::now();
    let counted =
        |view: &AgentView| view.runs.windowed + view.runs.late + view.runs.unknown_version;
    let views = until(world, log, "all runs are counted and all requests answered", |views| {
        let all: u64 = views.iter().map(counted).sum();
        all >= sent.runs.values().sum() && views.iter().all(|view| view.optimizing.is_none())
    });
    for view in &views {
        let agent = view.agent.as_str();
        assert_eq!(view.runs.windowed, sent.runs[agent], "{agent}: each run once: {:?}", view.runs);
        let numbers: Vec<_> = view.versions.iter().map(|version| version.version.0).collect();
        let expected: Vec<_> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "{agent}: no gap and no duplicate");
        let active = view.versions.iter().filter(|version| version.state == "active").count();
        assert_eq!(active, 1, "{agent}");
    }
    check_events(world, log, sent);
    let answered = check_requests(log);
    let versions: BTreeSet<_> = views
        .iter()
        .flat_map(|view| view.versions.iter().map(|v| (view.agent.to_string(), v.version.0)))
        .collect();
    check_repo(world, log, &versions);
    eprintln!("{answered} requests answered, {} versions", versions.len());
    begun.elapsed().as_secs_f64()
}

/// Each run is one event, at least and, but for what was sent again, at most.
fn check_events(world: &World, log: &KafkaLog, sent: &Sent) {
    let mut runs: BTreeMap<String, u64> = BTreeMap::new();
    for record in read(log, Topic::AgentEvents) {
        let event: Event = read_event(&record).unwrap();
        if let EventBody::Run(run) = event.body {
            *runs.entry(run.trace_id).or_default() += 1;
        }
    }
    let distinct = runs.len() as u64;
    let all: u64 = runs.values().sum();
    let expected = sent.runs.values().sum::<u64>();
    if world.keyed {
        assert!(0 < distinct && distinct < expected, "{distinct} of {expected} were passed on");
    } else {
        assert_eq!(distinct, expected, "every run is an event");
    }
    assert!(all - distinct <= sent.again, "{} events too many", all - distinct);
    assert_eq!(table(log, Topic::DeadLetters), []);
    assert_eq!(read(log, Topic::DeadLetters), []);
}

/// Each request stands once, and was answered by one proposal and one decision on it.
fn check_requests(log: &KafkaLog) -> usize {
    let mut requests = BTreeMap::new();
    for record in read(log, Topic::OptimizationRequests) {
        let request: Request = serde_json::from_slice(&record.value).unwrap();
        assert_eq!(requests.insert(request.id.clone(), 0), None, "{} twice", request.id);
    }
    for record in read(log, Topic::AgentEvents) {
        let event: Event = read_event(&record).unwrap();
        if let EventBody::Proposal(proposal) = event.body {
            *requests.get_mut(&proposal.request).unwrap() += 1;
        }
    }
    assert!(requests.values().all(|answers| *answers == 1), "{requests:?}");
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    for record in read(log, Topic::Decisions) {
        let decision: serde_json::Value = serde_json::from_slice(&record.value).unwrap();
        *outcomes.entry(decision["decision"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let of = |kind: &str| outcomes.get(kind).copied().unwrap_or_default();
    let answered = of("activated") + of("no_change") + of("proposal_refused");
    assert_eq!(answered, requests.len(), "one decision a request: {outcomes:?}");
    answered
}

/// The remote holds every version of the topic, each revision in one commit, and the active contents.
fn check_repo(world: &World, log: &KafkaLog, versions: &BTreeSet<(String, u32)>) {
    let git = |arguments: &[&str]| run_in(&world.dir.path().join("origin.git"), "git", arguments);
    let files = || {
        let listed = git(&["ls-tree", "--name-only", "main", "versions/"]);
        let parse = |line: &str| {
            let stem = line.strip_prefix("versions/")?.strip_suffix(".yaml")?;
            let (agent, number) = stem.rsplit_once("_v")?;
            Some((agent.to_owned(), number.parse().ok()?))
        };
        listed.lines().filter_map(parse).collect::<BTreeSet<(String, u32)>>()
    };
    let active: BTreeMap<String, VersionRecord> = table(log, Topic::PromptVersions)
        .iter()
        .map(|record| serde_json::from_slice::<VersionRecord>(&record.value).unwrap())
        .filter(|record| record.state.name() == "active")
        .map(|record| (record.version.agent.to_string(), record))
        .collect();
    let prompts_are_there = || {
        active.iter().all(|(agent, record)| {
            let file = git(&["show", &format!("main:configs/{agent}_agent_prompts.yaml")]);
            let texts: BTreeMap<String, String> = serde_yaml::from_str(&file).unwrap();
            record.version.content.prompts.iter().all(|(key, text)| texts.get(key) == Some(text))
        })
    };
    let begun = Instant::now();
    while (files() != *versions || !prompts_are_there()) && begun.elapsed() < SETTLED {
        wait(Duration::from_millis(300));
    }
    assert_eq!(&files(), versions, "the repo holds what the topic holds\n{}", world.logs());
    assert!(prompts_are_there(), "the active prompts are in the repo\n{}", world.logs());
    let format = "--format=%(trailers:key=Whetstone-Agent,valueonly,separator=)/\
                  %(trailers:key=Whetstone-Revision,valueonly,separator=)";
    let mut commits: BTreeMap<String, u32> = BTreeMap::new();
    for line in git(&["log", format, "main"]).lines().filter(|line| *line != "/") {
        *commits.entry(line.to_owned()).or_default() += 1;
    }
    assert!(commits.values().all(|count| *count == 1), "one commit a revision: {commits:?}");
}
