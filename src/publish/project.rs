//! One version record becomes one commit, once.
//!
//! Files are written first, the index follows, the commit last: whatever the instant at which this
//! stops, the next call finds what it left and finishes it. In this order, too, a person's commit at
//! the same time holds our files or refuses to happen; were the index last, it would delete them.
//! The commit's tree is the branch's own plus our files, so that nothing else that people have staged
//! or changed gets into it.

use std::path::{Path, PathBuf};

use git2::build::TreeUpdateBuilder;
use git2::{ErrorCode, FileMode, IndexEntry, Oid, Signature, Time};
use serde_json::{Value, json};

use super::edit::{Uneditable, edit};
use super::error::{PublishError, Result, git};
use super::intent::Intent;
use super::parse::Map;
use super::render::entry;
use super::repo::{ConfigRepo, Head, OnDisk};
use super::trailers::{self, Published, Standing};
use super::trial_file::{self, Beside};
use super::version_file;
use crate::base::AgentName;
use crate::govern::{Author, Content, State, Version, VersionRecord};

/// How often a write starts over because somebody else wrote at the same time.
const ATTEMPTS: usize = 3;

/// What came of projecting a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Projection {
    /// It is in the repo now.
    Committed {
        /// The commit's id.
        commit: String,
    },
    /// It was there before, or a later revision of the agent was.
    AlreadyThere,
    /// Its state changes no file.
    Unchanged,
    /// A person has changed the agent's files and nobody has adopted that yet: nothing was written.
    HumanEditPending,
}

/// A file that has to say something else, or has to be in the commit as it is.
struct Change {
    path: PathBuf,
    before: Option<String>,
    after: String,
}

impl ConfigRepo {
    /// Brings the repo to what `record` says: a candidate's version file, an active version's file and
    /// the agent's configs, and the agent's trial file from its first trial on. Doing so again changes
    /// nothing.
    ///
    /// # Errors
    /// [`PublishError`]; calling again after what it asks for was done finishes the work.
    pub fn project(&self, record: &VersionRecord) -> Result<Projection> {
        let version = &record.version;
        if version.content.digest() != version.digest {
            return Err(PublishError::BadRecord {
                agent: version.agent.clone(),
                revision: record.revision,
                problem: "its content does not have the digest it states",
            });
        }
        for _ in 0..ATTEMPTS {
            if let Some(projection) = self.try_project(record)? {
                return Ok(projection);
            }
        }
        Err(PublishError::Contended)
    }

    /// One attempt; none if somebody else was faster.
    fn try_project(&self, record: &VersionRecord) -> Result<Option<Projection>> {
        let version = &record.version;
        let agent = &version.agent;
        let head = self.head()?;
        let before = self.published(agent)?;
        if let Some(before) = &before
            && before.revision >= record.revision
        {
            self.forget_intent(record, before)?;
            return Ok(Some(Projection::AlreadyThere));
        }
        let before = before.unwrap_or_default();
        let after = before.after(record);
        if !self.changes_a_file(record, &before, &after)? {
            return Ok(Some(Projection::Unchanged));
        }
        self.ensure_at_rest()?;
        let mut changes = vec![self.version_change(version)?];
        if record.state == State::Active {
            let Some((found, configs)) = self.config_changes(version, before.standing.as_ref())?
            else {
                self.intents.done(agent)?;
                return Ok(Some(Projection::HumanEditPending));
            };
            changes.extend(configs);
            let intent = Intent { before: found, after: version.content.clone() };
            self.intents.note(agent, &intent)?;
        }
        for change in &changes {
            let same = change.before.as_ref() == Some(&change.after);
            let before = change.before.as_deref();
            if !same && !self.files.replace(&change.path, before, &change.after)? {
                return Ok(None);
            }
        }
        let trial_file = self.write_trial_file(agent, &after)?;
        let paths: Vec<&Path> = changes
            .iter()
            .map(|change| &change.path)
            .chain(&trial_file)
            .map(AsRef::as_ref)
            .collect();
        let Some(entries) = self.stage(&paths)? else { return Ok(None) };
        let message = trailers::render(record, &before, &after);
        let Some(commit) = self.commit(&head, &entries, &message, record)? else { return Ok(None) };
        self.forget_intent(record, &after)?;
        Ok(Some(Projection::Committed { commit: commit.to_string() }))
    }

