//! Chooses among candidates for one half of a proposal. Pure.
//!
//! No candidate has run yet, so none has a measured gain. What can be compared is which ways to fail each
//! one is aimed at, how common those are, how strong the findings behind it are, and how much it makes the
//! prompts grow. Candidates that another beats in all of that are out; of the others, on the Pareto front,
//! the one that promises most goes on. Whether it keeps its promise, live traces show.

use super::answer::Aimed;
use super::strata::Strata;
use crate::govern::{Author, Content, Edit, End};

/// What a thousand characters more of prompt cost, in shares of all failures.
const COST_OF_1000_CHARS: f64 = 0.05;

/// Edits that passed every check.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) author: Author,
    /// Who made it and how, for people.
    pub(super) by: String,
    pub(super) edits: Vec<Aimed>,
    /// How strong the findings are that it rests on, 0 to 1.
    pub(super) strength: f64,
}

/// What speaks for a candidate.
#[derive(Clone, Debug, PartialEq)]
struct Promise {
    /// By stratum, the share of all failures it is aimed at; the strength of its findings last.
    gains: Vec<f64>,
    /// Characters that it adds to the prompts.
    growth: i64,
    edits: usize,
}

/// What became of each of `candidates`, in their order, and why; one is chosen if there is any.
pub(super) fn choose(
    candidates: &[Candidate],
    strata: &Strata,
    content: &Content,
) -> Vec<(End, String)> {
    let promises: Vec<_> = candidates.iter().map(|one| Promise::of(one, strata, content)).collect();
    let beaten: Vec<_> = promises
        .iter()
        .enumerate()
        .map(|(index, one)| {
            let mut others = promises.iter().enumerate();
            others.find(|(other, promise)| promise.beats(one, *other < index)).map(|(at, _)| at)
        })
        .collect();
    let front = promises.iter().zip(&beaten).enumerate().filter(|(_, (_, by))| by.is_none());
    let best = front.max_by(|(a, (x, _)), (b, (y, _))| {
        x.score().total_cmp(&y.score()).then_with(|| y.growth.cmp(&x.growth)).then(b.cmp(a))
    });
    let Some((best, _)) = best else { return Vec::new() };
    let name = |index: usize| candidates.get(index).map_or("", |one| one.by.as_str());
    promises
        .iter()
        .zip(beaten)
        .enumerate()
        .map(|(index, (promise, by))| {
            let numbers = promise.words(strata);
            match by {
                _ if index == best => (End::Chosen, numbers),
                Some(by) => {
                    (End::Dominated, format!("{numbers}; no better than {} in anything", name(by)))
                }
                None => (End::NotChosen, format!("{numbers}; {} promises more", name(best))),
            }
        })
        .collect()
}

impl Promise {
    fn of(candidate: &Candidate, strata: &Strata, content: &Content) -> Self {
        let aimed = |place: usize| {
            let at = |aimed: &Aimed| aimed.aim.as_deref().and_then(|label| strata.place(label));
            candidate.edits.iter().any(|aimed| at(aimed) == Some(place))
        };
        let mut gains: Vec<_> = (0..strata.list.len())
            .map(|place| if aimed(place) { strata.share(place) } else { 0.0 })
            .collect();
        gains.push(candidate.strength);
        let growth =
            candidate.edits.iter().map(|aimed| growth(&aimed.proposed.edit, content)).sum();
        Self { gains, growth, edits: candidate.edits.len() }
    }

    /// Whether it is at least as good in everything, and better in something or else `first`.
    fn beats(&self, other: &Self, first: bool) -> bool {
        let pairs = || self.gains.iter().zip(&other.gains);
        let as_good = pairs().all(|(a, b)| a >= b)
            && self.growth <= other.growth
            && self.edits <= other.edits;
        as_good && (self != other || first)
    }

    fn score(&self) -> f64 {
        self.gains.iter().sum::<f64>() - real(self.growth) / 1000.0 * COST_OF_1000_CHARS
    }

