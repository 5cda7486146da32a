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
        let ready = prompts.catch_up(FIRST).map_err(failed)?;
        if ready {
            while !prompts.next(Duration::ZERO).map_err(failed)?.is_empty() {}
        }
        let assigned = prompts.current(agent).map(|update| Assigned::of(update, unit));
        *held = Some(prompts);
        match assigned {
            Some(assigned) if ready => Ok(assigned),
            None if ready => Err(ApiError::NoPrompt(agent.to_string())),
            _ => Err(ApiError::NotReady),
        }
    }
}

fn failed(problem: RoleError) -> ApiError {
    match problem {
        RoleError::Log(problem) => problem.into(),
        problem => ApiError::Internal(problem.to_string()),
    }
}
