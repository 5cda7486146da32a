//! What the section `gate` means. Reads the token and the variables that the command is to get, and may
//! not start or reach anything.

use std::collections::BTreeMap;

use reqwest::Url;
use secrecy::SecretString;

use super::checks::Checks;
use super::duration::{DAY, SECOND};
use super::raw::RawGate;
use super::resolve::millis;
use super::secret::configured;
use super::{Gate, Hook};

/// Variables that a command gets if they are set: without them little can be started.
const ALWAYS: [&str; 3] = ["PATH", "HOME", "LANG"];

/// The gate that `raw` describes; none if it names neither a command nor a URL.
pub(super) fn resolve(
    raw: &RawGate,
    environment: &BTreeMap<String, String>,
    checks: &mut Checks,
) -> Option<Gate> {
    let timeout = millis(checks.duration("gate.timeout", &raw.timeout, SECOND..=DAY));
    let attempts = checks.within("gate.attempts", raw.attempts, 1..=10);
    let attempts = u32::try_from(attempts).unwrap_or(u32::MAX);
    let (variable, file) = (raw.token_env.as_deref(), raw.token_file.as_deref());
    let token = configured("gate.token", variable, file, environment, checks);
    let hook = match (&raw.command, &raw.url) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            checks.problem("gate.url", "and gate.command are both set: set one");
            return None;
        }
        (Some(command), None) => {
            if variable.or(file).is_some() {
                let key = if variable.is_some() { "gate.token_env" } else { "gate.token_file" };
                let what = "is for gate.url; a command gets variables by gate.environment";
                checks.problem(key, what);
            }
            let passed = raw.environment.as_deref().unwrap_or_default();
            command_of(command, variables(passed, environment, checks), checks)?
        }
        (None, Some(url)) => {
            if raw.environment.is_some() {
                checks.problem("gate.environment", "is for gate.command, which is not set");
            }
            Hook::Url {
                url: checked("gate.url", url, "https://gate.example.com/candidates", checks)?,
                token,
            }
        }
    };
    Some(Gate { hook, timeout, attempts })
}

fn command_of(
    command: &str,
    environment: BTreeMap<String, SecretString>,
    checks: &mut Checks,
) -> Option<Hook> {
    let words = shlex::split(command).map(Vec::into_iter);
    let Some(mut words) = words else {
        checks.problem("gate.command", "has a quote that does not end");
        return None;
    };
    match words.next().filter(|program| !program.is_empty()) {
        Some(program) => Some(Hook::Command { program, arguments: words.collect(), environment }),
        None => {
            checks.problem("gate.command", "must not be empty");
            None
        }
    }
}

fn variables(
    passed: &str,
    environment: &BTreeMap<String, String>,
    checks: &mut Checks,
) -> BTreeMap<String, SecretString> {
    let mut variables = BTreeMap::new();
    for name in ALWAYS {
        if let Some(value) = environment.get(name) {
            variables.insert(name.to_owned(), SecretString::from(value.as_str()));
        }
    }
    for name in passed.split_whitespace() {
        if let Some(value) = environment.get(name) {
            variables.insert(name.to_owned(), SecretString::from(value.as_str()));
        } else if name.contains('=') {
            let what = "takes names of variables, not their values";
            checks.problem("gate.environment", what);
        } else {
            let what = format!("names the variable {name:?}, which is not set");
            checks.problem("gate.environment", what);
        }
    }
    variables
}

/// The `url` of `key` if it is one that can be shown. What is wrong with it is said without it.
pub(super) fn checked(key: &str, url: &str, example: &str, checks: &mut Checks) -> Option<String> {
    let parsed = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(parsed) = parsed else {
        checks.problem(key, format!("takes a URL such as {example}"));
        return None;
    };
    if !parsed.username().is_empty() || parsed.password().is_some() {
        let section = key.split('.').next().unwrap_or(key);
        let instead = format!("set {section}.token_env or {section}.token_file instead");
        checks.problem(key, format!("holds a name or a password: {instead}"));
        return None;
    }
    Some(url.to_owned())
}
