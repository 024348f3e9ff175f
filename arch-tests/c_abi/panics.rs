//! Better than in libcrypto, as far as siding and the job have one standard library.

use std::ffi::c_void;
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
