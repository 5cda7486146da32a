//! Merges proposed edits with what has been learnt: leaves out what stands there already and what failed
//! before, and makes room where the guidance is full. Pure and deterministic; each edit left out is named.
//!
//! It takes edits away or adds removals, and changes no word: an edit that breaks a rule is the judge's.

use std::collections::BTreeSet;

use super::answer::Aimed;
use super::likeness::alike;
use super::lineage::{Blame, Lineage, counts, told};
use super::patterns::{Contrast, Toward};
use crate::fold::Counts;
use crate::govern::{BulletRecord, Edit, Fate, Guidance, Proposed, Request};

/// How the reason starts of a removal that only makes room.
const ROOM: &str = "makes room";

/// The most bullets that one version adds: one that changes everything proves nothing.
const MAX_NEW: usize = 3;

/// Who proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// A rule, which has a test to show.
    Rules,
    /// A model, which has an opinion: against what the counts say it does not prevail.
    Model,
}

/// Edits that may go on, and why the others may not.
#[derive(Debug, Default)]
pub(super) struct Curated {
    pub(super) edits: Vec<Aimed>,
    pub(super) left_out: Vec<String>,
}

/// Whether `edits` do nothing but make room for others.
pub(super) fn only_make_room(edits: &[Aimed]) -> bool {
    edits.iter().all(|aimed| {
        matches!(aimed.proposed.edit, Edit::RemoveBullet { .. })
            && aimed.proposed.why.starts_with(ROOM)
    })
}

/// What of `edits` is new to `request`'s agent, with room made for it.
pub(super) fn curate(request: &Request, edits: Vec<Aimed>, maker: Maker) -> Curated {
    let mut curator = Curator::of(request, &edits, maker);
    let (mut clean, mut shared) = (Vec::new(), Vec::new());
    for aimed in in_order(edits) {
        match curator.objection(&aimed.proposed.edit) {
            Err(why) => {
                curator.stays(&aimed.proposed.edit);
                curator.leave_out(&aimed, &why);
            }
            Ok(Blame::Shared(past)) => shared.push((aimed, told(past))),
            Ok(_) => {
                curator.take(&aimed);
                clean.push(aimed);
            }
        }
    }
    // What failed in a bundle is tried alone, and only when there is nothing new to try.
    for (aimed, told) in shared {
        if clean.is_empty() {
            curator.take(&aimed);
            clean.push(aimed);
        } else {
            curator.leave_out(&aimed, &format!("{told}, in a bundle: it may come back alone"));
        }
    }
    let edits = curator.with_room(clean);
    Curated { edits, left_out: curator.left_out }
}

/// Removals, then changes, then additions, otherwise as they came.
fn in_order(mut edits: Vec<Aimed>) -> Vec<Aimed> {
    edits.sort_by_key(|aimed| match aimed.proposed.edit {
        Edit::RemoveBullet { .. } => 0,
        Edit::ChangeBullet { .. } | Edit::ReplaceText { .. } | Edit::SetConfig { .. } => 1,
        Edit::AddBullet { .. } => 2,
    });
    edits
}

struct Curator<'a> {
    request: &'a Request,
    lineage: Lineage<'a>,
    maker: Maker,
    /// The human's sentences.
    human: Vec<String>,
    /// Bullets that these edits remove or reword.
    touched: BTreeSet<String>,
    /// What bullets that were taken say.
    said: Vec<String>,
    new: usize,
    left_out: Vec<String>,
}

