//! Jobs that start and resume jobs.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::ptr;

use crate::api::*;

/// Starts a job inside the current one that pauses once, and resumes it.
fn nested(value: c_int) -> c_int {
    let outer = current();
    let mut inner = Job::new();
    let code = inner.start(|| {
        assert_ne!(current(), outer); // the innermost
        pause_then(value)
    });
    assert_eq!((code, current()), (Pause, outer));
    assert_ne!(inner.handle, outer);
    let value = inner.finish();
    assert_eq!(current(), outer);
    value
}

#[test]
fn a_new_job_may_start_a_job() {
    on_a_thread(|| {
        let mut outer = Job::new();
        assert_eq!(outer.start(|| nested(5) + pause_then(1)), Pause);
        assert_eq!(outer.finish(), 6);
    });
}

#[test]
fn a_job_from_the_pool_may_start_a_job() {
    on_a_thread(|| {
        Job::new().start(|| 99);
        let mut outer = Job::new();
        assert_eq!(outer.start(|| nested(5) + pause_then(1)), Pause);
        assert_eq!(outer.finish(), 6);
    });
}

#[test]
fn a_job_that_was_resumed_may_start_a_job() {
    let mut outer = Job::new();
    outer.start(|| {
        pause();
        nested(5) + pause_then(1)
    });
    assert_eq!(outer.resume(), Pause);
    assert_eq!(outer.finish(), 6);
}

#[test]
fn a_job_may_resume_a_paused_one() {
    let mut paused = Job::new();
    paused.start(|| {
        pause();
        pause_then(5)
    });
    let mut outer = Job::new();
    let code = outer.start(|| {
        assert_eq!(paused.resume(), Pause);
        assert!(!current().is_null());
        pause(); // goes to the outer one's resumer
        paused.finish()
    });
    assert_eq!((code, current()), (Pause, ptr::null_mut()));
    assert_eq!(outer.finish(), 5);
}

#[test]
fn a_pause_goes_to_whoever_resumed_the_innermost_job() {
    let log = RefCell::new(String::new());
    let say = |c: char| log.borrow_mut().push(c);
    let mut inner = Job::new();
    let mut outer = Job::new();
    outer.start(|| {
        say('1');
        inner.start(|| {
            say('2');
            pause();
            say('5');
            pause();
            say('7');
            0
        });
        say('3');
        pause_then(0)
    });
    say('4');
    assert_eq!(inner.resume(), Pause); // from outside
    say('6');
    assert_eq!(outer.resume(), Finish);
    inner.finish();
    assert_eq!(*log.borrow(), "1234567");
}

#[test]
fn an_outer_job_may_end_before_the_inner_one() {
    let inner = RefCell::new(Job::new());
    let mut outer = Job::new();
    assert_eq!(
        outer.start(|| {
            inner.borrow_mut().start(|| pause_then(5));
            1
        }),
        Finish
    );
    assert_eq!(Job::new().start(|| 2), Finish); // on the stack that is free again
    assert_eq!(inner.borrow_mut().finish(), 5);
}

#[test]
fn jobs_nest_deeply() {
    fn level(depth: c_int) -> c_int {
        if depth == 0 {
            return 0;
        }
        let mut job = Job::new();
        let code = job.start(move || level(depth - 1) + pause_then(1));
        assert_eq!(code, Pause);
        job.finish()
    }
    assert_eq!(level(50), 50);
}

#[test]
fn a_block_ends_with_its_job() {
    on_a_thread(|| {
        init(1, 0);
        let block = || {
            ASYNC_block_pause();
            1
        };
        assert_eq!(Job::new().start(block), Finish);
        let mut next = Job::new();
        assert_eq!(next.start(|| pause_then(2)), Pause); // the same job, by the limit
        next.finish();
    });
}

#[test]
fn a_block_does_not_hold_jobs_that_paused_earlier() {
    let mut earlier = Job::new();
    earlier.start(|| {
        pause();
        pause_then(1)
    });
    Job::new().start(|| {
        ASYNC_block_pause();
        1
    });
    assert_eq!(earlier.resume(), Pause);
    earlier.finish();
}

#[test]
fn a_block_does_not_hold_a_nested_job() {
    let inner_paused = Cell::new(false);
    let mut outer = Job::new();
    let code = outer.start(|| {
        ASYNC_block_pause();
        let mut inner = Job::new();
        inner_paused.set(inner.start(|| pause_then(1)) == Pause);
        pause();
        inner.finish()
    });
    assert_eq!((code, inner_paused.get()), (Finish, true));
}
