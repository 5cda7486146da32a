//! Secrets: from the environment or a file, never from the configuration itself.

use std::collections::BTreeMap;

use secrecy::SecretString;

/// Where a secret is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    Variable(&'a str),
    File(&'a str),
}

/// The secret there, without white space around it; or what is wrong, to follow the key's name.
pub(super) fn read(
    source: Source<'_>,
    environment: &BTreeMap<String, String>,
) -> Result<SecretString, String> {
    let text = match source {
        Source::Variable(name) => environment
            .get(name)
            .cloned()
            .ok_or_else(|| format!("names the variable {name:?}, which is not set"))?,
        Source::File(path) => std::fs::read_to_string(path)
            .map_err(|error| format!("cannot be read from {path:?}: {error}"))?,
    };
    match text.trim() {
        "" => Err("gives nothing: it is empty".to_owned()),
        text => Ok(SecretString::from(text)),
    }
}
