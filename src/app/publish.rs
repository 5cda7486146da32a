//! The publish role: projects versions into the config repo and brings people's edits back as
//! commands.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fail::fail_point;

use super::codec;
use super::recall::recall;
use super::role::{Context, Member, RoleError};
use crate::base::{AgentName, Digest, EventTime};
use crate::consume::{LogError, NewRecord, Partition, Polled, Share, Topic};
use crate::govern::{Command, CommandKind, VersionRecord};
use crate::publish::{ConfigRepo, Fetched, HumanEdit, Projection, PublishError, Pushed};

const BATCH: usize = 64;
/// How long it waits for versions before it looks at the repo again.
const POLL: Duration = Duration::from_millis(200);
/// How often a push is tried while others push at the same time.
const PUSHES: u32 = 10;
/// Between two tries at what a person has to mend.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn run(context: &Context, repo: &ConfigRepo) -> Result<(), RoleError> {
    let known = known_agents(context)?;
    let mut role = Publish { context, repo, known, adopted: BTreeMap::new(), looked: None };
    let mut consumer = context.join("publish", &[Topic::PromptVersions])?;
    while !context.stop.is_cancelled() {
        let records = match consumer.poll(BATCH, POLL)? {
            Polled::Records(records) => records,
            Polled::Assigned(partitions) => {
                context.restoring("publish", || role.take_over(&partitions, &consumer))?;
                continue;
            }
            Polled::Revoked(_) => continue,
        };
        let mut outputs = role.look_for_edits(&consumer)?;
        for record in &records {
            let record = codec::from_json(record)?;
            let Some(commands) = role.project_patiently(&record, &mut consumer)? else {
                return Ok(());
            };
            outputs.extend(commands);
        }
        if !records.is_empty() {
            fail_point!("publish-projected", |_| std::process::abort());
            role.push(&consumer)?;
            fail_point!("publish-pushed", |_| std::process::abort());
        }
        if !(records.is_empty() && outputs.is_empty()) {
            consumer.commit(outputs)?;
        }
    }
    Ok(())
}

/// Agents of which the log knows versions.
fn known_agents(context: &Context) -> Result<BTreeSet<AgentName>, RoleError> {
    let versions = context.log.table(Topic::PromptVersions, Share::All)?;
    Ok(versions.iter().map(codec::agent_of).collect::<Result<_, _>>()?)
}

struct Publish<'a> {
    context: &'a Context,
    repo: &'a ConfigRepo,
    /// Agents of which the log knows versions, or was told by us.
    known: BTreeSet<AgentName>,
    /// What was last sent for adoption, so that an edit is not sent again while it is on its way.
    adopted: BTreeMap<AgentName, Digest>,
    looked: Option<EventTime>,
}

