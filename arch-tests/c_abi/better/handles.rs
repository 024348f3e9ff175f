//! Arguments and handles that cannot be used.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::mpsc;
use std::thread;

use crate::api::*;
use crate::wait::{Ctx, number};

unsafe extern "C-unwind" fn seven(_: *mut c_void) -> c_int {
    7
}

#[test]
fn without_a_place_for_the_result_it_is_dropped() {
    let mut job = Job::paused(5);
    let nowhere = ptr::null_mut();
    // SAFETY: a paused job.
    let code = unsafe { start_job(&mut job.handle, NO_CTX, nowhere, None, NO_ARGS, 0) };
    assert_eq!((code, job.handle.is_null()), (Finish, true));
}

#[test]
fn without_a_place_for_the_handle_or_a_function_nothing_starts() {
    on_a_thread(|| {
        init(1, 1);
        let mut ret = UNTOUCHED;
        // SAFETY: no job is to be started.
        let code =
            unsafe { ASYNC_start_job(ptr::null_mut(), NO_CTX, &mut ret, Some(seven), NO_ARGS, 0) };
        note("start without a place for the handle");
        assert_eq!((code, ret), (0, UNTOUCHED));
        assert_raised(PASSED_NULL);
        let mut job = Job::new();
        assert_eq!(job.start_function(None, NO_ARGS, 0), Err);
        assert_raised(PASSED_NULL);
        assert_eq!((job.ret, job.handle.is_null()), (UNTOUCHED, true));
        assert_eq!(job.start(|| 1), Finish); // the one job there may be is still there
    });
}

#[test]
fn a_job_works_without_a_wait_ctx() {
    let mut job = Job::without_ctx();
    assert_eq!(job.start(|| 1), Finish);
    let code = job.start(|| {
        assert!(wait_ctx_of(current()).is_null());
        pause();
        assert!(wait_ctx_of(current()).is_null());
        pause_then(3)
    });
    assert_eq!((code, wait_ctx_of(job.handle)), (Pause, ptr::null_mut()));
    assert_eq!(job.resume(), Pause);
    assert_eq!(job.finish(), 3);
}

#[test]
fn a_finished_job_is_refused() {
    on_a_thread(|| {
        let mut job = Job::paused(5);
        let stale = job.handle;
        job.finish();
        let mut again = Job::new();
        again.handle = stale;
        assert_eq!(again.start(|| panic!("must not run")), Err);
        assert_raised(INTERNAL);
        assert_eq!((again.ret, again.handle.is_null()), (UNTOUCHED, true));
        // Nor is the job in the pool twice: two jobs have two stacks.
        let places = [Cell::new(0), Cell::new(0)];
        let mut jobs = [Job::new(), Job::new()];
        for (job, place) in jobs.iter_mut().zip(&places) {
            job.start(|| {
                let local = Cell::new(0);
                place.set(std::hint::black_box(&local).as_ptr().addr());
                pause_then(1)
            });
        }
        assert!(places[0].get().abs_diff(places[1].get()) > 8192);
        jobs.iter_mut().for_each(|job| _ = job.finish());
    });
}

#[test]
fn a_stale_handle_of_a_recycled_job_is_refused() {
    on_a_thread(|| {
        init(1, 1);
        let mut job = Job::paused(5);
        let stale = job.handle;
        job.finish();
        let mut next = Job::paused(6); // the same job, by the limit
        let mut again = Job::new();
        again.handle = stale;
        assert_eq!((again.resume(), again.handle.is_null()), (Err, true));
        assert_raised(INTERNAL);
        assert_eq!(next.finish(), 6);
    });
}

/// Resumes a job from inside itself, or from one nested in it.
fn resumed_inside(handle: *mut AsyncJob) {
    let mut same = Job::new();
    same.handle = handle;
    assert_eq!(same.start(|| panic!("must not run")), Err);
    assert_raised(INTERNAL);
    assert_eq!((same.ret, same.handle), (UNTOUCHED, handle)); // it lives
}

#[test]
fn a_running_job_is_refused_and_unharmed() {
    let mut job = Job::new();
    let code = job.start(|| {
        resumed_inside(current());
        pause();
        resumed_inside(current());
        pause_then(5)
    });
    assert_eq!(code, Pause);
    assert_eq!(job.resume(), Pause);
    assert_eq!(job.finish(), 5);
}

#[test]
fn a_job_that_waits_for_a_nested_one_is_refused_and_unharmed() {
    let mut outer = Job::new();
    outer.start(|| {
        let handle = current();
        let mut inner = Job::new();
        inner.start(|| {
            resumed_inside(handle);
            pause_then(1)
        });
        inner.finish();
        pause_then(5)
    });
    assert_eq!(outer.finish(), 5);
}

