//! Groups error signatures into ways to fail: those that differ in some words only are one. Pure.
//!
//! Two messages belong together if they share more than half of their words in order, as in Spell (M. Du
//! and F. Li, ICDM 2016): the template of a group is what all its members share, with `<*>` in the gaps.
//! Exact texts would split one fault over its names and numbers; a model's own grouping would cost a call
//! and change from day to day.

/// Stands in a template where members differ.
const GAP: &str = "<*>";
/// The most words of a message that are looked at.
const MAX_WORDS: usize = 40;

/// Messages that say the same but for some words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cluster {
    /// What all of them share: hostile text.
    pub(super) template: String,
    /// The messages, the commonest first.
    pub(super) members: Vec<String>,
    /// How often they occurred, all together.
    pub(super) count: u64,
}

impl Cluster {
    /// Whether `message` is one of them.
    pub(super) fn has(&self, message: &str) -> bool {
        self.members.iter().any(|member| member == message)
    }
}

/// The groups of `messages`, each with its count, the largest first. The order in which they come does
/// not matter.
pub(super) fn mine<'a>(messages: impl IntoIterator<Item = (&'a str, u64)>) -> Vec<Cluster> {
    let mut messages: Vec<_> = messages.into_iter().collect();
    messages.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
    let mut groups: Vec<Group> = Vec::new();
    for (message, count) in messages {
        let words = words(message);
        let close = |group: &&mut Group| group.closeness(&words);
        let best = groups.iter_mut().filter(|group| group.takes(&words)).max_by_key(close);
        match best {
            Some(group) => group.add(message, &words, count),
            None => groups.push(Group::of(message, words, count)),
        }
    }
    let mut clusters: Vec<_> = groups.into_iter().map(|group| group.cluster).collect();
    clusters.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.template.cmp(&b.template)));
    clusters
}

/// A group under way. What a message must share to join is measured against the first: against the
/// template, which only gets shorter, anything would fit in the end.
struct Group {
    first: Vec<String>,
    template: Vec<String>,
    cluster: Cluster,
}

impl Group {
    fn of(message: &str, words: Vec<String>, count: u64) -> Self {
        let cluster =
            Cluster { template: words.join(" "), members: vec![message.to_owned()], count };
        Self { first: words.clone(), template: words, cluster }
    }

    fn closeness(&self, words: &[String]) -> usize {
        common(&self.template, words).len()
    }

    fn takes(&self, words: &[String]) -> bool {
        self.first == words || 2 * self.closeness(words) > self.first.len().max(words.len())
    }

    fn add(&mut self, message: &str, words: &[String], count: u64) {
        self.template = with_gaps(&self.template, words);
        self.cluster.template = self.template.join(" ");
        self.cluster.members.push(message.to_owned());
        self.cluster.count = self.cluster.count.saturating_add(count);
    }
}

fn words(message: &str) -> Vec<String> {
    message.split_whitespace().take(MAX_WORDS).map(str::to_owned).collect()
}

/// The places, in `template` and in `words`, of a longest row of words that both have in order.
fn common(template: &[String], words: &[String]) -> Vec<(usize, usize)> {
    let (rows, columns) = (template.len(), words.len());
    let mut longest = vec![vec![0_usize; columns + 1]; rows + 1];
    let at = |table: &[Vec<usize>], i: usize, j: usize| {
        table.get(i).and_then(|row| row.get(j)).copied().unwrap_or_default()
    };
    let same = |i: usize, j: usize| {
        let (ours, theirs) = (template.get(i), words.get(j));
        ours == theirs && ours.is_some_and(|word| word != GAP)
    };
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            let length = if same(i, j) {
                at(&longest, i + 1, j + 1) + 1
            } else {
                at(&longest, i + 1, j).max(at(&longest, i, j + 1))
            };
            if let Some(cell) = longest.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = length;
            }
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < rows && j < columns {
        if same(i, j) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if at(&longest, i + 1, j) >= at(&longest, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// What both have, with one gap wherever either has more.
fn with_gaps(template: &[String], words: &[String]) -> Vec<String> {
    let mut merged: Vec<String> = Vec::new();
    let (mut i, mut j) = (0, 0);
    let gap = |merged: &mut Vec<String>, wanted: bool| {
        if wanted && merged.last().is_none_or(|last| last != GAP) {
            merged.push(GAP.to_owned());
        }
    };
    for (at, there) in common(template, words) {
        gap(&mut merged, at > i || there > j);
        merged.extend(template.get(at).cloned());
        (i, j) = (at + 1, there + 1);
    }
    gap(&mut merged, i < template.len() || j < words.len());
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(messages: &[(&str, u64)]) -> Vec<(String, u64)> {
        let clusters = mine(messages.iter().copied());
        clusters.into_iter().map(|cluster| (cluster.template, cluster.count)).collect()
    }

    #[test]
    fn what_differs_in_a_few_words_is_one_way_to_fail() {
        let found = shown(&[
            ("submit: environment must be one of prod, dev; got production", 5),
            ("submit: environment must be one of prod, dev; got live", 4),
            ("submit: timeout must be a whole number of seconds", 3),
            ("look: connection refused", 2),
            ("look: connection to geo refused", 1),
        ]);
        let expected = [
            ("submit: environment must be one of prod, dev; got <*>", 9),
            ("look: connection <*> refused", 3),
            ("submit: timeout must be a whole number of seconds", 3),
        ];
        assert_eq!(found, expected.map(|(text, count)| (text.to_owned(), count)));
    }

    #[test]
    fn what_shares_half_or_less_stays_apart() {
        assert_eq!(shown(&[("a b", 1), ("a c", 1)]).len(), 2);
        assert_eq!(shown(&[("a b c", 1), ("a b d", 1)]), [("a b <*>".to_owned(), 2)]);
        assert_eq!(shown(&[("", 1), ("x", 1)]).len(), 2);
    }

    #[test]
    fn a_template_that_lost_its_words_does_not_take_everything() {
        let found =
            shown(&[("a b c d e", 9), ("a b c x y", 8), ("a b c z w", 7), ("a q r s t", 1)]);
        assert_eq!(found.len(), 2, "{found:?}");
    }

    proptest! {
        #[test]
        fn every_message_is_in_one_group_and_none_is_counted_twice(
            messages in proptest::collection::btree_map("[abc]( [abcd]){0,5}", 1u64..9, 0..12),
            reversed in any::<bool>(),
        ) {
            let mut list: Vec<_> =
                messages.iter().map(|(text, count)| (text.as_str(), *count)).collect();
            let clusters = mine(list.iter().copied());
            prop_assert_eq!(
                clusters.iter().map(|cluster| cluster.count).sum::<u64>(),
                messages.values().sum::<u64>()
            );
            for text in messages.keys() {
                prop_assert_eq!(clusters.iter().filter(|cluster| cluster.has(text)).count(), 1);
            }
            if reversed {
                list.reverse();
            }
            prop_assert_eq!(mine(list), clusters);
        }
    }
}
