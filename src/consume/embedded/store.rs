//! The statements: appending in one step, reading in order.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use super::watch::Bell;
use super::{LogError, NewRecord, Progress, Record, Topic, headers, schema};
use crate::base::{Clock, EventTime};

/// One process's handle. Reading has a connection of its own, so that it never waits for an fsync.
pub(super) struct Store {
    dir: PathBuf,
    writer: Option<Writer>,
    reader: Mutex<Connection>,
    bell: Bell,
}

struct Writer {
    connection: Mutex<Connection>,
    clock: Arc<dyn Clock>,
}

/// A step under way: all of it happens, or nothing.
pub(super) struct Step<'a> {
    transaction: Transaction<'a>,
    now: EventTime,
}

impl Store {
    pub(super) fn create(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, LogError> {
        let connection = Mutex::new(schema::create(dir)?);
        Ok(Self { writer: Some(Writer { connection, clock }), ..Self::open(dir)? })
    }

    pub(super) fn open(dir: &Path) -> Result<Self, LogError> {
        let reader = Mutex::new(schema::open(dir)?);
        Ok(Self { dir: dir.to_owned(), writer: None, reader, bell: Bell::default() })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Changes whenever another connection has committed, other processes' included.
    pub(super) fn data_version(&self) -> Result<i64, LogError> {
        let reader = lock(&self.reader);
        Ok(reader.prepare_cached("PRAGMA data_version")?.query_one([], |row| row.get(0))?)
    }

    /// Does `work` in one step, durable when this returns.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Step<'_>) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let Some(writer) = &self.writer else {
            return Err(LogError::Store("it was opened for reading only".to_owned()));
        };
        let done = {
            let mut connection = lock(&writer.connection);
            // Taking the write lock first: who reads and wants it only then may be refused it.
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let step = Step { transaction, now: writer.clock.now() };
            let done = work(&step)?;
            step.transaction.commit()?;
            done
        };
        self.bell.ring();
        Ok(done)
    }

    pub(super) fn read(
        &self,
        topic: Topic,
        offset: u64,
        max: usize,
    ) -> Result<Vec<Record>, LogError> {
        self.read_bytes(topic, offset, max, usize::MAX)
    }

    /// The same, until that is `bytes` or more.
    pub(super) fn read_bytes(
        &self,
        topic: Topic,
        offset: u64,
        max: usize,
        bytes: usize,
    ) -> Result<Vec<Record>, LogError> {
        let max = i64::try_from(max).unwrap_or(i64::MAX);
        self.select(topic, to_sql(offset), max, bytes)
    }

    pub(super) fn table(&self, topic: Topic) -> Result<Vec<Record>, LogError> {
        if !topic.compacted() {
            return Ok(Vec::new());
        }
        let mut records = self.select(topic, 0, i64::MAX, usize::MAX)?;
        records.retain(|record| !record.value.is_empty());
        Ok(records)
    }

    fn select(
        &self,
        topic: Topic,
        offset: i64,
        max: i64,
        bytes: usize,
    ) -> Result<Vec<Record>, LogError> {
        let reader = lock(&self.reader);
        let mut select = reader.prepare_cached(
            "SELECT offset, at, key, value, headers FROM records
             WHERE topic = ?1 AND offset >= ?2 ORDER BY offset LIMIT ?3",
        )?;
        let mut rows = select.query(params![topic.name(), offset, max])?;
        let (mut records, mut room) = (Vec::new(), bytes);
        while room > 0
            && let Some(row) = rows.next()?
        {
            let record = record(topic, row)?;
            room = room.saturating_sub(record.key.len() + record.value.len());
            records.push(record);
        }
        Ok(records)
    }

    /// The offset that the next record of `topic` will have.
    pub(super) fn end(&self, topic: Topic) -> Result<u64, LogError> {
        let reader = lock(&self.reader);
        let mut select = reader.prepare_cached("SELECT next FROM topics WHERE topic = ?1")?;
        let next: Option<i64> = select.query_row([topic.name()], |row| row.get(0)).optional()?;
        from_sql(next.unwrap_or_default(), "end")
    }

