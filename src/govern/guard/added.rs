//! Which text a new version adds to a prompt.

use crate::govern::Guidance;

/// What is new in a prompt.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Added {
    /// The texts of bullets that did not stand there.
    pub(super) bullets: Vec<String>,
    /// Of people's text, the lines from the first that differs to the last, as they were.
    pub(super) before: String,
    /// The same lines as they are now.
    pub(super) after: String,
}

impl Added {
    pub(super) fn between(old: &str, new: &str) -> Self {
        let (old, new) = (Guidance::parse(old), Guidance::parse(new));
        let stood = |text: &String| old.bullets().iter().any(|bullet| bullet.text == *text);
        let texts = new.bullets().iter().map(|bullet| bullet.text.clone());
        let bullets = texts.filter(|text| !stood(text)).collect();
        let (before, after) = differing(&old.human_text(), &new.human_text());
        Self { bullets, before, after }
    }
}

fn differing(old: &str, new: &str) -> (String, String) {
    let (mut old, mut new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    old.drain(..same);
    new.drain(..same);
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    old.truncate(old.len() - same);
    new.truncate(new.len() - same);
    (old.join("\n"), new.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_is_added() {
        let check = |old: &str, new: &str, bullets: &[&str], before: &str, after: &str| {
            let added = Added::between(old, new);
            assert_eq!(added.bullets, bullets);
            assert_eq!((added.before.as_str(), added.after.as_str()), (before, after));
        };
        let learnt = |bullets: &str| format!("a\nb\n\n## Learned guidance\n{bullets}");
        check("a\nb\n", &learnt("- [w1] x\n"), &["x"], "", "");
        check(&learnt("- [w1] x\n- [w2] y\n"), &learnt("- [w2] y\n- [w3] z\n"), &["z"], "", "");
        check("a\nb\nc", "a\nx\ny\nc", &[], "b", "x\ny");
        check("a", "a", &[], "", "");
        check("a\na", "a", &[], "a", "");
    }
}
