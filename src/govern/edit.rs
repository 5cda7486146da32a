//! Edits: the only way a version comes from its parent, by machine.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Content, Guidance, Reason};

/// One change to a version's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Edit {
    /// Add a bullet to the learned guidance.
    AddBullet {
        /// One line.
        text: String,
    },
    /// Reword a bullet; it keeps its id.
    ChangeBullet {
        /// Which, e.g. `w3`.
        id: String,
        /// One line.
        text: String,
    },
    /// Remove a bullet.
    RemoveBullet {
        /// Which.
        id: String,
    },
    /// Replace a passage of the human-written part, where the operator allows it.
    ReplaceText {
        /// The prompt's key.
        key: String,
        /// The passage, exactly as it stands and standing once.
        old: String,
        /// What to put there.
        new: String,
    },
    /// Set a config value.
    SetConfig {
        /// The config's key.
        key: String,
        /// The value.
        value: Value,
    },
}

/// An edit and what justifies it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposed {
    /// The change.
    #[serde(flatten)]
    pub edit: Edit,
    /// Why, with the numbers behind it.
    pub why: String,
}

/// Why an edit cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// There is no prompt with this key.
    #[error("there is no prompt {0:?}")]
    NoPrompt(String),
    /// There is no bullet with this id.
    #[error("there is no learned bullet {0:?}")]
    NoBullet(String),
    /// The passage does not stand exactly once in the prompt.
    #[error("the passage to replace stands {found} times in prompt {key:?}, not once")]
    NotOnce {
        /// The prompt's key.
        key: String,
        /// How often it stands there.
        found: usize,
    },
    /// A bullet is one line of text.
    #[error("a bullet must be one non-empty line: {0:?}")]
    NotOneLine(String),
}

/// `content` with `edits` applied in order; `guidance_key` names the prompt with the learned bullets.
///
/// # Errors
/// The first edit that does not fit the content.
pub fn apply_edits<'a>(
    content: &Content,
    guidance_key: &str,
    edits: impl IntoIterator<Item = &'a Edit>,
) -> Result<Content, EditError> {
    let mut content = content.clone();
    for edit in edits {
        match edit {
            Edit::AddBullet { text } => {
                edit_guidance(&mut content, guidance_key, |guidance| guidance.add(text))?;
            }
            Edit::ChangeBullet { id, text } => {
                edit_guidance(&mut content, guidance_key, |guidance| guidance.change(id, text))?;
            }
            Edit::RemoveBullet { id } => {
                edit_guidance(&mut content, guidance_key, |guidance| guidance.remove(id))?;
            }
            Edit::ReplaceText { key, old, new } => {
                let text = prompt(&mut content, key)?;
                let found = if old.is_empty() { 0 } else { text.matches(old.as_str()).count() };
                if found != 1 {
                    return Err(EditError::NotOnce { key: key.clone(), found });
                }
                *text = text.replacen(old.as_str(), new, 1);
            }
            Edit::SetConfig { key, value } => {
                content.config.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(content)
}

fn prompt<'a>(content: &'a mut Content, key: &str) -> Result<&'a mut String, EditError> {
    content.prompts.get_mut(key).ok_or_else(|| EditError::NoPrompt(key.to_owned()))
}

fn edit_guidance(
    content: &mut Content,
    key: &str,
    edit: impl FnOnce(&mut Guidance) -> Result<(), EditError>,
) -> Result<(), EditError> {
    let text = prompt(content, key)?;
    let mut guidance = Guidance::parse(text);
    edit(&mut guidance)?;
    *text = guidance.render();
    Ok(())
}

impl Proposed {
    /// The change and its reason for a version's record; `parent` is what it is applied to.
    pub fn reason(&self, parent: &Content) -> Reason {
        let change = match &self.edit {
            Edit::AddBullet { text } => format!("add guidance: {text}"),
            Edit::ChangeBullet { id, text } => format!("reword guidance {id}: {text}"),
            Edit::RemoveBullet { id } => format!("remove guidance {id}"),
            Edit::ReplaceText { key, old, new } => format!("{key}: {old:?} -> {new:?}"),
            Edit::SetConfig { key, value } => {
                let old =
                    parent.config.get(key).map_or_else(|| "unset".to_owned(), Value::to_string);
                format!("{key}: {old} -> {value}")
            }
        };
        Reason { change, why: self.why.clone() }
    }
}
