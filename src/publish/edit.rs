//! Changes a flat YAML map so that it says what is wanted, and nothing else in the file moves. Pure.
//!
//! Each change is tried in several ways, the one that keeps the most bytes first. A way counts only
//! if the result, parsed, holds the wanted value and every other value as before: so no way has to
//! be right for every file, and a file that none of them can handle is left alone.

use serde_json::Value;

use super::parse::{Map, read_map};
use super::render::{Rendered, double_quoted, entry, inline, is_plain, rendered, single_quoted};
use super::site::Site;
use super::splice::splice;

/// The key that no way could change. The file has to be changed by hand, or made simpler.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Uneditable(pub(super) String);

/// `source` changed so that it holds exactly `wanted`. Keys keep their order, new ones come last.
///
/// # Errors
/// [`Uneditable`] with the key; an empty one if `source` is no map to begin with.
pub(super) fn edit(source: &str, wanted: &Map) -> Result<String, Uneditable> {
    let mut holds = read_map(source).map_err(|_| Uneditable(String::new()))?;
    let mut text = source.to_owned();
    let gone: Vec<String> =
        holds.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect();
    for key in gone {
        holds.remove(&key);
        let ways: [Way; 2] = [remove_lines, remove_by_patch];
        text = first_that_holds(&text, &key, &Value::Null, &holds, &ways)?;
    }
    for (key, value) in wanted {
        let ways: &[Way] = match holds.insert(key.clone(), value.clone()) {
            Some(old) if old == *value => continue,
            Some(_) => &[splice_block, same_style, new_value, in_one_line, replace_by_patch],
            None => &[append_entry, prepend_entry, add_by_patch],
        };
        text = first_that_holds(&text, key, value, &holds, ways)?;
    }
    Ok(text)
}

/// A way of making one change: texts that may be what is wanted, best first.
type Way = fn(&str, &str, &Value) -> Vec<String>;

fn first_that_holds(
    text: &str,
    key: &str,
    value: &Value,
    wanted: &Map,
    ways: &[Way],
) -> Result<String, Uneditable> {
    let holds = |text: &String| read_map(text).is_ok_and(|map| map == *wanted);
    let mut candidates = ways.iter().flat_map(|way| way(text, key, value));
    candidates.find(holds).ok_or_else(|| Uneditable(key.to_owned()))
}

fn splice_block(text: &str, key: &str, value: &Value) -> Vec<String> {
    let (Some(site), Value::String(wanted)) = (Site::of(text, key), value) else {
        return Vec::new();
    };
    splice(text, site.head.0, site.column, wanted)
}

/// A scalar in the place and the quotes of the old one.
fn same_style(text: &str, key: &str, value: &Value) -> Vec<String> {
    let scalar = || {
        let site = Site::of(text, key).filter(|site| site.has_head)?;
        let old = text.get(site.head.0..site.head.1)?;
        let new = match (value, old.chars().next()?) {
            (Value::Array(_) | Value::Object(_), _) | (_, '|' | '>') => return None,
            (Value::String(new), _) if new.contains('\n') => return None,
            (Value::String(new), '\'') => single_quoted(new)?,
            (Value::String(new), '"') => double_quoted(new),
            (Value::String(new), _) if !is_plain(new) => double_quoted(new),
            (Value::String(new), _) => new.clone(),
            _ => inline(value),
        };
        Some([text.get(..site.head.0)?, &new, text.get(site.head.1..)?].concat())
    };
    scalar().into_iter().collect()
}

fn new_value(text: &str, key: &str, value: &Value) -> Vec<String> {
    rewritten(text, key, |column| rendered(value, column))
}

/// Quotes can hold what a block cannot, such as line breaks ahead of an empty line that stays.
fn in_one_line(text: &str, key: &str, value: &Value) -> Vec<String> {
    rewritten(text, key, |_| Rendered { head: inline(value), body: String::new() })
}

/// The value written anew; a comment beside the key stays there.
fn rewritten(text: &str, key: &str, value: impl Fn(usize) -> Rendered) -> Vec<String> {
    let write = || {
        let site = Site::of(text, key)?;
        let line_break = line_break_of(text);
        let new = value(site.column);
        let (before, rest) = (text.get(..site.head.0)?, text.get(site.head.1..)?);
        let space = if site.has_head || new.head.is_empty() { "" } else { " " };
        let beside = rest.split('\n').next()?;
        let beside = beside.strip_suffix('\r').unwrap_or(beside);
        let after = after_line(text, site.end.max(site.head.1));
        let body = new.body.replace('\n', line_break);
        let whole = [before, space, &new.head, beside, line_break, &body, after].concat();
        if text.ends_with('\n') || !after.is_empty() {
            return Some(vec![whole]);
        }
        // A file that did not end in a line break goes on so, if its last value allows it.
        Some(vec![whole.trim_end_matches(['\r', '\n']).to_owned(), whole])
    };
    write().unwrap_or_default()
}

