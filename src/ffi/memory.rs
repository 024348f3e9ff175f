//! Stack memory.

use std::ffi::c_int;

use super::put;
use crate::job::memory::{self, Alloc, Free};

/// `ASYNC_set_mem_functions`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_set_mem_functions(
    alloc: Option<Alloc>,
    free: Option<Free>,
) -> c_int {
    // SAFETY: by this function's contract.
    c_int::from(unsafe { memory::set(alloc, free) })
}

/// `ASYNC_get_mem_functions`.
///
/// # Safety
/// As declared in `siding/async.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ASYNC_get_mem_functions(alloc: *mut Alloc, free: *mut Free) {
    let (present_alloc, present_free) = memory::get();
    // SAFETY: NULL or writable.
    unsafe { put(alloc, present_alloc) };
    // SAFETY: NULL or writable.
    unsafe { put(free, present_free) };
}
