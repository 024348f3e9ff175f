//! Wake handles for C.

use std::ffi::{c_int, c_void};
use std::io;
use std::ptr;

use super::libcrypto::Reason;
use super::start::fail;
use super::{AsyncJob, FAILED, OK, guarded};
use crate::job::handle::Handle;
use crate::job::{Ticket, woken};
use crate::sys::fd::AsyncFd;

/// `siding_wake_t`.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SidingWake {
    slot: usize,
    generation: u64,
}

/// `siding_get_wake`.
///
/// # Safety
/// As declared in `siding.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn siding_get_wake(job: *mut AsyncJob, wake: *mut SidingWake) -> c_int {
    if wake.is_null() {
        return fail(Reason::PassedNull);
    }
    guarded(FAILED, || {
        let ticket = if job.is_null() {
            woken::own_ticket()
        } else {
            woken::ticket(Handle::from_ptr(job.cast()))
        };
        let ticket = match ticket {
            Ok(ticket) => ticket,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return fail(Reason::Internal),
            Err(_) => return fail(Reason::MallocFailure),
        };
        let (slot, generation) = ticket.to_parts();
        // SAFETY: not NULL, and by this function's contract writable.
        unsafe { wake.write(SidingWake { slot, generation }) };
        OK
    })
}

/// `siding_wake`.
///
/// # Safety
/// As declared in `siding.h`: all zero, or from `siding_get_wake`.
// Not guarded: nothing here panics, and signal handlers call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn siding_wake(wake: SidingWake) {
    // SAFETY: by this function's contract.
    if let Some(ticket) = unsafe { Ticket::from_parts(wake.slot, wake.generation) } {
        ticket.wake();
    }
}

/// `siding_wake_callback`.
///
/// # Safety
/// As declared in `siding.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn siding_wake_callback(arg: *mut c_void) -> c_int {
    // SAFETY: by this function's contract.
    let Some(wake) = (unsafe { arg.cast::<SidingWake>().as_ref() }) else { return FAILED };
    // SAFETY: by this function's contract.
    unsafe { siding_wake(*wake) };
    OK
}

/// `siding_wakes_fd`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_wakes_fd() -> AsyncFd {
    guarded(-1, || woken::fd().unwrap_or(-1))
}

/// `siding_next_woken`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_next_woken() -> *mut AsyncJob {
    guarded(ptr::null_mut(), || woken::next().map_or(ptr::null_mut(), Handle::as_ptr))
}
