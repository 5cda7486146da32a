//! What each unit should run, for callers over HTTP: follows `prompt-updates` and keeps it in memory, so
//! that asking before every run costs next to nothing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::role::RoleError;
use super::subscribe::PromptSubscriber;
use crate::base::AgentName;
use crate::consume::Log;
use crate::serve::{ApiError, Assigned};

/// How long the first reading may take.
const FIRST: Duration = Duration::from_secs(10);

pub(super) struct Prompts {
    log: Arc<dyn Log>,
    /// None before the first question, and after a failure: then it is opened anew.
    held: Mutex<Option<PromptSubscriber>>,
}

impl Prompts {
    pub(super) fn new(log: Arc<dyn Log>) -> Self {
        Self { log, held: Mutex::default() }
    }

    /// What `unit` of `agent` should run now.
    pub(super) fn get(&self, agent: &AgentName, unit: &str) -> Result<Assigned, ApiError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut prompts = match held.take() {
            Some(prompts) => prompts,
            None => PromptSubscriber::new(self.log.as_ref())?,
        };
        let ready = read_on(&mut prompts)?;
        let assigned = prompts.current(agent).map(|update| Assigned::of(update, unit));
        *held = Some(prompts);
        match assigned {
            Some(assigned) if ready => Ok(assigned),
            None if ready => Err(ApiError::NoPrompt(agent.to_string())),
            _ => Err(ApiError::NotReady),
        }
    }
}

/// Takes in all there is; false if that takes too long. An update that cannot be read stands in nobody's
/// way: its agent keeps what it had.
fn read_on(prompts: &mut PromptSubscriber) -> Result<bool, ApiError> {
    loop {
        let read = match prompts.catch_up(FIRST) {
            Ok(true) => prompts.next(Duration::ZERO).map(|updates| updates.is_empty()),
            Ok(false) => return Ok(false),
            Err(problem) => Err(problem),
        };
        match read {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(problem @ RoleError::Codec(_)) => {
                tracing::error!(%problem, "left out an update of prompts");
            }
            Err(problem) => return Err(failed(problem)),
        }
    }
}

fn failed(problem: RoleError) -> ApiError {
    match problem {
        RoleError::Log(problem) => problem.into(),
        problem => ApiError::Internal(problem.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{EventTime, ManualClock, VersionNumber};
    use crate::consume::{EmbeddedLog, NewRecord, Topic};
    use crate::govern::{Author, Content, PromptUpdate, Version};

    fn update(agent: &str) -> NewRecord {
        let (content, at) = (Content::default(), EventTime::from_millis(7));
        let active = Version {
            agent: agent.parse().unwrap(),
            number: VersionNumber(3),
            parent: None,
            digest: content.digest(),
            content,
            author: Author::Patterns,
            reasons: Vec::new(),
            evidence: String::new(),
            created: at,
        };
        let agent = active.agent.clone();
        let update = PromptUpdate { agent, revision: 1, active, candidate: None, split: None, at };
        let key = update.agent.as_str().to_owned();
        NewRecord::new(Topic::PromptUpdates, key, serde_json::to_vec(&update).unwrap())
    }

    #[test]
    fn an_update_that_cannot_be_read_keeps_nobody_from_an_answer() {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(EventTime::from_millis(0)));
        let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(dir.path(), clock).unwrap());
        let odd = NewRecord::new(Topic::PromptUpdates, "odd", "{}");
        log.append(vec![update("first"), odd, update("last")]).unwrap();
        let prompts = Prompts::new(log.clone());
        let ask = |agent: &str| {
            let answer = prompts.get(&agent.parse().unwrap(), "run-1");
            answer.map(|assigned| assigned.version.0).map_err(|problem| problem.to_string())
        };
        assert_eq!((ask("first"), ask("last")), (Ok(3), Ok(3)));
        assert!(ask("odd").unwrap_err().starts_with("no version of agent"));
        log.append(vec![NewRecord::new(Topic::PromptUpdates, "first", "{}")]).unwrap();
        log.append(vec![update("later")]).unwrap();
        assert_eq!((ask("first"), ask("later")), (Ok(3), Ok(3)));
    }
}
