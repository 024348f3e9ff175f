//! Wake handles.

use std::ffi::c_int;
use std::ptr;
use std::thread;

use super::api::*;

fn wake_of(job: Job) -> Wake {
    let mut wake = Wake::default();
    // SAFETY: writable.
    assert_eq!(unsafe { siding_get_wake(job, &mut wake) }, 1);
    wake
}

/// From another thread, as a device's would.
fn wake(wake: Wake) {
    // SAFETY: from `siding_get_wake`.
    thread::spawn(move || unsafe { siding_wake(wake) }).join().unwrap();
}

fn resume(mut job: Job) -> c_int {
    start(&mut job, ptr::null_mut(), pause_often, 0).0
}

#[test]
fn a_wake_handle_that_is_late_or_used_twice_does_nothing() {
    let (first, second) =
        (paused(ptr::null_mut(), pause_often, 2), paused(ptr::null_mut(), pause_often, 1));
    let (of_first, of_second) = (wake_of(first), wake_of(second));
    let fd = siding_wakes_fd();
    assert!(siding_next_woken().is_null());
    assert!(!readable(fd));
    wake(of_second);
    wake(of_first);
    wake(of_first);
    assert!(readable(fd));
    assert_eq!([siding_next_woken(), siding_next_woken()], [second, first]);
    assert!(siding_next_woken().is_null());
    assert!(!readable(fd));
    assert_eq!(resume(second), FINISH);
    wake(of_second); // too late
    assert!(siding_next_woken().is_null());
    assert_eq!(resume(first), PAUSE);
    wake(of_first);
    assert!(readable(fd));
    assert_eq!(siding_next_woken(), first);
    assert_eq!(resume(first), FINISH);
}

/// A job with a wake handle, of a thread that has ended.
fn orphan() -> (Job, Wake) {
    let made = thread::spawn(|| {
        let job = paused(ptr::null_mut(), pause_often, 1);
        (job.expose_provenance(), wake_of(job))
    });
    let (job, wake) = made.join().unwrap();
    (ptr::with_exposed_provenance_mut(job), wake)
}

#[test]
fn wakes_of_a_job_reach_the_thread_that_has_adopted_it() {
    for asked_before in [true, false] {
        for woken_before in [true, false] {
            let (job, handle) = orphan();
            let fd = asked_before.then(|| siding_wakes_fd());
            assert!(!asked_before || siding_next_woken().is_null());
            if woken_before {
                wake(handle);
            }
            // SAFETY: the job's frames hold nothing of their thread's.
            assert_eq!(unsafe { siding_job_adopt(job) }, 1);
            if !woken_before {
                wake(handle);
            }
            assert!(readable(fd.unwrap_or_else(|| siding_wakes_fd())));
            assert_eq!(siding_next_woken(), job);
            assert!(siding_next_woken().is_null());
            assert_eq!(resume(job), FINISH);
        }
    }
}

#[test]
fn a_handle_of_a_job_that_ended_does_not_wake_the_next_one_in_its_place() {
    let job = paused(ptr::null_mut(), pause_often, 1);
    let stale = wake_of(job);
    assert_eq!(resume(job), FINISH);
    let next = paused(ptr::null_mut(), pause_often, 1);
    wake_of(next);
    wake(stale);
    assert!(siding_next_woken().is_null());
    assert_eq!(resume(next), FINISH);
}

#[test]
fn a_job_woken_while_it_runs_is_named_once_it_has_paused() {
    unsafe extern "C" fn wake_myself(_: Data) -> c_int {
        let mine = wake_of(ptr::null_mut());
        wake(mine);
        assert!(siding_next_woken().is_null(), "it runs");
        ASYNC_pause_job()
    }
    let job = paused(ptr::null_mut(), wake_myself, 0);
    assert_eq!(siding_next_woken(), job);
    assert_eq!(resume(job), FINISH);
}

/// A child has its parent's jobs and descriptors, and wakes of its own.
#[cfg(unix)]
#[test]
fn a_child_leaves_the_wakes_of_its_parent_alone() {
    use crate::common::passes;
    let job = paused(ptr::null_mut(), pause_often, 1);
    let handle = wake_of(job);
    let fd = siding_wakes_fd();
    assert!(siding_next_woken().is_null());
    // SAFETY: from `siding_get_wake`.
    let wake_here = || unsafe { siding_wake(handle) };
    for woken_before in [false, true] {
        if woken_before {
            wake_here();
        }
        passes(|| {
            if !woken_before {
                wake_here();
            }
            assert_eq!(siding_next_woken(), job);
            assert!(siding_next_woken().is_null());
            let own = siding_wakes_fd();
            assert!(own != fd && !readable(own));
            wake_here();
            assert!(readable(own));
            assert_eq!(siding_next_woken(), job);
            assert_eq!(resume(job), FINISH);
        });
        assert_eq!(readable(fd), woken_before);
    }
    assert_eq!(siding_next_woken(), job);
    assert_eq!(resume(job), FINISH);
}

