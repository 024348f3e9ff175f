//! Wait contexts that are freed, or used by several threads, while jobs have them.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::api::*;
use crate::wait::{Ctx, number};

static CLEANED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn count(_: *mut AsyncWaitCtx, _: *const c_void, fd: Fd, _: *mut c_void) {
    CLEANED.fetch_add(fd as usize, Ordering::Relaxed);
}

#[test]
fn a_wait_ctx_may_be_freed_while_its_job_is_paused() {
    let ctx = Ctx::new();
    let mut job = Job::with(&ctx);
    job.start(|| {
        pause();
        assert!(wait_ctx_of(current()).is_null());
        pause_then(5)
    });
    ctx.set_with(1, 1000, 0, Some(count));
    drop(ctx);
    assert_eq!(CLEANED.load(Ordering::Relaxed), 1000); // at once
    assert!(wait_ctx_of(job.handle).is_null());
    assert_eq!(job.resume(), Pause);
    assert_eq!((job.finish(), CLEANED.load(Ordering::Relaxed)), (5, 1000));
}

#[test]
fn a_wait_ctx_may_be_freed_by_its_running_job() {
    let ctx = Ctx::leak();
    let mut job = Job::with(&ctx);
    let inside = ctx.0;
    job.start(move || {
        drop(Ctx(inside));
        assert!(wait_ctx_of(current()).is_null());
        pause_then(5)
    });
    assert_eq!(job.finish(), 5);
}

unsafe extern "C" fn clear_others(
    ctx: *mut AsyncWaitCtx,
    key: *const c_void,
    fd: Fd,
    _: *mut c_void,
) {
    let ctx = Ctx::borrow(ctx);
    assert_eq!(ctx.clear(key.addr()), 0); // it is detached already
    ctx.clear(if key.addr() == 3 { 2 } else { 9 });
    let order = ORDER.load(Ordering::Relaxed) + fd as usize;
    ORDER.store(order * 10, Ordering::Relaxed);
}

static ORDER: AtomicUsize = AtomicUsize::new(0);

#[test]
fn a_cleanup_may_clear_fds() {
    let ctx = Ctx::new();
    for key in 1..4 {
        ctx.set_with(key, key as Fd, 0, Some(clear_others));
    }
    drop(ctx);
    assert_eq!(ORDER.load(Ordering::Relaxed), 310);
}

static POLLS: AtomicUsize = AtomicUsize::new(0);

/// What an engine's poller does, without lines about it.
fn poll(handle: *mut AsyncJob, fd: Fd) {
    // SAFETY: any handle will do.
    let ctx = unsafe { ASYNC_get_wait_ctx(handle) };
    if ctx.is_null() {
        return;
    }
    let (mut found, mut data, mut callback) = (0, ptr::null_mut(), None);
    // SAFETY: the context is freed after the pollers have ended; places to write to.
    let got = unsafe { ASYNC_WAIT_CTX_get_fd(ctx, number(1), &mut found, &mut data) };
    assert!(got == 0 || found == fd);
    // SAFETY: as above.
    unsafe { ASYNC_WAIT_CTX_set_status(ctx, 10) };
    // SAFETY: as above.
    unsafe { ASYNC_WAIT_CTX_get_callback(ctx, &mut callback, &mut data) };
    POLLS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn other_threads_may_look_while_a_job_is_resumed() {
    const ROUNDS: usize = 2000;
    let ctx = Ctx::new();
    let handle = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    poll(number(handle.load(Ordering::Relaxed)).cast(), 10);
                    thread::yield_now();
                }
            });
        }
        let mut pauses = 0;
        // The pollers may be late.
        while pauses < ROUNDS || (POLLS.load(Ordering::Relaxed) < 100 && pauses < 100 * ROUNDS) {
            let mut job = Job::with(&ctx);
            let inside = ctx.0;
            let body = move || {
                let key = number(1);
                // SAFETY: see `poll`; the lines would be too many.
                unsafe { ASYNC_WAIT_CTX_set_wait_fd(inside, key, 10, ptr::null_mut(), None) };
                ASYNC_pause_job();
                // SAFETY: as above.
                unsafe { ASYNC_WAIT_CTX_clear_fd(inside, key) };
                ASYNC_pause_job()
            };
            assert_eq!(job.start(body), Pause);
            handle.store(job.handle.addr(), Ordering::Relaxed);
            while job.resume() == Pause {
                pauses += 1;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(ctx.status(), 10);
}
