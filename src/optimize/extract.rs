//! Takes a JSON object out of what a model wrote around it. Pure.

use serde_json::{Map, Value};

/// How many opening braces are tried: bounds the work on a text that is all braces.
const MAX_TRIES: usize = 64;

/// The first JSON object in `text` that has one of `keys`; prose, fences and other objects around it
/// do not matter.
pub(super) fn object(text: &str, keys: &[&str]) -> Option<Value> {
    let starts = text.match_indices('{').map(|(start, _)| start).take(MAX_TRIES);
    starts.filter_map(|start| text.get(start..)).find_map(|rest| {
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Map<String, Value>>();
        let object = values.next()?.ok()?;
        keys.iter().any(|key| object.contains_key(*key)).then_some(Value::Object(object))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_object_is_found_wherever_it_stands() {
        let check = |text: &str, expected: Option<Value>| {
            assert_eq!(object(text, &["edits"]), expected, "{text:?}");
        };
        let found = || Some(json!({"edits": [1]}));
        check(r#"{"edits":[1]}"#, found());
        check("Sure!\n```json\n{\"edits\": [1]}\n```\nDone {really}.", found());
        check(r#"<think>{"a": "}"} or {x}?</think> {"edits":[1]} {"edits":[2]}"#, found());
        check(r#"{"answer": {"edits": [1]}}"#, found());
        check(r#"{"edits": [1"#, None);
        check(r#"{"changes": []}"#, None);
        check("[]", None);
        check("", None);
        check(&"{".repeat(100_000), None);
        check(r#"{"edits":["a } in { text"]}"#, Some(json!({"edits": ["a } in { text"]})));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text in r#"[{}"\\a:,é\[\]]{0,60}"#) {
            object(&text, &["a"]);
        }
    }
}
