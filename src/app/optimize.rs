//! The optimize role: the slow work. It owns nothing and can be killed at any moment: a request
//! whose proposal was not committed is asked again.
//!
//! Calls run beside the loop, which goes on polling, so that a call of any length costs the member
//! neither its partitions nor its place in the group. A proposal and the mark that its request is done
//! are one step, in whatever order the calls end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tracing::Instrument as _;

use super::codec;
use super::role::{Context, Member, RoleError};
use crate::base::{AgentName, Metrics};
use crate::consume::{Partition, Place, Polled, Topic};
use crate::govern::{Event, EventBody, LlmReport, Proposal, Request};
use crate::optimize::Optimizer;

/// Requests worked on at once, each of another agent.
const CONCURRENCY: usize = 4;
/// How soon an answer is noticed.
const POLL: Duration = Duration::from_millis(50);

pub(super) fn run(context: &Context, optimizer: &Arc<Optimizer>) -> Result<(), RoleError> {
    let mut consumer = context.join("optimize", &[Topic::OptimizationRequests])?;
    let mut work = Work::new(Arc::clone(optimizer));
    while !context.stop.is_cancelled() {
        match consumer.poll(work.room(), POLL)? {
            Polled::Assigned(_) => {}
            Polled::Revoked(partitions) => work.drop(&partitions),
            Polled::Records(records) => {
                for record in records {
                    work.waiting.push_back((record.place(), codec::from_json(&record)?));
                }
            }
        }
        work.start();
        context.metrics.llm_resting.set(i64::from(optimizer.is_resting()));
        while let Some((place, proposal)) = work.answered()? {
            hand_in(&mut consumer, place, proposal, context)?;
        }
    }
    Ok(())
}

fn hand_in(
    consumer: &mut Member,
    place: Place,
    proposal: Proposal,
    context: &Context,
) -> Result<(), RoleError> {
    count(&context.metrics, &proposal);
    let (agent, at) = (proposal.request.agent.clone(), context.clock.now());
    let event = Event { agent, at, body: EventBody::Proposal(Box::new(proposal)) };
    consumer.commit_these(&[place], vec![codec::event(&event)])?;
    Ok(())
}

/// Requests that wait, and calls under way. Dropping it ends them.
struct Work {
    optimizer: Arc<Optimizer>,
    waiting: VecDeque<(Place, Request)>,
    calls: JoinSet<Proposal>,
    under_way: BTreeMap<Id, (Place, AgentName, AbortHandle)>,
}

impl Work {
    fn new(optimizer: Arc<Optimizer>) -> Self {
        Self {
            optimizer,
            waiting: VecDeque::new(),
            calls: JoinSet::new(),
            under_way: BTreeMap::new(),
        }
    }

    /// How many more requests are of use.
    fn room(&self) -> usize {
        CONCURRENCY.saturating_sub(self.under_way.len() + self.waiting.len())
    }

    /// Starts the calls there is room for: one at a time for each agent, in the order they came.
    fn start(&mut self) {
        let mut later = VecDeque::new();
        while let Some((place, request)) = self.waiting.pop_front() {
            let agent = request.id.agent.clone();
            let busy = self.under_way.values().any(|(_, other, _)| *other == agent)
                || later.iter().any(|(_, request): &(Place, Request)| request.id.agent == agent);
            if busy || self.under_way.len() >= CONCURRENCY {
                later.push_back((place, request));
                continue;
            }
            let optimizer = Arc::clone(&self.optimizer);
            let span = tracing::debug_span!("propose", request = %request.id);
            let call = async move { optimizer.propose(&request).await }.instrument(span);
            let handle = self.calls.spawn_on(call, &Handle::current());
            self.under_way.insert(handle.id(), (place, agent, handle));
        }
        self.waiting = later;
    }

    /// A call that has ended, if one has.
    fn answered(&mut self) -> Result<Option<(Place, Proposal)>, RoleError> {
        while let Some(ended) = self.calls.try_join_next_with_id() {
            match ended {
                Ok((id, proposal)) => {
                    if let Some((place, ..)) = self.under_way.remove(&id) {
                        return Ok(Some((place, proposal)));
                    }
                }
                Err(ended) if ended.is_cancelled() => {}
                Err(panic) => return Err(panicked(&panic)),
            }
        }
        Ok(None)
    }

    /// Lets go of what is another member's now: its calls are made there.
    fn drop(&mut self, partitions: &[Partition]) {
        self.waiting.retain(|(place, _)| !partitions.contains(&place.partition));
        self.under_way.retain(|_, (place, _, call)| {
            let gone = partitions.contains(&place.partition);
            if gone {
                call.abort();
            }
            !gone
        });
    }
}

fn panicked(panic: &JoinError) -> RoleError {
    RoleError::Panicked(panic.to_string())
}

fn count_calls(metrics: &Metrics, llm: &LlmReport) {
    let LlmReport { calls, failed, resumed, cached, over_budget, breaker_open, .. } = llm;
    let answered = calls.saturating_sub(failed.saturating_add(*resumed));
    for (result, calls) in [
        ("answered", answered),
        ("failed", *failed),
        ("interrupted", *resumed),
        ("cached", *cached),
        ("over_budget", *over_budget),
        ("breaker_open", *breaker_open),
    ] {
        metrics.llm_calls.with_label_values(&[result]).inc_by(calls.into());
    }
    metrics.quarantined.inc_by(llm.quarantined.into());
    #[expect(clippy::cast_precision_loss, reason = "a counter of dollars, not a bill")]
    metrics.llm_cost.inc_by(llm.cost_micros.unwrap_or_default() as f64 / 1e6);
}

fn count(metrics: &Metrics, proposal: &Proposal) {
    let edits = proposal.prompt.answer.edits().len() + proposal.config.answer.edits().len();
    let result = if edits > 0 { "edits" } else { "no_change" };
    metrics.optimizations.with_label_values(&[result]).inc();
    metrics.llm_tokens.with_label_values(&["input"]).inc_by(proposal.llm.input_tokens);
    metrics.llm_tokens.with_label_values(&["output"]).inc_by(proposal.llm.output_tokens);
    count_calls(metrics, &proposal.llm);
    let gate = match (&proposal.gate, &proposal.gate_problem) {
        (Some(report), _) => Some(if report.passed { "passed" } else { "failed" }),
        (None, Some(_)) => Some("unanswered"),
        (None, None) => None,
    };
    if let Some(result) = gate {
        metrics.gate.with_label_values(&[result]).inc();
    }
    if let Some(reason) = &proposal.llm.fallback {
        metrics.llm_fallbacks.with_label_values(&["model_unavailable"]).inc();
        tracing::warn!(request = %proposal.request, %reason, "pattern edits stand in for the model");
    }
}
