//! Jobs given up: when they go on, what their pauses return, who is told.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr;
use std::thread;

use super::api::*;

thread_local! {
    static ENDED: Cell<Vec<(usize, c_int)>> = const { Cell::new(Vec::new()) };
}

unsafe extern "C" fn ended(arg: Data, ret: c_int) {
    let mut all = ENDED.take();
    all.push((arg.addr(), ret));
    ENDED.set(all);
}

fn cancel(job: Job, mode: c_int, name: usize) -> c_int {
    // SAFETY: `ended` takes any word.
    unsafe { siding_job_cancel(job, mode, Some(ended), ptr::without_provenance_mut(name)) }
}

fn told() -> Vec<(usize, c_int)> {
    ENDED.take()
}

fn wake_of(job: Job) -> Wake {
    let mut wake = Wake::default();
    // SAFETY: writable.
    assert_eq!(unsafe { siding_get_wake(job, &mut wake) }, 1);
    wake
}

/// A wait context that holds one eventfd.
fn ctx_with_fd() -> (Ctx, Fd) {
    let (ctx, fd) = (ASYNC_WAIT_CTX_new(), eventfd());
    // SAFETY: a live context.
    let set =
        unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, ptr::null_mut(), fd, ptr::null_mut(), None) };
    assert_eq!(set, 1);
    (ctx, fd)
}

/// The device says so, and the thread hears that there is something to do.
fn complete(fd: Fd) {
    signal(fd);
    assert!(becomes_readable(siding_orphans_fd()));
}

#[test]
fn a_cancelled_job_hears_of_it_when_it_pauses() {
    let job = paused(ptr::null_mut(), pause_often, 5);
    siding_last_error();
    assert_eq!(cancel(job, NOW, 1), 1);
    assert_eq!(told(), [(1, 0)]);
    assert_eq!(siding_orphans_poll(), 0);
    assert_eq!(siding_last_error(), 0, "the error of its pause is taken off");
}

#[test]
fn a_job_that_can_wait_for_nothing_ends_at_once_in_any_mode() {
    let empty = ASYNC_WAIT_CTX_new();
    for (name, mode) in [ON_WAKE, DRAIN].into_iter().enumerate() {
        for ctx in [ptr::null_mut(), empty] {
            assert_eq!(cancel(paused(ctx, pause_often, 3), mode, name), 1);
            assert_eq!(told(), [(name, 0)]);
        }
    }
    // SAFETY: no job holds it.
    unsafe { ASYNC_WAIT_CTX_free(empty) };
}

#[test]
fn a_cancelled_job_waits_for_its_wake() {
    let (ctx, fd) = ctx_with_fd();
    assert_eq!(cancel(paused(ctx, pause_often, 3), ON_WAKE, 7), 1);
    assert_eq!((siding_orphans_poll(), told()), (1, vec![]));
    assert!(!readable(siding_orphans_fd()));
    complete(fd);
    assert_eq!((siding_orphans_poll(), told()), (0, vec![(7, 1)]));
    // SAFETY: the job has ended.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
    close(fd);
}

/// Reads its descriptor whenever it goes on, as an engine does.
unsafe extern "C" fn pause_and_read(args: Data) -> c_int {
    let fd = word(args) as Fd;
    (0..3)
        .map(|_| {
            let succeeded = ASYNC_pause_job();
            drain(fd);
            succeeded
        })
        .sum()
}

#[test]
fn draining_each_pause_waits_for_the_fd_and_succeeds() {
    let (ctx, fd) = ctx_with_fd();
    assert_eq!(cancel(paused(ctx, pause_and_read, fd as usize), DRAIN, 7), 1);
    for left in [1, 1, 0] {
        assert_eq!((siding_orphans_poll(), told()), (1, vec![]));
        complete(fd);
        assert_eq!(siding_orphans_poll(), left);
    }
    assert_eq!(told(), [(7, 3)]);
    // SAFETY: the job has ended.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
    close(fd);
}

#[test]
fn an_orphan_that_clears_its_fd_and_pauses_again_goes_on_at_once() {
    unsafe extern "C" fn clear_and_pause(_: Data) -> c_int {
        let before = ASYNC_pause_job();
        // SAFETY: the context of this job.
        let ctx = unsafe { ASYNC_get_wait_ctx(ASYNC_get_current_job()) };
        // SAFETY: a live context.
        unsafe { ASYNC_WAIT_CTX_clear_fd(ctx, ptr::null_mut()) };
        before * 10 + ASYNC_pause_job()
    }
    let (ctx, fd) = ctx_with_fd();
    assert_eq!(cancel(paused(ctx, clear_and_pause, 0), DRAIN, 8), 1);
    complete(fd);
    assert_eq!((siding_orphans_poll(), told()), (0, vec![(8, 10)]));
    // SAFETY: the job has ended.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
    close(fd);
}

