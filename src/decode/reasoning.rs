//! Which marks of reasoning a run's thoughts carry, found by plain words.
//!
//! Words, not a model: the same thought gives the same marks on every machine, for free. It is crude,
//! and is only ever used to compare runs with each other.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

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
            Some(beginning) => (mark, format!(" {beginning}")),
            None => (mark, format!(" {phrase} ")),
        })
        .unzip();
    #[expect(clippy::expect_used, reason = "fails only for more phrases than memory holds")]
    let finder = AhoCorasick::new(phrases).expect("a finder of a few phrases");
    (finder, marks)
});

/// The marks that any of the thoughts carries.
pub(super) fn marks(trace: &Trace) -> BTreeSet<Reasoning> {
    let (finder, mark_of) = &*FINDER;
    let mut marks = BTreeSet::new();
    for step in &trace.steps {
        let Step::Thought(thought) = step else { continue };
        let words = words(&thought.text);
        // Phrases may share the space between them.
        let found = finder.find_overlapping_iter(&words);
        marks.extend(found.filter_map(|found| mark_of.get(found.pattern().as_usize())));
        if marks.len() == PHRASES.len() {
            break;
        }
    }
    marks
}

/// Lower-case words with one space before and after each: "plane" does not hold " plan ".
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len().saturating_add(2));
    words.push(' ');
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            words.push(c.to_ascii_lowercase());
        } else if c.is_alphanumeric() {
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
    }
}
