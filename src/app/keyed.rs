//! Traces that producers place by agent: an agent's owner reads them itself, and they need no way through
//! `agent-events`. Trusts no key: what is not where its agent is goes that way after all, and so does what one record
//! tells of several runs, since an agent knows a run it has taken by its record's place.

use super::codec;
use super::decode::{Kind, kind, refused, reports};
use crate::base::AgentName;
use crate::consume::{LogError, NewRecord, Record};
use crate::govern::Event;

/// What a record is.
pub(super) enum Keyed {
    /// An event of an agent that is at home in the record's partition.
    Event(Box<Event>, Kind),
    /// What must be passed on for it.
    Elsewhere(Vec<(NewRecord, Kind)>),
}

/// Reads `record`; `is_home` says whether an agent is at home in its partition. A dead letter holds at most `most`
/// bytes.
pub(super) fn read(
    record: &Record,
    most: usize,
    is_home: impl Fn(&AgentName) -> Result<bool, LogError>,
) -> Result<Keyed, LogError> {
    let mut reports = reports(record);
    if reports.len() == 1
        && let Some(Ok(event)) = reports.first()
        && is_home(&event.agent)?
        && let Some(Ok(event)) = reports.pop()
    {
        let kind = kind(&event);
        return Ok(Keyed::Event(Box::new(event), kind));
    }
    let passed_on = reports.into_iter().map(|report| match report {
        Ok(event) => (codec::event(&event), kind(&event)),
        Err(reject) => refused(record, &reject, most),
    });
    Ok(Keyed::Elsewhere(passed_on.collect()))
}
