//! The files of the log of calls: one a day, a line before each call and one after it. They hold what
//! entry and index make of them; nothing here knows what a line means.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::entry::{Line, LoggedCall, joined};
use super::index::Index;
use crate::base::{Day, EventTime};

/// Where a day's next file begins, in bytes.
const FULL: u64 = 64 << 20;

const DAY_MILLIS: u128 = 86_400_000;

/// Where calls are logged, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFiles {
    /// The folder. It is made at the first call.
    pub folder: PathBuf,
    /// Files older than this are removed, in whole days.
    pub keep: Duration,
    /// How long an answer answers the same question again; zero for not at all.
    pub cache: Duration,
}

/// Why the log of calls cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the log of calls in {folder} cannot be {doing}: {source}", folder = folder.display())]
pub struct CallLogError {
    folder: PathBuf,
    doing: &'static str,
    source: io::Error,
}

/// The log, open for writing.
pub(super) struct CallLog {
    files: CallFiles,
    index: Index,
    current: Option<Current>,
}

struct Current {
    name: Name,
    file: File,
    length: u64,
}

/// A file's name: a day, and a count from 0 where one file would be too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    day: Day,
    part: u32,
}

impl Name {
    fn read(text: &str) -> Option<Self> {
        let stem = text.strip_suffix(".jsonl")?;
        let (day, part) = stem.split_once('.').unwrap_or((stem, "0"));
        let name = Self { day: day.parse().ok()?, part: part.parse().ok()? };
        (name.to_text() == text).then_some(name)
    }

    fn to_text(self) -> String {
        match self.part {
            0 => format!("{}.jsonl", self.day),
            part => format!("{}.{part}.jsonl", self.day),
        }
    }
}

impl CallLog {
    /// Makes the folder if need be, and reads what was logged of late.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub(super) fn open(files: CallFiles, now: EventTime) -> Result<Self, CallLogError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&files.folder);
        made.map_err(|source| problem(&files.folder, "made", source))?;
        let index = index(&files, now)?;
        let log = Self { files, index, current: None };
        log.tidy(Day::of(now))?;
        Ok(log)
    }

    /// What the lines tell.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// Writes a line, onto the disk.
    ///
    /// # Errors
    /// If that does not work: then nothing of it counts.
    pub(super) fn append(&mut self, line: &Line) -> Result<(), CallLogError> {
        let written = self.write(line);
        if written.is_err() {
            // It may have been written in part: who opens it again looks how it ends.
            self.current = None;
        }
        written.map_err(|source| problem(&self.files.folder, "written", source))?;
        self.index.take(line);
        Ok(())
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = line.to_text()?;
        text.push('\n');
        let day = Day::of(line.at());
        let fits = |current: &Current| current.name.day == day && current.length < FULL;
        let current = match self.current.take().filter(fits) {
            Some(current) => current,
            None => {
                if let Err(problem) = self.tidy(day) {
                    tracing::warn!(%problem, "old calls stay");
                }
                self.next(day)?
            }
        };
        let current = self.current.insert(current);
        current.file.write_all(text.as_bytes())?;
        current.file.sync_data()?;
        current.length += text.len() as u64;
        Ok(())
    }

    /// The file that takes the next line of `day`.
    fn next(&self, day: Day) -> io::Result<Current> {
        let names = names(&self.files.folder)?;
        let newest = names.into_iter().filter(|name| name.day == day).max();
        let mut name = newest.unwrap_or(Name { day, part: 0 });
        loop {
            let path = self.files.folder.join(name.to_text());
            let mut options = OpenOptions::new();
            let mut file = options.create(true).append(true).read(true).mode(0o600).open(path)?;
            let length = end_line(&mut file)?;
            if length < FULL {
                // That there is such a file is to survive, too.
                File::open(&self.files.folder)?.sync_all()?;
                return Ok(Current { name, file, length });
            }
            name.part += 1;
        }
    }

    /// Removes what is older than is kept.
    fn tidy(&self, today: Day) -> Result<(), CallLogError> {
        let oldest = today.plus(-days(self.files.keep));
        let removed = names(&self.files.folder).and_then(|names| {
            let mut old = names.into_iter().filter(|name| name.day < oldest);
            old.try_for_each(|name| fs::remove_file(self.files.folder.join(name.to_text())))
        });
        removed.map_err(|source| problem(&self.files.folder, "tidied", source))
    }
}