    fn words(&self, strata: &Strata) -> String {
        let aims: Vec<_> = strata
            .list
            .iter()
            .zip(&self.gains)
            .filter(|(_, gain)| **gain > 0.0)
            .map(|(stratum, _)| {
                format!("{} ({} of {} failures)", stratum.label, stratum.failures, strata.failures)
            })
            .collect();
        let aims = if aims.is_empty() { "no way to fail".to_owned() } else { aims.join(" and ") };
        let strength = self.gains.last().copied().unwrap_or_default();
        format!(
            "aimed at {aims}; strongest finding {strength:.2}; {} edits, {:+} characters",
            self.edits, self.growth
        )
    }
}

/// Characters that `edit` adds to the prompts of `content`, below 0 if it takes some away.
fn growth(edit: &Edit, content: &Content) -> i64 {
    let chars = |text: &str| i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    let standing = |id: &str| {
        let line = format!("- [{id}] ");
        let mut lines = content.prompts.values().flat_map(|prompt| prompt.lines());
        lines.find_map(|text| text.strip_prefix(line.as_str())).map_or(0, chars)
    };
    match edit {
        Edit::AddBullet { text } => chars(text),
        Edit::ChangeBullet { id, text } => chars(text).saturating_sub(standing(id)),
        Edit::RemoveBullet { id } => -standing(id),
        Edit::ReplaceText { old, new, .. } => chars(new).saturating_sub(chars(old)),
        Edit::SetConfig { .. } => 0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of characters")]
fn real(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::govern::Proposed;
    use crate::optimize::fixture::request;

    fn candidate(by: &str, strength: f64, edits: &[(&str, Option<&str>)]) -> Candidate {
        let edits = edits.iter().map(|(text, aim)| {
            let edit = Edit::AddBullet { text: (*text).to_owned() };
            let proposed = Proposed { edit, why: "why".to_owned() };
            Aimed { proposed, aim: aim.map(str::to_owned) }
        });
        let (author, by) = (Author::Patterns, by.to_owned());
        Candidate { author, by, edits: edits.collect(), strength }
    }

    fn ends(candidates: &[Candidate]) -> Vec<End> {
        let request = request();
        let chosen = choose(candidates, &Strata::of(&request), &request.content);
        chosen.into_iter().map(|(end, _)| end).collect()
    }

    #[test]
    fn who_helps_with_more_failures_wins_and_who_is_beaten_in_all_is_out() {
        let aimed = || candidate("aimed", 0.0, &[("Check the connection first.", Some("F1"))]);
        let aimless = candidate("aimless", 0.0, &[("Check the connection at first.", None)]);
        let short = candidate("short", 0.0, &[("Check.", None)]);
        let strong = candidate("strong", 0.4, &[("Be wary of `bad_tool`: it fails.", Some("F9"))]);
        use End::{Chosen, Dominated, NotChosen};
        assert_eq!(
            ends(&[aimless.clone(), aimed(), strong.clone()]),
            [Dominated, Chosen, NotChosen]
        );
        assert_eq!(ends(&[short.clone(), aimed()]), [NotChosen, Chosen]);
        assert_eq!(ends(&[short, aimless, strong]), [NotChosen, Dominated, Chosen]);
        assert_eq!(ends(&[aimed(), aimed()]), [Chosen, Dominated], "the first of equals");
        assert_eq!(ends(&[]), []);
    }

    #[test]
    fn the_numbers_are_given() {
        let request = request();
        let one = [candidate("a", 0.5, &[("Wait.", Some("F1"))])];
        let chosen = choose(&one, &Strata::of(&request), &request.content);
        let words =
            "aimed at F1 (12 of 12 failures); strongest finding 0.50; 1 edits, +5 characters";
        assert_eq!(chosen, [(End::Chosen, words.to_owned())]);
    }
}
