//! The tables, and the connections to them.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::problem::{cannot_open, cannot_open_because};
use super::{EmbeddedLog, LogError};

/// How long a write waits for another process's.
const BUSY: Duration = Duration::from_secs(10);

/// Rises with every change of the tables that an older program would trip over.
const VERSION: i64 = 2;

/// From the first layout: keys become bytes, and groups remember what is done ahead of their position.
const UPGRADE: &str = "
    ALTER TABLE records RENAME TO old_records;
    DROP INDEX latest;
    ALTER TABLE groups ADD COLUMN ahead TEXT NOT NULL DEFAULT '';
    CREATE TABLE records (
        topic TEXT NOT NULL, offset INTEGER NOT NULL, at INTEGER NOT NULL, key BLOB NOT NULL,
        value BLOB NOT NULL, headers TEXT NOT NULL, compacted INTEGER NOT NULL,
        PRIMARY KEY (topic, offset)
    ) STRICT;
    INSERT INTO records SELECT topic, offset, at, CAST(key AS BLOB), value, headers, compacted
        FROM old_records;
    DROP TABLE old_records;
    CREATE UNIQUE INDEX latest ON records (topic, key) WHERE compacted;
";

/// `topics` remembers the next offset, since a trimmed topic may hold no record to count on from.
/// `epoch` rises whenever a group gets a new member: what fences the one before.
const TABLES: &str = "
    CREATE TABLE topics (
        topic TEXT PRIMARY KEY, next INTEGER NOT NULL, last_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE records (
        topic TEXT NOT NULL, offset INTEGER NOT NULL, at INTEGER NOT NULL, key BLOB NOT NULL,
        value BLOB NOT NULL, headers TEXT NOT NULL, compacted INTEGER NOT NULL,
        PRIMARY KEY (topic, offset)
    ) STRICT;
    CREATE UNIQUE INDEX latest ON records (topic, key) WHERE compacted;
    CREATE TABLE groups (
        name TEXT NOT NULL, topic TEXT NOT NULL, next INTEGER NOT NULL, epoch INTEGER NOT NULL,
        ahead TEXT NOT NULL DEFAULT '', PRIMARY KEY (name, topic)
    ) STRICT, WITHOUT ROWID;
";

/// A connection that writes, to a file that is made if it is missing.
pub(super) fn create(dir: &Path) -> Result<Connection, LogError> {
    fs::create_dir_all(dir).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            cannot_open(dir, "it is not a directory: set data_dir to one")
        }
        _ => cannot_open(dir, format!("{error}: set data_dir to a directory you may write")),
    })?;
    // Two first openers at once would trip over each other's change to WAL.
    let turn = dir.join("open.lock");
    let turn =
        File::create(&turn).and_then(|file| file.lock().map(|()| file)).map_err(|error| {
            cannot_open(dir, format!("{}: {error}; is the directory writable?", turn.display()))
        })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut connection = connect(dir, flags)?;
    prepare(&mut connection).map_err(|error| cannot_open_because(dir, error))?;
    drop(turn);
    check_version(&connection, dir)?;
    Ok(connection)
}

/// A connection that only reads, to a file that must be there.
pub(super) fn open(dir: &Path) -> Result<Connection, LogError> {
    if !dir.join(EmbeddedLog::FILE).is_file() {
        let problem = format!("there is no {} in it: is data_dir right?", EmbeddedLog::FILE);
        return Err(cannot_open(dir, problem));
    }
    let connection = connect(dir, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    check_version(&connection, dir)?;
    Ok(connection)
}

fn connect(dir: &Path, flags: OpenFlags) -> Result<Connection, LogError> {
    // Each connection stands behind a mutex of ours.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(dir.join(EmbeddedLog::FILE), flags)
        .and_then(|connection| connection.busy_timeout(BUSY).map(|()| connection))
        .map_err(|error| cannot_open_because(dir, error))
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    let step = connection.transaction()?;
    let tables = match version(&step)? {
        0 => Some(TABLES),
        1 => Some(UPGRADE),
        _ => None,
    };
    if let Some(tables) = tables {
        step.execute_batch(tables)?;
        step.pragma_update(None, "user_version", VERSION)?;
    }
    step.commit()
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn check_version(connection: &Connection, dir: &Path) -> Result<(), LogError> {
    let found = version(connection).map_err(|error| cannot_open_because(dir, error))?;
    if found == VERSION {
        return Ok(());
    }
    let problem = if found == 1 {
        "an older whetstone wrote it: `whetstone run` brings it up to date".to_owned()
    } else if found > VERSION {
        format!("a newer whetstone wrote it (format {found}, this one reads {VERSION}): upgrade")
    } else {
        format!("format {found} is not one that whetstone writes: is it another program's file?")
    };
    Err(cannot_open(dir, problem))
}
