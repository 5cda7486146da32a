//! What our own commits in the branch's history say, read once and then kept up to date.

use std::collections::BTreeMap;

use git2::{Oid, Repository};

use super::error::{Result, git};
use super::trailers::{self, Published};
use crate::base::AgentName;

/// The newest projection of each agent in the history of one commit.
#[derive(Default)]
pub(super) struct History {
    head: Option<Oid>,
    newest: BTreeMap<AgentName, Published>,
}

impl History {
    /// Reads the commits that `head` has and the last one read had not.
    pub(super) fn follow(&mut self, repo: &Repository, head: Option<Oid>) -> Result<()> {
        let doing = git("read the history");
        if self.head == head {
            return Ok(());
        }
        let grown = match (self.head, head) {
            (Some(old), Some(new)) => repo.graph_descendant_of(new, old).unwrap_or(false),
            _ => false,
        };
        if !grown {
            *self = Self::default();
        }
        if let Some(new) = head {
            let mut walk = repo.revwalk().map_err(&doing)?;
            walk.push(new).map_err(&doing)?;
            if let Some(old) = self.head {
                walk.hide(old).map_err(&doing)?;
            }
            for commit in walk {
                let commit = repo.find_commit(commit.map_err(&doing)?).map_err(&doing)?;
                let message = String::from_utf8_lossy(commit.message_bytes());
                if let Some((agent, published)) = trailers::parse(&message) {
                    self.add(agent, published);
                }
            }
        }
        self.head = head;
        Ok(())
    }

    /// The newest projection of `agent`.
    pub(super) fn newest(&self, agent: &AgentName) -> Option<&Published> {
        self.newest.get(agent)
    }

    /// Newest by revision: commit times and merges say little about order.
    fn add(&mut self, agent: AgentName, published: Published) {
        let newer = self.newest.get(&agent).is_none_or(|known| known.revision < published.revision);
        if newer {
            self.newest.insert(agent, published);
        }
    }
}
