//! "Did you mean": the nearest of the words there are.

/// The candidate nearest to `written`, if it is near: about one slip in three letters.
pub(super) fn nearest(
    written: &str,
    candidates: impl IntoIterator<Item = String>,
) -> Option<String> {
    let limit = (written.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(written, &candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}
