//! Shares a number of characters among the parts of a text. Pure.

/// How a part that is too long is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Its beginning.
    Start,
    /// Its beginning and its end: of a prompt, both say what matters.
    Ends,
}

/// Room for each of the parts `(characters, weight)` out of `budget` characters: what a part leaves of
/// its share goes to the others, by their weights.
pub(super) fn share(parts: &[(usize, usize)], budget: usize) -> Vec<usize> {
    let mut shares: Vec<Option<usize>> = vec![None; parts.len()];
    loop {
        let open = || parts.iter().zip(&shares).filter(|(_, share)| share.is_none());
        let taken: usize = shares.iter().flatten().sum();
        let left = budget.saturating_sub(taken);
        let weights = open().map(|((_, weight), _)| weight).sum::<usize>().max(1);
        let fair = |weight: usize| left.saturating_mul(weight) / weights;
        let fits = |((chars, weight), share): (&(usize, usize), &Option<usize>)| {
            share.is_none() && *chars <= fair(*weight)
        };
        let Some(index) = parts.iter().zip(&shares).position(fits) else {
            let rest = |((_, weight), share): (&(usize, usize), Option<usize>)| {
                share.unwrap_or_else(|| fair(*weight))
            };
            return parts.iter().zip(shares.clone()).map(rest).collect();
        };
        if let (Some(share), Some((chars, _))) = (shares.get_mut(index), parts.get(index)) {
            *share = Some(*chars);
        }
    }
}

/// `text` in at most `room` characters, with a note of how much is missing.
pub(super) fn cut(text: &str, room: usize, keep: Keep) -> String {
    let count = text.chars().count();
    if count <= room {
        return text.to_owned();
    }
    let note = format!("\n[{count} characters, cut to {room}]\n");
    let room = room.saturating_sub(note.chars().count());
    let head = if keep == Keep::Ends { room.div_ceil(2) } else { room };
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(count - (room - head)).collect();
    format!("{start}{note}{end}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_one_part_leaves_the_others_get() {
        assert_eq!(share(&[(10, 1), (10, 1)], 100), [10, 10]);
        assert_eq!(share(&[(10, 1), (1000, 1)], 100), [10, 90]);
        assert_eq!(share(&[(1000, 3), (1000, 1)], 100), [75, 25]);
        assert_eq!(share(&[(1000, 1), (30, 1), (1000, 1)], 100), [35, 30, 35]);
        assert_eq!(share(&[], 100), [] as [usize; 0]);
    }

    #[test]
    fn a_cut_says_so() {
        let text = "a".repeat(60) + &"z".repeat(60);
        assert_eq!(cut(&text, 120, Keep::Start), text);
        assert_eq!(cut(&text, 40, Keep::Start), "aaaaaaaaaaa\n[120 characters, cut to 40]\n");
        assert_eq!(cut(&text, 40, Keep::Ends), "aaaaaa\n[120 characters, cut to 40]\nzzzzz");
    }

    proptest! {
        #[test]
        fn shares_fit_the_budget_and_no_part_gets_more_than_it_has(
            parts in proptest::collection::vec((0usize..500, 1usize..9), 0..9), budget in 0usize..2000
        ) {
            let shares = share(&parts, budget);
            prop_assert!(shares.iter().sum::<usize>() <= budget);
            for ((chars, _), share) in parts.iter().zip(&shares) {
                prop_assert!(share <= chars);
            }
        }
    }
}
