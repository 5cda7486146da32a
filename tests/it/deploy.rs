//! What `deploy` has for containers and systemd, as far as it can be tried without them: linters and
//! schemas, our own reading of the configuration that each carries, and their scripts, run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret as _;
use serde_yaml::Value;
use tempfile::TempDir;
use whetstone::config::{Config, ConfigError, Log};

use crate::python::{linters, skip};
use crate::server::{Place, run_in, whetstone};

/// Where it keeps all that it writes, wherever it is deployed.
pub(crate) const HOME: &str = "/var/lib/whetstone";

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("no YAML: {error}: {text}"))
}

/// Everything below `folder` of the source with one of these endings.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let listed =
        run_in(root(), "git", &["ls-files", "--cached", "--others", "--exclude-standard", folder]);
    let wanted = |path: &&str| endings.iter().any(|ending| path.ends_with(ending));
    let there = |path: &str| Some(root().join(path)).filter(|path| path.exists());
    listed.lines().filter(wanted).filter_map(there).collect()
}

fn said(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Runs it; what it said if it failed.
pub(crate) fn passes(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}:\n{}", said(&output));
}

pub(crate) fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// The configuration in `text`, read with these variables as a process there would, with its files of
/// secrets below `secrets` instead of where `mounted` says.
pub(crate) fn load(
    text: &str,
    variables: &[(&str, &str)],
    mounted: &str,
    secrets: &Path,
) -> Result<Config, ConfigError> {
    let file = secrets.join("whetstone.yaml");
    let secrets = secrets.display().to_string();
    std::fs::write(&file, text.replace(mounted, &secrets)).unwrap();
    let moved =
        |(name, value): &(&str, &str)| ((*name).to_owned(), value.replace(mounted, &secrets));
    Config::load(Some(&file), variables.iter().map(moved), &[])
}

/// Runs a script that makes the clone of the config repo, in `place` instead of where it would.
pub(crate) fn make_clone(script: &str, place: &Path, variables: &[(&str, &str)]) -> Output {
    let script = script.replace(HOME, &place.display().to_string());
    let examples = root().join("deploy/compose").display().to_string();
    let script = script.replace("/usr/share/whetstone", &examples);
    let mut shell = Command::new("sh");
    // A machine's own settings of git are not there in a container.
    shell.args(["-ec", &script]).env("HOME", place).env("GIT_CONFIG_NOSYSTEM", "1");
    shell.envs(variables.iter().copied()).output().unwrap()
}

/// The values of `key=value` lines of a unit, or of the words after an instruction of a Dockerfile.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix(key)).map(str::trim).collect()
}

#[test]
fn linters_find_nothing_in_the_files_of_deploy() {
    let Some(linters) = linters("the linters over deploy") else { return };
    passes(Command::new(linters.join("hadolint")).arg(root().join("deploy/Dockerfile")));
    let composed = files("deploy", &["compose.yaml"]);
    assert_eq!(composed.len(), 2, "{composed:?}");
    let schema = ["--builtin-schema", "vendor.compose-spec"];
    passes(Command::new(linters.join("check-jsonschema")).args(schema).args(&composed));
    let rules = "{extends: default, rules: {document-start: disable, line-length: {max: 130}, \
        comments-indentation: disable, braces: {max-spaces-inside: 1}, \
        octal-values: {forbid-implicit-octal: false}}}";
    let lint = ["--strict", "-d", rules];
    passes(Command::new(linters.join("yamllint")).args(lint).args(files("deploy", &[".yaml"])));
}

#[test]
fn the_image_is_built_of_all_that_the_build_reads() {
    let ignored = read("deploy/Dockerfile.dockerignore");
    let taken: Vec<_> = values(&ignored, "!");
    let dir = TempDir::new().unwrap();
    for name in &taken {
        passes(Command::new("cp").arg("-r").arg(root().join(name)).arg(dir.path()));
    }
    // Cargo looks for the files of all targets before it finds that there is none of that name.
    let none = ["run", "--offline", "--locked", "--example", "none"];
    let mut cargo = Command::new(env!("CARGO"));
    let looked = said(&cargo.args(none).current_dir(dir.path()).output().unwrap());
    assert!(looked.contains("no example target named `none`"), "{looked}");
    // Files that are compiled in are found from the source's own folder.
    for source in files("src", &[".rs"]) {
        let text = std::fs::read_to_string(&source).unwrap();
        for included in text.split("include_str!(\"").skip(1) {
            let path = included.split('"').next().unwrap();
            let path = source.parent().unwrap().join(path).canonicalize().unwrap();
            let inside = path.strip_prefix(root().canonicalize().unwrap()).unwrap();
            assert!(dir.path().join(inside).exists(), "the image is built without {inside:?}");
        }
    }
    let manifest = read("Cargo.toml");
    let minimum = values(&manifest, "rust-version = ")[0].trim_matches('"');
    let from = format!("rust:{minimum}.");
    assert!(read("deploy/Dockerfile").contains(&from), "the builder is not {from}");
}

