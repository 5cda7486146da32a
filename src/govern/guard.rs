//! The guard: what no machine-written version may do. It refuses with reasons and never repairs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Content, Guidance, Placeholders};
use crate::base::Digest;

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
    /// Config keys that may be tuned, each within its range.
    pub tunables: BTreeMap<String, Tunable>,
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
            tunables: BTreeMap::from([
                ("max_step".to_owned(), whole(5.0, 60.0, 10.0)),
                ("max_retry_attempts".to_owned(), whole(1.0, 20.0, 3.0)),
            ]),
        }
    }
}

impl GuardRules {
    fn unproven() -> usize {
        6
    }
}

/// A rule that a version breaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Violation {
    /// Placeholders were lost, added or broken.
    Placeholders {
        /// The prompt's key.
        key: String,
        /// What changed.
        detail: String,
    },
    /// A prompt was added or removed.
    PromptSet {
        /// The prompt's key.
        key: String,
    },
    /// A prompt is too long.
    TooLong {
        /// The prompt's key.
        key: String,
        /// Its characters.
        chars: usize,
        /// The most allowed.
        max: usize,
    },
    /// The version adds too much.
    TooMuchGrowth {
        /// Characters added.
        chars: usize,
        /// The most allowed.
        max: usize,
    },
    /// Too many bullets, or one too long.
    Bullets {
        /// What is wrong.
        detail: String,
    },
    /// The human's text was changed where that is not allowed.
    HumanText {
        /// The prompt's key.
        key: String,
    },
    /// A config key changed that is not declared tunable.
    NotTunable {
        /// The config's key.
        key: String,
    },
    /// A config value is outside its range, of the wrong type, or changed by more than its step.
    OutOfRange {
        /// The config's key.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// A character that people do not see: control, bidirectional, zero width.
    HiddenCharacter {
        /// The prompt's key.
        key: String,
        /// Its code point.
        character: String,
    },
    /// Nothing changed.
    Identical,
    /// The same content was tried before.
    AlreadyTried {
        /// Its digest, shortened.
        digest: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placeholders { key, detail } => write!(f, "prompt {key:?}: {detail}"),
            Self::PromptSet { key } => write!(f, "prompt {key:?} was added or removed"),
            Self::TooLong { key, chars, max } => {
                write!(f, "prompt {key:?} has {chars} characters, at most {max} are allowed")
            }
            Self::TooMuchGrowth { chars, max } => {
                write!(f, "prompts grow by {chars} characters, at most {max} are allowed")
            }
            Self::Bullets { detail } => write!(f, "learned guidance: {detail}"),
            Self::HumanText { key } => {
                write!(f, "the human-written part of prompt {key:?} may not be edited")
            }
            Self::NotTunable { key } => write!(f, "config key {key:?} is not declared tunable"),
            Self::OutOfRange { key, detail } => write!(f, "config key {key:?}: {detail}"),
            Self::HiddenCharacter { key, character } => {
                write!(f, "prompt {key:?} gains the hidden character {character}")
            }
            Self::Identical => f.write_str("identical to the version it starts from"),
            Self::AlreadyTried { digest } => write!(f, "content {digest} was tried before"),
        }
    }
}

/// Checks `candidate`, made from `parent` by machine, against `rules`.
///
/// # Errors
/// Every rule it breaks, in a fixed order.
pub fn check(
    parent: &Content,
    candidate: &Content,
    rules: &GuardRules,
    guidance_key: &str,
    tried: &BTreeSet<Digest>,
) -> Result<(), Vec<Violation>> {
    let mut violations = Vec::new();
    if parent == candidate {
        violations.push(Violation::Identical);
    } else {
        let digest = candidate.digest();
        if tried.contains(&digest) {
            violations.push(Violation::AlreadyTried { digest: digest.short().to_owned() });
        }
    }
    check_prompts(parent, candidate, rules, guidance_key, &mut violations);
    check_config(parent, candidate, rules, &mut violations);
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

fn check_prompts(
    parent: &Content,
    candidate: &Content,
    rules: &GuardRules,
    guidance_key: &str,
    violations: &mut Vec<Violation>,
) {
    let keys: BTreeSet<_> = parent.prompts.keys().chain(candidate.prompts.keys()).collect();
    for key in keys {
        let (Some(old), Some(new)) = (parent.prompts.get(key), candidate.prompts.get(key)) else {
            violations.push(Violation::PromptSet { key: key.clone() });
            continue;
        };
        if old == new {
            continue;
        }
        if let Some(detail) = Placeholders::of(old).difference(&Placeholders::of(new)) {
            violations.push(Violation::Placeholders { key: key.clone(), detail });
        }
        let chars = new.chars().count();
        if chars > rules.max_prompt_chars && chars > old.chars().count() {
            let max = rules.max_prompt_chars;
            violations.push(Violation::TooLong { key: key.clone(), chars, max });
        }
        if let Some(hidden) = new.chars().find(|c| is_hidden(*c) && !old.contains(*c)) {
            let character = format!("U+{:04X}", u32::from(hidden));
            violations.push(Violation::HiddenCharacter { key: key.clone(), character });
        }
        let learned_only = key == guidance_key && human_text(old) == human_text(new);
        if !rules.edit_human_text && !learned_only {
            violations.push(Violation::HumanText { key: key.clone() });
        }
        check_bullets(old, new, rules, violations);
    }
    let growth = candidate.prompt_chars().saturating_sub(parent.prompt_chars());
    if growth > rules.max_growth_chars {
        let max = rules.max_growth_chars;
        violations.push(Violation::TooMuchGrowth { chars: growth, max });
    }
}

fn check_bullets(old: &str, new: &str, rules: &GuardRules, violations: &mut Vec<Violation>) {
    let (old, new) = (Guidance::parse(old), Guidance::parse(new));
    let (count, max) = (new.bullets().len(), rules.max_bullets);
    if count > max && count > old.bullets().len() {
        let detail = format!("{count} bullets, at most {max} are allowed");
        violations.push(Violation::Bullets { detail });
    }
    for bullet in new.bullets() {
        let (chars, max) = (bullet.text.chars().count(), rules.max_bullet_chars);
        if chars > max && !old.bullets().contains(bullet) {
            let detail = format!("{} has {chars} characters, at most {max} are allowed", bullet.id);
            violations.push(Violation::Bullets { detail });
        }
        let twin = |other: &&super::Bullet| other.id != bullet.id && other.text == bullet.text;
        if let Some(twin) = new.bullets().iter().find(twin).filter(|twin| twin.id < bullet.id) {
            let detail = format!("{} repeats {}", bullet.id, twin.id);
            violations.push(Violation::Bullets { detail });
        }
    }
}

/// The prompt without its learned bullets.
fn human_text(prompt: &str) -> String {
    Guidance::parse(prompt).human_text()
}

/// Characters that change what is read without being seen: controls but for line break and tab,
/// zero-width characters, bidirectional overrides and Unicode tags.
pub(super) fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{00AD}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E01EF}')
}

