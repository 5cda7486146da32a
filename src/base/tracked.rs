//! A value that knows whether it changed since it was last written. Does not know where or how.
//!
//! Every mutable access counts as a change, so that a change cannot go unmarked. The mark is no part
//! of the value: it is not compared and not serialized.

use std::ops::{Deref, DerefMut};

/// A value and whether what is stored of it is up to date.
#[derive(Clone, Debug)]
pub struct Tracked<T> {
    value: T,
    mark: Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// Nothing of it is stored.
    New,
    /// It is stored as it is.
    Stored,
    /// An earlier form of it is stored.
    Changed,
}

impl<T> Tracked<T> {
    /// A value of which nothing is stored yet.
    pub fn new(value: T) -> Self {
        Self { value, mark: Mark::New }
    }

    /// A value as it was read from where it is stored.
    pub fn stored(value: T) -> Self {
        Self { value, mark: Mark::Stored }
    }

    /// Whether something of it is stored, be it an earlier form.
    pub fn is_stored(&self) -> bool {
        self.mark != Mark::New
    }

    /// The value, to be stored now, if what is stored is not up to date. Takes it for stored from
    /// here on.
    pub fn take_change(&mut self) -> Option<&T> {
        let changed = self.mark != Mark::Stored;
        self.mark = Mark::Stored;
        changed.then_some(&self.value)
    }

    /// The value, to change what is not stored of it.
    pub fn unstored(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Default> Default for Tracked<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Deref for Tracked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Tracked<T> {
    fn deref_mut(&mut self) -> &mut T {
        if self.mark == Mark::Stored {
            self.mark = Mark::Changed;
        }
        &mut self.value
    }
}

impl<T: PartialEq> PartialEq for Tracked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_taken_once() {
        let mut list = Tracked::new(vec![1]);
        assert!(!list.is_stored());
        assert_eq!(list.take_change(), Some(&vec![1]), "what is new is to be stored");
        assert!(list.is_stored());
        assert_eq!(list.take_change(), None);
        list.push(2);
        assert!(list.is_stored(), "an earlier form is");
        assert_eq!(list.take_change(), Some(&vec![1, 2]));
        assert_eq!(list.len(), 2);
        assert_eq!(list.take_change(), None, "looking is no change");
    }

    #[test]
    fn what_was_read_is_stored_already_and_equals_what_was_not() {
        let mut list = Tracked::stored(vec![1]);
        assert_eq!(list, Tracked::new(vec![1]));
        list.unstored().clear();
        assert_eq!(list.take_change(), None);
    }
}