    /// How many records `topic` holds from `offset` on.
    pub(super) fn count(&self, topic: Topic, offset: u64) -> Result<u64, LogError> {
        let reader = lock(&self.reader);
        let mut count = reader
            .prepare_cached("SELECT count(*) FROM records WHERE topic = ?1 AND offset >= ?2")?;
        let count = count.query_one(params![topic.name(), to_sql(offset)], |row| row.get(0))?;
        from_sql(count, "count")
    }
}

impl Step<'_> {
    /// The statements of this step.
    pub(super) fn sql(&self) -> &Connection {
        &self.transaction
    }

    pub(super) fn append(&self, records: &[NewRecord]) -> Result<(), LogError> {
        for record in records {
            self.append_one(record)?;
        }
        Ok(())
    }

    fn append_one(&self, record: &NewRecord) -> Result<(), LogError> {
        let (topic, compacted) = (record.topic.name(), record.topic.compacted());
        let headers = headers::write(&record.headers)?;
        let (offset, at): (i64, i64) = self
            .sql()
            .prepare_cached(
                "INSERT INTO topics VALUES (?1, 1, ?2) ON CONFLICT DO UPDATE
                 SET next = next + 1, last_at = max(last_at, excluded.last_at)
                 RETURNING next - 1, last_at",
            )?
            .query_one(params![topic, self.now.as_millis()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        if compacted {
            self.sql()
                .prepare_cached("DELETE FROM records WHERE compacted AND topic = ?1 AND key = ?2")?
                .execute(params![topic, record.key])?;
        }
        self.sql()
            .prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![topic, offset, at, record.key, record.value, headers, compacted])?;
        Ok(())
    }

    /// Where `group` goes on in `topic`, taking it over from whoever was there before: the position
    /// and the epoch to commit with.
    pub(super) fn join(&self, group: &str, topic: Topic) -> Result<(Progress, i64), LogError> {
        let (next, epoch, ahead): (i64, i64, String) = self
            .sql()
            .prepare_cached(
                "INSERT INTO groups VALUES (?1, ?2, 0, 1, '') ON CONFLICT DO UPDATE
                 SET epoch = epoch + 1 RETURNING next, epoch, ahead",
            )?
            .query_one(params![group, topic.name()], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let progress =
            Progress::resume(from_sql(next, "position")?, &ahead).map_err(LogError::Corrupt)?;
        Ok((progress, epoch))
    }

    /// Where `group` stands in `topic`; at the start if it was never there.
    pub(super) fn base(&self, group: &str, topic: Topic) -> Result<u64, LogError> {
        let mut select =
            self.sql().prepare_cached("SELECT next FROM groups WHERE name = ?1 AND topic = ?2")?;
        let next = select.query_row(params![group, topic.name()], |row| row.get(0)).optional()?;
        from_sql(next.unwrap_or_default(), "position")
    }

    /// Moves `group` to where `progress` is, if nobody has taken it over since `epoch`.
    pub(super) fn advance(
        &self,
        group: &str,
        topic: Topic,
        progress: &Progress,
        epoch: i64,
    ) -> Result<(), LogError> {
        let moved = self
            .sql()
            .prepare_cached(
                "UPDATE groups SET next = ?3, ahead = ?5
                 WHERE name = ?1 AND topic = ?2 AND epoch = ?4",
            )?
            .execute(params![
                group,
                topic.name(),
                to_sql(progress.base()),
                epoch,
                progress.ahead()
            ])?;
        if moved == 1 {
            Ok(())
        } else {
            Err(LogError::Fenced { group: group.to_owned(), advice: String::new() })
        }
    }
}

fn record(topic: Topic, row: &Row<'_>) -> Result<Record, LogError> {
    let headers: String = row.get(4)?;
    Ok(Record {
        topic,
        partition: 0,
        offset: from_sql(row.get(0)?, "offset")?,
        at: EventTime::from_millis(row.get(1)?),
        key: row.get(2)?,
        value: row.get(3)?,
        headers: headers::read(&headers)?,
    })
}

/// SQLite's integers are signed. No topic gets that long, so a greater offset is past its end.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_sql(number: i64, what: &str) -> Result<u64, LogError> {
    u64::try_from(number).map_err(|_| LogError::Corrupt(format!("{what} {number}")))
}

/// A panic elsewhere rolled its transaction back, so the connection is still good.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}
