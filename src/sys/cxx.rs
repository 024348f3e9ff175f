//! What the C++ runtime keeps for each thread, if there is one.

use std::ffi::{c_uint, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use super::symbols::symbol;

/// The exceptions of one thread as the C++ runtime keeps them (`__cxa_eh_globals` in the
/// Itanium C++ ABI, 2.2.2): those being handled, and how many are on their way.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct CxxGlobals {
    caught: usize,
    uncaught: c_uint,
}

type GetGlobals = unsafe extern "C" fn() -> *mut CxxGlobals;

fn get_cxx_globals() -> Option<GetGlobals> {
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    let mut found = FOUND.load(Ordering::Relaxed);
    if found.is_null() {
        found = symbol(c"__cxa_get_globals")?.address;
        FOUND.store(found, Ordering::Relaxed);
    }
    // SAFETY: the function of this name has this type in every C++ runtime of that ABI.
    Some(unsafe { mem::transmute::<*mut c_void, GetGlobals>(found) })
}

/// Whether there is a C++ runtime.
pub(crate) fn has_cxx_globals() -> bool {
    get_cxx_globals().is_some()
}

/// Puts `theirs` in the place of this thread's, which are returned. Without a C++ runtime
/// there is nothing to exchange.
pub(crate) fn exchange_cxx_globals(theirs: CxxGlobals) -> CxxGlobals {
    let Some(get) = get_cxx_globals() else { return theirs };
    // SAFETY: no preconditions.
    let globals = unsafe { get() };
    // SAFETY: this thread's own, which nobody uses during a switch.
    unsafe { globals.replace(theirs) }
}
