//! Rules that a tool itself states: where the operator calls its error texts their own, an error that many
//! failed runs ended with is taught as it stands, up to what the tool quotes of others.

use super::draft::{Draft, Want};
use super::guideline::Guideline;
use super::significance::MIN_RUNS;
use super::{Scene, share};
use crate::optimize::mining::mine;

/// The least share of failures that an error has to account for.
const MIN_SHARE: f64 = 0.1;
/// A statement has at least so many words, and at most so many characters.
const MIN_WORDS: usize = 4;
const MAX_CHARS: usize = 200;

/// Errors of trusted tools, each a way to fail.
pub(super) fn drafts(scene: &Scene<'_>) -> Vec<Draft> {
    let failures = scene.counts.failure;
    let errors = scene.window.signatures.iter();
    let trusted = errors.filter_map(|(signature, count)| {
        scene.policy.guard.trusted(signature).map(|_| (signature, *count))
    });
    let ways = mine(trusted).into_iter();
    let common =
        ways.filter(|way| way.count >= MIN_RUNS && share(way.count, failures) >= MIN_SHARE);
    common
        .filter_map(|way| {
            let (tool, error) = way.template.split_once(": ")?;
            let said = statement(error)?;
            Some(Draft {
                kind: "stated_rule",
                summary: format!(
                    "{} of {failures} failures ended with an error of `{tool}` that states a rule",
                    way.count
                ),
                runs: way.count,
                strength: share(way.count, failures),
                wants: Guideline::heed(tool, &said).map(Want::Say).into_iter().collect(),
            })
        })
        .collect()
}

/// The clauses of `error` ahead of the first thing that differs from run to run; none if they say little or
/// hold anything but words and plain punctuation.
pub(in crate::optimize) fn statement(error: &str) -> Option<String> {
    let fixed = match error.split_once('<') {
        None => error,
        Some((before, _)) => before.rsplit_once([';', ',', '.']).map_or("", |(whole, _)| whole),
    };
    let said = fixed.trim_end_matches([' ', '.', ',', ';', ':']).trim();
    let plain = |c: char| c.is_alphabetic() || " ,;.()/_-".contains(c);
    let fit = said.chars().count() <= MAX_CHARS
        && said.split_whitespace().count() >= MIN_WORDS
        && said.chars().all(plain);
    fit.then(|| said.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_error_states_ends_where_it_begins_to_quote() {
        let check = |error: &str, said: Option<&str>| {
            assert_eq!(statement(error).as_deref(), said, "{error}");
        };
        check("size must be one of S, M, L; got <str>", Some("size must be one of S, M, L"));
        check(
            "wait must end in s, m or h, such as <n>; got <n>",
            Some("wait must end in s, m or h"),
        );
        check("the name must be in lower case.", Some("the name must be in lower case"));
        check("no such pod <id>", None);
        check("not found", None);
        check("a b c d `rm`", None);
        check("a b c d {e}", None);
        check(&"word ".repeat(99), None);
    }
}
