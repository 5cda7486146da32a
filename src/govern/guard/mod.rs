//! The guard: what no machine-written version may do. It refuses with reasons and never repairs.
//!
//! A proposal on the log is trusted as little as any other input, so all that can be told from the two
//! versions is checked here: form, size, and what the added text says. Whether it copies from runs is for
//! those to say who have them.

mod added;
mod gains;
mod locked;
mod markup;
mod reasons;
mod rules;
mod violation;

use std::collections::BTreeSet;

pub(super) use self::reasons::check_author;
pub use self::reasons::check_reason;
pub use self::rules::{GuardRules, Tunable};
pub use self::violation::Violation;
pub(super) use crate::hygiene::is_hidden;

use self::added::Added;
use self::rules::check_config;
use super::{Content, Guidance, Placeholders};
use crate::base::Digest;

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
        if let Some(detail) = locked::problem(old, new) {
            violations.push(Violation::LockedBlock { key: key.clone(), detail });
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
        gains::check(key, &Added::between(old, new), parent, violations);
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

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
