//! What a window shows without a model: findings by rule, and the edits that they justify.
//!
//! Pure. Traces are hostile: of their text, nothing but tool names of a narrow alphabet reaches an
//! edit or a summary; everything else there is a fixed phrase or a number. A rule claims that a
//! property goes with an outcome only where a test says so that accounts for all the others
//! ([`significance`]), and no edit is offered that the guard would refuse ([`select`]).

mod draft;
mod errors;
mod guidance;
mod guideline;
mod hypothesis;
mod limits;
mod metrics;
mod outcomes;
mod reasoning;
mod retries;
mod select;
mod sequences;
mod signatures;
mod significance;
mod tools;

use std::collections::{BTreeMap, BTreeSet};

use crate::fold::{Aggregate, Counts};
use crate::govern::{BulletRecord, Content, Guidance, Policy, Proposed, Request};
use crate::optimize::lineage::Lineage;
use draft::Draft;
pub(super) use errors::statement;
pub(super) use significance::{Contrast, Toward};

/// Something a window shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The rule that found it, a stable snake-case name.
    pub kind: &'static str,
    /// One line for people, with the counts.
    pub summary: String,
    /// Runs it rests on.
    pub runs: u64,
    /// How big the effect is, 0 to 1; 0 for what only describes the window.
    pub strength: f64,
    /// What it justifies doing. Any selection of all findings' edits is within the guard's rules.
    pub edits: Vec<Proposed>,
}

impl Finding {
    /// Whether it says what failures have in common that successes have not: that tools err or take long,
    /// or that a limit is reached, says nothing about why.
    pub(super) fn concerns_outcome(&self) -> bool {
        let aside = ["error_prone_tool", "slow_tool", "latency_by_outcome", "attempts_by_outcome"];
        !(aside.contains(&self.kind) || self.kind.contains("_limit_"))
    }
}

/// The most findings of one kind: with dozens of tools, the strongest tell enough.
const MAX_OF_A_KIND: usize = 5;

/// What the window of `request` shows, strongest first, and what that justifies changing.
pub fn find(request: &Request) -> Vec<Finding> {
    let scene = Scene::of(request);
    let mut drafts = metrics::drafts(&scene);
    drafts.extend(outcomes::drafts(&scene));
    drafts.extend(tools::drafts(&scene));
    drafts.extend(signatures::drafts(&scene));
    drafts.extend(errors::drafts(&scene));
    drafts.extend(limits::drafts(&scene));
    drafts.extend(retries::drafts(&scene));
    drafts.extend(guidance::drafts(&scene));

    let mut hypotheses = tools::hypotheses(&scene);
    hypotheses.extend(sequences::hypotheses(&scene));
    hypotheses.extend(reasoning::hypotheses(&scene));
    drafts.extend(hypothesis::proven(hypotheses));

    select::fit(strongest(drafts), &scene)
}

/// In order of strength, the weakest of an abundant kind left out.
fn strongest(mut drafts: Vec<Draft>) -> Vec<Draft> {
    drafts.sort_by(|a, b| {
        (b.strength.total_cmp(&a.strength))
            .then_with(|| a.kind.cmp(b.kind))
            .then_with(|| a.summary.cmp(&b.summary))
    });
    let mut of_kind = BTreeMap::<_, usize>::new();
    drafts.retain(|draft| {
        let count = of_kind.entry(draft.kind).or_default();
        *count += 1;
        *count <= MAX_OF_A_KIND
    });
    drafts
}

/// What every rule looks at.
struct Scene<'a> {
    window: &'a Aggregate,
    counts: Counts,
    content: &'a Content,
    policy: &'a Policy,
    /// What earlier versions have learnt.
    learnt: Guidance,
    /// What stands behind each of it.
    bullets: &'a [BulletRecord],
    /// What failed before.
    lineage: Lineage<'a>,
    /// The tools that the config gives the agent; none if it does not say.
    declared: Option<BTreeSet<&'a str>>,
}

impl<'a> Scene<'a> {
    fn of(request: &'a Request) -> Self {
        let Request { window, content, policy, .. } = request;
        let prompt = content.prompts.get(&policy.guidance_key);
        let learnt = Guidance::parse(prompt.map_or("", String::as_str));
        let declared = declared_tools(content);
        let (bullets, lineage) = (request.bullets.as_slice(), Lineage::of(request));
        Self { window, counts: window.counts, content, policy, learnt, bullets, lineage, declared }
    }
}

/// The names under the config's tool lists: keys that end in `tools`, lists of `name: …` or of names.
/// Traces may show tools of another harness, which it would be no use to advise on.
fn declared_tools(content: &Content) -> Option<BTreeSet<&str>> {
    let lists = content.config.iter().filter(|(key, _)| key.ends_with("tools"));
    let items = lists.filter_map(|(_, list)| list.as_array()).flatten();
    let names: BTreeSet<_> =
        items.filter_map(|item| item.get("name").unwrap_or(item).as_str()).collect();
    (!names.is_empty()).then_some(names)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts are below 2^52")]
fn real(count: u64) -> f64 {
    count as f64
}

/// `part` of `whole`, 0 to 1; 0 of nothing.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (real(part) / real(whole)).min(1.0) }
}