#[tokio::test]
async fn the_image_is_healthy_while_the_server_is_ready_and_ends_when_told() {
    let dockerfile = read("deploy/Dockerfile");
    let check = dockerfile.lines().find_map(|line| line.trim().strip_prefix("CMD [\"bash\""));
    let check = yaml(&format!("[\"bash\"{}", check.unwrap()));
    let script = check[2].as_str().unwrap();
    let place = Place::new(&["llm.enabled=false"]);
    let url = place.url("");
    let port = url.rsplit(':').next().unwrap();
    let healthy = || {
        let script = script.replace("/8087 ", &format!("/{port} "));
        Command::new("bash").args(["-c", &script]).output().unwrap().status.success()
    };
    assert!(!healthy(), "with no server");
    let mut server = place.start().await;
    assert!(healthy(), "{}", place.server_log());
    let told = Instant::now();
    assert_eq!(server.stop(), Some(0), "{}", place.server_log());
    assert!(told.elapsed() < Duration::from_secs(30), "it took {:?}", told.elapsed());
    assert!(!healthy(), "after its end");
}

#[test]
fn what_compose_starts_reads_its_configuration_and_makes_its_repo() {
    let compose = yaml(&read("deploy/compose/compose.yaml"));
    let services = &compose["services"];
    let text = read("deploy/compose/whetstone.yaml");
    let dir = TempDir::new().unwrap();
    let variables = [
        ("HTTP_TOKEN", "word"),
        ("HTTP_READ_TOKEN", "other"),
        ("WHETSTONE_DATA_DIR", "/var/lib/whetstone/data"),
    ];
    let config = load(&text, &variables, "/none", dir.path()).unwrap();
    let port = config.http.listen.port();
    assert_eq!(services["whetstone"]["ports"][0], format!("127.0.0.1:{port}:{port}").as_str());
    let scraped = yaml(&read("deploy/compose/prometheus.yaml"));
    assert_eq!(scraped["scrape_configs"][0]["job_name"], "whetstone");
    let target = &scraped["scrape_configs"][0]["static_configs"][0]["targets"][0];
    assert_eq!(target, &format!("whetstone:{port}"));
    // Prometheus brings the token that only reads.
    assert_eq!(config.http.read_token.unwrap().expose_secret(), "other");
    let brought = &scraped["scrape_configs"][0]["authorization"]["credentials_file"];
    let secret = services["prometheus"]["secrets"][0].as_str().unwrap();
    assert_eq!(brought, &format!("/run/secrets/{secret}"));
    assert_eq!(compose["secrets"][secret]["environment"], "HTTP_READ_TOKEN");
    let Log::Kafka { settings, create_topics } = config.log else { panic!("not on Kafka") };
    assert!(create_topics);
    let advertised = &services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"];
    assert_eq!(advertised, &format!("PLAINTEXT://{}", settings.brokers));

    // Compose writes a dollar as two.
    let script = services["repo"]["command"][0].as_str().unwrap().replace("$$", "$");
    let made = make_clone(&script, dir.path(), &[("AGENTS_URL", "")]);
    assert!(made.status.success(), "{}", said(&made));
    assert_eq!(agents_in(&dir.path().join("agents")), "1 agents: example");
    let again = make_clone(&script, dir.path(), &[("AGENTS_URL", "/nowhere")]);
    assert!(again.status.success(), "what is there stays: {}", said(&again));
}

