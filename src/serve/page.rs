//! What is asked after a `?`, and lists that are given a page at a time.

use std::fmt;
use std::str::FromStr;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use serde::Serialize;

use super::ApiError;
use crate::base::EventTime;
use crate::consume::Record;

/// The most items of a page.
const MOST: usize = 500;

/// A list that is short by itself.
#[derive(Debug, Serialize)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
}

/// What was asked for.
pub(super) fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query.map(|Query(asked)| asked).map_err(|problem| ApiError::BadQuery(problem.body_text()))
}

/// How many items to give.
pub(super) fn limit(asked: Option<usize>, otherwise: usize) -> Result<usize, ApiError> {
    let limit = asked.unwrap_or(otherwise);
    if (1..=MOST).contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiError::BadQuery(format!("limit must be 1 to {MOST}, not {limit}")))
    }
}

/// A record's place among others of its topic, oldest first: the same after a restart, whether or not the
/// record is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    at: EventTime,
    partition: i32,
    offset: u64,
}

impl Cursor {
    /// The place of `record`.
    pub fn of(record: &Record) -> Self {
        Self { at: record.at, partition: record.partition, offset: record.offset }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.at.as_millis(), self.partition, self.offset)
    }
}

impl FromStr for Cursor {
    type Err = ApiError;

    fn from_str(text: &str) -> Result<Self, ApiError> {
        let read = || {
            let mut parts = text.splitn(3, '-');
            let at = EventTime::from_millis(parts.next()?.parse().ok()?);
            let partition = parts.next()?.parse().ok()?;
            let offset = parts.next()?.parse().ok()?;
            Some(Self { at, partition, offset })
        };
        let wanted = "before takes the `next` of an earlier answer, or an item's `id`";
        read().ok_or_else(|| ApiError::BadQuery(format!("{wanted}, not {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_is_in_order_of_time() {
        let cursor =
            |at, partition, offset| Cursor { at: EventTime::from_millis(at), partition, offset };
        let (early, late) = (cursor(5, 7, 900), cursor(6, 0, 1));
        assert!(early < late);
        assert_eq!(early.to_string(), "5-7-900");
        assert_eq!("5-7-900".parse::<Cursor>().unwrap(), early);
        for text in ["", "5", "5-7", "5-7-", "a-b-c", "5-7-9-1"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
