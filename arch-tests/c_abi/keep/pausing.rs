//! Pausing, blocking it, and who is current.

use std::ptr;

use crate::api::*;
use crate::wait::Ctx;

#[test]
fn a_pause_outside_a_job_returns_1() {
    on_a_thread(|| {
        assert_eq!(pause(), 1); // before any init
        init(1, 1);
        assert_eq!(pause(), 1);
        Job::new().start(|| 1);
        assert_eq!(pause(), 1);
        assert_quiet();
    });
}

#[test]
fn a_pause_that_was_resumed_returns_1() {
    let mut job = Job::new();
    job.start(pause);
    assert_eq!(job.finish(), 1);
}

#[test]
fn a_block_holds_until_it_is_balanced() {
    let mut job = Job::new();
    let code = job.start(|| {
        ASYNC_block_pause();
        ASYNC_block_pause();
        ASYNC_unblock_pause();
        assert_eq!(pause(), 1);
        ASYNC_unblock_pause();
        pause();
        7
    });
    assert_eq!(code, Pause);
    assert_eq!(job.finish(), 7);
}

#[test]
fn a_surplus_unblock_is_ignored() {
    let mut job = Job::new();
    let code = job.start(|| {
        ASYNC_unblock_pause();
        ASYNC_unblock_pause();
        ASYNC_block_pause();
        pause(); // is blocked all the same
        ASYNC_unblock_pause();
        pause_then(7)
    });
    assert_eq!(code, Pause);
    assert_eq!(job.finish(), 7);
}

#[test]
fn block_and_unblock_outside_a_job_are_ignored() {
    on_a_thread(|| {
        ASYNC_unblock_pause();
        ASYNC_block_pause();
        let mut job = Job::paused(7);
        ASYNC_block_pause();
        assert_eq!(job.finish(), 7);
    });
}

#[test]
fn the_current_job_is_null_outside_and_the_handle_inside() {
    assert!(current().is_null());
    let mut job = Job::new();
    let mut inside = ptr::null_mut();
    let place = ptr::from_mut(&mut inside);
    job.start(move || {
        // SAFETY: a local variable that outlives the job.
        unsafe { *place = current() };
        pause_then(1)
    });
    assert_eq!(inside, job.handle);
    assert!(current().is_null());
    job.finish();
}

#[test]
fn a_jobs_wait_ctx_is_that_of_its_first_start() {
    let (first, other) = (Ctx::new(), Ctx::new());
    let mut job = Job::with(&first);
    let expected = first.0;
    job.start(move || {
        assert_eq!(wait_ctx_of(current()), expected);
        pause();
        assert_eq!(wait_ctx_of(current()), expected);
        pause_then(1)
    });
    assert_eq!(wait_ctx_of(job.handle), first.0);
    job.ctx = other.0;
    assert_eq!(job.resume(), Pause);
    assert_eq!(wait_ctx_of(job.handle), first.0);
    job.finish();
}

#[test]
fn jobs_can_be_had() {
    assert_eq!(ASYNC_is_capable(), 1);
}
