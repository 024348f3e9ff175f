//! How a wait context ends: ASYNC_WAIT_CTX_free.

use std::io::{self, Read};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};

use siding::job::{self, AsyncFd, WaitCtx};

use super::{Cleaned, finished, key, pause, paused, reset, see, set, start};

#[test]
fn cleanups_run_when_the_context_ends_newest_first_and_once() {
    let ctx = WaitCtx::new();
    let cleaned = Cleaned::default();
    cleaned.set(&ctx, 1);
    reset(&ctx);
    set(&ctx, 2); // without a cleanup
    cleaned.set(&ctx, 3);
    assert_eq!(cleaned.fds(), []);
    drop(ctx);
    assert_eq!(cleaned.fds(), [3, 1]);
}

#[test]
fn a_context_ends_with_its_last_handle() {
    let ctx = WaitCtx::new();
    let cleaned = Cleaned::default();
    cleaned.set(&ctx, 1);
    let other = ctx.clone();
    drop(ctx);
    assert_eq!(cleaned.fds(), []);
    assert_eq!(other.fd(key(1)), Some(1));
    drop(other);
    assert_eq!(cleaned.fds(), [1]);
}

#[test]
fn a_paused_job_keeps_its_context() {
    let ctx = WaitCtx::new();
    let cleaned = Cleaned::default();
    cleaned.set(&ctx, 1);
    let job = paused(start(&ctx, || {
        pause();
        assert_eq!(job::wait_ctx().unwrap().fd(key(1)), Some(1));
    }));
    drop(ctx);
    assert_eq!(job.wait_ctx().unwrap().all_fds(), [1]);
    assert_eq!(cleaned.fds(), []);
    finished(job.resume());
    assert_eq!(cleaned.fds(), [1]);
}

#[test]
fn a_cleanup_may_call_back_into_the_context() {
    let ctx = WaitCtx::new();
    let cleaned = Cleaned::default();
    cleaned.set(&ctx, 1);
    cleaned.set(&ctx, 2);
    let late = cleaned.clone();
    let cleanup = move |ctx: &WaitCtx, own_key, _| {
        assert!(!ctx.clear_fd(own_key), "detached before its cleanup runs");
        assert!(ctx.clear_fd(key(2)));
        assert_eq!(ctx.all_fds(), [1]);
        late.set(ctx, 4);
        drop(ctx.clone());
    };
    ctx.set_wait_fd_with(key(3), 3, cleanup).unwrap();
    drop(ctx);
    assert_eq!(cleaned.fds(), [4, 1]);
}

#[test]
fn a_cleanup_may_keep_the_context() {
    let kept = Arc::new(Mutex::new(None));
    let cleaned = Cleaned::default();
    let ctx = WaitCtx::new();
    let keep = kept.clone();
    let cleanup = move |ctx: &WaitCtx, _, _| *keep.lock().unwrap() = Some(ctx.clone());
    ctx.set_wait_fd_with(key(1), 1, cleanup).unwrap();
    drop(ctx);
    let ctx = kept.lock().unwrap().take().unwrap();
    see(&ctx, &[], &[], &[]);
    cleaned.set(&ctx, 2);
    drop(ctx);
    assert_eq!(cleaned.fds(), [2]);
}

#[test]
fn a_cleanup_that_owns_the_fd_closes_it_when_the_context_ends() {
    let (mut reader, writer) = io::pipe().unwrap();
    let ctx = WaitCtx::new();
    #[cfg(unix)]
    let fd = std::os::fd::AsRawFd::as_raw_fd(&writer);
    #[cfg(windows)]
    let fd = std::os::windows::io::AsRawHandle::as_raw_handle(&writer) as AsyncFd;
    ctx.set_wait_fd_with(key(fd), fd, move |_, _, _| drop(writer)).unwrap();
    drop(ctx);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "end of file");
}

/// Sets fds 1 to 4; the cleanups of 2 and 3 panic with their fd.
fn with_panicking_cleanups(cleaned: &Cleaned) -> WaitCtx {
    let ctx = WaitCtx::new();
    cleaned.set(&ctx, 1);
    for fd in [2, 3] {
        let cleanup = |_: &WaitCtx, _, fd: AsyncFd| panic::resume_unwind(Box::new(fd));
        ctx.set_wait_fd_with(key(fd), fd, cleanup).unwrap();
    }
    cleaned.set(&ctx, 4);
    ctx
}

#[test]
fn a_panicking_cleanup_goes_on_panicking_after_the_others_have_run() {
    let cleaned = Cleaned::default();
    let ctx = with_panicking_cleanups(&cleaned);
    let panic = panic::catch_unwind(AssertUnwindSafe(|| drop(ctx))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&(3 as AsyncFd)), "the first panic");
    assert_eq!(cleaned.fds(), [4, 1]);
}

#[test]
fn a_panicking_cleanup_does_not_add_to_a_panic() {
    let cleaned = Cleaned::default();
    let ctx = with_panicking_cleanups(&cleaned);
    let unwind = AssertUnwindSafe(|| {
        let _dropped_by_the_panic = ctx;
        panic::resume_unwind(Box::new("the first"));
    });
    let panic = panic::catch_unwind(unwind).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"the first"));
    assert_eq!(cleaned.fds(), [4, 1]);
}