impl<'a> Curator<'a> {
    fn of(request: &'a Request, edits: &[Aimed], maker: Maker) -> Self {
        let touched = edits.iter().filter_map(|aimed| match &aimed.proposed.edit {
            Edit::RemoveBullet { id } | Edit::ChangeBullet { id, .. } => Some(id.clone()),
            Edit::AddBullet { .. } | Edit::ReplaceText { .. } | Edit::SetConfig { .. } => None,
        });
        let prompts = request.content.prompts.values();
        let sentences = |prompt: &String| {
            let text = Guidance::parse(prompt).human_text();
            let pieces = text.split(['\n', '.', ';', '!', '?']).map(str::trim);
            pieces.filter(|piece| !piece.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        Self {
            request,
            lineage: Lineage::of(request),
            maker,
            human: prompts.flat_map(sentences).collect(),
            touched: touched.collect(),
            said: Vec::new(),
            new: 0,
            left_out: Vec::new(),
        }
    }

    /// What speaks against `edit`; an error if it is decisive.
    fn objection(&self, edit: &Edit) -> Result<Blame<'a>, String> {
        if let Edit::RemoveBullet { id } | Edit::ChangeBullet { id, .. } = edit
            && let Some(record) = self.request.bullets.iter().find(|record| record.id == *id)
        {
            if matches!(edit, Edit::ChangeBullet { text, .. } if *text == record.text) {
                return Err(format!("{id} says so already"));
            }
            if self.maker == Maker::Model && record.fate == Fate::Proven {
                return Err(format!("{id} is {}", record.fate.words()));
            }
            if self.maker == Maker::Model && speaks_for_itself(record) {
                return Err(format!("the runs speak for {id}: {}", counts(record)));
            }
        }
        if let Edit::AddBullet { text } | Edit::ChangeBullet { text, .. } = edit {
            let bullets = self.request.bullets.iter();
            let standing = bullets.filter(|bullet| !self.touched.contains(&bullet.id));
            if let Some(twin) = standing.clone().find(|bullet| alike(&bullet.text, text)) {
                return Err(format!("{} says so already", twin.id));
            }
            if self.said.iter().any(|said| alike(said, text)) {
                return Err("another of these edits says the same".to_owned());
            }
            if self.human.iter().any(|sentence| alike(sentence, text)) {
                return Err("the prompt says so already".to_owned());
            }
        }
        if matches!(edit, Edit::AddBullet { .. }) && self.new == MAX_NEW {
            return Err(format!("at most {MAX_NEW} bullets are added at once"));
        }
        let blame = self.lineage.blame(edit);
        match blame.objection() {
            Some(objection) => Err(objection),
            None => Ok(blame),
        }
    }

    fn take(&mut self, aimed: &Aimed) {
        if let Edit::AddBullet { text } | Edit::ChangeBullet { text, .. } = &aimed.proposed.edit {
            self.said.push(text.clone());
        }
        self.new += usize::from(matches!(aimed.proposed.edit, Edit::AddBullet { .. }));
    }

    /// Notes that what `edit` would have removed or reworded stands as it is.
    fn stays(&mut self, edit: &Edit) {
        if let Edit::RemoveBullet { id } | Edit::ChangeBullet { id, .. } = edit {
            self.touched.remove(id);
        }
    }

    fn leave_out(&mut self, aimed: &Aimed, why: &str) {
        let change = aimed.proposed.reason(&self.request.content).change;
        self.left_out.push(format!("{change}: {why}"));
    }

    /// `edits` with removals ahead where the guidance would be too full, or without the additions for
    /// which nothing can go.
    fn with_room(&mut self, edits: Vec<Aimed>) -> Vec<Aimed> {
        let rules = &self.request.policy.guard;
        let gone = |edits: &[Aimed]| {
            let gone = |aimed: &&Aimed| matches!(aimed.proposed.edit, Edit::RemoveBullet { .. });
            edits.iter().filter(gone).count()
        };
        let weak: Vec<_> = self.weakest_first();
        let left = |max: usize, used: usize| signed(max).saturating_sub(signed(used));
        let standing = self.request.bullets.len().saturating_sub(gone(&edits));
        let unproven = weak.len() + self.reworded(&edits);
        let room =
            left(rules.max_bullets, standing).min(left(rules.max_unproven_bullets, unproven));
        let lacking = if self.new > 0 { signed(self.new).saturating_sub(room) } else { 0 };
        let mut lacking = usize::try_from(lacking).unwrap_or_default();
        let mut all: Vec<_> = weak.iter().take(lacking).map(|record| retired(record)).collect();
        lacking -= all.len();
        let mut edits = edits;
        while lacking > 0 {
            let last = edits
                .iter()
                .rposition(|aimed| matches!(aimed.proposed.edit, Edit::AddBullet { .. }));
            let Some(last) = last else { break };
            let aimed = edits.remove(last);
            self.leave_out(&aimed, "there is no room, and nothing that could go for it");
            lacking -= 1;
        }
        all.append(&mut edits);
        all
    }

    /// Of the bullets that are reworded, how many are thereby unproven.
    fn reworded(&self, edits: &[Aimed]) -> usize {
        let changed = |aimed: &&Aimed| matches!(aimed.proposed.edit, Edit::ChangeBullet { .. });
        edits.iter().filter(changed).count()
    }

    /// The bullets that may go: nothing speaks for them but themselves. The least support first, then the
    /// oldest.
    fn weakest_first(&self) -> Vec<&'a BulletRecord> {
        let bullets = self.request.bullets.iter();
        let free =
            |record: &&BulletRecord| !record.fate.is_good() && !self.touched.contains(&record.id);
        let mut weak: Vec<_> = bullets.filter(free).collect();
        weak.sort_by(|a, b| support(a).total_cmp(&support(b)).then(a.since.cmp(&b.since)));
        weak
    }
}

