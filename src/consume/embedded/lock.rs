//! One member a group: a locked file, which the system lets go of when its process ends, however.
//!
//! A row in the database would outlive a killed process and need a time to expire by.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use super::LogError;
use super::problem::cannot_open;

/// Held by the one live member of a group; dropping it lets the next one in.
#[derive(Debug)]
pub(super) struct GroupLock {
    file: File,
}

impl Drop for GroupLock {
    /// Closing would not be enough while a child process that is just being started still holds the
    /// descriptor; unlocking lets go of it for both.
    fn drop(&mut self) {
        let _closed_anyway = self.file.unlock();
    }
}

impl GroupLock {
    pub(super) fn take(dir: &Path, group: &str) -> Result<Self, LogError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if group.is_empty() || !group.bytes().all(plain) {
            let problem = format!("group {group:?} is not a name of letters, digits, '-' and '_'");
            return Err(cannot_open(dir, problem));
        }
        let path = dir.join(format!("group-{group}.lock"));
        let mut file = open(&path).map_err(|error| {
            cannot_open(dir, format!("{}: {error}; is the directory writable?", path.display()))
        })?;
        match file.try_lock() {
            Ok(()) => {
                // For whoever is turned away; the lock holds without it.
                let _unwritten = note_holder(&mut file);
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _unread = file.take(20).read_to_string(&mut holder);
                Err(cannot_open(dir, taken(group, holder.trim())))
            }
            Err(TryLockError::Error(error)) => {
                let problem = format!("{} cannot be locked: {error}", path.display());
                Err(cannot_open(dir, problem + "; put the directory on a local disk"))
            }
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn note_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

fn taken(group: &str, holder: &str) -> String {
    let who = if holder == std::process::id().to_string() {
        "this process already consumes".to_owned()
    } else if holder.is_empty() {
        "another process consumes".to_owned()
    } else {
        format!("process {holder} consumes")
    };
    format!("{who} group {group:?}, and one at a time may: stop it, or turn that role off here")
}
