//! What a new version may change, and how much; and whether a change of the config keeps to it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Violation;
use crate::govern::Content;

/// What a new version may change, and how much.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardRules {
    /// The longest prompt, in characters. Default 20 000.
    pub max_prompt_chars: usize,
    /// The most characters that one version adds over all prompts. Default 2 000.
    pub max_growth_chars: usize,
    /// The most learned bullets. Default 20.
    pub max_bullets: usize,
    /// The longest learned bullet, in characters. Default 400.
    pub max_bullet_chars: usize,
    /// The most learned bullets that neither a trial has proven nor a person approved. Default 6.
    #[serde(default = "GuardRules::unproven")]
    pub max_unproven_bullets: usize,
    /// Whether the human-written part may be edited. Default no.
    pub edit_human_text: bool,
    /// Tools whose error texts are the operator's own words, and may be taught. Default none.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub trusted_tools: BTreeSet<String>,
    /// Config keys that may be tuned, each within its range.
    pub tunables: BTreeMap<String, Tunable>,
}

impl GuardRules {
    /// What an error signature says in words that are the operator's own; none if its tool is not trusted.
    pub fn trusted<'a>(&self, signature: &'a str) -> Option<(&'a str, &'a str)> {
        let (tool, error) = signature.split_once(": ")?;
        self.trusted_tools.contains(tool).then_some((tool, error))
    }

    fn unproven() -> usize {
        6
    }
}

/// The range of one config value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tunable {
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The most that one version may change it by.
    pub step: f64,
    /// Whether it must be a whole number.
    #[serde(default)]
    pub integer: bool,
}

impl Default for GuardRules {
    fn default() -> Self {
        let whole = |min, max, step| Tunable { min, max, step, integer: true };
        Self {
            max_prompt_chars: 20_000,
            max_growth_chars: 2_000,
            max_bullets: 20,
            max_bullet_chars: 400,
            max_unproven_bullets: Self::unproven(),
            edit_human_text: false,
            trusted_tools: BTreeSet::new(),
            tunables: BTreeMap::from([
                ("max_step".to_owned(), whole(5.0, 60.0, 10.0)),
                ("max_retry_attempts".to_owned(), whole(1.0, 20.0, 3.0)),
            ]),
        }
    }
}

pub(super) fn check_config(
    parent: &Content,
    candidate: &Content,
    rules: &GuardRules,
    violations: &mut Vec<Violation>,
) {
    let keys: BTreeSet<_> = parent.config.keys().chain(candidate.config.keys()).collect();
    for key in keys {
        let (old, new) = (parent.config.get(key), candidate.config.get(key));
        if old == new {
            continue;
        }
        let Some(tunable) = rules.tunables.get(key) else {
            violations.push(Violation::NotTunable { key: key.clone() });
            continue;
        };
        if let Some(detail) = tunable.problem(old, new) {
            violations.push(Violation::OutOfRange { key: key.clone(), detail });
        }
    }
}

impl Tunable {
    /// What is wrong with changing `old` to `new`, in words; `None` if nothing.
    pub fn problem(&self, old: Option<&Value>, new: Option<&Value>) -> Option<String> {
        let (Some(old), Some(new)) = (old, new) else {
            return Some("a tunable can be changed, but neither added nor removed".to_owned());
        };
        let (Some(from), Some(to)) = (old.as_f64(), new.as_f64()) else {
            return Some(format!("{new} is not a number, or replaces what is none"));
        };
        if self.integer && !(new.is_i64() || new.is_u64()) {
            return Some(format!("{new} is not a whole number"));
        }
        if !(self.min..=self.max).contains(&to) {
            return Some(format!("{new} is outside {} to {}", self.min, self.max));
        }
        if (to - from).abs() > self.step {
            return Some(format!("{old} to {new} is more than a step of {}", self.step));
        }
        None
    }
}