/// Whether runs with a bullet went better than those without, by more than chance.
fn speaks_for_itself(record: &BulletRecord) -> bool {
    const LEVEL: f64 = 0.05;
    let all = Counts {
        success: record.with.success + record.without.success,
        failure: record.with.failure + record.without.failure,
        ..Counts::default()
    };
    let contrast = Contrast::of(record.with, all);
    contrast.is_some_and(|contrast| contrast.p_value(Toward::Success) <= LEVEL)
}

/// How much better runs went with a bullet than without, few runs drawn towards one half.
fn support(record: &BulletRecord) -> f64 {
    let rate = |runs: crate::fold::Split| real(runs.success + 1) / real(runs.total() + 2);
    rate(record.with) - rate(record.without)
}

fn retired(record: &BulletRecord) -> Aimed {
    let since = record.since.map(|since| format!(" since {since}")).unwrap_or_default();
    let why = format!("{ROOM}: unproven{since}; {}", counts(record));
    let edit = Edit::RemoveBullet { id: record.id.clone() };
    Aimed { proposed: Proposed { edit, why }, aim: None }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::VersionNumber;
    use crate::fold::Split;
    use crate::govern::Past;
    use crate::optimize::fixture::request;

    fn aimed(edit: Edit) -> Aimed {
        Aimed { proposed: Proposed { edit, why: "why".to_owned() }, aim: None }
    }

    fn add(text: &str) -> Aimed {
        aimed(Edit::AddBullet { text: text.to_owned() })
    }

    fn failed(number: u32, fate: Fate, added: &[&str]) -> Past {
        let added: Vec<_> = added.iter().map(|text| (*text).to_owned()).collect();
        let number = VersionNumber(number);
        Past { number, fate, changes: added.clone(), added, ..request().history.remove(0) }
    }

    /// The edits that go on, in short, and why the others do not.
    fn curated(request: &Request, edits: Vec<Aimed>) -> (Vec<String>, Vec<String>) {
        let Curated { edits, left_out } = curate(request, edits, Maker::Model);
        let short = |aimed: &Aimed| match &aimed.proposed.edit {
            Edit::AddBullet { text } => format!("+{text}"),
            Edit::RemoveBullet { id } => format!("-{id}"),
            other => format!("{other:?}"),
        };
        (edits.iter().map(short).collect(), left_out)
    }

    #[test]
    fn what_is_said_already_is_left_out_whoever_said_it() {
        let (edits, left_out) = curated(
            &request(),
            vec![
                add("Read events before logs!"),
                add("Mitigate the fault"),
                add("Look twice."),
                add("Look twice!"),
            ],
        );
        assert_eq!(edits, ["+Look twice."]);
        let ends = ["w1 says so already", "the prompt says so already", "says the same"];
        assert_eq!(left_out.len(), 3, "{left_out:?}");
        for (text, end) in left_out.iter().zip(ends) {
            assert!(text.ends_with(end), "{text}");
        }
        // A bullet that goes may be said anew.
        let remove = aimed(Edit::RemoveBullet { id: "w1".to_owned() });
        let (edits, _) = curated(&request(), vec![add("Read the events before logs."), remove]);
        assert_eq!(edits, ["-w1", "+Read the events before logs."]);
    }

    #[test]
    fn what_failed_does_not_come_back_and_a_bundle_comes_back_one_by_one() {
        let mut request = request();
        request.history = vec![
            failed(3, Fate::Harmful, &["Restart everything."]),
            failed(4, Fate::NoGain, &["Look twice.", "Fix once."]),
        ];
        let all = || vec![add("Restart everything now."), add("Look twice."), add("Fix once.")];
        let (edits, left_out) = curated(&request, all());
        assert_eq!(edits, ["+Look twice."]);
        assert!(left_out[0].contains("v3 had it and was proven worse"), "{left_out:?}");
        assert!(left_out[1].contains("it may come back alone"), "{left_out:?}");
        let (edits, _) = curated(&request, [all(), vec![add("Plan ahead.")]].concat());
        assert_eq!(edits, ["+Plan ahead."]);
    }

    #[test]
    fn the_least_supported_unproven_bullet_makes_room() {
        let mut request = request();
        request.policy.guard.max_unproven_bullets = 3;
        let record = |id: &str, fate, success| BulletRecord {
            id: id.to_owned(),
            text: format!("bullet {id}"),
            since: Some(VersionNumber(2)),
            fate,
            with: Split { success, failure: 20 - success },
            without: Split { success: 10, failure: 10 },
        };
        request.bullets = vec![
            record("w1", Fate::Open, 15),
            record("w2", Fate::Open, 4),
            record("w3", Fate::Proven, 1),
            record("w4", Fate::Open, 9),
        ];
        let (edits, left_out) = curated(&request, vec![add("Look twice."), add("Fix once.")]);
        assert_eq!(edits, ["-w2", "-w4", "+Look twice.", "+Fix once."]);
        assert!(left_out.is_empty());

        request.policy.guard.max_bullets = 2;
        let (edits, left_out) = curated(&request, vec![add("Look twice."), add("Fix once.")]);
        assert_eq!(edits, ["-w2", "-w4", "-w1", "+Look twice."]);
        assert_eq!(left_out.len(), 1);
    }

    #[test]
    fn a_model_takes_back_nothing_that_the_runs_speak_for() {
        let remove = || vec![aimed(Edit::RemoveBullet { id: "w1".to_owned() })];
        let mut request = request();
        let check = |request: &Request, maker, kept: bool| {
            let Curated { edits, left_out } = curate(request, remove(), maker);
            assert_eq!(edits.is_empty(), kept, "{left_out:?}");
        };
        check(&request, Maker::Model, false);
        request.bullets[0].with = Split { success: 22, failure: 2 };
        request.bullets[0].without = Split { success: 4, failure: 20 };
        check(&request, Maker::Model, true);
        check(&request, Maker::Rules, false);
        let again = [remove(), vec![add("Read the events before the logs!")]].concat();
        assert!(
            curate(&request, again, Maker::Model).edits.is_empty(),
            "it stays, and is not said twice"
        );
        request.bullets[0].with = Split::default();
        request.bullets[0].fate = Fate::Proven;
        check(&request, Maker::Model, true);
        let same =
            Edit::ChangeBullet { id: "w1".to_owned(), text: request.bullets[0].text.clone() };
        assert!(curate(&request, vec![aimed(same)], Maker::Rules).edits.is_empty());
    }

    #[test]
    fn a_flood_of_new_bullets_is_cut() {
        let texts = ["Look up.", "Plan ahead.", "Test often.", "Ship small."];
        let (edits, left_out) = curated(&request(), texts.map(add).to_vec());
        assert_eq!((edits.len(), left_out.len()), (3, 1));
    }
}
