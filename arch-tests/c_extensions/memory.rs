//! Each allocation of a conversation fails, and all from there on: C gets the errors that the
//! manual pages promise.

use std::ffi::c_int;
use std::ptr;
use std::thread;

use super::api::*;
use crate::heap;

/// Pauses once, and returns the last of its bytes.
unsafe extern "C" fn pause_and_read(args: Data) -> c_int {
    let paused = ASYNC_pause_job();
    // SAFETY: started with so many.
    paused + c_int::from(unsafe { args.cast::<[u8; SIZE]>().read() }[SIZE - 1])
}

/// More than fit a job's own stack.
const SIZE: usize = 400;
/// More than there are stacks in the first slab.
const JOBS: usize = 20;

/// What there was memory for: a context, its fds, jobs, wakes.
fn conversation() -> (bool, usize, usize, usize) {
    let mut args = [41_u8; SIZE];
    let mut jobs = [ptr::null_mut(); JOBS];
    assert_eq!(ASYNC_init_thread(30, 5), 1);
    let ctx = ASYNC_WAIT_CTX_new();
    let there = !ctx.is_null();
    let fds = |fd| {
        let key = ptr::without_provenance_mut(fd as usize);
        // SAFETY: a context or NULL; the fd and the key are not looked at.
        there && unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, key, fd, ptr::null_mut(), None) } == 1
    };
    let fds = (0..9).filter(|&fd| fds(fd)).count();
    let mut woken = 0;
    let mut paused = 0;
    for (n, job) in jobs.iter_mut().enumerate() {
        let size = if n % 2 == 0 { SIZE } else { 0 };
        let function = if size == 0 { pause_once } else { pause_and_read };
        let (mut ret, args) = (0, args.as_mut_ptr().cast());
        // SAFETY: valid pointers, and a function that takes this many bytes.
        match unsafe { ASYNC_start_job(job, ctx, &mut ret, Some(function), args, size) } {
            PAUSE => paused += 1,
            ERR | NO_JOBS => assert!(job.is_null()),
            code => panic!("{code}"),
        }
        let mut wake = Wake::default();
        // SAFETY: a live job, or NULL, which is an error here; writable.
        if !job.is_null() && unsafe { siding_get_wake(*job, &mut wake) } == 1 {
            woken += 1;
            // SAFETY: a wake handle.
            unsafe { siding_wake(wake) };
        }
    }
    for (n, job) in jobs.iter_mut().enumerate().filter(|(_, job)| !job.is_null()) {
        let mut ret = 0;
        // SAFETY: valid pointers, a live job.
        let code = unsafe { ASYNC_start_job(job, ctx, &mut ret, None, ptr::null_mut(), 0) };
        assert_eq!((code, ret), (FINISH, if n % 2 == 0 { 42 } else { 1 }));
    }
    // SAFETY: a context or NULL.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
    ASYNC_cleanup_thread();
    (there, fds, paused, woken)
}

/// Takes no argument.
unsafe extern "C" fn pause_once(args: Data) -> c_int {
    assert!(args.is_null());
    ASYNC_pause_job()
}

#[test]
fn a_job_that_was_adopted_ends_without() {
    let orphan = || paused(ptr::null_mut(), pause_often, 1).expose_provenance();
    let orphan = thread::spawn(orphan).join().unwrap();
    let resumed = thread::spawn(move || {
        let mut job = ptr::with_exposed_provenance_mut(orphan);
        // SAFETY: no preconditions.
        assert_eq!(unsafe { siding_job_adopt(job) }, 1);
        heap::without(|| start(&mut job, ptr::null_mut(), pause_often, 0))
    });
    assert_eq!(resumed.join().unwrap(), (FINISH, Some(1)));
}

#[test]
fn that_is_refused_is_an_error_and_the_rest_goes_on() {
    heap::refused_in_turn(
        || _ = conversation(),
        || assert_eq!(conversation(), (true, 9, JOBS, JOBS)),
    );
}
