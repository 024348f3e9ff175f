//! The C ABI: OpenSSL's `ASYNC_*`, by the names and rules of ASYNC_start_job(3) and
//! ASYNC_WAIT_CTX_new(3), exported without a version so that they bind in place of
//! libcrypto's. Types are opaque; `include/siding/async.h` declares everything.
//!
//! No panic of ours reaches C, and none of a job's own leaves the job: the process ends. What
//! C and C++ unwind inside of a job is theirs: on Windows too, where their exceptions find the
//! frames of the job, and none beyond its first.
//!
//! # Safety
//!
//! The only checks possible on C's arguments are made here: NULL, stale and foreign
//! handles give an error. That other pointers are what the header says is up to C.
#![allow(unsafe_code)]

mod cancel;
#[cfg(not(windows))]
mod forwarded;
mod libcrypto;
mod memory;
mod options;
mod start;
mod wait_ctx;
#[cfg_attr(windows, path = "waiting_windows.rs")]
mod waiting;
mod wake;

use std::ffi::{c_int, c_void};

use crate::sys;

/// `ASYNC_JOB`: a handle, never followed.
#[repr(C)]
pub struct AsyncJob {
    opaque: [u8; 0],
}

/// `ASYNC_WAIT_CTX`.
#[repr(C)]
pub struct AsyncWaitCtx {
    opaque: [u8; 0],
}

/// Runs `body`, which may panic; a panic must not reach C.
fn guarded<T>(failed: T, body: impl FnOnce() -> T) -> T {
    sys::keep_last_error(|| sys::contain(body)).unwrap_or(failed)
}

/// Stores through an output pointer that may be NULL.
///
/// # Safety
/// `place` is null or writable.
unsafe fn put<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: writable by this function's contract.
        unsafe { place.write(value) };
    }
}

const OK: c_int = 1;
const FAILED: c_int = 0;

type Data = *mut c_void;