#[test]
fn a_handle_that_never_was_is_refused() {
    for garbage in
        [1, 2, 0x40, 0xFFFF, 1 << (usize::BITS / 2) | 1, usize::MAX / 2, usize::MAX - 1, usize::MAX]
    {
        let mut job = Job::new();
        job.handle = number(garbage).cast();
        assert_eq!(job.start(|| panic!("must not run")), Err);
        assert_raised(INTERNAL);
        assert_eq!((job.ret, job.handle.is_null()), (UNTOUCHED, true));
        assert!(wait_ctx_of(number(garbage).cast()).is_null());
    }
}

/// Tries to resume a job on another thread.
fn refused_elsewhere(handle: *mut AsyncJob) {
    let handle = handle.addr();
    on_a_thread(move || {
        let mut job = Job::new();
        job.handle = number(handle).cast();
        assert_eq!(job.resume(), Err);
        assert_raised(INTERNAL);
        assert_eq!(job.handle.addr(), handle);
    });
}

#[test]
fn another_thread_cannot_resume_a_job_up_to_a_pause() {
    let mut job = Job::new();
    job.start(|| {
        pause();
        pause_then(5)
    });
    refused_elsewhere(job.handle);
    assert_eq!(job.resume(), Pause);
    refused_elsewhere(job.handle);
    assert_eq!(job.finish(), 5);
}

#[test]
fn another_thread_cannot_resume_a_job_to_its_end() {
    let mut job = Job::paused(5);
    refused_elsewhere(job.handle);
    assert_eq!(job.finish(), 5);
}

#[test]
fn another_thread_cannot_resume_a_job_that_runs() {
    let (tell, told) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let owner = thread::spawn(move || {
        let mut job = Job::new();
        job.start(|| {
            tell.send(current().addr()).unwrap();
            answered.recv().unwrap();
            5
        });
        job.ret
    });
    refused_elsewhere(number(told.recv().unwrap()).cast());
    answer.send(()).unwrap();
    assert_eq!(owner.join().unwrap(), 5);
}

#[test]
fn a_job_of_a_thread_that_has_ended_is_refused() {
    let left = thread::spawn(|| Job::paused(5).handle.addr()).join().unwrap();
    let left = number(left).cast();
    refused_elsewhere(left); // perhaps at the same address as the one that ended
    let mut job = Job::new();
    job.handle = left;
    assert_eq!(job.resume(), Err);
    assert_raised(INTERNAL);
}

#[test]
fn null_is_no_job() {
    assert!(wait_ctx_of(ptr::null_mut()).is_null());
}

#[test]
fn a_finished_job_has_no_wait_ctx() {
    let mut job = Job::paused(5);
    let stale = job.handle;
    job.finish();
    assert!(wait_ctx_of(stale).is_null());
    let _recycled = Job::paused(6);
    assert!(wait_ctx_of(stale).is_null());
}

#[test]
fn null_is_no_wait_ctx() {
    let ctx = std::mem::ManuallyDrop::new(Ctx(ptr::null_mut()));
    assert_eq!((ctx.set(1, 10), ctx.clear(1), ctx.get(1)), (0, 0, (0, -7, 7)));
    assert_eq!((ctx.callback(), ctx.set_status(1), ctx.status()), ((0, None, 7), 0, 0));
    let (mut adds, mut dels, none) = (77, 78, ptr::null_mut());
    // SAFETY: two places for the counts.
    let got = unsafe { ASYNC_WAIT_CTX_get_changed_fds(ctx.0, none, &mut adds, none, &mut dels) };
    assert_eq!((got, adds, dels), (0, 77, 78));
    // SAFETY: a place for the count.
    let got = unsafe { ASYNC_WAIT_CTX_get_all_fds(ctx.0, none, &mut adds) };
    assert_eq!((got, adds), (0, 77));
    assert_quiet();
}

#[test]
fn get_fd_needs_no_places() {
    let ctx = Ctx::new();
    ctx.set_with(1, 10, 100, None);
    let (mut fd, mut data) = (-7, number(7));
    let (key, nowhere) = (number(1), ptr::null_mut());
    // SAFETY: a live context, no places.
    assert_eq!(unsafe { ASYNC_WAIT_CTX_get_fd(ctx.0, key, ptr::null_mut(), nowhere) }, 1);
    // SAFETY: a live context, one place.
    assert_eq!(unsafe { ASYNC_WAIT_CTX_get_fd(ctx.0, number(1), &mut fd, ptr::null_mut()) }, 1);
    // SAFETY: a live context, the other place.
    assert_eq!(unsafe { ASYNC_WAIT_CTX_get_fd(ctx.0, number(1), ptr::null_mut(), &mut data) }, 1);
    assert_eq!((fd, data.addr()), (10, 100));
}
