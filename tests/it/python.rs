//! A Python with the packages that README's examples, the agents in `tests/otel` and the checks in `tests/api`
//! use, in `target/python`.
//!
//! Made once and used again. Where Python or the packages are not to be had the tests that want them
//! say so and pass, except in CI.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PACKAGES: [&str; 8] = [
    "confluent-kafka==2.16.1",
    "openai==3.57.0",
    "openinference-instrumentation-openai==0.1.66",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
    "opentelemetry-exporter-otlp-proto-http==1.45.2",
    "opentelemetry-sdk==1.45.2",
    "pyyaml==6.0.3",
    "schemathesis==4.32.5",
];

/// The interpreter; `None` if there can be none here. `wanted_by` is told so then.
pub(crate) fn python(wanted_by: &str) -> Option<&'static Path> {
    static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match PYTHON.get_or_init(prepare) {
        Ok(python) => Some(python),
        Err(missing) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "no Python in CI: {missing}");
            // Not by eprintln, which the test harness keeps to itself.
            writeln!(std::io::stderr(), "skipped: {wanted_by} ({missing})").unwrap();
            None
        }
    }
}

fn prepare() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let folder = target.join("python");
    let python = folder.join("bin/python");
    // Beside the folder, which is made anew while others wait.
    let lock = File::create(target.join("python.lock")).unwrap();
    lock.lock().unwrap();
    // Written last, so that a folder without it is half made.
    let marker = folder.join("whetstone-packages");
    let wanted = PACKAGES.join("\n");
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
    run(Command::new(&python).args(pip).args(PACKAGES))?;
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
