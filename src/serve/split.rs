//! A request body into records, whatever their content. What a record says is the decode stage's affair, so
//! one that makes no sense becomes a dead letter and its neighbours live.

use serde_json::value::RawValue;

/// The records of a body: the items of a JSON array, the lines of JSON lines, or one JSON object.
///
/// # Errors
/// In words, if the body is empty or is an array that does not end well.
pub(super) fn split(body: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let trimmed = body.trim_ascii();
    match trimmed.first() {
        None => {
            Err("the body is empty: send a record, an array of records, or one a line".to_owned())
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_slice(trimmed)
                .map_err(|problem| format!("the array is not valid JSON: {problem}"))?;
            Ok(items.iter().map(|item| item.get().as_bytes().to_vec()).collect())
        }
        Some(_) if serde_json::from_slice::<&RawValue>(trimmed).is_ok() => {
            Ok(vec![trimmed.to_vec()])
        }
        Some(_) => {
            let lines = trimmed.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            Ok(lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_an_object_an_array_or_lines() {
        let check = |body: &str, expected: &[&str]| {
            let found = split(body.as_bytes()).unwrap();
            let found: Vec<_> = found.iter().map(|r| String::from_utf8_lossy(r)).collect();
            assert_eq!(found, expected, "{body:?}");
        };
        check(r#" {"a": 1} "#, &[r#"{"a": 1}"#]);
        check("{\n \"a\": 1\n}", &["{\n \"a\": 1\n}"]);
        check(r#"[{"a": 1}, 2]"#, &[r#"{"a": 1}"#, "2"]);
        check("[]", &[]);
        check("{\"a\": 1}\r\n\n{\"b\"\n", &["{\"a\": 1}", "{\"b\""]);
        assert!(split(b" ").is_err());
        assert!(split(b"[1, 2").is_err());
    }
}
