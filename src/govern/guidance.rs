//! Learned guidance: a block of bullets with stable ids at the end of a prompt.
//!
//! ```text
//! ## Learned guidance
//! - [w1] Call get_services before get_traces.
//! - [w4] Submit only after the fix is seen to work.
//! ```
//!
//! The prompt's text is the only record of it: what a person adds, edits or deletes there is what
//! the next version starts from. Ids are never used twice while a later one stands.

use super::EditError;

const HEADING: &str = "## Learned guidance";

/// A prompt taken apart into the human's text and the learned bullets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guidance {
    before: String,
    bullets: Vec<Bullet>,
    after: String,
    /// Whether the text ended in a line break before a block was first added.
    ends_in_newline: bool,
}

/// One learned bullet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bullet {
    /// `w` and a number.
    pub id: String,
    /// One line.
    pub text: String,
}

impl Guidance {
    /// Takes `prompt` apart. [`Guidance::render`] puts it together again, the block set off by one
    /// blank line.
    pub fn parse(prompt: &str) -> Self {
        let mut before = String::new();
        let mut bullets = Vec::new();
        let mut lines = prompt.split_inclusive('\n').peekable();
        let mut found = false;
        for line in lines.by_ref() {
            if line.trim_end() == HEADING {
                found = true;
                break;
            }
            before.push_str(line);
        }
        if !found {
            let ends_in_newline = prompt.ends_with('\n');
            return Self { before, bullets, after: String::new(), ends_in_newline };
        }
        while let Some(bullet) = lines.peek().and_then(|line| parse_bullet(line)) {
            bullets.push(bullet);
            lines.next();
        }
        let after: String = lines.collect();
        // The blank line ahead of the heading belongs to the block.
        if let Some(shorter) = before.strip_suffix("\n\n") {
            before = format!("{shorter}\n");
        }
        Self { before, bullets, after, ends_in_newline: prompt.ends_with('\n') }
    }

    /// The whole prompt. Without bullets, no heading stands there either.
    pub fn render(&self) -> String {
        let mut text = self.before.clone();
        if !self.bullets.is_empty() {
            if !text.is_empty() {
                if !text.ends_with('\n') {
                    text.push('\n');
                }
                text.push('\n');
            }
            text.push_str(HEADING);
            text.push('\n');
            for bullet in &self.bullets {
                text.push_str("- [");
                text.push_str(&bullet.id);
                text.push_str("] ");
                text.push_str(&bullet.text);
                text.push('\n');
            }
        }
        text.push_str(&self.after);
        if !self.ends_in_newline {
            text.truncate(text.trim_end_matches('\n').len());
        }
        text
    }

    /// The bullets, in order.
    pub fn bullets(&self) -> &[Bullet] {
        &self.bullets
    }

    /// The prompt without the learned block.
    pub fn human_text(&self) -> String {
        Self { bullets: Vec::new(), ..self.clone() }.render()
    }

    pub(super) fn add(&mut self, text: &str) -> Result<(), EditError> {
        let text = one_line(text)?;
        let number = |bullet: &Bullet| bullet.id.strip_prefix('w')?.parse::<u32>().ok();
        let last = self.bullets.iter().filter_map(number).max().unwrap_or(0);
        let id = format!("w{}", last.saturating_add(1));
        self.bullets.push(Bullet { id, text });
        Ok(())
    }

    pub(super) fn change(&mut self, id: &str, text: &str) -> Result<(), EditError> {
        let text = one_line(text)?;
        let bullet = self.bullets.iter_mut().find(|bullet| bullet.id == id);
        bullet.ok_or_else(|| EditError::NoBullet(id.to_owned()))?.text = text;
        Ok(())
    }

    pub(super) fn remove(&mut self, id: &str) -> Result<(), EditError> {
        let count = self.bullets.len();
        self.bullets.retain(|bullet| bullet.id != id);
        if self.bullets.len() == count {
            return Err(EditError::NoBullet(id.to_owned()));
        }
        Ok(())
    }
}

fn parse_bullet(line: &str) -> Option<Bullet> {
    let (id, text) = line.trim_end().strip_prefix("- [")?.split_once("] ")?;
    let numbered = id.strip_prefix('w')?.parse::<u32>().is_ok();
    numbered.then(|| Bullet { id: id.to_owned(), text: text.to_owned() })
}

fn one_line(text: &str) -> Result<String, EditError> {
    let trimmed = text.trim();
    if trimmed.is_empty() || trimmed.chars().any(|c| c.is_control() || c == '\u{2028}') {
        return Err(EditError::NotOneLine(text.chars().take(80).collect()));
    }
    Ok(trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bullets_come_and_go_and_ids_stay() {
        let mut guidance = Guidance::parse("Be kind.\n");
        guidance.add("First.").unwrap();
        guidance.add("Second.").unwrap();
        let text = guidance.render();
        assert_eq!(text, "Be kind.\n\n## Learned guidance\n- [w1] First.\n- [w2] Second.\n");

        let mut guidance = Guidance::parse(&text);
        guidance.remove("w1").unwrap();
        guidance.add("Third.").unwrap();
        guidance.change("w2", "2nd.").unwrap();
        let text = guidance.render();
        assert_eq!(text, "Be kind.\n\n## Learned guidance\n- [w2] 2nd.\n- [w3] Third.\n");

        let mut guidance = Guidance::parse(&text);
        guidance.remove("w2").unwrap();
        guidance.remove("w3").unwrap();
        assert_eq!(guidance.render(), "Be kind.\n");
        assert_eq!(guidance.remove("w3"), Err(EditError::NoBullet("w3".to_owned())));
    }

    #[test]
    fn a_bullet_is_one_line() {
        let mut guidance = Guidance::parse("x");
        for text in ["", "  ", "a\nb", "a\r- [w9] b", "\u{1b}[31m"] {
            assert!(guidance.add(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_a_person_wrote_after_the_block_stays() {
        let text = "A\n\n## Learned guidance\n- [w1] B\n\nC\n";
        let mut guidance = Guidance::parse(text);
        assert_eq!(guidance.render(), text);
        guidance.remove("w1").unwrap();
        assert_eq!(guidance.render(), "A\n\nC\n");
    }

    proptest! {
        #[test]
        fn adding_and_removing_leaves_the_humans_text(before in "[a-z{}# \n-]{0,60}", bullet in "[a-z]{1,20}") {
            prop_assume!(!before.contains(HEADING));
            let mut guidance = Guidance::parse(&before);
            guidance.add(&bullet).unwrap();
            let mut again = Guidance::parse(&guidance.render());
            prop_assert_eq!(again.bullets().len(), 1);
            again.remove("w1").unwrap();
            let text = again.render();
            prop_assert_eq!(text.trim_end(), before.trim_end());
        }
    }
}
