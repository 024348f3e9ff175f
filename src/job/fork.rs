//! Forks: a child finds no lock held by a thread that it does not have, and such a thread's
//! jobs belong to nobody.

use std::any::Any;
use std::cell::RefCell;
use std::sync::atomic::AtomicBool;

#[cfg(feature = "capi")]
use super::{at_end, handle, orphans};
use super::{inbox, memory, wait_ctx, wake};
use crate::sys;

thread_local! {
    /// The locks of this module, while this thread forks.
    static HELD: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
}

/// To be called before the first of those locks is of use to anybody.
pub(super) fn prepare() {
    static DONE: AtomicBool = AtomicBool::new(false);
    sys::at_fork(&DONE, take_locks, release_locks, in_child);
}

/// No other thread can be in the middle of something then.
extern "C" fn take_locks() {
    if HELD.try_with(|held| held.borrow().is_some()).unwrap_or(false) {
        return; // registered twice
    }
    #[cfg(feature = "capi")]
    let handles = (handle::hold(), at_end::hold());
    #[cfg(not(feature = "capi"))]
    let handles = ();
    let locks = (handles, wait_ctx::hold(), memory::hold(), wake::hold(), inbox::hold());
    // A thread that is ending forks without them, and one without memory.
    if let Ok(locks) = sys::try_box(locks) {
        let _ = HELD.try_with(|held| held.replace(Some(locks)));
    }
}

extern "C" fn release_locks() {
    let _ = HELD.try_with(|held| held.take());
}

extern "C" fn in_child() {
    release_locks();
    #[cfg(feature = "capi")]
    orphans::orphan_others();
}
