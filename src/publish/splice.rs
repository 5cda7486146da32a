//! Changes a `>` or `|` block by replacing only the lines that differ. Pure.
//!
//! Lines that say the same before and after keep their bytes, hand-wrapped ones included; what lies
//! between is written in the block's own style. Nothing here is trusted: the caller parses the result
//! and takes it only if it means what was wanted.

use std::ops::Range;

use super::block::{Block, Header, Line, without_break};
use super::render::{first_line, fits_a_block, is_spaced};

/// Bytes beyond which a text is not compared word by word, and passages beyond which it is a new
/// text rather than a changed one.
const COMPARED_BYTES: usize = 64 * 1024;
const MAX_PASSAGES: usize = 64;

/// Where two texts differ, in bytes of each.
struct Passage {
    old: Range<usize>,
    new: Range<usize>,
}

/// New versions of `source` in which the block scalar that begins at byte `at`, the value of a key
/// in column `key_column`, says `wanted`: the one that keeps the most first. Empty if there is no
/// block there, or no block can hold the text.
pub(super) fn splice(source: &str, at: usize, key_column: usize, wanted: &str) -> Vec<String> {
    let mut spliced = Vec::new();
    spliced.extend(step_by_step(source, at, key_column, wanted));
    if let Some(block) = Block::parse(source, at, key_column) {
        spliced.extend(block.ways_to(wanted));
    }
    spliced
}

/// One passage after another, the last one first, so that lines between two of them stay too.
fn step_by_step(source: &str, at: usize, key_column: usize, wanted: &str) -> Option<String> {
    let block = Block::parse(source, at, key_column)?;
    let mut text = block.text.clone() + &"\n".repeat(block.breaks());
    let passages = passages(&text, wanted)?;
    let mut source = source.to_owned();
    for passage in passages.into_iter().rev() {
        text.replace_range(passage.old, wanted.get(passage.new)?);
        let ways = Block::parse(&source, at, key_column)?.ways_to(&text);
        source = ways.into_iter().find(|way| says(way, at, key_column, &text))?;
    }
    Some(source)
}

fn says(source: &str, at: usize, key_column: usize, text: &str) -> bool {
    Block::parse(source, at, key_column).is_some_and(|block| {
        text.strip_prefix(block.text.as_str()) == Some(&"\n".repeat(block.breaks()))
    })
}

/// Where two texts differ, word by word.
fn passages(old: &str, new: &str) -> Option<Vec<Passage>> {
    if old.len().max(new.len()) > COMPARED_BYTES {
        return None;
    }
    let (old, new) = (words(old), words(new));
    let bytes = |words: &[&str], range: Range<usize>| {
        let start = words.get(..range.start)?.iter().map(|word| word.len()).sum::<usize>();
        let len = words.get(range)?.iter().map(|word| word.len()).sum::<usize>();
        Some(start..start + len)
    };
    let ops = similar::capture_diff_slices(similar::Algorithm::Myers, &old, &new);
    let passages = ops.iter().filter(|op| op.tag() != similar::DiffTag::Equal).map(|op| {
        Some(Passage { old: bytes(&old, op.old_range())?, new: bytes(&new, op.new_range())? })
    });
    passages.collect::<Option<Vec<_>>>().filter(|passages| passages.len() <= MAX_PASSAGES)
}

/// Each with the white space after it.
fn words(text: &str) -> Vec<&str> {
    text.split_inclusive([' ', '\n']).collect()
}

impl Block<'_> {
    /// The source with this block saying `wanted`, the way that keeps the most first.
    fn ways_to(&self, wanted: &str) -> Vec<String> {
        if !fits_a_block(wanted) {
            return Vec::new();
        }
        let (head, tail) = self.shared_ends(wanted.trim_end_matches('\n'));
        let count = self.lines.len();
        let ways = [(head, tail), (head, count), (0, count)];
        ways.into_iter().filter_map(|(head, tail)| self.with_middle(head, tail, wanted)).collect()
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
        let breaks_now = self.header.breaks(body.ends_with('\n'), self.trailing);
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
