//! The config repo: what stands in it, who wrote it, and what of it we published.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{Commit, ErrorCode, Oid, Repository, RepositoryState, Tree};

use super::error::{PublishError, Result, git};
use super::files::Files;
use super::history::History;
use super::intent::Intents;
use super::layout::{Layout, agent_of, number_of};
use super::parse::{read_map, read_texts};
use super::trailers::Published;
use super::version_file;
use crate::base::AgentName;
use crate::govern::{Content, Version};

/// Where the repo is and how it is used.
#[derive(Clone, Debug)]
pub struct RepoOptions {
    /// The repository, or a folder in one: the folders below are in it.
    pub path: PathBuf,
    /// Folder of the agents' files, e.g. `configs`.
    pub configs: String,
    /// Folder of the version files, e.g. `versions`.
    pub versions: String,
    /// The remote to fetch from and push to, e.g. `origin`; none to keep everything local.
    pub remote: Option<String>,
    /// The branch that must be checked out; any if not given.
    pub branch: Option<String>,
    /// Name and e-mail address under which we commit.
    pub committer: (String, String),
}

impl RepoOptions {
    /// The usual folders, no remote, whatever branch is checked out.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            configs: "configs".to_owned(),
            versions: "versions".to_owned(),
            remote: None,
            branch: None,
            committer: ("whetstone".to_owned(), "whetstone@localhost".to_owned()),
        }
    }
}

/// A git repository of agents' prompts and configs. One at a time should write to it.
///
/// An agent is there if `<agent>_agent_prompts.yaml` is; `<agent>_agent_config.yaml` may be missing
/// and then counts as empty.
pub struct ConfigRepo {
    pub(super) repo: Repository,
    pub(super) options: RepoOptions,
    pub(super) files: Files,
    pub(super) layout: Layout,
    pub(super) intents: Intents,
    history: RefCell<History>,
}

/// What a person wrote in an agent's files since we last published it.
#[derive(Clone, Debug, PartialEq)]
pub struct HumanEdit {
    /// What the files hold now.
    pub content: Content,
    /// Where it comes from: a commit, or the working tree.
    pub source: String,
    /// Who wrote it, as git knows them.
    pub by: String,
}

/// An agent's files as they stand.
pub(super) struct OnDisk {
    pub(super) prompts: String,
    pub(super) config: Option<String>,
    pub(super) content: Content,
}

/// The branch that is checked out.
pub(super) struct Head {
    /// The whole name of its reference.
    pub(super) name: String,
    /// Its commit; none before the first.
    pub(super) commit: Option<Oid>,
}

impl ConfigRepo {
    /// Opens the repository that `options.path` is, or is in.
    ///
    /// # Errors
    /// [`PublishError::NoRepo`], [`PublishError::Unusable`] if it has no work tree or another branch
    /// is checked out, [`PublishError::UnsafePath`] if a folder is outside.
    pub fn open(options: RepoOptions) -> Result<Self> {
        let repo = Repository::discover(&options.path).map_err(|source| {
            if source.code() == ErrorCode::NotFound {
                PublishError::NoRepo { path: options.path.clone() }
            } else {
                PublishError::Git { doing: "open the config repository", source }
            }
        })?;
        Self::with(repo, options)
    }

    /// Creates a repository, or opens the one that is there.
    ///
    /// # Errors
    /// As [`ConfigRepo::open`], or [`PublishError::Git`] if it cannot be created.
    pub fn init(options: RepoOptions) -> Result<Self> {
        let mut init = git2::RepositoryInitOptions::new();
        init.initial_head(options.branch.as_deref().unwrap_or("main"));
        let repo = Repository::init_opts(&options.path, &init)
            .map_err(git("create the config repository"))?;
        Self::with(repo, options)
    }

    fn with(repo: Repository, options: RepoOptions) -> Result<Self> {
        let unusable = |problem: &str| PublishError::Unusable {
            path: options.path.clone(),
            problem: problem.to_owned(),
        };
        let canonical = |path: &Path| {
            path.canonicalize().map_err(|source| PublishError::File {
                doing: "read",
                path: path.to_owned(),
                source,
            })
        };
        let root = repo.workdir().ok_or_else(|| unusable("it is bare: clone it and use the clone"));
        let root = canonical(root?)?;
        let path = canonical(&options.path)?;
        let prefix = path.strip_prefix(&root).map_err(|_| {
            unusable("the path is not in its work tree: name the folder that holds `.git`")
        })?;
        if prefix.to_str().is_none() {
            return Err(unusable("the folder's name is not UTF-8: rename it"));
        }
        if options.remote.as_deref().is_some_and(|name| !git2::Remote::is_valid_name(name)) {
            return Err(unusable("the remote's name is not allowed: see `git remote`"));
        }
        let layout = Layout::new(prefix, &options.configs, &options.versions)?;
        let intents = Intents::new(repo.path());
        let files = Files::new(root, repo.path().join("whetstone"));
        let opened = Self { repo, options, files, layout, intents, history: RefCell::default() };
        opened.head()?;
        Ok(opened)
    }

