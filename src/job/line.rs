//! Futures that wait for this thread to have a job to spare, first come, first served.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::task::Waker;

use super::pool;

thread_local! {
    static LINE: RefCell<BTreeMap<u64, Waker>> = const { RefCell::new(BTreeMap::new()) };
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

/// A place in the line. Dropping it gives it up, and a call that it was given to the next.
pub(crate) struct Place(u64);

impl Place {
    /// The last place.
    pub(crate) fn new() -> Self {
        TAKEN.set(TAKEN.get() + 1);
        Place(TAKEN.get())
    }

    /// Waits to be called, from now on in the name of `waker`.
    pub(crate) fn wait(&self, waker: &Waker) {
        let waker = waker.clone(); // foreign code, like its drop
        // Gone while the thread is ending: then there is no pool either, and no limit.
        let before = LINE.try_with(|line| line.borrow_mut().insert(self.0, waker));
        drop(before);
        pool::keep_none();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let gone = LINE.try_with(|line| line.borrow_mut().remove(&self.0));
        if matches!(gone, Ok(None)) {
            call();
        }
    }
}

/// Whether anybody waits.
pub(super) fn is_empty() -> bool {
    LINE.try_with(|line| line.borrow().is_empty()).unwrap_or(true)
}

/// There may be a job to spare: calls the first.
#[cold]
pub(super) fn call() {
    let first = LINE.try_with(|line| line.borrow_mut().pop_first());
    if let Ok(Some((_, waker))) = first {
        waker.wake();
    }
}
