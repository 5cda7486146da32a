//! What earlier versions teach: what failed is not proposed again. Pure.
//!
//! A version that failed with a single change refutes that change. One that failed with several refutes
//! none of them for sure: each may come back once, alone, and is then judged alone. What did harm, or what
//! a person refused, does not come back in any company.

use super::likeness::alike;
use crate::govern::{Edit, Fate, Past};

/// What speaks against an edit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Blame<'a> {
    /// Nothing.
    None,
    /// It failed in a bundle: it may be tried alone.
    Shared(&'a Past),
    /// It failed.
    Own(&'a Past),
}

/// The versions that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lineage<'a> {
    history: &'a [Past],
}

impl<'a> Lineage<'a> {
    pub(super) fn of(history: &'a [Past]) -> Self {
        Self { history }
    }

    /// What speaks against `edit`.
    pub(super) fn blame(&self, edit: &Edit) -> Blame<'a> {
        let carried = |past: &Past| match edit {
            Edit::AddBullet { text } | Edit::ChangeBullet { text, .. } => {
                past.added.iter().any(|added| alike(added, text))
            }
            Edit::SetConfig { key, value } => past.set.get(key) == Some(value),
            Edit::RemoveBullet { .. } | Edit::ReplaceText { .. } => false,
        };
        let failed: Vec<_> =
            self.history.iter().filter(|past| past.fate.is_bad() && carried(past)).collect();
        let own = |past: &&&Past| past.fate != Fate::NoGain || changes(past) == 1;
        match (failed.iter().rfind(own), failed.last()) {
            (Some(past), _) => Blame::Own(past),
            (None, Some(past)) => Blame::Shared(past),
            (None, None) => Blame::None,
        }
    }
}

/// How many things a version changed.
fn changes(past: &Past) -> usize {
    past.changes.len().max(past.added.len() + past.set.len())
}

/// How a version fared, in a clause.
pub(super) fn told(past: &Past) -> String {
    let words = past.fate.words();
    match &past.why {
        Some(why) => format!("{} had it and was {words} ({why})", past.number),
        None => format!("{} had it and was {words}", past.number),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::optimize::fixture::request;

    fn past(fate: Fate, added: &[&str]) -> Past {
        let added: Vec<_> = added.iter().map(|text| (*text).to_owned()).collect();
        Past { fate, changes: added.clone(), added, ..request().history.remove(0) }
    }

    fn add(text: &str) -> Edit {
        Edit::AddBullet { text: text.to_owned() }
    }

    #[test]
    fn what_failed_alone_or_did_harm_is_refuted_and_a_bundle_is_taken_apart() {
        let check = |past: &Past, edit: &Edit, expected: &str| {
            let history = std::slice::from_ref(past);
            let found = match Lineage::of(history).blame(edit) {
                Blame::None => "none",
                Blame::Shared(_) => "shared",
                Blame::Own(_) => "own",
            };
            assert_eq!(found, expected, "{edit:?} after {past:?}");
        };
        let look = add("Look first.");
        check(&past(Fate::NoGain, &["Look first."]), &look, "own");
        check(&past(Fate::NoGain, &["Look first.", "Fix last."]), &look, "shared");
        check(&past(Fate::Harmful, &["Look first.", "Fix last."]), &look, "own");
        check(&past(Fate::Refused, &["Look first.", "Fix last."]), &look, "own");
        check(&past(Fate::Proven, &["Look first."]), &look, "none");
        check(&past(Fate::Open, &["Look first."]), &look, "none");
        check(&past(Fate::NoGain, &["Look first."]), &add("Write less."), "none");

        let mut set = past(Fate::NoGain, &[]);
        set.set.insert("max_step".to_owned(), json!(25));
        set.changes = vec!["max_step: 20 -> 25".to_owned()];
        let edit = |value| Edit::SetConfig { key: "max_step".to_owned(), value: json!(value) };
        check(&set, &edit(25), "own");
        check(&set, &edit(30), "none");
    }
}
