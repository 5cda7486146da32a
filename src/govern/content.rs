//! What an agent runs on: its prompts and its config.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::Digest;

/// Prompts and config of one version, as values: layout and comments are the config repo's affair.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Content {
    /// Prompt texts by key, e.g. `system` and `user`.
    pub prompts: BTreeMap<String, String>,
    /// The config file's top-level keys.
    pub config: BTreeMap<String, Value>,
}

impl Content {
    /// The digest of prompts and config together. Keys are sorted, so order in a file is irrelevant.
    pub fn digest(&self) -> Digest {
        // Maps with text keys and JSON values always serialize.
        Digest::of(&serde_json::to_vec(self).unwrap_or_default())
    }

    /// A whole number from the config, if it is there and fits.
    pub fn config_u32(&self, key: &str) -> Option<u32> {
        self.config.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok())
    }

    /// Characters over all prompts.
    pub fn prompt_chars(&self) -> usize {
        self.prompts.values().map(|text| text.chars().count()).sum()
    }
}
