//! The versions of one agent: what each is, where it stands and how it fared.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Author, Content, Effect, Fate, PromptUpdate, Reason, Second, State, Version, VersionRecord,
};
use crate::base::{AgentName, Digest, EventTime, VersionNumber};
use crate::decode::Outcome;
use crate::fold::{Counts, Reward};

/// How many activations are remembered, to book runs that do not name their version.
const MAX_ACTIVATIONS: usize = 64;

/// Every version of one agent. Contents are not part of the serialized form: they are immutable and
/// stand on `prompt-versions`, from where [`Ledger::restore`] takes them back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ledger {
    /// Boxed, since a map has room for eleven from the first one on.
    entries: BTreeMap<VersionNumber, Box<Entry>>,
    active: Option<VersionNumber>,
    activations: VecDeque<(EventTime, VersionNumber)>,
    revision: u64,
    #[serde(skip)]
    versions: BTreeMap<VersionNumber, Arc<Version>>,
}

/// What changes about a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) state: State,
    pub(super) runs: Counts,
    pub(super) reward: Reward,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Fate::is_open")]
    pub(super) fate: Fate,
    /// Why it is in use, with the numbers, where that was decided; why it is not stands in `state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) verdict: Option<String>,
}

impl Entry {
    fn new(state: State) -> Self {
        let (runs, reward) = (Counts::default(), Reward::default());
        Self { state, runs, reward, fate: Fate::Open, verdict: None }
    }
}

/// What a new version is made of, besides its number.
pub(super) struct Draft {
    pub(super) parent: Option<VersionNumber>,
    pub(super) content: Content,
    pub(super) author: Author,
    pub(super) reasons: Vec<Reason>,
    pub(super) evidence: String,
}

impl Ledger {
    pub(super) fn restore(&mut self, versions: impl IntoIterator<Item = Version>) {
        self.versions = versions.into_iter().map(|v| (v.number, Arc::new(v))).collect();
    }

    /// Numbers whose content is missing: without it the agent cannot be governed.
    pub(super) fn missing(&self) -> Vec<VersionNumber> {
        self.entries.keys().filter(|number| !self.versions.contains_key(number)).copied().collect()
    }

    pub(super) fn active(&self) -> Option<&Arc<Version>> {
        self.versions.get(&self.active?)
    }

    pub(super) fn get(&self, number: VersionNumber) -> Option<(&Arc<Version>, &Entry)> {
        Some((self.versions.get(&number)?, self.entries.get(&number)?))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Arc<Version>, &Entry)> {
        self.entries.iter().filter_map(|(n, entry)| Some((self.versions.get(n)?, &**entry)))
    }

    /// Versions that wait for a decision; one at most, but while another is being introduced.
    pub(super) fn candidates(&self) -> Vec<VersionNumber> {
        let waiting = self.entries.iter().filter(|(_, entry)| entry.state.is_undecided());
        waiting.map(|(number, _)| *number).collect()
    }

    pub(super) fn candidate(&self) -> Option<VersionNumber> {
        self.candidates().last().copied()
    }

    pub(super) fn tried(&self) -> BTreeSet<Digest> {
        self.versions.values().map(|version| version.digest.clone()).collect()
    }

    /// The version that was active at `time`; the first one for any time before it.
    pub(super) fn active_at(&self, time: EventTime) -> Option<VersionNumber> {
        let before = self.activations.iter().rev().find(|(since, _)| *since <= time);
        before.or(self.activations.front()).map(|(_, number)| *number)
    }

    /// The version that was active before the present one.
    pub(super) fn previous(&self) -> Option<VersionNumber> {
        let earlier = self.activations.iter().rev().map(|(_, number)| *number);
        earlier.into_iter().find(|number| Some(*number) != self.active)
    }

    pub(super) fn count(&mut self, number: VersionNumber, outcome: Outcome, reward: Reward) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.runs.add(outcome);
            entry.reward.add(reward);
        }
    }

    /// Counts a run as `outcome` that was counted as unknown.
    pub(super) fn relabel(&mut self, number: VersionNumber, outcome: Outcome, reward: Reward) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.runs.relabel(outcome);
            entry.reward.add(reward);
        }
    }

    /// Adds a version as a candidate; the caller decides what becomes of it and tells the world.
    pub(super) fn add(&mut self, agent: &AgentName, draft: Draft, at: EventTime) -> VersionNumber {
        let number = self.entries.last_key_value().map_or(VersionNumber(1), |(n, _)| n.next());
        let Draft { parent, content, author, reasons, evidence } = draft;
        let digest = content.digest();
        let agent = agent.clone();
        let version = Version {
            agent,
            number,
            parent,
            digest,
            content,
            author,
            reasons,
            evidence,
            created: at,
        };
        self.versions.insert(number, Arc::new(version));
        self.entries.insert(number, Box::new(Entry::new(State::Candidate)));
        number
    }

    /// Takes a version that is remembered elsewhere, as it stands there.
    pub(super) fn recall(&mut self, record: VersionRecord) {
        let VersionRecord { version, state, revision, at } = record;
        let number = version.number;
        self.revision = self.revision.max(revision);
        if state == State::Active {
            self.active = Some(number);
        }
        if !(state.is_undecided() || matches!(state, State::Rejected { .. })) {
            self.activations.push_back((at, number));
        }
        // Nobody remembers more of it than that somebody or something took it back.
        let taken_back = matches!(state, State::RolledBack { .. });
        let fate = if taken_back { Fate::Refused } else { Fate::Open };
        self.entries.insert(number, Box::new(Entry { fate, ..Entry::new(state) }));
        self.versions.insert(number, Arc::new(version));
    }

    /// Notes what became of `number`, and why where its state will not say.
    pub(super) fn judge(&mut self, number: VersionNumber, fate: Fate, why: Option<&str>) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.fate = fate;
            entry.verdict = why.map(str::to_owned);
        }
    }

    /// Puts `number` into `state` and says so. Does not touch what is active.
    pub(super) fn set(
        &mut self,
        number: VersionNumber,
        state: State,
        at: EventTime,
    ) -> Vec<Effect> {
        let Some(entry) = self.entries.get_mut(&number) else { return Vec::new() };
        entry.state = state.clone();
        self.revision += 1;
        let revision = self.revision;
        let Some(version) = self.versions.get(&number) else { return Vec::new() };
        let record = VersionRecord { version: Version::clone(version), state, revision, at };
        vec![Effect::Version(Box::new(record))]
    }

    /// Makes `number` the active version; the one before it goes into `old_state`.
    pub(super) fn activate(
        &mut self,
        number: VersionNumber,
        old_state: State,
        at: EventTime,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Some(old) = self.active {
            effects.extend(self.set(old, old_state, at));
        }
        self.active = Some(number);
        self.activations.push_back((at, number));
        if self.activations.len() > MAX_ACTIVATIONS {
            self.activations.pop_front();
        }
        effects.extend(self.set(number, State::Active, at));
        effects.extend(self.update(at));
        effects
    }

    /// What the agent should run now, for subscribers.
    pub(super) fn update(&self, at: EventTime) -> Option<Effect> {
        let active = Version::clone(self.active()?);
        let agent = active.agent.clone();
        let candidate = self.candidate();
        let (revision, split) = (self.revision, self.second());
        let update = PromptUpdate { agent, revision, active, candidate, split, at };
        Some(Effect::Update(Box::new(update)))
    }

    fn second(&self) -> Option<Second> {
        self.iter().find_map(|(version, entry)| {
            let split = entry.state.split()?.clone();
            Some(Second { split, version: Version::clone(version) })
        })
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }
}