/// The entry's lines taken out.
fn remove_lines(text: &str, key: &str, _: &Value) -> Vec<String> {
    let cut = || {
        let site = Site::of(text, key)?;
        let before = text.get(..site.line)?;
        Some([before, after_line(text, site.end)].concat())
    };
    cut().into_iter().collect()
}

fn append_entry(text: &str, key: &str, value: &Value) -> Vec<String> {
    let line_break = line_break_of(text);
    let new = entry(key, value, column_of_keys(text)).replace('\n', line_break);
    let ended = text.is_empty() || text.ends_with('\n');
    vec![[text, if ended { "" } else { line_break }, &new].concat()]
}

/// The entry ahead of all others, where the last one's end cannot be touched.
fn prepend_entry(text: &str, key: &str, value: &Value) -> Vec<String> {
    let insert = || {
        let keys = read_map(text).ok()?;
        let at = keys.keys().filter_map(|key| Site::of(text, key)).map(|site| site.line).min()?;
        let new = entry(key, value, column_of_keys(text)).replace('\n', line_break_of(text));
        Some([text.get(..at)?, &new, text.get(at..)?].concat())
    };
    insert().into_iter().collect()
}

fn replace_by_patch(text: &str, key: &str, value: &Value) -> Vec<String> {
    let replace = |value| yamlpatch::Op::Replace(value);
    serde_yaml::to_value(value).map(|value| patch(text, &[key], replace(value))).unwrap_or_default()
}

fn add_by_patch(text: &str, key: &str, value: &Value) -> Vec<String> {
    let add = |value| yamlpatch::Op::Add { key: key.to_owned(), value };
    serde_yaml::to_value(value).map(|value| patch(text, &[], add(value))).unwrap_or_default()
}

fn remove_by_patch(text: &str, key: &str, _: &Value) -> Vec<String> {
    patch(text, &[key], yamlpatch::Op::Remove)
}

fn patch(text: &str, route: &[&str], operation: yamlpatch::Op<'_>) -> Vec<String> {
    let components: Vec<_> = route.iter().map(|key| yamlpath::Component::from(*key)).collect();
    let patch = yamlpatch::Patch { route: yamlpath::Route::from(components), operation };
    let apply = || {
        let document = yamlpath::Document::new(text).ok()?;
        let patched = yamlpatch::apply_yaml_patches(&document, &[patch]).ok()?;
        Some(patched.source().to_owned())
    };
    apply().into_iter().collect()
}

/// What follows the line on which byte `at` stands.
fn after_line(text: &str, at: usize) -> &str {
    // A block ends behind its line break, any other value ahead of it.
    if at > 0 && text.get(..at).is_some_and(|before| before.ends_with('\n')) {
        return text.get(at..).unwrap_or_default();
    }
    let rest = text.get(at..).unwrap_or_default();
    rest.split_once('\n').map_or("", |(_, after)| after)
}

fn column_of_keys(text: &str) -> usize {
    let keys = read_map(text).unwrap_or_default();
    keys.keys().find_map(|key| Site::of(text, key)).map_or(0, |site| site.column)
}

