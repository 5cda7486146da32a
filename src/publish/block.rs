//! Takes a `>` or `|` block apart, so that each line knows where in the text it stands. Pure.

use super::render::is_spaced;

/// One line with something on it, and the empty lines ahead of it.
pub(super) struct Line<'t> {
    /// The empty lines ahead, with their line breaks.
    pub(super) gap: &'t str,
    /// How many those are.
    pub(super) blanks: usize,
    /// The whole line with indentation and line break.
    pub(super) raw: &'t str,
    /// What it says: neither indentation nor line break.
    pub(super) content: &'t str,
    /// Where in the block's text `content` begins and ends, in bytes.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A block scalar, taken apart.
pub(super) struct Block<'t> {
    pub(super) before: &'t str,
    pub(super) header: Header,
    pub(super) header_text: &'t str,
    /// The rest of the header's line: a comment and the line break.
    pub(super) header_rest: &'t str,
    pub(super) indent: usize,
    pub(super) key_column: usize,
    pub(super) lines: Vec<Line<'t>>,
    /// Empty lines that follow the last line.
    pub(super) trailing: &'t str,
    pub(super) after: &'t str,
    /// What it says, without the line breaks at its end.
    pub(super) text: String,
}

#[derive(Clone, Copy)]
pub(super) struct Header {
    pub(super) folded: bool,
    pub(super) chomping: Option<char>,
    pub(super) indicator: Option<usize>,
}

/// The range of bytes that the block at `at` covers: its header, and the end of its last line.
pub(super) fn extent(source: &str, at: usize, key_column: usize) -> Option<(usize, usize)> {
    let block = Block::parse(source, at, key_column)?;
    let header_end = at.checked_add(block.header_text.len())?;
    let end = source.len().checked_sub(block.after.len() + block.trailing.len())?;
    Some((header_end, end))
}

impl<'t> Block<'t> {
    /// The block that begins at byte `at`, the value of a key in column `key_column`.
    pub(super) fn parse(source: &'t str, at: usize, key_column: usize) -> Option<Self> {
        let (before, from_header) = source.split_at_checked(at)?;
        let (header, header_len) = Header::parse(from_header)?;
        let header_line = from_header.split_inclusive('\n').next()?;
        let (header_text, header_rest) = header_line.split_at_checked(header_len)?;
        let note = header_rest.trim();
        if !(note.is_empty() || (note.starts_with('#') && is_spaced(header_rest))) {
            return None;
        }
        let body = from_header.get(header_line.len()..)?;
        let indent = match header.indicator {
            Some(digit) => key_column.checked_add(digit)?,
            None => body.split_inclusive('\n').find_map(indent_of)?,
        };
        if indent <= key_column {
            return None;
        }

        let mut lines = Vec::new();
        let mut kept = 0;
        let mut gap_start = 0;
        let mut blanks = 0;
        let mut position = 0_usize;
        for raw in body.split_inclusive('\n') {
            let line = without_break(raw);
            let spaces = line.len() - line.trim_start_matches(' ').len();
            let start = position;
            position += raw.len();
            if spaces == line.len() && spaces <= indent {
                blanks += 1;
                continue;
            }
            if spaces < indent {
                position = start;
                break;
            }
            let gap = body.get(gap_start..start)?;
            let content = line.get(indent..)?;
            lines.push(Line { gap, blanks, raw, content, start: 0, end: 0 });
            (kept, gap_start, blanks) = (position, position, 0);
        }
        if lines.is_empty() {
            return None;
        }
        let trailing = body.get(kept..position)?;
        let after = body.get(position..)?;
        let text = String::new();
        let mut block = Self {
            before,
            header,
            header_text,
            header_rest,
            indent,
            key_column,
            lines,
            trailing,
            after,
            text,
        };
        block.decode();
        Some(block)
    }

    /// How many line breaks its text ends in.
    pub(super) fn breaks(&self) -> usize {
        let ended = self.lines.last().is_some_and(|line| line.raw.ends_with('\n'));
        self.header.breaks(ended, self.trailing)
    }

    /// Fills in the text and where in it each line stands. Line breaks at the end are left out.
    fn decode(&mut self) {
        let folded = self.header.folded;
        let mut previous: Option<bool> = None;
        for line in &mut self.lines {
            let spaced = is_spaced(line.content);
            match previous {
                None => self.text.push_str(&"\n".repeat(line.blanks)),
                Some(before) if folded && !before && !spaced => match line.blanks {
                    0 => self.text.push(' '),
                    blanks => self.text.push_str(&"\n".repeat(blanks)),
                },
                Some(_) => self.text.push_str(&"\n".repeat(line.blanks + 1)),
            }
            line.start = self.text.len();
            self.text.push_str(line.content);
            line.end = self.text.len();
            previous = Some(spaced);
        }
    }
}

impl Header {
    /// The header that `text` begins with, and its length.
    pub(super) fn parse(text: &str) -> Option<(Self, usize)> {
        let mut chars = text.chars();
        let folded = match chars.next()? {
            '>' => true,
            '|' => false,
            _ => return None,
        };
        let mut header = Self { folded, chomping: None, indicator: None };
        let mut len = 1;
        for c in chars.take(2) {
            match c {
                '+' | '-' if header.chomping.is_none() => header.chomping = Some(c),
                '1'..='9' if header.indicator.is_none() => {
                    header.indicator = c.to_digit(10).and_then(|digit| usize::try_from(digit).ok());
                }
                _ => break,
            }
            len += 1;
        }
        Some((header, len))
    }

    /// How many line breaks a text ends in whose last line is `ended` by one, with the empty lines
    /// `trailing` after it.
    pub(super) fn breaks(self, ended: bool, trailing: &str) -> usize {
        match (self.chomping, ended) {
            (_, false) | (Some('-'), _) => 0,
            (None, true) => 1,
            (Some(_), true) => 1 + trailing.matches('\n').count(),
        }
    }

    /// As it is written.
    pub(super) fn render(self) -> String {
        let mut text = String::from(if self.folded { ">" } else { "|" });
        if let Some(digit) = self.indicator {
            text.push_str(&digit.to_string());
        }
        text.extend(self.chomping);
        text
    }
}

/// The indentation of a line with something on it.
fn indent_of(raw: &str) -> Option<usize> {
    let line = without_break(raw);
    let spaces = line.len() - line.trim_start_matches(' ').len();
    (spaces < line.len()).then_some(spaces)
}

/// A line without its line break.
pub(super) fn without_break(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}
