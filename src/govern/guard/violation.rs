//! The rules by name, as a version breaks them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hygiene::Danger;

/// A rule that a version breaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Violation {
    /// Placeholders were lost, added or broken.
    Placeholders {
        /// The prompt's key.
        key: String,
        /// What changed.
        detail: String,
    },
    /// A prompt was added or removed.
    PromptSet {
        /// The prompt's key.
        key: String,
    },
    /// A prompt is too long.
    TooLong {
        /// The prompt's key.
        key: String,
        /// Its characters.
        chars: usize,
        /// The most allowed.
        max: usize,
    },
    /// The version adds too much.
    TooMuchGrowth {
        /// Characters added.
        chars: usize,
        /// The most allowed.
        max: usize,
    },
    /// Too many bullets, or one too long.
    Bullets {
        /// What is wrong.
        detail: String,
    },
    /// The human's text was changed where that is not allowed.
    HumanText {
        /// The prompt's key.
        key: String,
    },
    /// A config key changed that is not declared tunable.
    NotTunable {
        /// The config's key.
        key: String,
    },
    /// A config value is outside its range, of the wrong type, or changed by more than its step.
    OutOfRange {
        /// The config's key.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// A character that people do not see: control, bidirectional, zero width.
    HiddenCharacter {
        /// The prompt's key.
        key: String,
        /// Its code point.
        character: String,
    },
    /// A prompt gains text that may do harm.
    Gains {
        /// The prompt's key.
        key: String,
        /// What kind of harm.
        danger: Danger,
        /// The text, as it was read; of a secret its kind.
        text: String,
    },
    /// A prompt gains structure where it should gain words.
    Markup {
        /// The prompt's key.
        key: String,
        /// What it is: a heading, a link, a tag.
        kind: String,
    },
    /// What people locked was changed, or the marks around it.
    LockedBlock {
        /// The prompt's key.
        key: String,
        /// What is wrong.
        detail: String,
    },
    /// The reason of an edit holds what should not be passed on.
    Reason {
        /// What.
        detail: String,
    },
    /// Who proposes is not who may, or is named in a way that cannot be shown.
    Author {
        /// What is wrong.
        detail: String,
    },
    /// Nothing changed.
    Identical,
    /// The same content was tried before.
    AlreadyTried {
        /// Its digest, shortened.
        digest: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placeholders { key, detail } => write!(f, "prompt {key:?}: {detail}"),
            Self::PromptSet { key } => write!(f, "prompt {key:?} was added or removed"),
            Self::TooLong { key, chars, max } => {
                write!(f, "prompt {key:?} has {chars} characters, at most {max} are allowed")
            }
            Self::TooMuchGrowth { chars, max } => {
                write!(f, "prompts grow by {chars} characters, at most {max} are allowed")
            }
            Self::Bullets { detail } => write!(f, "learned guidance: {detail}"),
            Self::HumanText { key } => {
                write!(f, "the human-written part of prompt {key:?} may not be edited")
            }
            Self::NotTunable { key } => write!(f, "config key {key:?} is not declared tunable"),
            Self::OutOfRange { key, detail } => write!(f, "config key {key:?}: {detail}"),
            Self::HiddenCharacter { key, character } => {
                write!(f, "prompt {key:?} gains the hidden character {character}")
            }
            Self::Gains { key, danger, text } => {
                write!(f, "prompt {key:?} brings in {danger}: {text:?}")
            }
            Self::Markup { key, kind } => write!(f, "prompt {key:?} gains {kind}"),
            Self::LockedBlock { key, detail } => write!(f, "prompt {key:?}: {detail}"),
            Self::Reason { detail } => write!(f, "the reason of an edit {detail}"),
            Self::Author { detail } => f.write_str(detail),
            Self::Identical => f.write_str("identical to the version it starts from"),
            Self::AlreadyTried { digest } => write!(f, "content {digest} was tried before"),
        }
    }
}
