//! A list of what is used again and never freed. Giving something back cannot fail: the list
//! has room for all that was ever made.

use std::collections::TryReserveError;

pub(super) struct Free<T: 'static> {
    items: Vec<&'static T>,
    /// How many there are, in the list or not.
    made: usize,
}

impl<T> Free<T> {
    pub(super) const fn new() -> Self {
        Free { items: Vec::new(), made: 0 }
    }

    /// Makes `count` more, in one piece, and puts them into the list: the first is taken first.
    pub(super) fn make(
        &mut self,
        count: usize,
        make: impl FnMut(usize) -> T,
    ) -> Result<&'static [T], TryReserveError> {
        let mut new = Vec::new();
        new.try_reserve_exact(count)?;
        let numbers = self.made..self.made + count;
        self.items.try_reserve(numbers.end - self.items.len())?;
        self.made = numbers.end;
        new.extend(numbers.map(make));
        let new: &'static [T] = new.leak();
        self.items.extend(new.iter().rev());
        Ok(new)
    }

    pub(super) fn pop(&mut self) -> Option<&'static T> {
        self.items.pop()
    }

    /// The last one that is wanted.
    pub(super) fn take(&mut self, wanted: impl Fn(&T) -> bool) -> Option<&'static T> {
        let place = self.items.iter().rposition(|item| wanted(item))?;
        Some(self.items.swap_remove(place))
    }

    pub(super) fn push(&mut self, item: &'static T) {
        self.items.push(item);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    #[cfg(test)]
    pub(super) fn has(&self, item: &T) -> bool {
        self.items.iter().any(|free| std::ptr::eq(*free, item))
    }

    #[cfg(feature = "capi")]
    pub(super) fn made(&self) -> usize {
        self.made
    }
}
