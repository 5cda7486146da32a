//! What a request tells of the agent's past: how each version fared and what stands behind each learned
//! bullet. Derived from the ledger and the windows, never stored.

use std::collections::{BTreeMap, BTreeSet};

use super::ledger::Entry;
use super::{Agent, Author, Bullet, BulletRecord, Content, Fate, Guidance, Past, Policy, Version};
use crate::fold::Split;

/// How many past versions a request tells the optimizer of.
const MAX_HISTORY: usize = 20;
/// How many ways to fail are told of each.
const MAX_FAILURES: usize = 8;
/// How many bullets that are gone are told.
const MAX_RETIRED: usize = 40;
/// How many bullets that a version added are told.
const MAX_ADDED: usize = 20;

impl Agent {
    /// The last versions, oldest first.
    pub(super) fn history(&self, key: &str) -> Vec<Past> {
        let all: Vec<_> = self.head.ledger.iter().collect();
        let skip = all.len().saturating_sub(MAX_HISTORY);
        all.into_iter().skip(skip).map(|(version, entry)| self.past(version, entry, key)).collect()
    }

    fn past(&self, version: &Version, entry: &Entry, key: &str) -> Past {
        let held = self.windows.held(version.number);
        let mut failures: Vec<(String, u64)> =
            held.signatures.iter().map(|(text, count)| (text.to_owned(), *count)).collect();
        failures.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        failures.truncate(MAX_FAILURES);
        let parent = version.parent.and_then(|parent| self.head.ledger.get(parent));
        let before = parent.map(|(parent, _)| &parent.content);
        Past {
            number: version.number,
            state: entry.state.name().to_owned(),
            author: version.author.to_string(),
            changes: version.reasons.iter().map(|reason| reason.change.clone()).collect(),
            runs: entry.runs,
            mean_reward: entry.reward.mean(entry.runs.known()),
            fate: entry.fate,
            why: entry.verdict.clone().or_else(|| entry.state.reason().map(str::to_owned)),
            added: before.map(|before| added(before, &version.content, key)).unwrap_or_default(),
            set: before.map(|before| set(before, &version.content)).unwrap_or_default(),
            held: held.counts,
            failures,
        }
    }

    /// The learned bullets of `content` and what stands behind each, in their order.
    pub(super) fn bullets(&self, content: &Content, key: &str) -> Vec<BulletRecord> {
        let Some(prompt) = content.prompts.get(key) else { return Vec::new() };
        let told = self.told(key);
        Guidance::parse(prompt).bullets().iter().map(|bullet| record(bullet, &told)).collect()
    }

    /// Bullets of the last versions that `content` has not, the latest first, and what stood behind each.
    pub(super) fn retired(&self, content: &Content, key: &str) -> Vec<BulletRecord> {
        let (standing, told) = (texts(content, key), self.told(key));
        let mut seen = standing;
        let mut gone = Vec::new();
        for Told { version, .. } in told.iter().rev().take(MAX_HISTORY) {
            let prompt = version.content.prompts.get(key).map_or("", String::as_str);
            for bullet in Guidance::parse(prompt).bullets() {
                if gone.len() < MAX_RETIRED && seen.insert(bullet.text.clone()) {
                    gone.push(record(bullet, &told));
                }
            }
        }
        gone
    }

    fn told(&self, key: &str) -> Vec<Told<'_>> {
        let versions = self.head.ledger.iter();
        let told = versions.map(|(version, entry)| {
            let texts = texts(&version.content, key);
            Told { version, entry, texts }
        });
        told.collect()
    }

    /// Whether `candidate`, made from `parent`, carries no more unproven bullets than it may, or at least
    /// no more than `parent` did.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_unproven(
        &self,
        parent: &Content,
        candidate: &Content,
        policy: &Policy,
    ) -> Result<(), String> {
        let unproven = |content: &Content| {
            let records = self.bullets(content, &policy.guidance_key);
            records.iter().filter(|record| !record.fate.is_good()).count()
        };
        let (count, max) = (unproven(candidate), policy.guard.max_unproven_bullets);
        if count <= max || count <= unproven(parent) {
            return Ok(());
        }
        Err(format!("learned guidance: {count} bullets are unproven, at most {max} are allowed"))
    }
}

/// A version and what it tells its agent.
struct Told<'a> {
    version: &'a Version,
    entry: &'a Entry,
    texts: BTreeSet<String>,
}

fn record(bullet: &Bullet, told: &[Told<'_>]) -> BulletRecord {
    let (id, text) = (bullet.id.clone(), bullet.text.clone());
    let (with, without) = (Split::default(), Split::default());
    let mut record = BulletRecord { id, text, since: None, fate: Fate::Open, with, without };
    for Told { version, entry, texts } in told {
        let holds = texts.contains(&bullet.text);
        let runs = if holds { &mut record.with } else { &mut record.without };
        runs.success += entry.runs.success;
        runs.failure += entry.runs.failure;
        if !holds {
            continue;
        }
        record.since = record.since.or(Some(version.number));
        let parent = told.iter().find(|told| Some(told.version.number) == version.parent);
        let brought = parent.is_none_or(|parent| !parent.texts.contains(&bullet.text));
        let human = matches!(version.author, Author::Human { .. });
        let fate = if human { Fate::Vouched } else { entry.fate };
        if brought && fate.is_good() && record.fate != Fate::Proven {
            record.fate = fate;
        }
    }
    record
}

/// The texts of the learned bullets of `content`.
fn texts(content: &Content, key: &str) -> BTreeSet<String> {
    let Some(prompt) = content.prompts.get(key) else { return BTreeSet::new() };
    Guidance::parse(prompt).bullets().iter().map(|bullet| bullet.text.clone()).collect()
}

/// The bullets that `after` has and `before` has not.
fn added(before: &Content, after: &Content, key: &str) -> Vec<String> {
    let before = texts(before, key);
    texts(after, key).into_iter().filter(|text| !before.contains(text)).take(MAX_ADDED).collect()
}

/// The config values in which `after` differs from `before`.
fn set(before: &Content, after: &Content) -> BTreeMap<String, serde_json::Value> {
    let changed =
        |(key, value): &(&String, &serde_json::Value)| before.config.get(*key) != Some(*value);
    let changed = after.config.iter().filter(changed);
    changed.map(|(key, value)| (key.clone(), value.clone())).collect()
}
