//! Panics of foreign code that must go no further, or not yet.

use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

/// Runs foreign code for somebody whom no panic may reach, not even one of what a panic carries
/// when that is dropped. `None` after a panic, which the hook has reported.
pub(crate) fn contain<T>(f: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(f)).map_err(dispose).ok()
}

fn dispose(payload: Box<dyn Any + Send>) {
    mem::forget(panic::catch_unwind(AssertUnwindSafe(|| drop(payload))));
}

/// Of the panics of several pieces of foreign code, all of which have to run, the first.
#[derive(Default)]
pub(crate) struct FirstPanic(Option<Box<dyn Any + Send>>);

impl FirstPanic {
    pub(crate) fn of(&mut self, f: impl FnOnce()) {
        let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) else { return };
        match self.0 {
            None => self.0 = Some(payload),
            Some(_) => dispose(payload),
        }
    }

    /// Goes on with it, unless this is part of another panic.
    pub(crate) fn go_on(self) {
        match self.0 {
            Some(payload) if thread::panicking() => dispose(payload),
            Some(payload) => panic::resume_unwind(payload),
            None => {}
        }
    }
}