/// What the log tells that is there, without touching it; nothing if there is none.
///
/// # Errors
/// If it cannot be read.
pub(super) fn index(files: &CallFiles, now: EventTime) -> Result<Index, CallLogError> {
    let mut index = Index::default();
    let since = Day::of(now).plus(-days(files.cache).max(1));
    each_line(&files.folder, |day| day >= since, |line| index.take(&line))?;
    Ok(index)
}

/// The calls that are logged in `folder`, of `day` or of all days, oldest first; none where there is no log.
///
/// # Errors
/// If the log cannot be read.
pub fn read_calls(folder: &Path, day: Option<Day>) -> Result<Vec<LoggedCall>, CallLogError> {
    let mut lines = Vec::new();
    // A call late in the day is answered on the next.
    let wanted = |found: Day| day.is_none_or(|day| day == found || day.plus(1) == found);
    each_line(folder, wanted, |line| lines.push(line))?;
    let mut calls = joined(lines);
    calls.retain(|logged| day.is_none_or(|day| Day::of(logged.call.at) == day));
    Ok(calls)
}

fn each_line(
    folder: &Path,
    wanted: impl Fn(Day) -> bool,
    mut take: impl FnMut(Line),
) -> Result<(), CallLogError> {
    let unread = |source| problem(folder, "read", source);
    let mut found: Vec<_> =
        names(folder).map_err(unread)?.into_iter().filter(|name| wanted(name.day)).collect();
    found.sort();
    for name in found {
        let file = File::open(folder.join(name.to_text())).map_err(unread)?;
        for text in BufReader::new(file).split(b'\n') {
            // A line that was torn by a crash is passed over.
            if let Some(line) = Line::read(&text.map_err(unread)?) {
                take(line);
            }
        }
    }
    Ok(())
}

/// The files that are ours; none where there is no folder.
fn names(folder: &Path) -> io::Result<Vec<Name>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().to_str().and_then(Name::read));
    }
    Ok(names)
}

/// Ends the last line of `file` if a crash tore it; how long the file is.
fn end_line(file: &mut File) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    if length == 0 {
        return Ok(0);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == *b"\n" {
        return Ok(length);
    }
    file.write_all(b"\n")?;
    Ok(length + 1)
}

fn days(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis().div_ceil(DAY_MILLIS)).unwrap_or(i64::MAX)
}

