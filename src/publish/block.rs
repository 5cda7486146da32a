//! Changes a `>` or `|` block by replacing only the lines that differ. Pure.
//!
//! A block's text is taken apart line by line, so that each source line knows where in the text it
//! stands. What the old and the new text share at both ends keeps its bytes, hand-wrapped lines
//! included; what lies between is written in the block's own style. Nothing here is trusted: the
//! caller parses the result and takes it only if it means what was wanted.

use super::render::{first_line, fits_a_block, is_spaced};

/// One line with something on it, and the empty lines ahead of it.
struct Line<'t> {
    /// The empty lines ahead, with their line breaks.
    gap: &'t str,
    /// How many those are.
    blanks: usize,
    /// The whole line with indentation and line break.
    raw: &'t str,
    /// What it says: neither indentation nor line break.
    content: &'t str,
    /// Where in the block's text `content` begins and ends, in bytes.
    start: usize,
    end: usize,
}

/// A block scalar, taken apart.
struct Block<'t> {
    before: &'t str,
    header: Header,
    header_text: &'t str,
    /// The rest of the header's line: a comment and the line break.
    header_rest: &'t str,
    indent: usize,
    key_column: usize,
    lines: Vec<Line<'t>>,
    /// Empty lines that follow the last line.
    trailing: &'t str,
    after: &'t str,
    text: String,
}

#[derive(Clone, Copy)]
struct Header {
    folded: bool,
    chomping: Option<char>,
    indicator: Option<usize>,
}

/// New versions of `source` in which the block scalar that begins at byte `at`, the value of a key
/// in column `key_column`, says `wanted`: the one that keeps the most first. Empty if there is no
/// block there, or no block can hold the text.
pub(super) fn splice(source: &str, at: usize, key_column: usize, wanted: &str) -> Vec<String> {
    let Some(block) = Block::parse(source, at, key_column) else { return Vec::new() };
    if !fits_a_block(wanted) {
        return Vec::new();
    }
    let (head, tail) = block.shared_ends(wanted.trim_end_matches('\n'));
    let count = block.lines.len();
    let mut spliced = Vec::new();
    for (head, tail) in [(head, tail), (head, count), (0, count)] {
        spliced.extend(block.with_middle(head, tail, wanted));
    }
    spliced
}

/// The range of bytes that the block at `at` covers: its header, and the end of its last line.
pub(super) fn extent(source: &str, at: usize, key_column: usize) -> Option<(usize, usize)> {
    let block = Block::parse(source, at, key_column)?;
    let header_end = at.checked_add(block.header_text.len())?;
    let end = source.len().checked_sub(block.after.len() + block.trailing.len())?;
    Some((header_end, end))
}