/// Its parent's drivers look at lists of which the child has copies.
#[cfg(unix)]
#[test]
fn an_orphan_that_was_woken_before_the_fork_is_woken_again_in_the_child() {
    use crate::common::passes;
    let (ctx, fd) = (ASYNC_WAIT_CTX_new(), eventfd());
    // SAFETY: a live context.
    unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, ptr::null_mut(), fd, ptr::null_mut(), None) };
    let job = paused(ctx, pause_often, 2);
    let handle = wake_of(job);
    // SAFETY: nobody is told.
    assert_eq!(unsafe { siding_job_cancel(job, DRAIN, None, ptr::null_mut()) }, 1);
    // SAFETY: from `siding_get_wake`.
    let wake_here = || unsafe { siding_wake(handle) };
    wake_here();
    passes(|| {
        // SAFETY: the job's frames hold nothing of a thread's.
        assert_eq!(unsafe { siding_job_adopt(job) }, 1);
        assert_eq!(siding_next_woken(), job);
        assert_eq!(resume(job), PAUSE);
        wake_here();
        assert_eq!(siding_next_woken(), job);
        assert_eq!(resume(job), FINISH);
    });
    while siding_orphans_poll() != 0 {
        wake_here();
    }
    // SAFETY: the job has ended.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
    close(fd);
}

#[test]
fn the_callback_wakes_too() {
    let ctx = ASYNC_WAIT_CTX_new();
    let job = paused(ctx, pause_often, 1);
    let mut handle = wake_of(job);
    let arg = (&raw mut handle).cast();
    // SAFETY: a live context; the handle outlives the job.
    unsafe { ASYNC_WAIT_CTX_set_callback(ctx, Some(siding_wake_callback), arg) };
    let (mut callback, mut arg) = (None, ptr::null_mut());
    // SAFETY: as above.
    unsafe { ASYNC_WAIT_CTX_get_callback(ctx, &mut callback, &mut arg) };
    // SAFETY: as set above.
    assert_eq!(unsafe { callback.unwrap()(arg) }, 1);
    assert_eq!(siding_next_woken(), job);
    assert_eq!(resume(job), FINISH);
    // SAFETY: no job holds it.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
}

#[test]
fn what_names_no_job_wakes_nobody() {
    let mut handle = Wake { slot: 1, generation: 1 };
    // SAFETY: writable.
    assert_eq!(unsafe { siding_get_wake(ptr::null_mut(), &mut handle) }, 0, "outside a job");
    // SAFETY: stale and foreign handles are looked up only.
    assert_eq!(unsafe { siding_get_wake(ptr::without_provenance_mut(99), &mut handle) }, 0);
    // SAFETY: NULL is an error.
    assert_eq!(unsafe { siding_get_wake(ptr::null_mut(), ptr::null_mut()) }, 0);
    // SAFETY: all zero names nothing.
    unsafe { siding_wake(Wake::default()) };
    // SAFETY: NULL is an error.
    assert_eq!(unsafe { siding_wake_callback(ptr::null_mut()) }, 0);
}

#[test]
fn a_job_that_is_woken_twice_is_named_once() {
    let (first, second) =
        (paused(ptr::null_mut(), pause_often, 1), paused(ptr::null_mut(), pause_often, 1));
    let (of_first, of_second) = (wake_of(first), wake_of(second));
    wake(of_first);
    wake(of_second);
    assert_eq!(siding_next_woken(), first);
    wake(of_second);
    assert_eq!(siding_next_woken(), second);
    assert!(siding_next_woken().is_null());
    assert_eq!([resume(first), resume(second)], [FINISH, FINISH]);
}

#[test]
fn a_cancelled_job_that_still_runs_has_a_wake_handle_of_its_own() {
    unsafe extern "C" fn asks_when_cancelled(_: Data) -> c_int {
        assert_eq!(ASYNC_pause_job(), 0);
        let mut wake = Wake::default();
        // SAFETY: writable; NULL is the current job.
        unsafe { siding_get_wake(ptr::null_mut(), &mut wake) }
    }
    unsafe extern "C" fn ended(arg: Data, ret: c_int) {
        // SAFETY: below.
        unsafe { arg.cast::<c_int>().write(ret) };
    }
    let (job, mut ret) = (paused(ptr::null_mut(), asks_when_cancelled, 0), -1);
    // SAFETY: `ret` is there until the job has ended, which it does in this call.
    let cancelled = unsafe { siding_job_cancel(job, NOW, Some(ended), (&raw mut ret).cast()) };
    assert_eq!((cancelled, ret), (1, 1));
}
