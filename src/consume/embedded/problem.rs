//! What SQLite says, in words that tell people what to do.

use std::path::Path;

use rusqlite::{Error, ErrorCode};

use super::LogError;

/// A directory that cannot be used, and what to do about it.
pub(super) fn cannot_open(dir: &Path, problem: impl Into<String>) -> LogError {
    LogError::Open { path: dir.display().to_string(), problem: problem.into() }
}

/// The same for what SQLite says while the log is being opened.
pub(super) fn cannot_open_because(dir: &Path, error: Error) -> LogError {
    match LogError::from(error) {
        LogError::Store(problem) | LogError::Corrupt(problem) => cannot_open(dir, problem),
        other => other,
    }
}

impl From<Error> for LogError {
    fn from(error: Error) -> Self {
        let store = |advice: &str| Self::Store(format!("{advice} ({error})"));
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => store("the disk is full: free some space and start again"),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => store(
                "another process has kept the log locked for too long: \
                 see whether one hangs, or an SQLite shell is open on it",
            ),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
                store("the file cannot be opened or written: check its owner and permissions")
            }
            Some(ErrorCode::SystemIoFailure) => {
                store("the disk failed: check it, and the system's messages, then start again")
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(format!(
                "the file is damaged or no log: restore it, or move it away to start afresh \
                 ({error})"
            )),
            Some(_) | None => Self::Store(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn each_failure_says_what_to_do() {
        let check = |code, part: &str| {
            let error = Error::SqliteFailure(ffi::Error::new(code), None);
            let text = LogError::from(error).to_string();
            assert!(text.contains(part), "{text:?} does not say {part:?}");
        };
        check(ffi::SQLITE_FULL, "the disk is full: free some space");
        check(ffi::SQLITE_BUSY, "another process has kept the log locked");
        check(ffi::SQLITE_READONLY, "check its owner and permissions");
        check(ffi::SQLITE_CANTOPEN, "check its owner and permissions");
        check(ffi::SQLITE_IOERR, "the disk failed");
        check(ffi::SQLITE_CORRUPT, "holds something it did not write: the file is damaged");
        check(ffi::SQLITE_NOTADB, "damaged or no log");
        check(ffi::SQLITE_NOMEM, "the log's store failed");
    }
}
