//! Blocks of a prompt that people locked: between `<!-- whetstone:lock -->` and `<!-- whetstone:unlock -->`
//! no machine changes a byte, and it moves, adds or removes no such mark.

use std::sync::LazyLock;

use regex::Regex;

/// Either mark, and whatever might be taken for one.
#[expect(clippy::expect_used, reason = "the pattern is fixed, and every test compiles it")]
static MARK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)<!--\s*whetstone\b[^>]*(?:-->|>)?|whetstone\s*:\s*(?:un)?lock")
        .expect("a valid pattern")
});

const LOCK: &str = "<!-- whetstone:lock -->";
const UNLOCK: &str = "<!-- whetstone:unlock -->";

/// What is wrong with changing `old` to `new`, in words; `None` if nothing.
pub(super) fn problem(old: &str, new: &str) -> Option<String> {
    match (blocks(old), blocks(new)) {
        (Ok(old), Ok(new)) if old == new => None,
        (Ok(old), Ok(new)) if old.len() == new.len() => {
            Some("a locked block was changed".to_owned())
        }
        (Ok(_), Ok(_)) => Some("a locked block was added or removed".to_owned()),
        (Ok(_), Err(problem)) => {
            Some(format!("the marks of locked blocks were changed: {problem}"))
        }
        (Err(problem), _) => Some(format!(
            "nothing may change here before a person has mended the marks of its locked blocks: {problem}"
        )),
    }
}

/// The locked blocks with their marks, in order.
fn blocks(text: &str) -> Result<Vec<&str>, String> {
    let mut blocks = Vec::new();
    let mut open = None;
    for mark in MARK.find_iter(text) {
        match (mark.as_str(), open) {
            (LOCK, None) => open = Some(mark.start()),
            (UNLOCK, Some(start)) => {
                blocks.extend(text.get(start..mark.end()));
                open = None;
            }
            (LOCK, Some(_)) => return Err("one opens within another".to_owned()),
            (UNLOCK, None) => return Err("one closes what none opened".to_owned()),
            (other, _) => return Err(format!("{other:.60?} is neither {LOCK} nor {UNLOCK}")),
        }
    }
    if open.is_some() { Err("one is not closed".to_owned()) } else { Ok(blocks) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_locked_block_stays_as_it_is() {
        let text = format!("a {LOCK}b{UNLOCK} c\n{LOCK}\nd\n{UNLOCK}\n");
        let check = |new: &str, part: &str| {
            let found = problem(&text, new);
            let hit = found.as_deref().map_or(part.is_empty(), |found| found.contains(part));
            assert!(hit && found.is_none() == part.is_empty(), "{new:?}: {found:?}");
        };
        check(&text, "");
        check(&text.replace("a ", "A very "), "");
        check(&text.replace('b', "B"), "was changed");
        check(&text.replace("\nd", "\n d"), "was changed");
        check(&format!("{LOCK}\nd\n{UNLOCK} a {LOCK}b{UNLOCK}"), "was changed");
        check("a c", "added or removed");
        check(&format!("{text}{LOCK}e{UNLOCK}"), "added or removed");
        check(&text.replacen(UNLOCK, "", 1), "opens within another");
        check(&format!("{text}{UNLOCK}"), "closes what none opened");
        check(&format!("{text}{LOCK}"), "not closed");
        check(&format!("{text}<!-- WHETSTONE:unlock -->"), "is neither");
        check(&text.replacen(UNLOCK, "<!-- whetstone: unlock -->", 1), "is neither");
        assert!(problem(&format!("a{LOCK}"), "b").unwrap().contains("a person"));
        assert_eq!(problem("a", "b"), None);
    }

    proptest! {
        #[test]
        fn whatever_happens_around_it(
            before in "[a-z \n<>!-]{0,20}", locked in "[a-z \n<>!-]{0,20}", after in "[a-z \n]{0,20}",
            new in "[a-z \n]{0,20}",
        ) {
            let block = format!("{LOCK}{locked}{UNLOCK}");
            let old = format!("{before}{block}{after}");
            prop_assert_eq!(problem(&old, &format!("{new}{block}{new}")), None);
            let changed = format!("{new}{LOCK}{locked}x{UNLOCK}");
            prop_assert!(problem(&old, &changed).is_some());
        }
    }
}
