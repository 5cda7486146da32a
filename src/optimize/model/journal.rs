//! The log of calls as an async caller meets it: files are opened, read and written on threads that may
//! wait. Where no log is wanted, nothing is remembered.

use std::sync::{Arc, Mutex, PoisonError};

use super::call_log::{CallFiles, CallLog, CallLogError};
use super::entry::{Answered, Line};
use super::index::Asked;
use crate::base::{Clock, Day, Digest};
use crate::govern::{Request, Spend};

/// The log of calls, opened when it is first needed.
pub(super) struct Journal {
    files: Option<CallFiles>,
    log: Arc<Mutex<Option<CallLog>>>,
    clock: Arc<dyn Clock>,
}

/// What is known before a call.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// The answer, if the same was asked a while ago.
    pub(super) answer: Option<Answered>,
    /// What the agent spent today, without what this request's report tells.
    pub(super) spent: Spend,
}

impl Journal {
    pub(super) fn new(files: Option<CallFiles>, clock: Arc<dyn Clock>) -> Self {
        Self { files, log: Arc::default(), clock }
    }

    /// What earlier attempts at `request` took, that came to no end.
    ///
    /// # Errors
    /// Why the log cannot be used, for people.
    pub(super) async fn own(&self, request: &Request) -> Result<Spend, String> {
        let asked = Asked::of(request);
        let own = self.with(move |log| Ok(log.index().own(&asked))).await?;
        Ok(own.unwrap_or_default())
    }

    /// What is known before `request` is asked what has `hash`.
    ///
    /// # Errors
    /// Why the log cannot be used, for people.
    pub(super) async fn before(&self, request: &Request, hash: &Digest) -> Result<Before, String> {
        let now = self.clock.now();
        let ledger = spent_on(request, Day::of(now));
        let Some(files) = &self.files else { return Ok(Before { answer: None, spent: ledger }) };
        let millis = i64::try_from(files.cache.as_millis()).unwrap_or(i64::MAX);
        let (asked, hash) = (Asked::of(request), hash.clone());
        let before = self.with(move |log| {
            let index = log.index();
            let spent = index.others(&asked, Day::of(now), ledger);
            Ok(Before { answer: index.answer(&hash, now, millis).cloned(), spent })
        });
        Ok(before.await?.unwrap_or_default())
    }

    /// Writes `line`, onto the disk.
    ///
    /// # Errors
    /// Why the log cannot be used, for people.
    pub(super) async fn write(&self, line: Line) -> Result<(), String> {
        self.with(move |log| log.append(&line)).await.map(|_| ())
    }

    /// What `work` makes of the log; nothing where there is none.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut CallLog) -> Result<T, CallLogError> + Send + 'static,
    ) -> Result<Option<T>, String> {
        let Some(files) = self.files.clone() else { return Ok(None) };
        let (log, now) = (self.log.clone(), self.clock.now());
        let done = tokio::task::spawn_blocking(move || {
            let mut held = log.lock().unwrap_or_else(PoisonError::into_inner);
            let log = match &mut *held {
                Some(log) => log,
                none => none.insert(CallLog::open(files, now)?),
            };
            work(log)
        });
        match done.await {
            Ok(done) => done.map(Some).map_err(|problem| problem.to_string()),
            Err(panic) => Err(format!("the log of calls is out of order: {panic}")),
        }
    }
}

/// What `request` tells of what was spent on `day`.
pub(super) fn spent_on(request: &Request, day: Day) -> Spend {
    if Day::of(request.at) == day { request.spent } else { Spend::default() }
}