    /// The agents, by name. Files that belong to none are passed over.
    ///
    /// # Errors
    /// [`PublishError::File`].
    pub fn agents(&self) -> Result<Vec<AgentName>> {
        let names = self.files.names(self.layout.configs())?;
        Ok(names.iter().filter_map(|name| agent_of(name)).collect())
    }

    /// What the agent's files hold now; none if it has no prompts.
    ///
    /// # Errors
    /// [`PublishError::Garbled`] with the file's name.
    pub fn read(&self, agent: &AgentName) -> Result<Option<Content>> {
        Ok(self.on_disk(agent)?.map(|disk| disk.content))
    }

    /// The agent's versions as their files tell them, by number.
    ///
    /// # Errors
    /// [`PublishError::Garbled`] with the name of a file that was changed or is none of ours.
    pub fn versions(&self, agent: &AgentName) -> Result<Vec<Version>> {
        let names = self.files.names(self.layout.versions())?;
        let mut numbers: Vec<_> = names.iter().filter_map(|name| number_of(agent, name)).collect();
        numbers.sort_unstable();
        let mut versions = Vec::new();
        for number in numbers {
            let path = self.layout.version_of(agent, number);
            let Some(text) = self.files.read(&path)? else { continue };
            let version = version_file::parse(&text)
                .map_err(|problem| PublishError::Garbled { path: path.clone(), problem })?;
            if version.agent != *agent || version.number != number {
                let problem = format!("it holds {} {}", version.agent, version.number);
                return Err(PublishError::Garbled { path, problem });
            }
            versions.push(version);
        }
        Ok(versions)
    }

    /// What our newest commit for the agent says; none if there is none on this branch.
    ///
    /// # Errors
    /// [`PublishError::Git`].
    pub fn published(&self, agent: &AgentName) -> Result<Option<Published>> {
        let head = self.head()?;
        let mut history = self.history.borrow_mut();
        history.follow(&self.repo, head.commit)?;
        Ok(history.newest(agent).cloned())
    }

    /// What a person wrote since we last published the agent, committed or not. Before we published
    /// anything, that is the baseline. Comments and layout alone are no edit, nor is a write of our
    /// own that was interrupted; an agent whose prompts are gone has none.
    ///
    /// # Errors
    /// [`PublishError::Garbled`] while a file cannot be read as YAML.
    pub fn human_edit(&self, agent: &AgentName) -> Result<Option<HumanEdit>> {
        let Some(disk) = self.on_disk(agent)? else { return Ok(None) };
        let standing = self.published(agent)?.and_then(|published| published.standing);
        let digest = disk.content.digest();
        if standing.is_some_and(|standing| standing.digest == digest)
            || self.is_ours(agent, &disk)?
        {
            return Ok(None);
        }
        let (source, by) = self.origin(agent, &disk)?;
        Ok(Some(HumanEdit { content: disk.content, source, by }))
    }

    /// Whether the files hold what a write of ours left that was interrupted.
    pub(super) fn is_ours(&self, agent: &AgentName, disk: &OnDisk) -> Result<bool> {
        let intent = self.intents.pending(agent)?;
        Ok(intent.is_some_and(|intent| intent.explains(&disk.content)))
    }

    pub(super) fn on_disk(&self, agent: &AgentName) -> Result<Option<OnDisk>> {
        let prompts_path = self.layout.prompts_of(agent);
        let config_path = self.layout.config_of(agent);
        let Some(prompts) = self.files.read(&prompts_path)? else { return Ok(None) };
        let config = self.files.read(&config_path)?;
        let garbled = |path| move |problem| PublishError::Garbled { path, problem };
        let content = Content {
            prompts: read_texts(&prompts).map_err(garbled(prompts_path))?,
            config: match &config {
                Some(text) => read_map(text).map_err(garbled(config_path))?,
                None => BTreeMap::new(),
            },
        };
        Ok(Some(OnDisk { prompts, config, content }))
    }

