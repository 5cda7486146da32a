//! Rules about what was learnt: bullets that nothing speaks for any more are taken back, so that prompts do
//! not grow for ever. What the window itself speaks against is taken back by the rule that finds it.

use super::Scene;
use super::draft::{Draft, Want};
use super::guideline::names_of;
use super::share;
use crate::govern::BulletRecord;
use crate::optimize::lineage::{ENOUGH_RUNS, counts};

/// Bullets of tools that are gone, and bullets that do not help.
pub(super) fn drafts(scene: &Scene<'_>) -> Vec<Draft> {
    scene
        .bullets
        .iter()
        .filter_map(|record| obsolete(scene, record).or_else(|| idle(record)))
        .collect()
}

/// Only of the sentences that rules teach: what a name in backticks is elsewhere, no rule can know.
fn obsolete(scene: &Scene<'_>, record: &BulletRecord) -> Option<Draft> {
    let declared = scene.declared.as_ref()?;
    let gone = names_of(&record.text).into_iter().find(|name| !declared.contains(name))?;
    Some(Draft {
        kind: "guidance_obsolete",
        summary: format!(
            "{} speaks of `{gone}`, which the agent does not have any more",
            record.id
        ),
        runs: record.with.total(),
        strength: 0.5,
        wants: vec![Want::Drop(record.id.clone())],
    })
}

fn idle(record: &BulletRecord) -> Option<Draft> {
    record.is_idle(ENOUGH_RUNS).then(|| Draft {
        kind: "guidance_without_effect",
        summary: format!("{} shows no gain and is unproven: {}", record.id, counts(record)),
        runs: record.with.total(),
        strength: share(record.without.success, record.without.total())
            - share(record.with.success, record.with.total()),
        wants: vec![Want::Drop(record.id.clone())],
    })
}