#[test]
fn a_callback_wakes_an_orphan_as_an_fd_does() {
    let ctx = ASYNC_WAIT_CTX_new();
    // SAFETY: a live context; never called with this argument.
    unsafe { ASYNC_WAIT_CTX_set_callback(ctx, Some(siding_wake_callback), ptr::null_mut()) };
    assert_eq!(cancel(paused(ctx, pause_often, 2), ON_WAKE, 3), 1);
    let (mut callback, mut arg) = (None, ptr::null_mut());
    // SAFETY: a live context, writable outputs.
    assert_eq!(unsafe { ASYNC_WAIT_CTX_get_callback(ctx, &mut callback, &mut arg) }, 1);
    let (callback, arg) = (callback.unwrap(), arg.expose_provenance());
    // As a device's thread would.
    // SAFETY: the callback of a job that still waits.
    let call = move || unsafe { callback(ptr::with_exposed_provenance_mut(arg)) };
    assert_eq!(thread::spawn(call).join().unwrap(), 1);
    assert!(readable(siding_orphans_fd()));
    assert_eq!((siding_orphans_poll(), told()), (0, vec![(3, 1)]));
    // SAFETY: the job has ended.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
}

#[test]
fn a_wake_handle_taken_before_wakes_an_orphan_too() {
    let (ctx, fd) = ctx_with_fd();
    let job = paused(ctx, pause_often, 2);
    let wake = wake_of(job);
    assert_eq!(cancel(job, ON_WAKE, 4), 1);
    assert_eq!(siding_orphans_poll(), 1);
    // SAFETY: from `siding_get_wake`.
    unsafe { siding_wake(wake) };
    assert_eq!((siding_orphans_poll(), told()), (0, vec![(4, 1)]));
    // SAFETY: the job has ended.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
    close(fd);
}

#[test]
fn draining_each_pause_takes_a_wake_of_its_own() {
    let (ctx, fd) = ctx_with_fd();
    let job = paused(ctx, pause_often, 3);
    let wake = wake_of(job);
    assert_eq!(cancel(job, DRAIN, 6), 1);
    for left in [1, 1, 0] {
        assert_eq!((siding_orphans_poll(), told()), (1, vec![]));
        // SAFETY: from `siding_get_wake`.
        unsafe { siding_wake(wake) };
        assert_eq!(siding_orphans_poll(), left);
    }
    assert_eq!(told(), [(6, 3)]);
    // SAFETY: the job has ended.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
    close(fd);
}

#[test]
fn a_job_that_wakes_itself_keeps_nobody_for_ever() {
    thread_local! {
        static OWN: Cell<Wake> = const { Cell::new(Wake { slot: 0, generation: 0 }) };
        static ENOUGH: Cell<bool> = const { Cell::new(false) };
    }
    unsafe extern "C" fn wakes_itself(_: Data) -> c_int {
        while !ENOUGH.get() {
            // SAFETY: zero, or from `siding_get_wake`.
            unsafe { siding_wake(OWN.get()) };
            ASYNC_pause_job();
        }
        5
    }
    let (ctx, fd) = ctx_with_fd();
    let job = paused(ctx, wakes_itself, 0);
    OWN.set(wake_of(job));
    // SAFETY: from `siding_get_wake`.
    unsafe { siding_wake(OWN.get()) };
    assert_eq!((cancel(job, DRAIN, 8), told()), (1, vec![]));
    ENOUGH.set(true);
    assert_eq!((siding_orphans_poll(), told()), (0, vec![(8, 5)]));
    // SAFETY: the job has ended.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
    close(fd);
}

#[test]
fn a_wait_context_freed_early_stays_until_its_orphan_has_ended() {
    unsafe extern "C" fn close(_: Ctx, _: Data, fd: Fd, closed: Data) {
        // SAFETY: the test's own flag, which outlives the context.
        unsafe { closed.cast::<bool>().write(true) };
        super::api::close(fd);
    }
    let (ctx, fd, mut closed) = (ASYNC_WAIT_CTX_new(), eventfd(), false);
    let flag = &raw mut closed;
    // SAFETY: a live context; the cleanup takes this flag.
    unsafe { ASYNC_WAIT_CTX_set_wait_fd(ctx, ptr::null_mut(), fd, flag.cast(), Some(close)) };
    assert_eq!(cancel(paused(ctx, pause_often, 1), ON_WAKE, 9), 1);
    // SAFETY: not used afterwards.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
    // SAFETY: written by the cleanup on this thread only.
    assert!(!unsafe { flag.read() });
    complete(fd);
    assert_eq!((siding_orphans_poll(), told()), (0, vec![(9, 1)]));
    // SAFETY: as above.
    assert!(unsafe { flag.read() });
}

#[test]
fn the_handle_of_a_job_given_up_is_of_no_use() {
    let (ctx, fd) = ctx_with_fd();
    let job = paused(ctx, pause_often, 1);
    assert_eq!(cancel(job, ON_WAKE, 1), 1);
    assert_eq!(cancel(job, NOW, 2), 0);
    let mut same = job;
    assert_eq!(start(&mut same, ctx, pause_often, 0).0, ERR);
    complete(fd);
    assert_eq!((siding_orphans_poll(), told()), (0, vec![(1, 1)]));
    assert_eq!(cancel(job, NOW, 3), 0);
    // SAFETY: the job has ended.
    unsafe { ASYNC_WAIT_CTX_free(ctx) };
}