/// What `whetstone check` says of a config repo.
pub(crate) fn agents_in(repo: &Path) -> String {
    let dir = TempDir::new().unwrap();
    let mut check = whetstone();
    check.args(["check", "--json", "--set", &format!("repo.path={}", repo.display())]);
    let output = check.args(["--set", &format!("data_dir={}", dir.path().display())]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let repo = found.as_array().unwrap().iter().find(|found| found["what"] == "config repo");
    repo.unwrap()["detail"].as_str().unwrap().to_owned()
}

/// The unit with the binary that was built instead of the one that is to be installed.
fn unit(dir: &Path) -> (PathBuf, String) {
    let text = read("deploy/systemd/whetstone.service");
    let here = text.replace("/usr/local/bin/whetstone", env!("CARGO_BIN_EXE_whetstone"));
    assert_ne!(here, text);
    let path = dir.join("whetstone.service");
    std::fs::write(&path, here).unwrap();
    (path, text)
}

#[test]
fn the_unit_is_sound_and_confined() {
    if !is_there("systemd-analyze") {
        return skip("the systemd unit", "systemd-analyze cannot be run");
    }
    let dir = TempDir::new().unwrap();
    let (path, _) = unit(dir.path());
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output();
    // A key that it does not know is only remarked on.
    assert_eq!(said(&verified.unwrap()), "");
    // Exposure, from 0 to 100; without the hardening it is 92.
    let security = ["security", "--offline=true", "--threshold=15", "--no-pager"];
    passes(Command::new("systemd-analyze").args(security).arg(&path));
}

#[test]
fn the_unit_hands_over_what_its_configuration_needs() {
    let secrets = TempDir::new().unwrap();
    let (_, text) = unit(secrets.path());
    let kafka = format!("{text}{}", read("deploy/systemd/kafka.conf"));
    for (unit, file) in [(text, "whetstone.yaml"), (kafka, "whetstone-kafka.yaml")] {
        for credential in values(&unit, "LoadCredential=") {
            let (name, _) = credential.split_once(':').unwrap();
            std::fs::write(secrets.path().join(name), "word\n").unwrap();
        }
        let pairs = values(&unit, "Environment=");
        let variables: Vec<_> = pairs.iter().filter_map(|pair| pair.split_once('=')).collect();
        let config = read(&format!("deploy/systemd/{file}"));
        let config = load(&config, &variables, "%d", secrets.path()).unwrap();
        assert!(config.http.token.is_some());
        assert_eq!(values(&unit, "StateDirectory="), ["whetstone"]);
        assert!(config.data_dir.starts_with(HOME) && config.repo.path.unwrap().starts_with(HOME));
    }
}

#[test]
fn systemd_makes_the_user_and_its_folders() {
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !is_there("systemd-sysusers") || !is_root {
        return skip("the unit's user", "wants systemd-sysusers, and root");
    }
    let dir = TempDir::new().unwrap();
    std::fs::create_dir(dir.path().join("etc")).unwrap();
    let here = format!("--root={}", dir.path().display());
    let systemd = root().join("deploy/systemd");
    passes(Command::new("systemd-sysusers").arg(&here).arg(systemd.join("sysusers.conf")));
    let tmpfiles = systemd.join("tmpfiles.conf");
    passes(Command::new("systemd-tmpfiles").args([&here, "--create"]).arg(&tmpfiles));
    let users = std::fs::read_to_string(dir.path().join("etc/passwd")).unwrap();
    assert!(users.contains(":/var/lib/whetstone:"), "{users}");
    let shown = run_in(dir.path(), "stat", &["--format=%a", "var/lib/whetstone", "etc/whetstone"]);
    assert_eq!(shown, "700\n755\n");
}

#[test]
fn every_file_that_the_readme_of_deploy_names_is_there() {
    let text = read("deploy/README.md");
    let named: BTreeMap<_, _> = text
        .split(|c: char| c.is_whitespace() || "`()|,;".contains(c))
        .filter(|word| word.starts_with("deploy/"))
        .map(|word| (word, root().join(word.trim_end_matches(['.', ':']))))
        .collect();
    assert!(named.len() > 5, "{named:?}");
    let monitoring = "deploy/monitoring";
    for (word, path) in named.iter().filter(|(word, _)| !word.starts_with(monitoring)) {
        assert!(path.exists(), "deploy/README.md names {word}, which is not there");
    }
}

#[test]
fn what_the_page_for_python_people_names_is_there() {
    let page = read("docs/from-python.md");
    let defaults = yaml(whetstone::config::DEFAULTS);
    let sections = defaults.as_mapping().unwrap();
    let mut keys = 0;
    for code in page.split('`').skip(1).step_by(2).filter(|code| !code.contains('\n')) {
        let path: Vec<_> = code.split(':').next().unwrap().split('.').collect();
        if path.len() < 2 || !sections.contains_key(path[0]) {
            continue;
        }
        let found = path.iter().try_fold(&defaults, |at, part| at.get(part));
        assert!(found.is_some(), "there is no key {code}");
        keys += 1;
    }
    assert!(keys > 7, "{keys}");
    for link in page.split("](").skip(1) {
        let path = link.split([')', '#']).next().unwrap();
        assert!(root().join("docs").join(path).exists(), "there is no {path}");
    }
}
