//! What unwinds, and would leave a job.

use std::ffi::{c_int, c_void};
use std::{panic, ptr};

use crate::api::*;
use crate::common;

unsafe extern "C-unwind" fn panics_in_a_job(_: *mut c_void) -> *mut c_void {
    // What resumed the job does not get it, though it would take it.
    let _ = panic::catch_unwind(|| Job::new().start(|| panic::resume_unwind(Box::new(1))));
    ptr::null_mut()
}

#[test]
fn a_panic_that_leaves_a_job_ends_the_process_and_says_why() {
    let words = common::dies_by(libc::SIGABRT, || {
        // The test harness does not capture what a foreign thread says.
        on_a_c_thread(panics_in_a_job);
    });
    assert!(words.contains("siding: "), "{words}");
}

/// `struct _Unwind_Exception`, large and aligned enough for every architecture.
#[repr(C, align(16))]
struct Exception {
    class: u64,
    rest: [usize; 8],
}

unsafe extern "C-unwind" {
    #[link_name = "_Unwind_RaiseException"]
    fn throw(exception: *mut Exception) -> c_int;
}

unsafe extern "C-unwind" fn throws(_: *mut c_void) -> c_int {
    let class = u64::from_be_bytes(*b"SIDGTEST");
    let exception = Box::leak(Box::new(Exception { class, rest: [0; 8] }));
    // SAFETY: an exception that stays.
    unsafe { throw(exception) }
}

unsafe extern "C-unwind" fn throws_in_a_job(_: *mut c_void) -> *mut c_void {
    Job::new().start_function(Some(throws), NO_ARGS, 0);
    ptr::null_mut()
}

#[test]
fn a_foreign_exception_that_leaves_a_job_ends_the_process_and_says_why() {
    let words = common::dies_by(libc::SIGABRT, || _ = on_a_c_thread(throws_in_a_job));
    assert!(words.contains("siding: "), "{words}");
}
