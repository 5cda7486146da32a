//! Finds where a top-level entry of a YAML map stands. Pure.

use super::block;

/// Where an entry stands.
pub(super) struct Site {
    /// Start of the key's line.
    pub(super) line: usize,
    /// Column of the key.
    pub(super) column: usize,
    /// Where what stands beside the key begins and ends: a scalar, a block's header, or nothing.
    pub(super) head: (usize, usize),
    /// Whether something stands beside the key.
    pub(super) has_head: bool,
    /// Where the last line of the value ends.
    pub(super) end: usize,
}

impl Site {
    /// Where the entry `key` of the map `text` stands; none if it is not found or oddly written.
    pub(super) fn of(text: &str, key: &str) -> Option<Self> {
        let document = yamlpath::Document::new(text).ok()?;
        let route = yamlpath::route!(key);
        let (key_start, key_end) = document.query_key_only(&route).ok()?.location.byte_span;
        let line = text.get(..key_start)?.rfind('\n').map_or(0, |at| at + 1);
        let column = text.get(line..key_start)?.trim_start_matches('\u{feff}').len();
        let gap = text.get(key_end..)?;
        let colon = key_end + (gap.len() - gap.trim_start_matches(' ').len());
        let beside = text.get(colon..)?.strip_prefix(':').map(|_| colon + 1)?;
        let empty = Self { line, column, head: (beside, beside), has_head: false, end: beside };
        let Some(value) = document.query_exact(&route).ok()? else { return Some(empty) };
        let (start, end) = value.location.byte_span;
        let end = start + text.get(start..end)?.trim_end().len();
        if let Some((header_end, end)) = block::extent(text, start, column) {
            return Some(Self { head: (start, header_end), has_head: true, end, ..empty });
        }
        let collection = text.get(beside..start)?.contains('\n')
            && !text.get(start..)?.starts_with(['"', '\'', '|', '>']);
        if collection {
            return Some(Self { end, ..empty });
        }
        Some(Self { head: (start, end), has_head: true, end, ..empty })
    }
}