    /// Takes back the note of the write that `record` asked for and that is committed. One of a later
    /// record's write, which may have stopped half way, stays.
    fn forget_intent(&self, record: &VersionRecord, published: &Published) -> Result<()> {
        let agent = &record.version.agent;
        let wrote = record.state == State::Active && published.revision == record.revision;
        let pending = self.intents.pending(agent)?;
        if wrote && pending.is_some_and(|intent| intent.after == record.version.content) {
            self.intents.done(agent)?;
        }
        Ok(())
    }

    /// Whether `record` has anything to say to the repo as `before` left it.
    fn changes_a_file(
        &self,
        record: &VersionRecord,
        before: &Published,
        after: &Published,
    ) -> Result<bool> {
        let version = &record.version;
        match &record.state {
            State::Candidate | State::Trial { .. } | State::Active | State::Holdback { .. } => {
                Ok(true)
            }
            State::Superseded | State::Rejected { .. } | State::RolledBack { .. } => {
                // The version's file is missing where a person's edit or commit came first when it
                // was active.
                let file = self.layout.version_of(&version.agent, version.number);
                Ok(before.beside != after.beside || self.files.read(&file)?.is_none())
            }
        }
    }

    /// Makes the agent's trial file say what `published` does, if it has come into being.
    fn write_trial_file(
        &self,
        agent: &AgentName,
        published: &Published,
    ) -> Result<Option<PathBuf>> {
        if published.beside == Beside::Never {
            return Ok(None);
        }
        let beside = &published.beside;
        let file = beside.version().map(|version| self.layout.version_of(agent, version));
        let active = published.standing.as_ref().map(|standing| standing.version);
        let path = self.layout.trial_of(agent);
        let text = trial_file::render(agent, beside, file.as_deref(), active);
        self.files.overwrite(&path, &text)?;
        Ok(Some(path))
    }

    fn version_change(&self, version: &Version) -> Result<Change> {
        let path = self.layout.version_of(&version.agent, version.number);
        let Some(text) = self.files.read(&path)? else {
            return Ok(Change { path, before: None, after: version_file::render(version) });
        };
        let found = version_file::parse(&text)
            .map_err(|problem| PublishError::Garbled { path: path.clone(), problem })?;
        if found.digest != version.digest || found.agent != version.agent {
            return Err(PublishError::VersionTaken { path });
        }
        Ok(Change { path, before: Some(text.clone()), after: text })
    }

    /// What the configs say, and have to say for `version` to be active; none if a person's edit is
    /// there that nobody has adopted.
    fn config_changes(
        &self,
        version: &Version,
        standing: Option<&Standing>,
    ) -> Result<Option<(Content, Vec<Change>)>> {
        let agent = &version.agent;
        let disk = self.on_disk(agent)?;
        if let Some(disk) = &disk {
            let digest = disk.content.digest();
            let expected = digest == version.digest
                || standing.is_some_and(|standing| standing.digest == digest)
                || self.is_ours(agent, disk)?;
            if !expected {
                return Ok(None);
            }
        } else if standing.is_some() && self.intents.pending(agent)?.is_none() {
            let path = self.layout.prompts_of(agent);
            return Err(PublishError::Gone { agent: agent.clone(), path });
        }
        let found = disk.as_ref().map(|disk| disk.content.clone()).unwrap_or_default();
        let changes = self.patched(agent, disk, &version.content)?;
        Ok(Some((found, changes)))
    }

    fn patched(
        &self,
        agent: &AgentName,
        disk: Option<OnDisk>,
        wanted: &Content,
    ) -> Result<Vec<Change>> {
        let (prompts, config) = match disk {
            Some(disk) => (Some(disk.prompts), disk.config),
            None => (None, self.files.read(&self.layout.config_of(agent))?),
        };
        let texts = wanted.prompts.iter().map(|(key, text)| (key.clone(), json!(text))).collect();
        let mut changes = vec![change(self.layout.prompts_of(agent), prompts, &texts)?];
        if config.is_some() || !wanted.config.is_empty() {
            changes.push(change(self.layout.config_of(agent), config, &wanted.config)?);
        }
        Ok(changes)
    }

