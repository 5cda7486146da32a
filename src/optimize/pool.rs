//! The candidates for one half of a proposal: what the model, the rules and earlier versions offer, and
//! what became of each. Pure.

use super::Finding;
use super::answer::Aimed;
use super::choose::{Candidate, choose};
use super::curate::{Curated, Maker, curate, only_make_room};
use super::judge::Judge;
use super::lineage::Lineage;
use super::strata::Strata;
use crate::govern::{Answer, Author, Considered, Edit, End, Half, Part, Proposed, Request};

/// Bullets that are taken from an earlier version at once.
const MAX_REVIVED: usize = 2;

/// Candidates and those that are none any more.
pub(super) struct Pool<'a> {
    request: &'a Request,
    half: Half,
    findings: &'a [Finding],
    strata: &'a Strata,
    judge: &'a Judge<'a>,
    candidates: Vec<Candidate>,
    ended: Vec<Considered>,
    refused: Vec<String>,
}

impl<'a> Pool<'a> {
    pub(super) fn new(
        (request, half): (&'a Request, Half),
        findings: &'a [Finding],
        strata: &'a Strata,
        judge: &'a Judge<'a>,
    ) -> Self {
        let (candidates, ended, refused) = (Vec::new(), Vec::new(), Vec::new());
        Self { request, half, findings, strata, judge, candidates, ended, refused }
    }

    /// Whether there is a candidate.
    pub(super) fn has_any(&self) -> bool {
        !self.candidates.is_empty()
    }

    /// Takes edits that passed every check.
    pub(super) fn add(&mut self, author: Author, by: String, edits: Vec<Aimed>) {
        let strength = self.strength(&edits);
        self.candidates.push(Candidate { author, by, edits, strength });
    }

    /// Notes who has no candidate, and why.
    pub(super) fn none(&mut self, by: String, end: End, why: String) {
        let (half, changes) = (self.half, Vec::new());
        self.ended.push(Considered { half, by, changes, end, why });
    }

    /// Adds what was proposed and refused.
    pub(super) fn refuse(&mut self, refused: Vec<String>) {
        self.refused.extend(refused);
    }

    /// Adds what the rules offer by themselves.
    pub(super) fn add_patterns(&mut self) {
        let of_half = |edit: &&Proposed| {
            let config = matches!(edit.edit, Edit::SetConfig { .. });
            config == (self.half == Half::Config)
        };
        let edits = self.findings.iter().flat_map(|finding| &finding.edits).filter(of_half);
        let aimed = |proposed: &Proposed| Aimed {
            aim: self.strata.stated_in(&proposed.edit),
            proposed: proposed.clone(),
        };
        let edits = edits.map(aimed).collect();
        self.offer(Author::Patterns, "patterns".to_owned(), edits, Maker::Rules);
    }

    /// Adds what an earlier version knew that failed less in some way.
    pub(super) fn add_revived(&mut self) {
        if self.half != Half::Prompts {
            return;
        }
        let lineage = Lineage::of(self.request);
        for better in self.strata.front(self.request) {
            let label = self.strata.list.get(better.stratum).map(|stratum| stratum.label.clone());
            let why = format!(
                "{} said so, and {:.0} % of its runs failed by {}, now {:.0} %",
                better.past.number,
                better.then * 100.0,
                label.as_deref().unwrap_or("?"),
                better.now * 100.0
            );
            let edits = better.past.added.iter().map(|text| Edit::AddBullet { text: text.clone() });
            let free = |edit: &Edit| lineage.blame(edit).objection().is_none();
            let edits = edits.filter(free).take(MAX_REVIVED).map(|edit| Aimed {
                proposed: Proposed { edit, why: why.clone() },
                aim: label.clone(),
            });
            let by = format!("patterns, from {}", better.past.number);
            self.offer(Author::Patterns, by, edits.collect(), Maker::Rules);
        }
    }

    /// Takes what of `edits` passes every check.
    pub(super) fn offer(&mut self, author: Author, by: String, edits: Vec<Aimed>, maker: Maker) {
        if edits.is_empty() {
            return;
        }
        let Curated { edits, left_out } = curate(self.request, edits, maker);
        self.refused.extend(left_out);
        let (taken, mut refused) = self.judge.select(edits);
        let why = refused.join("; ");
        self.refused.append(&mut refused);
        if only_make_room(&taken) {
            let why = if why.is_empty() { "nothing in it is new".to_owned() } else { why };
            self.none(by, End::Refused, why);
        } else {
            self.add(author, by, taken);
        }
    }

    /// How strong the strongest finding about outcomes is that names what `edits` speak of.
    fn strength(&self, edits: &[Aimed]) -> f64 {
        let text = |aimed: &Aimed| match &aimed.proposed.edit {
            Edit::AddBullet { text } | Edit::ChangeBullet { text, .. } => text.clone(),
            Edit::ReplaceText { new, .. } => new.clone(),
            Edit::SetConfig { key, .. } => key.clone(),
            Edit::RemoveBullet { id } => id.clone(),
        };
        let texts: Vec<_> = edits.iter().map(text).collect();
        let own = |finding: &&Finding| {
            let proposed = |proposed: &Proposed| {
                edits.iter().any(|aimed| aimed.proposed.edit == proposed.edit)
            };
            let names: Vec<_> = finding.summary.split('`').skip(1).step_by(2).collect();
            let spoken = |text: &String| names.iter().all(|name| text.contains(name));
            finding.edits.iter().any(proposed) || (!names.is_empty() && texts.iter().any(spoken))
        };
        let tested = self.findings.iter().filter(|finding| finding.concerns_outcome());
        tested.filter(own).map(|finding| finding.strength).fold(0.0, f64::max)
    }

    /// The half of the proposal: the candidate that was chosen, or `no_change` by its author; and what
    /// became of every candidate.
    pub(super) fn close(mut self, no_change: (Author, String)) -> (Part, Vec<Considered>) {
        let ends = choose(&self.candidates, self.strata, &self.request.content);
        let (mut author, reason) = no_change;
        let mut answer = Answer::NoChange { reason };
        for (candidate, (end, why)) in self.candidates.into_iter().zip(ends) {
            let reason = |aimed: &Aimed| aimed.proposed.reason(&self.request.content).change;
            let changes = candidate.edits.iter().map(reason).collect();
            let (half, by) = (self.half, candidate.by);
            self.ended.push(Considered { half, by, changes, end, why });
            if end == End::Chosen {
                author = candidate.author;
                let edits = candidate.edits.into_iter().map(|aimed| aimed.proposed).collect();
                answer = Answer::Edits { edits };
            }
        }
        (Part { author, answer, refused: self.refused }, self.ended)
    }
}