fn problem(folder: &Path, doing: &'static str, source: io::Error) -> CallLogError {
    CallLogError { folder: folder.to_owned(), doing, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::super::entry::tests::{answer, call};
    use super::super::index::Asked;
    use super::*;
    use crate::optimize::fixture;

    const DAY: i64 = 86_400_000;

    fn files(dir: &TempDir) -> CallFiles {
        let day = Duration::from_hours(24);
        CallFiles { folder: dir.path().join("data/llm-calls"), keep: 2 * day, cache: day }
    }

    fn open(dir: &TempDir, now: i64) -> CallLog {
        CallLog::open(files(dir), EventTime::from_millis(now)).unwrap()
    }

    fn there(dir: &TempDir) -> Vec<String> {
        let mut names = names(&files(dir).folder).unwrap();
        names.sort();
        names.into_iter().map(Name::to_text).collect()
    }

    #[test]
    fn what_is_written_is_read_after_a_restart() {
        let dir = TempDir::new().unwrap();
        let asked = call(3, DAY, "a");
        let mut log = open(&dir, DAY);
        log.append(&Line::Call(Box::new(asked.clone()))).unwrap();
        log.append(&Line::Answer(answer(&asked, DAY + 1, "yes"))).unwrap();
        drop(log);
        let log = open(&dir, DAY + 2);
        assert!(log.index().answer(&asked.hash, EventTime::from_millis(DAY + 2), 9).is_some());
        let read = read_calls(&files(&dir).folder, Some("1970-01-02".parse().unwrap())).unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].answer.as_ref().unwrap().text.as_deref(), Some("yes"));
        assert_eq!(
            read_calls(&files(&dir).folder, Some("1970-01-03".parse().unwrap())).unwrap(),
            []
        );
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&files(&dir).folder.join("1970-01-02.jsonl")), 0o600);
        assert_eq!(mode(&files(&dir).folder), 0o700);
    }

    #[test]
    fn a_torn_line_costs_itself_alone() {
        let dir = TempDir::new().unwrap();
        open(&dir, DAY).append(&Line::Call(Box::new(call(1, DAY, "a")))).unwrap();
        let path = files(&dir).folder.join("1970-01-02.jsonl");
        let text = fs::read(&path).unwrap();
        fs::write(&path, [&text[..], &text[..text.len() / 2]].concat()).unwrap();
        open(&dir, DAY).append(&Line::Call(Box::new(call(2, DAY, "b")))).unwrap();
        let calls = read_calls(&files(&dir).folder, None).unwrap();
        let requests: Vec<_> = calls.iter().map(|logged| logged.call.request.as_str()).collect();
        assert_eq!(requests, ["mitigation#1", "mitigation#2"]);
    }

    #[test]
    fn a_day_has_its_file_and_old_ones_go() {
        let dir = TempDir::new().unwrap();
        let mut log = open(&dir, DAY);
        for day in 1..=4 {
            log.append(&Line::Call(Box::new(call(1, day * DAY, "a")))).unwrap();
        }
        let other = files(&dir).folder.join("notes.jsonl");
        fs::write(&other, "mine").unwrap();
        assert_eq!(there(&dir), ["1970-01-03.jsonl", "1970-01-04.jsonl", "1970-01-05.jsonl"]);
        open(&dir, 6 * DAY);
        assert_eq!(there(&dir), ["1970-01-05.jsonl"]);
        assert!(other.exists(), "what is not ours is left alone");
    }

    #[test]
    fn a_full_file_is_followed_by_another() {
        let dir = TempDir::new().unwrap();
        open(&dir, DAY);
        let path = files(&dir).folder.join("1970-01-02.jsonl");
        File::create(&path).unwrap().set_len(FULL).unwrap();
        open(&dir, DAY).append(&Line::Call(Box::new(call(1, DAY, "a")))).unwrap();
        open(&dir, DAY).append(&Line::Call(Box::new(call(2, DAY, "b")))).unwrap();
        assert_eq!(there(&dir), ["1970-01-02.jsonl", "1970-01-02.1.jsonl"]);
        assert_eq!(read_calls(&files(&dir).folder, None).unwrap().len(), 2);
    }

    #[test]
    fn what_cannot_be_written_is_an_error_that_says_where() {
        let dir = TempDir::new().unwrap();
        let mut log = open(&dir, DAY);
        fs::remove_dir_all(dir.path().join("data")).unwrap();
        fs::write(dir.path().join("data"), "in the way").unwrap();
        let error = log.append(&Line::Call(Box::new(call(1, DAY, "a")))).unwrap_err().to_string();
        assert!(error.contains("llm-calls cannot be written"), "{error}");
        assert_eq!(log.index().own(&Asked::of(&fixture::request())).calls, 0);
        assert!(CallLog::open(files(&dir), EventTime::from_millis(DAY)).is_err());
    }

    #[test]
    fn looking_makes_nothing() {
        let dir = TempDir::new().unwrap();
        index(&files(&dir), EventTime::from_millis(DAY)).unwrap();
        assert_eq!(read_calls(&files(&dir).folder, None).unwrap(), []);
        assert!(!dir.path().join("data").exists());
    }
}
