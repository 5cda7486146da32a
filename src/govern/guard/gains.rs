//! Whether a prompt gains text that may do harm.
//!
//! A bullet is judged by itself, whatever it replaces. Of people's text, which may hold much that a machine
//! may not write, only what there is more of than before counts. Addresses that any prompt of the version
//! names are known, whole and unchanged.

use std::collections::{BTreeMap, BTreeSet};

use super::{Added, Violation, markup};
use crate::govern::Content;
use crate::hygiene::{Danger, Found, dangers};

/// The longest text that is shown, in characters.
const SHOWN: usize = 80;

pub(super) fn check(key: &str, added: &Added, parent: &Content, violations: &mut Vec<Violation>) {
    let mut found: Vec<_> = added.bullets.iter().flat_map(|text| dangers(text)).collect();
    // An order may be cut in two.
    if added.bullets.len() > 1 {
        found.extend(dangers(&added.bullets.join(" ")));
    }
    found.extend(surplus(dangers(&added.after), dangers(&added.before)));
    if found.iter().any(|found| found.danger == Danger::Address) {
        let prompts = parent.prompts.values().flat_map(|prompt| dangers(prompt));
        let known: BTreeSet<_> = prompts.filter(|found| found.danger == Danger::Address).collect();
        found.retain(|found| !known.contains(found));
    }
    // One of a kind says enough.
    let mut first = BTreeMap::new();
    for Found { danger, text } in found {
        first.entry(danger).or_insert(text);
    }
    violations.extend(first.into_iter().map(|(danger, text)| {
        let text = text.chars().take(SHOWN).collect();
        Violation::Gains { key: key.to_owned(), danger, text }
    }));
    let of_bullets = added.bullets.iter().flat_map(|text| markup::kinds(text));
    let of_text = surplus(markup::kinds(&added.after), markup::kinds(&added.before));
    let kinds: BTreeSet<_> = of_bullets.chain(of_text).collect();
    let markup = |kind: &str| Violation::Markup { key: key.to_owned(), kind: kind.to_owned() };
    violations.extend(kinds.into_iter().map(markup));
}

/// What `new` has more often than `old`.
fn surplus<T: PartialEq>(mut new: Vec<T>, old: Vec<T>) -> Vec<T> {
    for gone in old {
        if let Some(at) = new.iter().position(|one| *one == gone) {
            new.swap_remove(at);
        }
    }
    new
}