impl Publish<'_> {
    /// Projects `record`, however long it takes until what stands in the way is mended; `None` if the
    /// role is told to end before.
    fn project_patiently(
        &mut self,
        record: &VersionRecord,
        consumer: &mut Member,
    ) -> Result<Option<Vec<NewRecord>>, RoleError> {
        loop {
            let (agent, version) = (&record.version.agent, record.version.number);
            let span = tracing::debug_span!(parent: consumer.step(), "project", %agent, %version);
            match span.in_scope(|| self.project(record)) {
                Err(RoleError::Publish(problem)) if mendable(&problem) => {
                    tracing::error!(%agent, %problem, "cannot publish yet; trying again");
                    self.context.metrics.projections.with_label_values(&["waiting"]).inc();
                }
                Ok(Projection::HumanEditPending) => {
                    return self.adopt(&record.version.agent).map(Some);
                }
                result => return result.map(|_| Some(Vec::new())),
            }
            if self.context.stop.is_cancelled() {
                return Ok(None);
            }
            // Polling for nothing keeps the membership; whoever loses it starts again.
            if consumer.poll(0, PATIENCE)? != Polled::Records(Vec::new()) {
                let why = "its partitions changed while it waited".to_owned();
                return Err(LogError::Lost { group: "publish".to_owned(), why }.into());
            }
        }
    }

    fn project(&self, record: &VersionRecord) -> Result<Projection, RoleError> {
        let agent = &record.version.agent;
        let projection = self.repo.project(record)?;
        let result = match &projection {
            Projection::Committed { commit } => {
                let number = record.version.number;
                tracing::info!(%agent, version = %number, %commit, "published to the config repo");
                "committed"
            }
            Projection::AlreadyThere => "already_there",
            Projection::Unchanged => "unchanged",
            Projection::HumanEditPending => "human_edit_pending",
        };
        self.context.metrics.projections.with_label_values(&[result]).inc();
        Ok(projection)
    }

    /// Projects whatever there is of the agents in `partitions`. Who had them before may have marked
    /// versions as done whose commits never left its own clone.
    fn take_over(&mut self, partitions: &[Partition], consumer: &Member) -> Result<(), RoleError> {
        self.known = known_agents(self.context)?;
        self.fetch(consumer)?;
        let numbers: Vec<_> = partitions.iter().map(|partition| partition.number).collect();
        for record in self.context.log.table(Topic::PromptVersions, Share::Of(&numbers))? {
            match self.project(&codec::from_json(&record)?) {
                // It comes again with its record, or with a later look.
                Err(RoleError::Publish(problem)) => wait_for_a_person(problem)?,
                result => result.map(drop)?,
            }
        }
        self.looked = None;
        self.push(consumer)
    }

    /// Looks at the repo every so often, and at once after the start.
    fn look_for_edits(&mut self, consumer: &Member) -> Result<Vec<NewRecord>, RoleError> {
        let now = self.context.clock.now();
        let interval = self.context.config.repo.poll_interval_millis();
        if self.looked.is_some_and(|looked| (0..interval).contains(&now.millis_since(looked))) {
            return Ok(Vec::new());
        }
        self.looked = Some(now);
        self.fetch(consumer)?;
        self.push(consumer)?;
        let mut commands = Vec::new();
        let ours = |agent: &AgentName| consumer.owns(Topic::PromptVersions, agent.as_str());
        for agent in self.repo.agents()?.into_iter().filter(ours) {
            commands.extend(self.adopt(&agent)?);
        }
        Ok(commands)
    }

    /// Takes in what others pushed.
    fn fetch(&mut self, consumer: &Member) -> Result<(), RoleError> {
        let fetched = self.repo.fetch();
        self.count_sync("fetch", fetched.as_ref().map_or("failed", |_| "done"));
        match fetched {
            Ok(Fetched::Rewound { dropped }) => {
                tracing::info!(dropped, "others' commits came first: projecting ours again on top");
                self.project_all_again(consumer)
            }
            Ok(_) => Ok(()),
            Err(problem) => wait_for_a_person(problem),
        }
    }

    /// Pushes, on top of what others push at the same time. What cannot be pushed now is pushed with a
    /// later look: the commits are here.
    fn push(&mut self, consumer: &Member) -> Result<(), RoleError> {
        for _ in 0..PUSHES {
            let pushed = self.repo.push();
            let result = match &pushed {
                Ok(Pushed::Rejected) => "rejected",
                Ok(_) => "done",
                Err(_) => "failed",
            };
            self.count_sync("push", result);
            match pushed {
                Ok(Pushed::Rejected) => self.fetch(consumer)?,
                Ok(_) => break,
                Err(problem) => return wait_for_a_person(problem),
            }
        }
        Ok(())
    }

    fn count_sync(&self, operation: &str, result: &str) {
        self.context.metrics.repo_syncs.with_label_values(&[operation, result]).inc();
    }

    /// Our commits gave way to others': what they held is projected once more on top.
    fn project_all_again(&mut self, consumer: &Member) -> Result<(), RoleError> {
        for record in self.context.log.table(Topic::PromptVersions, Share::All)? {
            let record: VersionRecord = codec::from_json(&record)?;
            if consumer.owns(Topic::PromptVersions, record.version.agent.as_str()) {
                self.project(&record)?;
            }
        }
        Ok(())
    }

    fn adopt(&mut self, agent: &AgentName) -> Result<Vec<NewRecord>, RoleError> {
        if self.known.insert(agent.clone()) {
            let records = recall(self.repo, agent)?;
            if !records.is_empty() {
                let kind = CommandKind::Recall { records };
                let command = Command { agent: agent.clone(), by: "config repo".to_owned(), kind };
                return Ok(vec![codec::json(Topic::PromptCommands, agent.as_str(), &command)]);
            }
        }
        let edit = match self.repo.human_edit(agent) {
            Err(problem) if mendable(&problem) => {
                wait_for_a_person(problem)?;
                return Ok(Vec::new());
            }
            edit => edit?,
        };
        let Some(edit) = edit else {
            self.adopted.remove(agent);
            return Ok(Vec::new());
        };
        let digest = edit.content.digest();
        if self.adopted.get(agent) == Some(&digest) {
            return Ok(Vec::new());
        }
        self.adopted.insert(agent.clone(), digest);
        let HumanEdit { content, source, by } = edit;
        let kind = CommandKind::Adopt { content, source };
        let command = Command { agent: agent.clone(), by, kind };
        Ok(vec![codec::json(Topic::PromptCommands, agent.as_str(), &command)])
    }
}

/// What time or a person mends: a remote that is away, a file half edited, a branch to be merged.
fn mendable(problem: &PublishError) -> bool {
    use PublishError as P;
    match problem {
        P::Command { .. }
        | P::Contended
        | P::Garbled { .. }
        | P::Gone { .. }
        | P::LocalChanges { .. }
        | P::Diverged { .. }
        | P::Uneditable { .. }
        | P::Unusable { .. }
        | P::File { .. } => true,
        P::NoRepo { .. }
        | P::UnsafePath { .. }
        | P::Git { .. }
        | P::BadRecord { .. }
        | P::VersionTaken { .. } => false,
    }
}

/// Says what stands in the way and goes on; anything that nobody mends ends the role.
fn wait_for_a_person(problem: PublishError) -> Result<(), RoleError> {
    if !mendable(&problem) {
        return Err(problem.into());
    }
    tracing::warn!(%problem, "the config repo waits; trying again later");
    Ok(())
}