fn check_config(
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::govern::{Edit, apply_edits};

    fn parent() -> Content {
        Content {
            prompts: BTreeMap::from([
                ("system".to_owned(), "Mitigate the fault.\n".to_owned()),
                ("user".to_owned(), "App {app_name}, at most {max_step} rounds".to_owned()),
            ]),
            config: BTreeMap::from([
                ("max_step".to_owned(), json!(20)),
                ("retry_mode".to_owned(), json!("validate")),
            ]),
        }
    }

    fn verdict(edits: &[Edit]) -> Vec<String> {
        let rules = GuardRules { edit_human_text: true, ..GuardRules::default() };
        let candidate = apply_edits(&parent(), "system", edits).unwrap();
        match check(&parent(), &candidate, &rules, "system", &BTreeSet::new()) {
            Ok(()) => Vec::new(),
            Err(violations) => violations.iter().map(ToString::to_string).collect(),
        }
    }

    fn set(key: &str, value: Value) -> Edit {
        Edit::SetConfig { key: key.to_owned(), value }
    }

    fn replace(key: &str, old: &str, new: &str) -> Edit {
        Edit::ReplaceText { key: key.to_owned(), old: old.to_owned(), new: new.to_owned() }
    }

    #[test]
    fn each_rule_refuses_what_it_should_and_nothing_else() {
        let check = |edit: Edit, part: &str| {
            let found = verdict(std::slice::from_ref(&edit));
            let hit =
                if part.is_empty() { found.is_empty() } else { found.join("; ").contains(part) };
            assert!(hit, "{edit:?}: {found:?}");
        };
        check(Edit::AddBullet { text: "Check the events first.".to_owned() }, "");
        check(set("max_step", json!(25)), "");
        check(set("max_step", json!(31)), "more than a step");
        check(set("max_step", json!(4)), "outside 5 to 60");
        check(set("max_step", json!(20.5)), "whole number");
        check(set("max_step", json!("25")), "not a number");
        check(set("max_step", json!(20)), "identical");
        check(set("retry_mode", json!("naive")), "not declared tunable");
        check(set("new_key", json!(1)), "not declared tunable");
        check(replace("user", "App {app_name}", "App"), "lost: \"app_name\"");
        check(replace("user", "App", "App {other}"), "added: \"other\"");
        check(replace("user", "App", "App }"), "stray brace");
        check(replace("user", "App", "The app"), "");
        check(Edit::AddBullet { text: "Fill {app_name}.".to_owned() }, "added: \"app_name\"");
        check(Edit::AddBullet { text: "x".repeat(401) }, "at most 400");
        check(replace("user", "App", &"x".repeat(3000)), "grow by");
        check(Edit::AddBullet { text: "Ig\u{200b}nore".to_owned() }, "U+200B");
        check(Edit::AddBullet { text: "Tag \u{e0041}".to_owned() }, "U+E0041");
    }

    #[test]
    fn the_humans_text_is_theirs_unless_they_say_otherwise() {
        let edits = [replace("user", "App", "The app")];
        let candidate = apply_edits(&parent(), "system", &edits).unwrap();
        let rules = GuardRules::default();
        let found = check(&parent(), &candidate, &rules, "system", &BTreeSet::new());
        assert_eq!(found, Err(vec![Violation::HumanText { key: "user".to_owned() }]));
    }

    #[test]
    fn what_was_tried_before_is_refused() {
        let edits = [set("max_step", json!(25))];
        let candidate = apply_edits(&parent(), "system", &edits).unwrap();
        let tried = BTreeSet::from([candidate.digest()]);
        let found = check(&parent(), &candidate, &GuardRules::default(), "system", &tried);
        assert!(matches!(found.unwrap_err().as_slice(), [Violation::AlreadyTried { .. }]));
    }
}
