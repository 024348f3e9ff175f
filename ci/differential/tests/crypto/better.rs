//! Rows that need libcrypto itself.

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::api::*;
use crate::common;

unsafe extern "C" {
    safe fn OSSL_LIB_CTX_new() -> *mut c_void;
    fn OSSL_LIB_CTX_set0_default(ctx: *mut c_void) -> *mut c_void;
    safe fn OPENSSL_cleanup();
}

/// Makes a library context the thread's default; returns the one before.
fn set_default(ctx: *mut c_void) -> *mut c_void {
    // SAFETY: NULL, or a context that is never freed.
    unsafe { OSSL_LIB_CTX_set0_default(ctx) }
}

fn default() -> *mut c_void {
    set_default(ptr::null_mut())
}

#[test]
fn each_nested_job_has_a_default_libctx() {
    common::passes(|| {
        let (outers, inners) = (OSSL_LIB_CTX_new(), OSSL_LIB_CTX_new());
        let global = default();
        let mut inner = Job::new();
        let mut outer = Job::new();
        outer.start(|| {
            set_default(outers);
            inner.start(|| {
                assert_eq!(default(), outers); // its caller's
                set_default(inners);
                pause();
                c_int::from(default() == inners)
            });
            assert_eq!(default(), outers);
            pause_then(c_int::from(default() == outers))
        });
        assert_eq!(default(), global);
        assert_eq!((inner.finish(), default()), (1, global)); // from outside
        assert_eq!((outer.finish(), default()), (1, global));
    });
}

#[test]
fn a_refused_handle_leaves_the_default_libctx() {
    common::passes(|| {
        let (mine, jobs) = (OSSL_LIB_CTX_new(), OSSL_LIB_CTX_new());
        set_default(mine);
        let mut job = Job::new();
        job.start(|| {
            set_default(jobs);
            pause_then(1)
        });
        let handle = job.handle;
        job.finish();
        let mut stale = Job::new();
        stale.handle = handle;
        assert_eq!((stale.resume(), default()), (Err, mine));
        let mut running = Job::new();
        running.start(|| {
            set_default(jobs);
            let mut same = Job::new();
            same.handle = current();
            assert_eq!((same.resume(), default()), (Err, jobs));
            0
        });
        assert_eq!(default(), mine);
    });
}

/// With default library contexts to follow, or without.
fn jobs_go_on(with_default: bool) {
    common::passes(|| {
        if with_default {
            set_default(OSSL_LIB_CTX_new());
        }
        let mut paused = Job::paused(5);
        OPENSSL_cleanup();
        assert_eq!(ASYNC_init_thread(5, 1), 1);
        let (mut job, mut ret) = (ptr::null_mut(), 0);
        for expected in [2, 3] {
            // SAFETY: a new job, then a paused one.
            let code =
                unsafe { ASYNC_start_job(&mut job, NO_CTX, &mut ret, Some(pauses), NO_ARGS, 0) };
            assert_eq!(code, expected);
        }
        // SAFETY: a paused job. (Without lines: there is no error queue any more.)
        let code =
            unsafe { ASYNC_start_job(&mut paused.handle, NO_CTX, &mut ret, None, NO_ARGS, 0) };
        assert_eq!((code, ret), (3, 5));
    });
}

unsafe extern "C-unwind" fn pauses(_: *mut c_void) -> c_int {
    assert!(!ASYNC_get_current_job().is_null());
    ASYNC_pause_job()
}

#[test]
fn jobs_go_on_after_openssl_cleanup() {
    jobs_go_on(false);
    jobs_go_on(true);
}
