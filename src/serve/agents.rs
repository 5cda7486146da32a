//! `GET /api/agents…`: who there is, what each runs, its versions, trials, telling runs and spending.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Json;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::changes::{Changed, Changes};
use super::diff::{Diff, diff};
use super::page::{Items, asked, limit};
use super::summary::Summary;
use super::target::{Target, parse_version};
use super::{ApiError, Server};
use crate::base::{AgentName, InvalidAgentName, VersionNumber};
use crate::fold::{Exemplar, Exemplars};
use crate::govern::{
    AgentView, Content, Decision, Reason, Split, TrialView, VersionRecord, VersionView,
};

/// Agents that an answer lists, unless asked for fewer or more.
const AGENTS: usize = 100;
/// Decisions that are looked through for an agent's past trials.
const PAST: usize = 100;

/// The agents as they stand. Calls may block, and are made off the async threads, but for those about
/// changes.
pub trait Agents: Send + Sync {
    /// Up to `limit` agents by name, those after `after`.
    ///
    /// # Errors
    /// [`ApiError`], as it is to be answered.
    fn page(&self, after: Option<&AgentName>, limit: usize) -> Result<Page, ApiError>;

    /// One agent.
    ///
    /// # Errors
    /// [`ApiError`]: that there is none, too.
    fn one(&self, agent: &AgentName) -> Result<Arc<AgentView>, ApiError>;

    /// Its versions with what they hold, oldest first.
    ///
    /// # Errors
    /// As [`Agents::one`].
    fn versions(&self, agent: &AgentName) -> Result<Vec<VersionRecord>, ApiError>;

    /// Telling runs of its active version, in their own words: hostile text that may hold secrets.
    ///
    /// # Errors
    /// As [`Agents::one`].
    fn exemplars(&self, agent: &AgentName) -> Result<Exemplars, ApiError>;

    /// How many changes there were, for one who waits for the next.
    fn changes(&self) -> watch::Receiver<Changes>;

    /// Who changed after change number `after`, if it was no more than `most`.
    fn changed(&self, after: u64, most: usize) -> Changed;
}

/// Some of the agents.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// They, by name.
    pub agents: Vec<Arc<AgentView>>,
    /// Those among them whose state does not read back.
    pub unreadable: Vec<AgentName>,
    /// After whom to go on; none if nobody follows.
    pub next: Option<AgentName>,
    /// How many agents there are in all.
    pub total: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Listed {
    items: Vec<Summary>,
    next: Option<AgentName>,
    total: usize,
    unreadable: Vec<AgentName>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// With commas between them; those that there are not are left out.
    names: Option<String>,
    after: Option<AgentName>,
    limit: Option<usize>,
}

/// A version with what it holds.
#[derive(Debug, Serialize)]
pub(super) struct Whole {
    #[serde(flatten)]
    view: VersionView,
    #[serde(skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
    reasons: Vec<Reason>,
    content: Content,
}

#[derive(Debug, Serialize)]
pub(super) struct Trials {
    current: Option<TrialView>,
    past: Vec<Arc<Decision>>,
}

/// A telling run, with nothing in it that should not be seen.
#[derive(Debug, Serialize)]
pub(super) struct Telling {
    kind: &'static str,
    trace_id: String,
    latency: f64,
    attempts: u32,
    signature: Option<String>,
    excerpt: String,
}

#[derive(Debug, Serialize)]
pub(super) struct TellingRuns {
    version: Option<VersionNumber>,
    items: Vec<Telling>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Between {
    from: Option<String>,
    to: Option<String>,
}

/// Does what may block off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|panic| ApiError::Internal(panic.to_string()))?
}