fn line_break_of(text: &str) -> &'static str {
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first.ends_with("\r\n") { "\r\n" } else { "\n" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn edited(source: &str, changes: &[(&str, Value)]) -> String {
        let mut wanted = read_map(source).unwrap();
        for (key, value) in changes {
            wanted.insert((*key).to_owned(), value.clone());
        }
        let text = edit(source, &wanted).unwrap();
        assert_eq!(read_map(&text).unwrap(), wanted, "{text}");
        text
    }

    fn check(source: &str, key: &str, value: impl Into<Value>, result: &str) {
        let text = edited(source, &[(key, value.into())]);
        assert_eq!(text, result, "\n--- got\n{text}\n--- wanted\n{result}");
    }

    #[test]
    fn a_folded_block_grows_at_its_end_only() {
        check(
            "system: >\n    One\n    two.\n  \n    Three.\n  \n\nuser: >\n  Hi.",
            "system",
            "One two.\nThree.\n\n## Learned guidance\n- [w1] A.\n- [w2] B.\n",
            "system: >\n    One\n    two.\n  \n    Three.\n\n\n    ## Learned guidance\n\n    - [w1] A.\n\n    - [w2] B.\n  \n\nuser: >\n  Hi.",
        );
    }

    #[test]
    fn a_word_changed_leaves_the_lines_around_it() {
        check(
            "a: >\n  one\n  two three\n  four\n  \n  five\n",
            "a",
            "one two 3 four\nfive\n",
            "a: >\n  one\n  two 3\n  four\n  \n  five\n",
        );
        check(
            "a: >\n  one\n  two\n  three\n  four\n",
            "a",
            "1 two three four\n\n5\n",
            "a: >\n  1\n  two\n  three\n  four\n\n\n  5\n",
        );
        check("a: |\n  x\n\n  y\n  z\n", "a", "x\n\nY\nz\n", "a: |\n  x\n\n  Y\n  z\n");
        check("a: |\n  x\n  y\n  z\n", "a", "x\nz\n", "a: |\n  x\n  z\n");
        check("a: |\r\n  x\r\nb: 1\r\n", "a", "x\ny\n", "a: |\r\n  x\r\n  y\r\nb: 1\r\n");
    }

    #[test]
    fn chomping_follows_the_text() {
        check("a: |\n  x\nb: 1\n", "a", "x\ny", "a: |-\n  x\n  y\nb: 1\n");
        check("a: |- # c\n  x\n", "a", "x\n", "a: | # c\n  x\n");
        check("a: >\n  x\n\nb: 1\n", "a", "x\n\n\n", "a: >+\n  x\n\n\nb: 1\n");
        check("a: |+\n  x\n\n\nb: 1\n", "a", "x\n", "a: |\n  x\n\n\nb: 1\n");
        check("a: |\n  x", "a", "x\ny", "a: |\n  x\n  y");
        check("a: |\n  x", "a", "x\ny\n", "a: |\n  x\n  y\n");
        check("a: |\n  x\n", "a", "  x\n", "a: |2\n    x\n");
    }

    #[test]
    fn numbers_are_replaced_where_they_stand() {
        let source = "# steps\nmax_step: 20  # a call each\nmode: 'fast'\ntools: null\nlast: x";
        check(source, "max_step", 25, &source.replace("20 ", "25 "));
        check(source, "mode", "slow", &source.replace("fast", "slow"));
        check(source, "mode", 0.5, &source.replace("'fast'", "0.5"));
        check(source, "last", "yes", &source.replace(": x", ": \"yes\""));
        check(source, "last", 7, &source.replace(": x", ": 7"));
    }

    #[test]
    fn a_value_of_another_kind_takes_its_place() {
        check("a: 1 # n\nb: 2\n", "a", "x\ny\n", "a: | # n\n  x\n  y\nb: 2\n");
        check("a: |\n  x\n\nb: 2\n", "a", 1, "a: 1\n\nb: 2\n");
        check("a: # n\n  - x\n  - y\nb: 2\n", "a", json!(["z"]), "a: # n\n  - z\nb: 2\n");
        check("a: # n\n  - x\nb: 2\n", "a", Value::Null, "a: null # n\nb: 2\n");
        check("a:\nb: 2\n", "a", json!({"k": 1}), "a:\n  k: 1\nb: 2\n");
        check("a: [1,\n  2]\nb: 2", "b", "p\nq", "a: [1,\n  2]\nb: |-\n  p\n  q");
    }

    #[test]
    fn keys_come_and_go() {
        check("a: 1\n", "b", 2, "a: 1\nb: 2\n");
        check("a: 1", "b", "x\ny\n", "a: 1\nb: |\n  x\n  y\n");
        check("# c\na: |\n  x", "b", 2, "# c\nb: 2\na: |\n  x");
        check("", "b", 2, "b: 2\n");
        check("{}", "b", 2, "{ b: 2 }\n");
        let without = |source: &str, key: &str| {
            let mut wanted = read_map(source).unwrap();
            wanted.remove(key);
            edit(source, &wanted).unwrap()
        };
        assert_eq!(without("# c\na: |\n  x\n  y\nb: 1\n", "a"), "# c\nb: 1\n");
        assert_eq!(without("a: [1,\n 2] # d\nb: 1", "b"), "a: [1,\n 2] # d\n");
        assert_eq!(without("a: 1\n", "a"), "");
    }

    #[test]
    fn what_cannot_be_changed_alone_is_refused() {
        let mut wanted = read_map("a: &x 1\nb: *x\n").unwrap();
        wanted.insert("a".to_owned(), json!(2));
        assert_eq!(edit("a: &x 1\nb: *x\n", &wanted), Err(Uneditable("a".to_owned())));
        assert_eq!(edit("- a\n", &Map::new()), Err(Uneditable(String::new())));
    }

    fn words() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => "[ab]{1,3}( [ab#:{}-]{1,3}){0,3}",
            1 => "[ \\t]{1,2}[ab]{1,2}( [ab]{1,2})?",
            2 => Just(String::new()),
            1 => "[a-b]{1,2} {1,2}",
            1 => "[ü€😀]{1,2}",
        ]
    }

    fn prompt() -> impl Strategy<Value = String> {
        (proptest::collection::vec(words(), 0..7), 0_usize..4)
            .prop_map(|(lines, breaks)| lines.join("\n") + &"\n".repeat(breaks))
    }

    /// A value as a person may have written it, hand-wrapped and oddly spaced.
    fn written() -> impl Strategy<Value = String> {
        let block = (
            proptest::sample::select(vec![">", ">-", ">+", "|", "|-", "|+", ">2", "|2-", "> # c"]),
            proptest::collection::vec((words(), 0_usize..4), 1..8),
        );
        let block = block.prop_map(|(header, lines)| {
            let line = |(text, spaces): &(String, usize)| match text.as_str() {
                "" => format!("{}\n", " ".repeat(*spaces)),
                text => format!("  {text}\n"),
            };
            format!("{header}\n{}", lines.iter().map(line).collect::<String>())
        });
        prop_oneof![
            6 => block,
            1 => "[a-c]{1,5}( [a-c]{1,3})?(  # c)?\n",
            1 => "'[a-c ]{0,5}'\n",
            1 => "\"[a-c ]{0,5}\" # c\n",
            1 => "[a-c]{1,3}\n  [a-c]{1,3}\n",
        ]
    }

    fn file() -> impl Strategy<Value = String> {
        let parts = (written(), written(), written(), any::<bool>(), any::<bool>());
        let file = parts.prop_map(|(first, second, third, crlf, ended)| {
            let text = format!("# top\nfirst: {first}\n# about\nsecond: {second}third: {third}");
            let text = if ended { text } else { text.trim_end_matches('\n').to_owned() };
            if crlf { text.replace('\n', "\r\n") } else { text }
        });
        file.prop_filter("a person's file can be read", |text| read_map(text).is_ok())
    }

    /// Either another text, or the old one with a passage replaced.
    fn changed(old: &str, new: &str, cut: (usize, usize), partly: bool) -> String {
        if !partly {
            return new.to_owned();
        }
        let chars: Vec<char> = old.chars().collect();
        let from = cut.0 % (chars.len() + 1);
        let to = from + cut.1 % (chars.len() - from + 1);
        let mut text: String = chars[..from].iter().collect();
        text.push_str(new);
        text.extend(&chars[to..]);
        text
    }

    fn is_block(file: &str) -> bool {
        file.contains("first: >") || file.contains("first: |")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]
        #[test]
        fn every_edit_says_what_was_wanted_and_moves_nothing_else(
            file in file(),
            key in proptest::sample::select(vec!["first", "second", "third"]),
            new in prompt(),
            cut in (0_usize..40, 0_usize..6),
            partly in proptest::bool::weighted(0.8),
        ) {
            let mut wanted = read_map(&file).unwrap();
            let old = wanted[key].as_str().unwrap_or_default().to_owned();
            wanted.insert(key.to_owned(), changed(&old, &new, cut, partly).into());
            let text = edit(&file, &wanted).unwrap();
            prop_assert_eq!(read_map(&text).unwrap(), wanted);
            let ahead = file.split(&format!("{key}:")).next().unwrap();
            prop_assert!(text.starts_with(ahead));
            for (this, next) in [("first", "second"), ("second", "third")] {
                let behind = file.split_once(&format!("{next}:")).unwrap().1;
                prop_assert!(key != this || text.ends_with(behind));
            }
        }

        #[test]
        fn adding_a_bullet_only_adds_lines(file in file().prop_filter("a block", |file| is_block(file)), bullet in "[a-z]{1,9}") {
            let mut wanted = read_map(&file).unwrap();
            let old = wanted["first"].as_str().unwrap_or_default().to_owned();
            let old = if old.trim().is_empty() { "" } else { old.trim_end_matches('\n') };
            wanted.insert("first".to_owned(), format!("{old}\n- [w1] {bullet}\n").into());
            let text = edit(&file, &wanted).unwrap();
            let mut new_lines = text.lines();
            let header = file.lines().nth(1).unwrap();
            for line in file.lines().filter(|line| *line != header && !line.trim().is_empty()) {
                prop_assert!(new_lines.any(|new| new == line), "{line:?} is gone from\n{text}");
            }
        }
    }
}
