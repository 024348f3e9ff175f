//! What unwinds, and would leave a job: the frames of a job lead nowhere.

use std::panic;

use crate::api::*;
use crate::common;

#[test]
fn a_panic_that_leaves_a_job_ends_the_process() {
    common::dies_by(libc::SIGABRT, || {
        // What resumed the job does not get it, though it would take it.
        let _ = panic::catch_unwind(|| Job::new().start(|| panic::resume_unwind(Box::new(1))));
    });
}