    /// What the branch's newest commit holds for the agent; none if that cannot be read.
    fn committed(&self, agent: &AgentName) -> Result<Option<Content>> {
        let Some(tree) = self.head_tree()? else { return Ok(None) };
        let read = || {
            let prompts = self.blob_text(&tree, &self.layout.prompts_of(agent))?;
            let config = self.blob_text(&tree, &self.layout.config_of(agent)).unwrap_or_default();
            Some(Content { prompts: read_texts(&prompts).ok()?, config: read_map(&config).ok()? })
        };
        Ok(read())
    }

    /// Where the content of the agent's files comes from, and who wrote it.
    fn origin(&self, agent: &AgentName, disk: &OnDisk) -> Result<(String, String)> {
        let committed = self.committed(agent)?;
        if committed.as_ref() == Some(&disk.content)
            && let Some(commit) = self.last_change(agent)?
        {
            let id = commit.id().to_string();
            let by = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
            return Ok((format!("commit {}", id.get(..12).unwrap_or(&id)), by));
        }
        let name = self.repo.config().and_then(|config| config.get_string("user.name"));
        Ok(("working tree".to_owned(), name.unwrap_or_else(|_| "somebody".to_owned())))
    }

    /// The newest commit that changed one of the agent's files.
    fn last_change(&self, agent: &AgentName) -> Result<Option<Commit<'_>>> {
        let doing = git("read the history");
        let paths = [self.layout.prompts_of(agent), self.layout.config_of(agent)];
        let files = |commit: &Commit<'_>| {
            let tree = commit.tree()?;
            let id = |path: &PathBuf| tree.get_path(path).ok().map(|entry| entry.id());
            Ok::<_, git2::Error>(paths.each_ref().map(id))
        };
        let Some(head) = self.head()?.commit else { return Ok(None) };
        let mut walk = self.repo.revwalk().map_err(&doing)?;
        walk.set_sorting(git2::Sort::TOPOLOGICAL).map_err(&doing)?;
        walk.push(head).map_err(&doing)?;
        for id in walk {
            let commit = self.repo.find_commit(id.map_err(&doing)?).map_err(&doing)?;
            let now = files(&commit).map_err(&doing)?;
            let mut inherited = commit.parent_count() == 0 && now == [None, None];
            for parent in commit.parents() {
                inherited |= files(&parent).map_err(&doing)? == now;
            }
            if !inherited {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }

    fn blob_text(&self, tree: &Tree<'_>, path: &Path) -> Option<String> {
        let entry = tree.get_path(path).ok()?;
        let blob = self.repo.find_blob(entry.id()).ok()?;
        String::from_utf8(blob.content().to_vec()).ok()
    }

    pub(super) fn head_tree(&self) -> Result<Option<Tree<'_>>> {
        let Some(id) = self.head()?.commit else { return Ok(None) };
        let tree = self.repo.find_commit(id).and_then(|commit| commit.tree());
        tree.map(Some).map_err(git("read the newest commit"))
    }

    /// The branch that is checked out.
    pub(super) fn head(&self) -> Result<Head> {
        let doing = git("read the checked-out branch");
        let head = self.repo.find_reference("HEAD").map_err(&doing)?;
        let name = match head.symbolic_target() {
            Ok(Some(name)) => name.to_owned(),
            _ => return Err(self.unusable("no branch is checked out: run `git switch main`")),
        };
        if let Some(branch) = &self.options.branch
            && name != format!("refs/heads/{branch}")
        {
            let problem = format!("{name} is checked out: run `git switch {branch}`");
            return Err(self.unusable(&problem));
        }
        match self.repo.refname_to_id(&name) {
            Ok(commit) => Ok(Head { name, commit: Some(commit) }),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(Head { name, commit: None }),
            Err(error) => Err(doing(error)),
        }
    }

    /// Refuses to get between the steps of a merge or rebase.
    pub(super) fn ensure_at_rest(&self) -> Result<()> {
        match self.repo.state() {
            RepositoryState::Clean => Ok(()),
            state => Err(self.unusable(&format!("a {state:?} is under way: finish or abort it"))),
        }
    }

    pub(super) fn unusable(&self, problem: &str) -> PublishError {
        PublishError::Unusable { path: self.options.path.clone(), problem: problem.to_owned() }
    }
}
