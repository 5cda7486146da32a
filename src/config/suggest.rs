//! "Did you mean": the nearest of the words there are.

/// The candidate nearest to `written`, if it is near, about one slip in three letters, or else one
/// that goes on where it ends.
pub(super) fn nearest(written: &str, candidates: &[String]) -> Option<String> {
    let limit = (written.chars().count() / 3).max(1);
    let near = candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min();
    let longer = || candidates.iter().find(|candidate| candidate.starts_with(written));
    near.map(|(_, candidate)| candidate).or_else(longer).cloned()
}