#[test]
fn only_a_paused_job_of_this_thread_can_be_cancelled() {
    unsafe extern "C" fn cancel_myself(_: Data) -> c_int {
        cancel(ASYNC_get_current_job(), NOW, 1)
    }
    let mut job = ptr::null_mut();
    assert_eq!(start(&mut job, ptr::null_mut(), cancel_myself, 0), (FINISH, Some(0)));
    assert_eq!(cancel(ptr::null_mut(), NOW, 1), 0);
    assert_eq!(cancel(ptr::without_provenance_mut(usize::MAX), NOW, 1), 0);
    let job = paused(ptr::null_mut(), pause_often, 1);
    assert_eq!(cancel(job, 17, 1), 0);
    let other = job.expose_provenance();
    let elsewhere =
        thread::spawn(move || cancel(ptr::with_exposed_provenance_mut(other), NOW, 1)).join();
    assert_eq!(elsewhere.unwrap(), 0);
    assert_eq!(cancel(job, NOW, 5), 1);
    assert_eq!(told(), [(5, 0)]);
}

/// A job that its thread has left paused.
fn left_behind() -> Job {
    let leave = || paused(ptr::null_mut(), pause_often, 2).expose_provenance();
    ptr::with_exposed_provenance_mut(thread::spawn(leave).join().unwrap())
}

#[test]
fn jobs_of_a_thread_that_has_ended_are_counted_and_listed() {
    unsafe extern "C" fn note(job: Job, seen: Data) {
        // SAFETY: the vector of this test.
        unsafe { (*seen.cast::<Vec<usize>>()).push(job.addr()) };
    }
    let job = left_behind();
    let mut seen = Vec::<usize>::new();
    // SAFETY: `note` takes this vector.
    let count = unsafe { siding_orphans_each(Some(note), (&raw mut seen).cast()) };
    assert_eq!(count, seen.len());
    assert!(seen.contains(&job.addr()));
    assert!(stats().orphaned >= 1);
}

#[test]
fn a_job_of_a_thread_that_has_ended_can_be_adopted() {
    let job = left_behind();
    let mut resumed = job;
    assert_eq!(start(&mut resumed, ptr::null_mut(), pause_often, 0).0, ERR);
    let before = stats().adopted;
    // SAFETY: the job's frames hold nothing of their thread's.
    assert_eq!(unsafe { siding_job_adopt(job) }, 1);
    assert!(stats().adopted > before);
    // SAFETY: as above.
    assert_eq!(unsafe { siding_job_adopt(job) }, 0, "it has an owner now");
    let mut job = job;
    assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0), (PAUSE, None));
    assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0), (FINISH, Some(2)));
}

#[test]
fn orphans_whose_thread_ends_can_be_adopted() {
    let job = thread::spawn(|| {
        let (ctx, _fd) = ctx_with_fd();
        let job = paused(ctx, pause_often, 2);
        assert_eq!(cancel(job, DRAIN, 1), 1);
        assert_eq!(siding_orphans_poll(), 1);
        job.expose_provenance()
    });
    let mut job: Job = ptr::with_exposed_provenance_mut(job.join().unwrap());
    // SAFETY: the job's frames hold nothing of their thread's.
    assert_eq!(unsafe { siding_job_adopt(job) }, 1);
    assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0), (PAUSE, None));
    assert_eq!(start(&mut job, ptr::null_mut(), pause_often, 0), (FINISH, Some(2)));
}

#[cfg(unix)]
mod without_descriptors {
    use super::*;
    use crate::common::passes;

    fn no_more_descriptors() {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writable.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) }, 0);
        limit.rlim_cur = 0;
        // SAFETY: a valid limit.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) }, 0);
    }

    #[test]
    fn what_needs_not_wait_is_given_up_all_the_same() {
        passes(|| {
            let (ctx, _) = ctx_with_fd();
            let (first, second) =
                (paused(ctx, pause_often, 2), paused(ptr::null_mut(), pause_often, 2));
            no_more_descriptors();
            assert_eq!((cancel(first, NOW, 1), cancel(second, DRAIN, 2)), (1, 1));
            assert_eq!(told(), [(1, 0), (2, 0)]);
        });
    }

    #[test]
    fn what_has_to_wait_stays_its_owners() {
        passes(|| {
            let (ctx, _) = ctx_with_fd();
            let mut job = paused(ctx, pause_often, 1);
            no_more_descriptors();
            assert_eq!((cancel(job, ON_WAKE, 1), told()), (0, vec![]));
            assert_eq!(start(&mut job, ctx, pause_often, 0), (FINISH, Some(1)));
        });
    }
}