pub(super) async fn list(
    State(server): State<Server>,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Json<Listed>, ApiError> {
    let Which { names, after, limit: most } = asked(which)?;
    let most = limit(most, AGENTS)?;
    let names = names.map(|names| named(&names)).transpose()?;
    let page = blocking(move || match names {
        Some(names) => some(server.agents.as_ref(), &names),
        None => server.agents.page(after.as_ref(), most),
    });
    let page = page.await?;
    let items = page.agents.iter().map(|view| Summary::of(view)).collect();
    let Page { next, total, unreadable, .. } = page;
    Ok(Json(Listed { items, next, total, unreadable }))
}

fn named(names: &str) -> Result<Vec<AgentName>, ApiError> {
    let names: Vec<&str> = names.split(',').collect();
    limit(Some(names.len()), AGENTS)?;
    let read = names.into_iter().map(str::parse).collect::<Result<_, _>>();
    read.map_err(|problem: InvalidAgentName| {
        ApiError::BadQuery(format!("names takes agents: {problem}"))
    })
}

/// Those of the agents that are named.
fn some(agents: &dyn Agents, names: &[AgentName]) -> Result<Page, ApiError> {
    let Page { total, .. } = agents.page(None, 1)?;
    let mut page = Page { total, ..Page::default() };
    for name in names {
        match agents.one(name) {
            Ok(view) => page.agents.push(view),
            Err(ApiError::NoAgent(_) | ApiError::NotReady) => {}
            Err(_) => page.unreadable.push(name.clone()),
        }
    }
    Ok(page)
}

pub(super) async fn one(server: &Server, agent: &AgentName) -> Result<Arc<AgentView>, ApiError> {
    let (agents, agent) = (server.agents.clone(), agent.clone());
    blocking(move || agents.one(&agent)).await
}

pub(super) async fn agent(
    State(server): State<Server>,
    target: Target,
) -> Result<Json<Arc<AgentView>>, ApiError> {
    Ok(Json(one(&server, &target.agent).await?))
}

async fn whole(server: &Server, agent: &AgentName) -> Result<Vec<Whole>, ApiError> {
    let (agents, agent) = (server.agents.clone(), agent.clone());
    let (view, records) =
        blocking(move || Ok((agents.one(&agent)?, agents.versions(&agent)?))).await?;
    let mut views: BTreeMap<_, _> =
        view.versions.iter().map(|version| (version.version, version)).collect();
    let whole = records.into_iter().filter_map(|record| {
        let view = views.remove(&record.version.number)?.clone();
        let split = record.state.split().cloned();
        let (reasons, content) = (record.version.reasons, record.version.content);
        Some(Whole { view, split, reasons, content })
    });
    Ok(whole.collect())
}

pub(super) async fn versions(
    State(server): State<Server>,
    target: Target,
) -> Result<Json<Items<Whole>>, ApiError> {
    Ok(Json(Items { items: whole(&server, &target.agent).await? }))
}

pub(super) async fn version(
    State(server): State<Server>,
    target: Target,
) -> Result<Json<Whole>, ApiError> {
    let number = target.version()?;
    let mut versions = whole(&server, &target.agent).await?.into_iter();
    let found = versions.find(|version| version.view.version == number);
    found.map(Json).ok_or(ApiError::NoVersion(target.agent, number))
}

pub(super) async fn difference(
    State(server): State<Server>,
    target: Target,
    between: Result<Query<Between>, QueryRejection>,
) -> Result<Json<Diff>, ApiError> {
    let Between { from, to } = asked(between)?;
    let number = |text: Option<String>| text.map(|text| parse_version(&text)).transpose();
    let (from, to) = (number(from)?, number(to)?);
    let diff = blocking(move || {
        let agent = target.agent;
        let active = server.agents.one(&agent)?.active;
        let versions = server.agents.versions(&agent)?;
        let pick = |number: VersionNumber| {
            let found = versions.iter().find(|record| record.version.number == number);
            found.ok_or_else(|| ApiError::NoVersion(agent.clone(), number))
        };
        let to = to.or(active).ok_or_else(|| ApiError::NoPrompt(agent.to_string()))?;
        let new = &pick(to)?.version;
        let old = &pick(from.or(new.parent).ok_or(ApiError::NoParent(to))?)?.version;
        Ok(diff(old, new))
    });
    Ok(Json(diff.await?))
}

pub(super) async fn trials(
    State(server): State<Server>,
    target: Target,
) -> Result<Json<Trials>, ApiError> {
    let current = one(&server, &target.agent).await?.trial.as_deref().cloned();
    let of = |decision: &Decision| decision.agent == target.agent && decision.trial.is_some();
    let past = server.feed.decisions(None, PAST, of).await?.items;
    Ok(Json(Trials { current, past: past.into_iter().map(|(_, decision)| decision).collect() }))
}

pub(super) async fn exemplars(
    State(server): State<Server>,
    target: Target,
) -> Result<Json<TellingRuns>, ApiError> {
    let redactor = server.redactor.clone();
    let agents = server.agents;
    let found =
        blocking(move || Ok((agents.one(&target.agent)?.active, agents.exemplars(&target.agent)?)));
    let (version, Exemplars { worst, best, of_signature }) = found.await?;
    let each = of_signature.iter().filter_map(|(_, kept)| kept.as_ref());
    let other = each.filter(|kept| worst.iter().all(|run| run.trace_id != kept.trace_id));
    let failed = worst.iter().chain(other).map(|run| ("failure", run));
    let telling = |(kind, run): (&'static str, &Exemplar)| Telling {
        kind,
        trace_id: run.trace_id.clone(),
        latency: run.latency,
        attempts: run.attempts,
        signature: run.signature.as_deref().map(|text| redactor.redact(text).into_owned()),
        excerpt: redactor.redact(&run.excerpt).into_owned(),
    };
    let succeeded = best.iter().map(|run| ("success", run));
    Ok(Json(TellingRuns { version, items: failed.chain(succeeded).map(telling).collect() }))
}

pub(super) async fn spending(
    State(server): State<Server>,
    target: Target,
) -> Result<Json<Items<crate::govern::SpendView>>, ApiError> {
    Ok(Json(Items { items: one(&server, &target.agent).await?.spending.clone() }))
}

/// Agents of a server that was not told of any.
pub(super) struct Nobody;

impl Agents for Nobody {
    fn page(&self, _: Option<&AgentName>, _: usize) -> Result<Page, ApiError> {
        Err(ApiError::NotReady)
    }

    fn one(&self, _: &AgentName) -> Result<Arc<AgentView>, ApiError> {
        Err(ApiError::NotReady)
    }

    fn versions(&self, _: &AgentName) -> Result<Vec<VersionRecord>, ApiError> {
        Err(ApiError::NotReady)
    }

    fn exemplars(&self, _: &AgentName) -> Result<Exemplars, ApiError> {
        Err(ApiError::NotReady)
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        watch::Sender::new(Changes::default()).subscribe()
    }

    fn changed(&self, last: u64, _: usize) -> Changed {
        Changed { agents: None, last }
    }
}
