//! Secrets: from the environment or a file, never from the configuration itself.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::checks::Checks;

/// Where a secret is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Variable(&'a str),
    File(&'a str),
}

/// Says that variable `name` is not set. What does not look like the name of one may be the secret
/// itself, and is not shown.
fn unset(name: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if name.bytes().all(fits) {
        return format!("names the variable {name:?}, which is not set");
    }
    "names a variable that is not set; it takes the variable's name, not the secret".to_owned()
}

/// The secret that `<key>_env` or `<key>_file` names; none if neither is set.
pub(super) fn configured(
    key: &str,
    variable: Option<&str>,
    file: Option<&str>,
    environment: &BTreeMap<String, String>,
    checks: &mut Checks,
) -> Option<SecretString> {
    let (which, source) = match (variable, file) {
        (None, None) => return None,
        (Some(_), Some(_)) => {
            let what = format!("and {key}_env are both set: set one");
            checks.problem(&format!("{key}_file"), what);
            return None;
        }
        (Some(name), None) => (format!("{key}_env"), Source::Variable(name)),
        (None, Some(path)) => (format!("{key}_file"), Source::File(path)),
    };
    read(source, environment).map_err(|problem| checks.problem(&which, problem)).ok()
}

/// The secret there, without white space around it; or what is wrong, to follow the key's name.
pub(super) fn read(
    source: Source<'_>,
    environment: &BTreeMap<String, String>,
) -> Result<SecretString, String> {
    let text = match source {
        Source::Variable(name) => environment.get(name).cloned().ok_or_else(|| unset(name))?,
        Source::File(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("cannot be read from {path:?}: {error}"))?,
    };
    match text.trim() {
        "" => Err("gives nothing: it is empty".to_owned()),
        text => Ok(SecretString::from(text)),
    }
}
