//! A run as some format told it, not yet believed; and the checks that make it a [`Trace`], or of its
//! beginning alone an [`Announcement`]. Knows no format.

use super::limits::{EARLIEST_MILLIS, MAX_FUTURE_MILLIS, MAX_NAME_BYTES, MAX_STEPS};
use super::text::{MAX_ERROR_BYTES, MAX_TEXT_BYTES, clean, cut, identity, shorten, stated_failure};
use super::{Announcement, Options, Outcome, Reason, Reject, Step, Tokens, ToolCall, Trace};
use crate::base::{AgentName, EventTime, VersionNumber};

/// What a format makes of its input.
pub(super) struct Draft {
    /// The agent the input names.
    pub(super) agent: Option<String>,
    pub(super) trace_id: String,
    pub(super) session: Option<String>,
    pub(super) version: Option<VersionNumber>,
    pub(super) start: EventTime,
    pub(super) end: EventTime,
    pub(super) outcome: Outcome,
    pub(super) task: Option<String>,
    pub(super) result: Option<String>,
    pub(super) steps: Vec<Step>,
    pub(super) retries: u32,
    pub(super) tokens: Tokens,
    pub(super) cost_usd: Option<f64>,
    pub(super) rounds: Option<u32>,
}

/// What is known of a run when it begins.
pub(super) struct Head {
    /// The agent the input names.
    pub(super) agent: Option<String>,
    pub(super) trace_id: String,
    pub(super) session: Option<String>,
    pub(super) version: Option<VersionNumber>,
    pub(super) start: EventTime,
}

impl Head {
    /// The announcement, if every check passes. A run passes the same ones: whatever ends under an id
    /// and a session began under the same.
    pub(super) fn check(self, options: &Options) -> Result<Announcement, Reject> {
        let agent = agent(self.agent, options)?.ok_or_else(no_agent)?;
        check_id(&self.trace_id)?;
        check_start(self.start, options.arrived)?;
        let session = self.session.filter(|session| !session.is_empty());
        Ok(Announcement {
            agent,
            trace_id: self.trace_id,
            session: session.map(|session| identity(&clean(&session))),
            version: self.version,
            start: self.start,
        })
    }
}

impl Draft {
    /// The trace, if every check passes; all formats pass the same ones.
    pub(super) fn check(self, options: &Options) -> Result<Trace, Reject> {
        let head = Head {
            agent: self.agent,
            trace_id: self.trace_id,
            session: self.session,
            version: self.version,
            start: self.start,
        };
        let Announcement { agent, trace_id, session, version, start } = head.check(options)?;
        check_end(start, self.end, options.arrived)?;
        if self.steps.len() > MAX_STEPS {
            let detail = format!("{} steps, at most {MAX_STEPS} are read", self.steps.len());
            return Err(Reject::new(Reason::TooManySteps, detail));
        }
        if self.cost_usd.is_some_and(|dollars| !dollars.is_finite() || dollars < 0.0) {
            let detail = "cost_usd is not a number of dollars, 0 or above";
            return Err(Reject::new(Reason::NotFinite, detail));
        }
        let shorten = |mut text: String| {
            shorten(&mut text, MAX_TEXT_BYTES);
            text
        };
        Ok(Trace {
            agent,
            trace_id,
            session,
            version,
            start,
            end: self.end,
            outcome: self.outcome,
            task: self.task.map(shorten),
            result: self.result.map(shorten),
            steps: self.steps.into_iter().map(bounded).collect::<Result<_, _>>()?,
            retries: self.retries,
            tokens: self.tokens,
            cost_usd: self.cost_usd,
            rounds: self.rounds,
        })
    }
}

impl ToolCall {
    /// Takes in the answer to this call: a failure if it is `failed`, or begins by saying so.
    pub(super) fn answered(&mut self, response: &str, failed: bool) {
        let stated = stated_failure(response);
        if failed || stated.is_some() {
            self.ok = false;
            let error = stated.unwrap_or_else(|| cut(response, MAX_ERROR_BYTES).to_owned());
            self.error = Some(error).filter(|error| !error.is_empty());
        }
    }
}

