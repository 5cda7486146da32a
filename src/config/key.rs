//! Keys: the way to a value through the sections.

use std::fmt;

/// E.g. `windows.length`. Kept in parts, since the name of an agent may hold a dot.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(Vec<String>);

impl Key {
    /// The key `dotted`, below this one.
    pub(super) fn join(&self, dotted: &str) -> Self {
        dotted.split('.').fold(self.clone(), |key, part| key.child(part))
    }

    /// The key that is exactly `part`, below this one.
    pub(super) fn child(&self, part: impl Into<String>) -> Self {
        let mut parts = self.0.clone();
        parts.push(part.into());
        Self(parts)
    }

    /// The key `inner`, below this one.
    pub(super) fn below(&self, inner: &Self) -> Self {
        Self(self.0.iter().chain(&inner.0).cloned().collect())
    }

    pub(super) fn parent(&self) -> Option<Self> {
        let (_, parts) = self.0.split_last()?;
        Some(Self(parts.to_vec()))
    }

    pub(super) fn parts(&self) -> &[String] {
        &self.0
    }

    /// Whether this is `other` or below it.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The environment variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("{}{}", super::VARIABLE_PREFIX, self.0.join("__").to_uppercase())
    }

    /// The key that an environment variable sets; `None` if the variable is not ours.
    pub(super) fn of_variable(name: &str) -> Option<Self> {
        let name = name.strip_prefix(super::VARIABLE_PREFIX)?;
        Some(Self(name.to_lowercase().split("__").map(str::to_owned).collect()))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
