//! What an input turned out to hold, with a bound on how many refusals it can cause.

use super::{Decoded, Reject, limits::MAX_REJECTS};

/// Collects what is read and refusals. What is read is bounded by the size of the input; a refusal can be had for two
/// bytes, so only the first [`MAX_REJECTS`] stand alone.
pub(super) struct Found<R> {
    decoded: Vec<Decoded<R>>,
    refused: usize,
    /// The latest refusal beyond the bound, with its line.
    latest: Option<(u64, Reject)>,
}

impl<R> Default for Found<R> {
    fn default() -> Self {
        Self { decoded: Vec::new(), refused: 0, latest: None }
    }
}

impl<R> Found<R> {
    pub(super) fn push(&mut self, decoded: Decoded<R>) {
        match decoded.result {
            Err(reject) if self.refused >= MAX_REJECTS => {
                self.refused += 1;
                self.latest = Some((decoded.line, reject));
            }
            result => {
                self.refused += usize::from(result.is_err());
                self.decoded.push(Decoded { line: decoded.line, result });
            }
        }
    }

    /// Everything in order of lines, and what was beyond the bound as one last refusal.
    pub(super) fn finish(mut self) -> Vec<Decoded<R>> {
        self.decoded.sort_by_key(|decoded| decoded.line);
        if let Some((line, Reject { reason, detail })) = self.latest {
            let more = self.refused.saturating_sub(MAX_REJECTS);
            let detail = format!("the last of {more} more that are not listed: {detail}");
            self.decoded.push(Decoded { line, result: Err(Reject::new(reason, detail)) });
        }
        self.decoded
    }
}

impl<R> Extend<Decoded<R>> for Found<R> {
    fn extend<T: IntoIterator<Item = Decoded<R>>>(&mut self, decoded: T) {
        decoded.into_iter().for_each(|decoded| self.push(decoded));
    }
}
