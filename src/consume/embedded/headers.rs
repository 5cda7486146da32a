//! Headers in a text column: JSON, in which a value that is text stays readable.

use serde::{Deserialize, Serialize};

use super::LogError;

type Headers = Vec<(String, Vec<u8>)>;

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Bytes(Vec<u8>),
}

pub(super) fn write(headers: &[(String, Vec<u8>)]) -> Result<String, LogError> {
    let value = |bytes: &Vec<u8>| match String::from_utf8(bytes.clone()) {
        Ok(text) => Value::Text(text),
        Err(other) => Value::Bytes(other.into_bytes()),
    };
    let headers: Vec<_> = headers.iter().map(|(name, bytes)| (name, value(bytes))).collect();
    serde_json::to_string(&headers).map_err(|error| LogError::Store(error.to_string()))
}

pub(super) fn read(written: &str) -> Result<Headers, LogError> {
    let headers: Vec<(String, Value)> = serde_json::from_str(written)
        .map_err(|error| LogError::Corrupt(format!("headers {written:?}: {error}")))?;
    let bytes = |(name, value)| match value {
        Value::Text(text) => (name, text.into_bytes()),
        Value::Bytes(bytes) => (name, bytes),
    };
    Ok(headers.into_iter().map(bytes).collect())
}
