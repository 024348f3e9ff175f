//! Threads, processes, and what belongs to them.

use std::ffi::{c_int, c_void};
use std::panic;
use std::ptr;

use crate::api::*;
use crate::common::{self, errno::errno};

#[test]
fn parent_and_child_both_finish_a_paused_job() {
    let mut job = Job::paused(5);
    common::passes(|| assert_eq!(job.finish(), 5));
    assert_eq!(job.finish(), 5);
}

#[cfg(unix)]
#[test]
fn a_job_may_fork() {
    let mut job = Job::new();
    let mut status = -1;
    let place = ptr::from_mut(&mut status);
    job.start(move || {
        // SAFETY: the child does what a child of `common::passes` does.
        let pid = unsafe { libc::fork() };
        if pid != 0 {
            // SAFETY: a place for the status, which outlives the job.
            unsafe { libc::waitpid(pid, place, 0) };
        }
        pause_then(if pid == 0 { 6 } else { 7 })
    });
    let value = job.finish();
    if value == 6 {
        // SAFETY: no preconditions.
        unsafe { libc::_exit(5) };
    }
    assert_eq!((value, libc::WEXITSTATUS(status)), (7, 5));
}

fn set_errno(value: c_int) {
    // SAFETY: this thread's errno.
    unsafe { *errno() = value };
}

unsafe extern "C-unwind" fn sets_errno(_: *mut c_void) -> c_int {
    set_errno(71);
    0
}

#[test]
fn errno_leaves_the_job_when_it_finishes() {
    on_a_thread(|| {
        let mut job: *mut AsyncJob = ptr::null_mut();
        let (mut ret, none) = (0, ptr::null_mut());
        // SAFETY: a new job; nothing but the call, since printing might set errno.
        unsafe { ASYNC_start_job(&mut job, ptr::null_mut(), &mut ret, Some(sets_errno), none, 0) };
        // SAFETY: this thread's.
        let seen = unsafe { *errno() };
        assert_eq!(seen, 71);
    });
}

#[test]
fn an_exception_is_thrown_and_caught_in_a_job() {
    struct Dropped(*mut c_int);
    impl Drop for Dropped {
        fn drop(&mut self) {
            // SAFETY: a local variable that outlives the job.
            unsafe { *self.0 += 1 };
        }
    }
    let mut drops = 0;
    let place = ptr::from_mut(&mut drops);
    let mut job = Job::new();
    job.start(move || {
        let thrown = panic::catch_unwind(move || {
            let _dropped = Dropped(place);
            pause();
            panic::resume_unwind(Box::new(9))
        });
        pause_then(*thrown.map(|()| 0).unwrap_err().downcast::<c_int>().unwrap())
    });
    assert_eq!(job.resume(), Pause);
    assert_eq!((job.finish(), drops), (9, 1));
}

#[cfg(unix)]
unsafe extern "C-unwind" {
    /// Unwinds, which the `libc` crate does not know.
    #[link_name = "pthread_exit"]
    fn exit_thread(value: *mut c_void) -> !;
}

#[cfg(unix)]
unsafe extern "C-unwind" fn exits_its_thread(_: *mut c_void) -> c_int {
    pause();
    // SAFETY: the frames it passes are C's or have nothing to drop.
    unsafe { exit_thread(ptr::without_provenance_mut(42)) }
}

#[cfg(unix)]
unsafe extern "C-unwind" fn thread_with_such_a_job(_: *mut c_void) -> *mut c_void {
    let mut job: *mut AsyncJob = ptr::null_mut();
    let (mut ret, none) = (0, ptr::null_mut());
    let ctx = ASYNC_WAIT_CTX_new();
    for _ in 0..2 {
        // SAFETY: a new job, then a paused one.
        unsafe { ASYNC_start_job(&mut job, ctx, &mut ret, Some(exits_its_thread), none, 0) };
    }
    ptr::null_mut()
}

#[cfg(unix)]
#[test]
fn a_job_may_exit_its_thread() {
    for _ in 0..50 {
        assert_eq!(on_a_c_thread(thread_with_such_a_job).addr(), 42);
    }
}

#[test]
fn a_process_may_exit_with_paused_jobs() {
    common::exits_with(7, || {
        Job::paused(1);
        std::process::exit(7);
    });
}

#[test]
fn a_job_may_exit_the_process() {
    common::exits_with(7, || {
        Job::new().start(|| std::process::exit(7));
    });
}