impl Tokens {
    pub(super) fn plus(self, more: Self) -> Self {
        Self {
            input: self.input.saturating_add(more.input),
            output: self.output.saturating_add(more.output),
        }
    }
}

/// The agent that a record names, or that was given for those that name none.
pub(super) fn agent(named: Option<String>, options: &Options) -> Result<Option<AgentName>, Reject> {
    let Some(name) = named else { return Ok(options.agent.clone()) };
    let name = name.parse::<AgentName>();
    name.map(Some).map_err(|problem| Reject::new(Reason::InvalidAgent, problem))
}

pub(super) fn no_agent() -> Reject {
    let detail = "the record names no agent: add \"agent\", or name one with --agent";
    Reject::new(Reason::MissingAgent, detail)
}

pub(super) fn check_id(trace_id: &str) -> Result<(), Reject> {
    let length = trace_id.len();
    if (1..=MAX_NAME_BYTES).contains(&length) && !trace_id.contains(char::is_control) {
        return Ok(());
    }
    let detail = format!("trace_id must be 1 to {MAX_NAME_BYTES} printable bytes, not {length}");
    Err(Reject::new(Reason::InvalidTraceId, detail))
}

fn check_start(start: EventTime, arrived: EventTime) -> Result<(), Reject> {
    if start.as_millis() < EARLIEST_MILLIS {
        let detail = format!("starts at {start}, before 2015: are these seconds or milliseconds?");
        return Err(Reject::new(Reason::TimeTooOld, detail));
    }
    if start.millis_since(arrived) > MAX_FUTURE_MILLIS {
        let detail = format!("starts at {start}, more than a day after its arrival at {arrived}");
        return Err(Reject::new(Reason::TimeInFuture, detail));
    }
    Ok(())
}

fn check_end(start: EventTime, end: EventTime, arrived: EventTime) -> Result<(), Reject> {
    if end.millis_since(arrived) > MAX_FUTURE_MILLIS {
        let detail = format!("ends at {end}, more than a day after its arrival at {arrived}");
        return Err(Reject::new(Reason::TimeInFuture, detail));
    }
    if end < start {
        let detail = format!("ends at {end}, before it starts at {start}");
        return Err(Reject::new(Reason::EndBeforeStart, detail));
    }
    Ok(())
}

fn bounded(step: Step) -> Result<Step, Reject> {
    Ok(match step {
        Step::Tool(mut call) => {
            if call.duration.is_some_and(|seconds| !seconds.is_finite() || seconds < 0.0) {
                let detail = format!("duration of {:?} is not a number of seconds", call.name);
                return Err(Reject::new(Reason::NotFinite, detail));
            }
            if !is_plain(&call.name) {
                call.name = tool_name(&call.name);
            }
            if let Some(error) = &mut call.error {
                shorten(error, MAX_ERROR_BYTES);
            }
            call.arguments = call.arguments.map(|text| super::text::arguments(&text));
            Step::Tool(call)
        }
        Step::Thought(mut thought) => {
            shorten(&mut thought.text, MAX_TEXT_BYTES);
            Step::Thought(thought)
        }
        Step::Llm(mut call) => {
            if let Some(model) = &mut call.model {
                shorten(model, MAX_NAME_BYTES);
            }
            Step::Llm(call)
        }
    })
}

/// Whether a tool's name is shown as it is.
fn is_plain(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A tool's name is shown, counted and put before a model: it is one line. Models do call tools by an
/// empty name; that is a fact about the run and no reason to lose it.
fn tool_name(name: &str) -> String {
    let name = clean(name);
    match cut(name.trim(), MAX_NAME_BYTES).trim_end() {
        "" => "(unnamed)".to_owned(),
        name => name.to_owned(),
    }
}
