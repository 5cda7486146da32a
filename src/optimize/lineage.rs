//! What earlier versions teach: what failed is not proposed again. Pure.
//!
//! A version that failed with a single change refutes that change. One that failed with several refutes
//! none of them for sure: each may come back once, alone, and is then judged alone. What did harm, or what
//! a person refused, does not come back in any company, and neither does a bullet that was given up because
//! runs with it went no better than runs without.

use super::likeness::alike;
use crate::govern::{BulletRecord, Edit, Fate, Past, Request};

/// Runs with a bullet and runs without it after which no gain means that it does not help.
pub(super) const ENOUGH_RUNS: u64 = 50;

/// What speaks against an edit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Blame<'a> {
    /// Nothing.
    None,
    /// It failed in a bundle: it may be tried alone.
    Shared(&'a Past),
    /// It failed.
    Own(&'a Past),
    /// It was there, and runs with it went no better.
    Idle(&'a BulletRecord),
}

/// The versions that failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lineage<'a> {
    history: &'a [Past],
    retired: &'a [BulletRecord],
}

impl<'a> Lineage<'a> {
    pub(super) fn of(request: &'a Request) -> Self {
        Self { history: &request.history, retired: &request.retired }
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
        match (failed.iter().rfind(own), self.idle(edit), failed.last()) {
            (Some(past), ..) => Blame::Own(past),
            (None, Some(record), _) => Blame::Idle(record),
            (None, None, Some(past)) => Blame::Shared(past),
            (None, None, None) => Blame::None,
        }
    }

    fn idle(&self, edit: &Edit) -> Option<&'a BulletRecord> {
        let (Edit::AddBullet { text } | Edit::ChangeBullet { text, .. }) = edit else {
            return None;
        };
        let said =
            |record: &&BulletRecord| record.is_idle(ENOUGH_RUNS) && alike(&record.text, text);
        self.retired.iter().find(said)
    }
}

impl Blame<'_> {
    /// Why the edit may not be proposed, if it may not in any company.
    pub(super) fn objection(&self) -> Option<String> {
        match self {
            Self::None | Self::Shared(_) => None,
            Self::Own(past) => Some(format!("tried before: {}", told(past))),
            Self::Idle(record) => Some(format!("tried before: {}", counts(record))),
        }
    }
}

/// How runs went with a bullet and without it, in a clause.
pub(super) fn counts(record: &BulletRecord) -> String {
    let (with, without) = (record.with, record.without);
    format!(
        "{} of {} runs with it succeeded, {} of {} without",
        with.success,
        with.total(),
        without.success,
        without.total()
    )
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
    use crate::fold::Split;
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
            let request = Request { history: vec![past.clone()], ..request() };
            let found = match Lineage::of(&request).blame(edit) {
                Blame::None => "none",
                Blame::Shared(_) => "shared",
                Blame::Own(_) => "own",
                Blame::Idle(_) => "idle",
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

    #[test]
    fn a_bullet_that_was_given_up_without_a_gain_stays_away() {
        let mut request = request();
        let record = |with| BulletRecord {
            text: "Look first.".to_owned(),
            with,
            without: Split { success: 30, failure: 30 },
            ..request.bullets[0].clone()
        };
        let check = |with: (u64, u64), idle: bool| {
            let (success, failure) = with;
            let retired = vec![record(Split { success, failure })];
            let request = Request { retired, ..self::request() };
            let blame = Lineage::of(&request).blame(&add("look first")).objection();
            assert_eq!(blame.is_some(), idle, "{with:?}: {blame:?}");
        };
        check((25, 25), true);
        check((40, 20), false);
        check((20, 20), false);
        request.retired =
            vec![BulletRecord { fate: Fate::Proven, ..record(Split { success: 25, failure: 25 }) }];
        assert_eq!(Lineage::of(&request).blame(&add("Look first.")), Blame::None);
    }
}
