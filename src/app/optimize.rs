//! The optimize role: the slow work. It owns nothing and can be killed at any moment: a request
//! whose proposal was not committed is asked again.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::codec;
use super::role::{Context, RoleError};
use crate::base::Metrics;
use crate::consume::Topic;
use crate::govern::{Event, EventBody, Proposal, Request};
use crate::optimize::Optimizer;

/// Requests worked on at once, each of another agent: an agent has at most one open.
const CONCURRENCY: usize = 4;

pub(super) fn run(context: &Context, optimizer: &Arc<Optimizer>) -> Result<(), RoleError> {
    let mut consumer = context.join("optimize", &[Topic::OptimizationRequests])?;
    while let Some(records) = consumer.next(CONCURRENCY)? {
        let requests = records.iter().map(codec::from_json).collect::<Result<Vec<_>, _>>()?;
        let Some(proposals) = Handle::current().block_on(answer(requests, optimizer, context))
        else {
            return Ok(());
        };
        let at = context.clock.now();
        let events = proposals.into_iter().map(|proposal| {
            count(&context.metrics, &proposal);
            let agent = proposal.request.agent.clone();
            codec::event(&Event { agent, at, body: EventBody::Proposal(proposal) })
        });
        consumer.commit(events.collect())?;
    }
    Ok(())
}

/// The answers, in any order; `None` if the role was told to end first.
async fn answer(
    requests: Vec<Request>,
    optimizer: &Arc<Optimizer>,
    context: &Context,
) -> Option<Vec<Proposal>> {
    let mut work = JoinSet::new();
    for request in requests {
        let optimizer = optimizer.clone();
        work.spawn(async move { optimizer.propose(&request).await });
    }
    tokio::select! {
        proposals = work.join_all() => Some(proposals),
        () = context.stop.cancelled() => None,
    }
}

fn count(metrics: &Metrics, proposal: &Proposal) {
    let edits = proposal.prompt.answer.edits().len() + proposal.config.answer.edits().len();
    let result = if edits > 0 { "edits" } else { "no_change" };
    metrics.optimizations.with_label_values(&[result]).inc();
    metrics.llm_tokens.with_label_values(&["input"]).inc_by(proposal.llm.input_tokens);
    metrics.llm_tokens.with_label_values(&["output"]).inc_by(proposal.llm.output_tokens);
    if let Some(reason) = &proposal.llm.fallback {
        metrics.llm_fallbacks.with_label_values(&["model_unavailable"]).inc();
        tracing::warn!(request = %proposal.request, %reason, "pattern edits stand in for the model");
    }
}
