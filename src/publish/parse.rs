//! Reads a flat YAML map as values. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// A YAML file's top-level map.
pub(super) type Map = BTreeMap<String, Value>;

/// Reads the one map that `text` holds; an empty document is an empty map.
///
/// # Errors
/// What is wrong, for people: not YAML, not a map, a key twice or a key that is no text.
pub(super) fn read_map(text: &str) -> Result<Map, String> {
    let mut document: serde_yaml::Value =
        serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    document.apply_merge().map_err(|error| error.to_string())?;
    let mapping = match document {
        serde_yaml::Value::Null => return Ok(Map::new()),
        serde_yaml::Value::Mapping(mapping) => mapping,
        _ => return Err("it is not a map of keys to values".to_owned()),
    };
    let mut map = Map::new();
    for (key, value) in mapping {
        let serde_yaml::Value::String(key) = key else {
            return Err(format!("the key {key:?} is not a text: put it in quotes"));
        };
        let value = serde_json::to_value(&value)
            .map_err(|error| format!("the value of {key:?} cannot be used: {error}"))?;
        map.insert(key, value);
    }
    Ok(map)
}

/// Reads a map whose values are texts.
///
/// # Errors
/// As [`read_map`], or which key holds no text.
pub(super) fn read_texts(text: &str) -> Result<BTreeMap<String, String>, String> {
    let texts = read_map(text)?.into_iter().map(|(key, value)| match value {
        Value::String(text) => Ok((key, text)),
        _ => Err(format!("the value of {key:?} is not a text: put it in quotes")),
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_or_refused_with_the_reason() {
        let check = |text: &str, ok: bool| assert_eq!(read_map(text).is_ok(), ok, "{text:?}");
        check("", true);
        check("# only a comment\n", true);
        check("a: 1\nb:\n  - x: {1: 2}\n", true);
        check("\u{feff}a: 1\n", true);
        check("base: &b {x: 1}\nc:\n  <<: *b\n", true);
        check("a: 1\na: 2\n", false);
        check("- a\n", false);
        check("1: a\n", false);
        check("a: [\n", false);
        check("a: 1\n---\nb: 1\n", false);
        check("<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> other\n", false);
        check("a: *nobody\n", false);
    }

    #[test]
    fn a_number_is_no_prompt() {
        assert!(read_texts("system: 5\n").unwrap_err().contains("system"));
        assert_eq!(read_texts("system: '5'\n").unwrap().len(), 1);
    }
}
