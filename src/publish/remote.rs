//! The remote: what others pushed comes in, what we committed goes out, and people win.
//!
//! The `git` program does the talking, so that the operator's credentials, proxies and ssh settings
//! apply. Our own commits can be made again from the log, so where the remote has moved on they are
//! dropped rather than merged; a person's commit never is.

use std::process::{Command, Stdio};

use git2::build::CheckoutBuilder;
use git2::{CheckoutNotificationType, ErrorCode, Oid};

use super::error::{PublishError, Result, git};
use super::repo::{ConfigRepo, Head};
use super::trailers;

/// What fetching changed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// There is no remote.
    NoRemote,
    /// Nothing: the remote has nothing that is not here.
    UpToDate,
    /// The branch and the files are now the remote's.
    FastForwarded,
    /// Likewise, and commits of ours were dropped on the way: project the versions again.
    Rewound {
        /// How many.
        dropped: usize,
    },
}

/// What pushing changed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// There is no remote.
    NoRemote,
    /// Nothing: it has every commit that is here, as far as we know.
    UpToDate,
    /// It now has every commit that is here.
    Pushed,
    /// Nothing: it has moved on. Fetch and project first.
    Rejected,
}

impl ConfigRepo {
    /// Fetches the branch from the remote and takes over what is new.
    ///
    /// # Errors
    /// [`PublishError::LocalChanges`] and [`PublishError::Diverged`] if a person has to sort it out,
    /// [`PublishError::Command`] if the remote cannot be reached. Nothing is changed then.
    pub fn fetch(&self) -> Result<Fetched> {
        let Some(remote) = &self.options.remote else { return Ok(Fetched::NoRemote) };
        self.ensure_at_rest()?;
        self.git(&["fetch", "--quiet", "--", remote])?;
        let head = self.head()?;
        let Some(theirs) = self.remote_commit(&head)? else { return Ok(Fetched::UpToDate) };
        let Some(ours) = head.commit else {
            self.take_over(&head, theirs)?;
            return Ok(Fetched::FastForwarded);
        };
        if ours == theirs || self.descends(ours, theirs)? {
            return Ok(Fetched::UpToDate);
        }
        let dropped = if self.descends(theirs, ours)? { 0 } else { self.droppable(ours, theirs)? };
        self.take_over(&head, theirs)?;
        Ok(if dropped == 0 { Fetched::FastForwarded } else { Fetched::Rewound { dropped } })
    }

    /// Pushes the branch, people's commits included. Never forces.
    ///
    /// # Errors
    /// [`PublishError::Command`] if the remote cannot be reached or does not let us.
    pub fn push(&self) -> Result<Pushed> {
        let Some(remote) = &self.options.remote else { return Ok(Pushed::NoRemote) };
        let head = self.head()?;
        let Some(ours) = head.commit else { return Ok(Pushed::UpToDate) };
        if let Some(theirs) = self.remote_commit(&head)?
            && (theirs == ours || self.descends(theirs, ours)?)
        {
            return Ok(Pushed::UpToDate);
        }
        let refspec = format!("{ours}:{}", head.name);
        match self.git(&["push", "--quiet", "--porcelain", "--", remote, &refspec]) {
            Ok(()) => Ok(Pushed::Pushed),
            Err(PublishError::Command { output, .. })
                if output.contains("(fetch first)") || output.contains("(non-fast-forward)") =>
            {
                Ok(Pushed::Rejected)
            }
            Err(error) => Err(error),
        }
    }

    /// The remote's newest commit of the branch, as of the last fetch or push.
    fn remote_commit(&self, head: &Head) -> Result<Option<Oid>> {
        let remote = self.options.remote.as_deref().unwrap_or_default();
        let branch = head.name.strip_prefix("refs/heads/").unwrap_or(&head.name);
        match self.repo.refname_to_id(&format!("refs/remotes/{remote}/{branch}")) {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(git("read the remote's branch")(error)),
        }
    }

    fn descends(&self, commit: Oid, ancestor: Oid) -> Result<bool> {
        self.repo.graph_descendant_of(commit, ancestor).map_err(git("compare with the remote"))
    }

    /// How many commits are here and not there, if every one of them is ours. A person who amends
    /// one of ours becomes its committer, and it theirs.
    fn droppable(&self, ours: Oid, theirs: Oid) -> Result<usize> {
        let doing = git("compare with the remote");
        let mut walk = self.repo.revwalk().map_err(&doing)?;
        walk.push(ours).map_err(&doing)?;
        walk.hide(theirs).map_err(&doing)?;
        let (name, email) = &self.options.committer;
        let mut count = 0;
        for id in walk {
            let commit = self.repo.find_commit(id.map_err(&doing)?).map_err(&doing)?;
            let committer = commit.committer();
            let is_ours = committer.name_bytes() == name.as_bytes()
                && committer.email_bytes() == email.as_bytes()
                && trailers::parse(&String::from_utf8_lossy(commit.message_bytes())).is_some();
            if !is_ours {
                return Err(PublishError::Diverged { commit: commit.id().to_string() });
            }
            count += 1;
        }
        Ok(count)
    }

    /// Makes `commit` the branch's newest and brings the files there, unless that would lose what
    /// somebody has not committed.
    fn take_over(&self, head: &Head, commit: Oid) -> Result<()> {
        let doing = git("check out the remote's commit");
        let target = self.repo.find_object(commit, None).map_err(&doing)?;
        let mut in_the_way = Vec::new();
        let mut checkout = CheckoutBuilder::new();
        checkout.safe().notify_on(CheckoutNotificationType::CONFLICT);
        checkout.notify(|_, path, _, _, _| {
            in_the_way.extend(path.map(|path| path.display().to_string()));
            true
        });
        let checked_out = self.repo.checkout_tree(&target, Some(&mut checkout));
        drop(checkout);
        if !in_the_way.is_empty() {
            return Err(PublishError::LocalChanges { files: in_the_way.join(", ") });
        }
        checked_out.map_err(&doing)?;
        let log = "whetstone: take over the remote's commits";
        let moved = match head.commit {
            Some(old) => self.repo.reference_matching(&head.name, commit, true, old, log),
            None => self.repo.reference(&head.name, commit, false, log),
        };
        match moved.map_err(|error| (error.code(), error)) {
            Ok(_reference) => Ok(()),
            Err((ErrorCode::Modified | ErrorCode::Exists | ErrorCode::Locked, _)) => {
                Err(PublishError::Contended)
            }
            Err((_, error)) => Err(doing(error)),
        }
    }

    /// Runs `git` in the work tree. It never asks anything and gives up on a line that is dead.
    fn git(&self, arguments: &[&str]) -> Result<()> {
        let shown = arguments.join(" ");
        let failed = |output: String| PublishError::Command { command: shown.clone(), output };
        let output = Command::new("git")
            .args(["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=60"])
            .args(arguments)
            .current_dir(self.files.absolute("".as_ref()))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(format!("git cannot be run ({error}): is it installed?")))?;
        if output.status.success() {
            return Ok(());
        }
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        Err(failed(said.trim().to_owned()))
    }
}