impl<'t> Block<'t> {
    fn parse(source: &'t str, at: usize, key_column: usize) -> Option<Self> {
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

    /// How many lines at the beginning, and from which line on to the end, say what `wanted` says
    /// there too, and can stand beside what comes between.
    fn shared_ends(&self, wanted: &str) -> (usize, usize) {
        let old = self.text.as_str();
        let shared = common_prefix(old, wanted);
        let mut head = self.lines.iter().take_while(|line| line.end <= shared).count();
        while let Some(last) = head.checked_sub(1).and_then(|index| self.lines.get(index)) {
            let rest = wanted.get(last.end..).unwrap_or_default();
            if rest.is_empty() || rest.starts_with('\n') || self.folds(last.content, rest) {
                break;
            }
            head -= 1;
        }
        let old_rest = old.get(shared..).unwrap_or_default();
        let wanted_rest = wanted.get(shared..).unwrap_or_default();
        let shared_end = old.len() - common_suffix(old_rest, wanted_rest);
        let from = self.lines.iter().take_while(|line| line.start < shared_end).count().max(head);
        let fits = |index: &usize| {
            let Some(line) = self.lines.get(*index) else { return true };
            let end = wanted.len() - (old.len() - line.start);
            let ahead = wanted.get(..end).unwrap_or_default();
            ahead.is_empty()
                || ahead.ends_with('\n')
                || (self.header.folded && ahead.ends_with(' ') && !is_spaced(line.content))
        };
        let count = self.lines.len();
        (head, (from..count).find(fits).unwrap_or(count))
    }

    /// Whether `rest` can follow `line` after a line break that folds into a space.
    fn folds(&self, line: &str, rest: &str) -> bool {
        let next = rest.strip_prefix(' ').unwrap_or(" ");
        self.header.folded
            && !is_spaced(line)
            && !next.is_empty()
            && !next.starts_with([' ', '\t', '\n'])
    }

    /// The source with lines `..head` and `tail..` as they are, and between them what `wanted` has
    /// there.
    fn with_middle(&self, head: usize, tail: usize, wanted: &str) -> Option<String> {
        let wanted_body = wanted.trim_end_matches('\n');
        let trailing_breaks = wanted.len() - wanted_body.len();
        let kept = self.lines.get(..head)?;
        let rest = self.lines.get(tail..)?;
        let begin = kept.last().map_or(0, |line| line.end);
        let end = match rest.first() {
            Some(line) => wanted_body.len().checked_sub(self.text.len() - line.start)?,
            None => wanted_body.len(),
        };
        let middle = wanted_body.get(begin..end)?;
        let rows = self.rows(middle, kept.last(), rest.first())?;

        let line_break = if self.header_rest.ends_with("\r\n") { "\r\n" } else { "\n" };
        let pad = " ".repeat(self.indent);
        let mut body = String::new();
        for line in kept {
            body.push_str(line.gap);
            body.push_str(line.raw);
        }
        // Empty lines beside what is kept stay as they are, white space and all.
        let mut old_gap = self.lines.get(head);
        for (blanks, content) in &rows.contents {
            end_line(&mut body, line_break);
            match old_gap.take().filter(|line| line.blanks == *blanks) {
                Some(line) => body.push_str(line.gap),
                None => body.push_str(&line_break.repeat(*blanks)),
            }
            body.push_str(&pad);
            body.push_str(content);
            body.push_str(line_break);
        }
        for (index, line) in rest.iter().enumerate() {
            end_line(&mut body, line_break);
            if index == 0 && line.blanks != rows.blanks_after {
                body.push_str(&line_break.repeat(rows.blanks_after));
            } else {
                body.push_str(line.gap);
            }
            body.push_str(line.raw);
        }
        let unended = self.lines.last().is_some_and(|line| !line.raw.ends_with('\n'));
        if unended && trailing_breaks == 0 {
            body.truncate(without_break(&body).len());
        } else {
            end_line(&mut body, line_break);
        }
        self.assemble(wanted, &body, line_break)
    }

    /// Puts header, body and what surrounds them together, with the chomping that `wanted` needs.
    fn assemble(&self, wanted: &str, body: &str, line_break: &str) -> Option<String> {
        let wanted_breaks = wanted.len() - wanted.trim_end_matches('\n').len();
        let ended = usize::from(body.ends_with('\n'));
        let blanks = self.trailing.matches('\n').count();
        let breaks_now = match self.header.chomping {
            Some('-') => 0,
            Some(_) => ended + ended * blanks,
            None => ended,
        };
        let mut header = self.header;
        let mut trailing = self.trailing.to_owned();
        if breaks_now != wanted_breaks {
            header.chomping = match wanted_breaks {
                0 => Some('-'),
                1 => None,
                _ => Some('+'),
            };
            if wanted_breaks > 1 {
                trailing = line_break.repeat(wanted_breaks - 1);
            }
        }
        if header.indicator.is_none() && first_line(wanted).is_some_and(is_spaced) {
            let digit = self.indent.checked_sub(self.key_column)?;
            header.indicator = (1..=9).contains(&digit).then_some(digit);
            header.indicator?;
        }
        let header = header.render();
        // Their order is the writer's choice: rewrite only what says something else.
        let same = Header::parse(self.header_text).is_some_and(|(old, _)| old.render() == header);
        let header = if same { self.header_text } else { &header };
        let rest = self.header_rest;
        Some([self.before, header, rest, body, &trailing, self.after].concat())
    }

    /// `middle` as lines, each with the number of empty lines ahead of it; `None` if it cannot stand
    /// between `previous` and `next`.
    fn rows<'m>(
        &self,
        middle: &'m str,
        previous: Option<&Line<'_>>,
        next: Option<&Line<'_>>,
    ) -> Option<Rows<'m>> {
        let folded = self.header.folded;
        let next_spaced = next.map(|line| is_spaced(line.content));
        let mut above = previous.map(|line| is_spaced(line.content));
        let mut contents = Vec::new();
        if middle == " " && above.is_some() && next.is_some() {
            let folds = folded && above == Some(false) && next_spaced == Some(false);
            return folds.then_some(Rows { contents, blanks_after: 0 });
        }
        let mut rest = middle;
        loop {
            let trimmed = rest.trim_start_matches('\n');
            let breaks = rest.len() - trimmed.len();
            if trimmed.is_empty() {
                let blanks_after = match next_spaced {
                    Some(spaced) => self.blanks(above, breaks, spaced)?,
                    None => 0,
                };
                return Some(Rows { contents, blanks_after });
            }
            let line_end = trimmed.find('\n').unwrap_or(trimmed.len());
            let (mut content, after) = trimmed.split_at_checked(line_end)?;
            let mut blanks = self.blanks(above, breaks, is_spaced(content));
            if let Some(false) = above
                && breaks == 0
            {
                content = self.folds("", content).then(|| content.strip_prefix(' '))??;
                blanks = Some(0);
            }
            let folds_into_next = after.is_empty() && next.is_some();
            if folds_into_next {
                content = content.strip_suffix(' ').filter(|text| !text.is_empty())?;
                if !folded || is_spaced(content) || next_spaced != Some(false) {
                    return None;
                }
            }
            contents.push((blanks?, content));
            if folds_into_next {
                return Some(Rows { contents, blanks_after: 0 });
            }
            above = Some(is_spaced(content));
            rest = after;
        }
    }

    /// How many empty lines stand for `breaks` line breaks of the text between two lines, of which
    /// the upper is none at the beginning.
    fn blanks(&self, above: Option<bool>, breaks: usize, below: bool) -> Option<usize> {
        match above {
            None => Some(breaks),
            Some(above) if self.header.folded && !above && !below => (breaks > 0).then_some(breaks),
            Some(_) => breaks.checked_sub(1),
        }
    }
}

/// What is written between the lines that stay.
struct Rows<'m> {
    contents: Vec<(usize, &'m str)>,
    blanks_after: usize,
}

impl Header {
    /// The header that `text` begins with, and its length.
    fn parse(text: &str) -> Option<(Self, usize)> {
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

    fn render(self) -> String {
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

fn without_break(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

fn end_line(text: &mut String, line_break: &str) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(line_break);
    }
}

/// How many bytes two texts share at the beginning.
fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(x, y)| x == y).map(|(x, _)| x.len_utf8()).sum()
}

/// How many bytes two texts share at the end.
fn common_suffix(a: &str, b: &str) -> usize {
    a.chars()
        .rev()
        .zip(b.chars().rev())
        .take_while(|(x, y)| x == y)
        .map(|(x, _)| x.len_utf8())
        .sum()
}
