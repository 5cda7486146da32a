//! Which marks of reasoning a run's thoughts carry, found by plain words.
//!
//! Words, not a model: the same thought gives the same marks on every machine, for free. It is crude,
//! and is only ever used to compare runs with each other.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use super::{Reasoning, Step, Trace};

/// Phrases of whole words, in lower case; a last word that ends in `*` stands for all it begins.
const PHRASES: [(Reasoning, &[&str]); 5] = [
    (Reasoning::Plan, &["plan", "plans", "step 1", "steps", "first i", "then i", "next i"]),
    (
        Reasoning::Hypothesis,
        &[
            "hypothes*",
            "likely cause",
            "root cause",
            "may be caused",
            "might be caused",
            "suspect*",
        ],
    ),
    (Reasoning::Verify, &["verif*", "confirm*", "double check", "make sure"]),
    (
        Reasoning::Backtrack,
        &[
            "on second thought",
            "that was wrong",
            "i was wrong",
            "instead i",
            "try another",
            "backtrack*",
        ],
    ),
    (Reasoning::Uncertain, &["not sure", "unsure", "unclear", "don t know", "do not know"]),
];

/// Finds all phrases at once, and the mark of each by its number.
static FINDER: LazyLock<(AhoCorasick, Vec<Reasoning>)> = LazyLock::new(|| {
    let all =
        PHRASES.iter().flat_map(|(mark, phrases)| phrases.iter().map(|phrase| (*mark, phrase)));
    let (marks, phrases): (Vec<_>, Vec<_>) = all
        .map(|(mark, phrase)| match phrase.strip_suffix('*') {
            Some(beginning) => (mark, beginning.to_owned()),
            None => (mark, format!("{phrase} ")),
        })
        .unzip();
    // No two begin alike and are both there, so that the first that begins somewhere is the only one. This kind of
    // search leaps over what begins none of them; a space before each would be all that it looks for.
    #[expect(clippy::expect_used, reason = "fails only for more phrases than memory holds")]
    let finder = AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(phrases)
        .expect("a finder of a few phrases");
    (finder, marks)
});

/// The marks that any of the thoughts carries.
pub(super) fn marks(trace: &Trace) -> BTreeSet<Reasoning> {
    let (finder, mark_of) = &*FINDER;
    let mut marks = BTreeSet::new();
    for step in &trace.steps {
        let Step::Thought(thought) = step else { continue };
        let words = words(&thought.text);
        // One may begin within another: it shares the space between them, or a word.
        let mut from = 1;
        while let Some(found) = finder.find(Input::new(&words).range(from..)) {
            // A phrase begins where a word does.
            if words.get(found.start() - 1) == Some(&b' ') {
                marks.extend(mark_of.get(found.pattern().as_usize()));
            }
            from = found.start() + 1;
        }
        if marks.len() == PHRASES.len() {
            break;
        }
    }
    marks
}

/// Lower-case words with one space before and after each: "plane" does not hold " plan ".
fn words(text: &str) -> Vec<u8> {
    if !text.is_ascii() {
        return any_words(text).into_bytes();
    }
    // Each byte is written, and counts unless it is one more space.
    let mut words = vec![b' '; text.len().saturating_add(2)];
    let (mut end, mut last) = (1, b' ');
    for byte in text.bytes() {
        let byte = if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b' ' };
        if let Some(place) = words.get_mut(end) {
            *place = byte;
        }
        end += usize::from(byte | last != b' ');
        last = byte;
    }
    words.truncate(if last == b' ' { end } else { end + 1 });
    words
}

fn any_words(text: &str) -> String {
    let mut words = String::with_capacity(text.len().saturating_add(2));
    words.push(' ');
    for c in text.chars() {
        if c.is_alphanumeric() {
            words.extend(c.to_lowercase());
        } else if !words.ends_with(' ') {
            words.push(' ');
        }
    }
    if !words.ends_with(' ') {
        words.push(' ');
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::EventTime;
    use crate::decode::{Outcome, Thought, Tokens};

    fn thinking(text: &str) -> Trace {
        Trace {
            agent: "a".parse().unwrap(),
            trace_id: "t".to_owned(),
            session: None,
            version: None,
            start: EventTime::from_millis(0),
            end: EventTime::from_millis(0),
            outcome: Outcome::Unknown,
            task: None,
            result: None,
            steps: vec![Step::Thought(Thought { text: text.to_owned() })],
            retries: 0,
            tokens: Tokens::default(),
            cost_usd: None,
            rounds: None,
        }
    }

    #[test]
    fn words_are_the_same_whichever_way_they_are_found() {
        for text in ["", " ", "a", " a", "a ", "A-b  c", "...", "x..", "don't", "a1 \n\t B"] {
            assert_eq!(words(text), any_words(text).into_bytes(), "{text:?}");
        }
    }

    #[test]
    fn marks_are_whole_words() {
        use Reasoning::{Backtrack, Hypothesis, Plan, Uncertain, Verify};
        let check = |text: &str, expected: &[Reasoning]| {
            assert_eq!(marks(&thinking(text)).into_iter().collect::<Vec<_>>(), expected, "{text}");
        };
        check("My plan: look, then act.", &[Plan]);
        check("First, I look.", &[Plan]);
        check("The plane has a planned explanation", &[]);
        check("I suspect the network; the hypothesis needs a test", &[Hypothesis]);
        check("Let me double-check and VERIFY", &[Verify]);
        check("On second thought, I was wrong", &[Backtrack]);
        check("I don't know; it is unclear", &[Uncertain]);
        check("", &[]);
        check("¿qué? 漢字", &[]);
        check("First I was wrong; the plan plans", &[Plan, Backtrack]);
        check("Überhaupt: PLAN", &[Plan]);
    }
}
