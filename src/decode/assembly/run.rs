//! From an agent's span and those below it to a run as all formats tell one.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Spans, above};
use crate::base::{EventTime, VersionNumber};
use crate::decode::draft::Draft;
use crate::decode::otlp::{
    AgentFacts, Evaluation, LlmFacts, PromptLink, Role, Rules, Span, SpanId, Status, ToolFacts,
    TraceId, Usage, agent_name,
};
use crate::decode::{LlmCall, Options, Outcome, Reason, Reject, Step, Thought, ToolCall, Trace};

/// A call of a model.
type Call<'a> = (&'a Span, &'a LlmFacts);

/// One run, before it is told.
pub(super) struct Found<'a> {
    pub(super) trace: TraceId,
    pub(super) agent: &'a Span,
    pub(super) facts: &'a AgentFacts,
    /// All spans of the trace that are there.
    pub(super) spans: &'a Spans,
    /// Those of them that belong to the run, without the agent's own.
    pub(super) below: Vec<&'a Span>,
    /// What is said of the run by others.
    pub(super) evaluations: Vec<&'a Evaluation>,
    /// How many tries failed right before it.
    pub(super) retries: u32,
}

impl Found<'_> {
    /// The run, if it makes sense.
    pub(super) fn told(mut self, rules: &Rules, arrived: EventTime) -> Result<Trace, Reject> {
        self.below.sort_by_key(|span| (span.start, span.id));
        let agent = self.facts.name.clone();
        let version = self.version(&agent)?;
        let (llm, inner) = self.calls_of_models();
        let failed = self.agent.failed();
        let output = self.facts.output.clone();
        let asked = || self.below.iter().find_map(|span| llm_of(span)?.asked.clone());
        let usage = self.usage(&llm, &inner);
        let draft = Draft {
            agent: Some(agent).filter(|agent| !agent.is_empty()),
            trace_id: run_id(self.trace, self.agent.id),
            session: Some(self.session()),
            version,
            start: time(self.agent.start),
            end: time(self.agent.end),
            outcome: self.outcome(rules),
            task: self.facts.input.clone().or_else(asked),
            result: if failed { self.agent.error.clone().or(output) } else { output },
            steps: self.steps(&llm),
            retries: self.retries,
            tokens: usage.tokens,
            cost_usd: usage.cost_micros.map(dollars),
            rounds: rounds(&llm),
        };
        draft.check(&Options::arrived(arrived))
    }

    /// The version that the spans name, if they do. Prompts of other names are not the agent's.
    fn version(&self, agent: &str) -> Result<Option<VersionNumber>, Reject> {
        let own = |link: &&PromptLink| {
            link.name.as_deref().is_none_or(|name| name == agent || agent_name(name) == agent)
        };
        let spans = std::iter::once(self.agent).chain(self.below.iter().copied());
        let links = spans.flat_map(|span| &span.prompts).filter(own);
        let versions: BTreeSet<_> = links.map(|link| link.version).collect();
        let mut versions = versions.into_iter();
        match (versions.next(), versions.next()) {
            (version, None) => Ok(version),
            (Some(one), Some(other)) => {
                let detail =
                    format!("its spans name {one} and {other}: it proves nothing of either");
                Err(Reject::new(Reason::MixedVersions, detail))
            }
            (None, Some(_)) => Ok(None),
        }
    }

    /// Conversations are what agents have; where this one has none, everything that happens for one
    /// request belongs together.
    fn session(&self) -> String {
        let own = self.agent.session.clone();
        let below = || self.below.iter().find_map(|span| span.session.clone());
        own.or_else(below).unwrap_or_else(|| self.trace.to_string())
    }

    fn outcome(&self, rules: &Rules) -> Outcome {
        let spans = std::iter::once(self.agent).chain(self.below.iter().copied());
        let own = spans.flat_map(|span| &span.evaluations);
        let said: BTreeSet<_> =
            own.chain(self.evaluations.iter().copied()).map(|said| said.outcome).collect();
        // One that fails is enough.
        if let Some(outcome) =
            [Outcome::Failure, Outcome::Aborted, Outcome::Success].iter().find(|o| said.contains(o))
        {
            return *outcome;
        }
        if let Some(outcome) = self.agent.outcome {
            return outcome;
        }
        if self.agent.failed() {
            let error = self.agent.error.as_deref().unwrap_or_default();
            let kind = error.split_once(": ").map_or(error, |(kind, _)| kind);
            let broke = rules.aborted_errors.iter().any(|broken| broken == kind);
            return if broke { Outcome::Aborted } else { Outcome::Failure };
        }
        match self.agent.status {
            Status::Ok => Outcome::Success,
            Status::Unset | Status::Error => rules.unset,
        }
    }

    /// Calls of models, and what those within them used: where two libraries are instrumented, one call
    /// has two spans, one in the other.
    fn calls_of_models(&self) -> (Vec<Call<'_>>, BTreeMap<SpanId, Usage>) {
        let (mut outer, mut inner) = (Vec::new(), BTreeMap::<_, Usage>::new());
        for span in &self.below {
            let Some(facts) = llm_of(span) else { continue };
            match above(self.spans, span, |above| llm_of(above).is_some()) {
                None => outer.push((*span, facts)),
                Some(call) => {
                    let used = inner.entry(call.id).or_default();
                    *used = used.plus(facts.usage);
                }
            }
        }
        (outer, inner)
    }

    fn usage(&self, llm: &[Call<'_>], inner: &BTreeMap<SpanId, Usage>) -> Usage {
        let calls = llm.iter().map(|(span, facts)| {
            facts.usage.or_where_unknown(inner.get(&span.id).copied().unwrap_or_default())
        });
        let sum = calls.fold(Usage::default(), Usage::plus);
        sum.or_where_unknown(self.facts.usage)
    }

    fn steps(&self, llm: &[Call<'_>]) -> Vec<Step> {
        let outer: BTreeSet<_> = llm.iter().map(|(span, _)| span.id).collect();
        let mut steps = Vec::new();
        for span in &self.below {
            match &span.role {
                Role::Tool(facts) if !self.is_told_twice(span, facts) => {
                    steps.push(Step::Tool(tool_call(span, facts)));
                }
                Role::Llm(facts) if outer.contains(&span.id) => {
                    let (model, tokens) = (facts.model.clone(), facts.usage.tokens);
                    steps.push(Step::Llm(LlmCall { model, tokens }));
                    steps.extend(facts.text.clone().map(|text| Step::Thought(Thought { text })));
                }
                Role::Agent(_) | Role::Tool(_) | Role::Llm(_) | Role::Other => {}
            }
        }
        steps
    }

    /// A tool behind a protocol has a span on either side of it.
    fn is_told_twice(&self, span: &Span, facts: &ToolFacts) -> bool {
        let same =
            |above: &Span| matches!(&above.role, Role::Tool(tool) if tool.name == facts.name);
        above(self.spans, span, same).is_some()
    }
}

/// For each agent's span, how many tries of the same agent, under the same span, failed one after the other
/// right before it began.
pub(super) fn retries(spans: &Spans) -> BTreeMap<SpanId, u32> {
    let mut tries: BTreeMap<(SpanId, &str), Vec<&Span>> = BTreeMap::new();
    for span in spans.values() {
        if let (Role::Agent(facts), Some(parent)) = (&span.role, span.parent) {
            tries.entry((parent, &facts.name)).or_default().push(span);
        }
    }
    let mut retries = BTreeMap::new();
    for mut row in tries.into_values() {
        row.sort_by_key(|span| (span.start, span.id));
        let (mut count, mut before): (u32, Option<&Span>) = (0, None);
        for span in row {
            let again = before.is_some_and(|before| before.failed() && before.end <= span.start);
            count = if again { count.saturating_add(1) } else { 0 };
            retries.insert(span.id, count);
            before = Some(span);
        }
    }
    retries
}

/// A call that failed was not a round.
fn rounds(llm: &[Call<'_>]) -> Option<u32> {
    let rounds = llm.iter().filter(|(span, _)| !span.failed()).count();
    (!llm.is_empty()).then(|| u32::try_from(rounds).unwrap_or(u32::MAX))
}

fn tool_call(span: &Span, facts: &ToolFacts) -> ToolCall {
    let mut call = ToolCall {
        name: facts.name.clone(),
        ok: true,
        error: None,
        duration: Some(seconds(span)),
        arguments: facts.arguments.clone(),
    };
    if span.failed() {
        let said = span.error.as_ref().or(facts.failure.as_ref());
        call.answered(said.map_or("", String::as_str), true);
    } else if let Some(failure) = &facts.failure {
        call.answered(failure, false);
    }
    call
}

fn llm_of(span: &Span) -> Option<&LlmFacts> {
    match &span.role {
        Role::Llm(facts) => Some(facts),
        Role::Agent(_) | Role::Tool(_) | Role::Other => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a double holds months of nanoseconds")]
fn seconds(span: &Span) -> f64 {
    span.end.saturating_sub(span.start) as f64 / 1e9
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a double holds billions of dollars to the millionth"
)]
fn dollars(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn time(nanos: u64) -> EventTime {
    EventTime::from_millis(i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX))
}

/// What a run is known by: its trace and its agent's span, as one trace may hold several runs.
pub(super) fn run_id(trace: TraceId, agent: SpanId) -> String {
    format!("{trace}-{agent}")
}
