//! Which of the edits that rules would like are offered.
//!
//! The guard itself is asked, edit by edit, so that what it refuses is never offered. What grows a
//! prompt must fit beside everything else that grows it, but without counting on what shrinks it:
//! so any selection of the edits fits, whoever drops some of them on the way.

use std::collections::BTreeSet;

use super::draft::{Draft, Want};
use super::guideline::Guideline;
use super::{Finding, Scene};
use crate::govern::{Edit, Proposed, Violation, apply_edits, check};

/// The most bullets that one proposal adds: a version that changes everything proves nothing.
const MAX_NEW_BULLETS: usize = 3;

/// `drafts` as findings, in their order, with the edits that fit; the first come first.
pub(super) fn fit(drafts: Vec<Draft>, scene: &Scene<'_>) -> Vec<Finding> {
    let mut offer = Offer { scene, all: Vec::new(), growing: Vec::new(), taken: BTreeSet::new() };
    let finding = |draft: Draft| {
        let edits = draft.wants.into_iter().filter_map(|want| offer.take(want));
        let edits: Vec<_> =
            edits.map(|edit| Proposed { edit, why: draft.summary.clone() }).collect();
        let Draft { kind, summary, runs, strength, .. } = draft;
        Finding { kind, summary, runs, strength, edits }
    };
    drafts.into_iter().map(finding).collect()
}

/// What an edit is about: a tool may well be called `max_step`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Tool,
    Bullet,
    Config,
}

/// The edits offered so far.
struct Offer<'a> {
    scene: &'a Scene<'a>,
    all: Vec<Edit>,
    /// Those of them that make prompts longer.
    growing: Vec<Edit>,
    /// What they are about: tools, bullets and config keys, each changed once.
    taken: BTreeSet<(Of, String)>,
}

impl Offer<'_> {
    fn take(&mut self, want: Want) -> Option<Edit> {
        let (edit, of, about) = match want {
            Want::Say(guideline) => {
                let known = |tool: &String| {
                    self.scene.declared.as_ref().is_none_or(|tools| tools.contains(tool.as_str()))
                };
                let full = self.growing.len() == MAX_NEW_BULLETS;
                if full || self.said(&guideline) || !guideline.about.iter().all(known) {
                    return None;
                }
                (Edit::AddBullet { text: guideline.text() }, Of::Tool, guideline.about)
            }
            Want::Drop(id) => (Edit::RemoveBullet { id: id.clone() }, Of::Bullet, vec![id]),
            Want::Set(key, value) => {
                (Edit::SetConfig { key: key.clone(), value }, Of::Config, vec![key])
            }
        };
        if self.scene.lineage.blame(&edit).objection().is_some() {
            return None;
        }
        let about: Vec<_> = about.into_iter().map(|name| (of, name)).collect();
        let grows = matches!(edit, Edit::AddBullet { .. });
        let with = |others: &[Edit]| self.allowed(others.iter().chain([&edit]));
        let fits = with(&self.all) && with(if grows { &self.growing } else { &[] });
        if !fits || about.iter().any(|one| self.taken.contains(one)) {
            return None;
        }
        self.taken.extend(about);
        self.all.push(edit.clone());
        if grows {
            self.growing.push(edit.clone());
        }
        Some(edit)
    }

    /// Whether a bullet says it already, or says something else about a tool it names: with one
    /// bullet a tool, a prompt cannot grow for ever.
    fn said(&self, guideline: &Guideline) -> bool {
        let learnt = &self.scene.learnt;
        let named = |tool: &String| {
            let name = format!("`{tool}`");
            learnt.bullets().iter().any(|bullet| bullet.text.contains(&name))
        };
        !guideline.said_by(learnt).is_empty() || guideline.about.iter().any(named)
    }

    /// Whether the guard takes these edits, whatever was tried before.
    fn allowed<'e>(&self, edits: impl Iterator<Item = &'e Edit>) -> bool {
        let Scene { content, policy, .. } = self.scene;
        let Ok(candidate) = apply_edits(content, &policy.guidance_key, edits) else { return false };
        let tried = BTreeSet::new();
        match check(content, &candidate, &policy.guard, &policy.guidance_key, &tried) {
            Ok(()) => true,
            Err(violations) => violations.iter().all(|rule| *rule == Violation::Identical),
        }
    }
}