    /// Tells the index that `paths` are as they are on disk, and nothing about any other file; none
    /// if another git command holds it.
    fn stage(&self, paths: &[&Path]) -> Result<Option<Vec<IndexEntry>>> {
        let doing = git("update the index of the config repository");
        let mut index = self.repo.index().map_err(&doing)?;
        index.read(true).map_err(&doing)?;
        for path in paths {
            index.add_path(path).map_err(&doing)?;
        }
        match index.write() {
            Ok(()) => Ok(Some(paths.iter().filter_map(|path| index.get_path(path, 0)).collect())),
            Err(error) if error.code() == ErrorCode::Locked => Ok(None),
            Err(error) => Err(doing(error)),
        }
    }

    /// Commits `entries` on top of `head`; none if `head` is no longer the newest.
    fn commit(
        &self,
        head: &Head,
        entries: &[IndexEntry],
        message: &str,
        record: &VersionRecord,
    ) -> Result<Option<Oid>> {
        let doing = git("commit to the config repository");
        let repo = &self.repo;
        let parent = head.commit.map(|id| repo.find_commit(id)).transpose().map_err(&doing)?;
        let tree = match &parent {
            Some(parent) => parent.tree(),
            None => {
                repo.treebuilder(None).and_then(|t| t.write()).and_then(|id| repo.find_tree(id))
            }
        };
        let mut update = TreeUpdateBuilder::new();
        for entry in entries {
            let executable = entry.mode == u32::from(FileMode::BlobExecutable);
            let mode = if executable { FileMode::BlobExecutable } else { FileMode::Blob };
            update.upsert(entry.path.as_slice(), entry.id, mode);
        }
        let tree = update.create_updated(repo, &tree.map_err(&doing)?).map_err(&doing)?;
        let tree = repo.find_tree(tree).map_err(&doing)?;
        let committer = self.signature(&self.options.committer.0, record).map_err(&doing)?;
        let author = match &record.version.author {
            Author::Human { name } => self.signature(name, record).unwrap_or(committer.clone()),
            Author::Patterns | Author::Llm { .. } => committer.clone(),
        };
        let parents: Vec<_> = parent.iter().collect();
        let commit =
            repo.commit(None, &author, &committer, message, &tree, &parents).map_err(&doing)?;
        let subject = message.lines().next().unwrap_or_default();
        let log = format!("commit: {subject}");
        let moved = match head.commit {
            Some(old) => repo.reference_matching(&head.name, commit, true, old, &log),
            None => repo.reference(&head.name, commit, false, &log),
        };
        match moved.map_err(|error| (error.code(), error)) {
            Ok(_reference) => Ok(Some(commit)),
            Err((ErrorCode::Modified | ErrorCode::Exists | ErrorCode::Locked, _)) => Ok(None),
            Err((_, error)) => Err(doing(error)),
        }
    }

    /// A name as a commit states it. Its time is the record's, so that the same records give the
    /// same commits.
    fn signature(
        &self,
        name: &str,
        record: &VersionRecord,
    ) -> std::result::Result<Signature<'static>, git2::Error> {
        let name = name.replace(|c: char| c.is_control() || matches!(c, '<' | '>'), " ");
        let seconds = record.at.as_millis().div_euclid(1000).max(0);
        Signature::new(name.trim(), &self.options.committer.1, &Time::new(seconds, 0))
    }
}

fn change(path: PathBuf, before: Option<String>, wanted: &Map) -> Result<Change> {
    let after = match &before {
        Some(text) => edit(text, wanted).map_err(|Uneditable(key)| {
            let path = path.clone();
            PublishError::Uneditable { path, key }
        })?,
        None => wanted.iter().map(|(key, value): (_, &Value)| entry(key, value, 0)).collect(),
    };
    Ok(Change { path, before, after })
}
