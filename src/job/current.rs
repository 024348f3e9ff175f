//! Which job is current on this thread: one word, by two ways to reach it. (The second
//! word of the assembly's is the pool's.)
//!
//! Rust code is inlined into its users, who could not link a hidden symbol, so it takes a
//! `thread_local!`. In a shared library that would be a call to `__tls_get_addr`; the C
//! ABI takes a word of the assembly's instead, which is one load away.
//!
//! # Safety
//!
//! The word belongs to the calling thread and is only ever written here.
#![cfg_attr(feature = "capi", allow(unsafe_code))]

use super::core::Raw;

#[cfg(not(feature = "capi"))]
mod cell {
    use super::Raw;
    use std::cell::Cell;

    thread_local! {
        static CURRENT: Cell<Option<Raw>> = const { Cell::new(None) };
    }

    #[inline(always)]
    pub(in crate::job) fn get() -> Option<Raw> {
        CURRENT.get()
    }

    #[inline(always)]
    pub(in crate::job) fn set(job: Option<Raw>) {
        // Not `LocalKey::set`: that may stay a call, here in the middle of each switch.
        CURRENT.with(|current| current.set(job));
    }
}

#[cfg(feature = "capi")]
mod cell {
    use super::Raw;
    use crate::context;

    const _: () = assert!(size_of::<Option<Raw>>() == size_of::<usize>());

    #[inline(always)]
    pub(in crate::job) fn get() -> Option<Raw> {
        // SAFETY: this thread's word, zero at first, which is `None`; written by `set` alone.
        unsafe { context::thread_words().cast::<Option<Raw>>().read() }
    }

    #[inline(always)]
    pub(in crate::job) fn set(job: Option<Raw>) {
        // SAFETY: this thread's word.
        unsafe { context::thread_words().cast::<Option<Raw>>().write(job) }
    }

    /// What [`set_pool_word`] has stored; null at first.
    #[inline(always)]
    pub(in crate::job) fn pool_word() -> *mut () {
        // SAFETY: this thread's second word.
        unsafe { context::thread_words().cast::<[*mut (); 2]>().read()[1] }
    }

    pub(in crate::job) fn set_pool_word(pool: *mut ()) {
        // SAFETY: this thread's second word.
        let word = unsafe { context::thread_words().cast::<*mut ()>().add(1) };
        // SAFETY: as above.
        unsafe { word.write(pool) }
    }
}

pub(super) use cell::{get, set};
#[cfg(feature = "capi")]
pub(super) use cell::{pool_word, set_pool_word};
