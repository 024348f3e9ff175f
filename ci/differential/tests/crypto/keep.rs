//! Rows that need libcrypto itself: default library contexts, the error queue, libssl.

use std::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use std::ptr;

use crate::api::*;
use crate::common;
use crate::wait::Ctx;

#[link(name = "ssl")]
unsafe extern "C" {
    safe fn SSL_CTX_new(method: *const c_void) -> *mut c_void;
    safe fn TLS_client_method() -> *const c_void;
    fn SSL_new(ctx: *mut c_void) -> *mut c_void;
    fn SSL_ctrl(ssl: *mut c_void, command: c_int, number: c_long, data: *mut c_void) -> c_long;
    fn SSL_set_bio(ssl: *mut c_void, read: *mut c_void, write: *mut c_void);
    fn SSL_set_info_callback(
        ssl: *mut c_void,
        f: unsafe extern "C-unwind" fn(*const c_void, c_int, c_int),
    );
    fn SSL_connect(ssl: *mut c_void) -> c_int;
    fn SSL_get_error(ssl: *const c_void, answer: c_int) -> c_int;
    fn SSL_waiting_for_async(ssl: *mut c_void) -> c_int;
    fn SSL_free(ssl: *mut c_void);
}

unsafe extern "C" {
    safe fn BIO_s_mem() -> *const c_void;
    fn BIO_new(method: *const c_void) -> *mut c_void;
    safe fn OSSL_LIB_CTX_new() -> *mut c_void;
    fn OSSL_LIB_CTX_set0_default(ctx: *mut c_void) -> *mut c_void;
    safe fn ERR_new();
    fn ERR_set_error(library: c_int, reason: c_int, format: *const c_char, ...);
    safe fn ERR_peek_error() -> c_ulong;
    safe fn ERR_peek_last_error() -> c_ulong;
    safe fn ERR_get_error() -> c_ulong;
    safe fn ERR_reason_error_string(error: c_ulong) -> *const c_char;
}

/// Makes a library context the thread's default; returns the one before.
fn set_default(ctx: *mut c_void) -> *mut c_void {
    // SAFETY: NULL, or a context that is never freed.
    unsafe { OSSL_LIB_CTX_set0_default(ctx) }
}

fn default() -> *mut c_void {
    set_default(ptr::null_mut())
}

// Each in a child, where nobody has set a default yet: siding follows them only from then on.

#[test]
fn a_new_job_starts_with_its_callers_default_libctx() {
    common::passes(|| {
        let mine = OSSL_LIB_CTX_new();
        let global = default();
        let mut job = Job::new();
        job.start(|| pause_then(c_int::from(default() == global)));
        set_default(mine);
        let mut other = Job::new();
        other.start(|| pause_then(c_int::from(default() == mine)));
        assert_eq!((other.finish(), job.finish()), (1, 1));
        assert_eq!(default(), mine);
    });
}

#[test]
fn a_default_libctx_set_in_a_job_stays_in_it() {
    common::passes(|| {
        let jobs = OSSL_LIB_CTX_new();
        let global = default();
        let mut job = Job::new();
        job.start(|| {
            set_default(jobs);
            pause();
            assert_eq!(default(), jobs);
            pause();
            c_int::from(default() == jobs)
        });
        assert_eq!(default(), global);
        assert_eq!(job.resume(), Pause);
        assert_eq!(default(), global);
        assert_eq!((job.finish(), default()), (1, global));
        // Nor does the next job on that stack find it.
        let mut next = Job::new();
        next.start(|| c_int::from(default() == global));
        assert_eq!(next.ret, 1);
    });
}

#[test]
fn a_caller_that_switches_its_default_libctx_gets_its_choice_back() {
    common::passes(|| {
        let (first, second) = (OSSL_LIB_CTX_new(), OSSL_LIB_CTX_new());
        let global = default();
        let mut job = Job::new();
        job.start(|| {
            while default() == global && pause() == 1 {}
            panic!("the job has kept the default it started with, until it gets this")
        });
        for ctx in [first, second, global, second] {
            set_default(ctx);
            assert_eq!((job.resume(), default()), (Pause, ctx));
        }
    });
}

/// Puts an error of libcrypto's own on the queue.
fn raise(reason: c_int) {
    ERR_new();
    // SAFETY: without a format no further arguments are read.
    unsafe { ERR_set_error(15, reason, ptr::null()) };
}

#[test]
fn errors_of_a_job_are_on_its_threads_queue() {
    on_a_thread(|| {
        let ctx = Ctx::leak();
        let mut handle = ptr::null_mut();
        let mut step = || {
            let mut ret = 0;
            // SAFETY: a new job, then a paused one; nothing takes errors off the queue.
            unsafe { ASYNC_start_job(&mut handle, ctx.0, &mut ret, Some(raises), NO_ARGS, 0) }
        };
        assert_eq!((step(), ERR_peek_last_error()), (2, 15 << 23 | 101));
        raise(102);
        assert_eq!((step(), ERR_peek_last_error()), (3, 15 << 23 | 103));
        let queue: Vec<_> = (0..4).map(|_| ERR_get_error()).collect();
        assert_eq!(queue, [15 << 23 | 101, 15 << 23 | 102, 15 << 23 | 103, 0]);
    });
}

unsafe extern "C-unwind" fn raises(_: *mut c_void) -> c_int {
    raise(101);
    ASYNC_pause_job();
    assert_eq!(ERR_peek_last_error(), 15 << 23 | 102);
    raise(103);
    0
}

#[test]
fn no_answer_but_an_error_touches_the_queue() {
    on_a_thread(|| {
        let ctx = Ctx::leak();
        ASYNC_init_thread(1, 1);
        raise(101);
        let (mut handle, mut other, mut ret) = (ptr::null_mut(), ptr::null_mut(), 0);
        let mut step = |handle: &mut *mut AsyncJob| {
            // SAFETY: a new job, then a paused one.
            unsafe { ASYNC_start_job(handle, ctx.0, &mut ret, Some(pauses), NO_ARGS, 0) }
        };
        assert_eq!([step(&mut handle), step(&mut other), step(&mut handle)], [2, 1, 3]);
        ASYNC_pause_job();
        ctx.clear_quietly();
        assert_eq!((ERR_get_error(), ERR_peek_error()), (15 << 23 | 101, 0));
    });
}

unsafe extern "C-unwind" fn pauses(_: *mut c_void) -> c_int {
    ASYNC_pause_job()
}

impl Ctx {
    /// Operations that fail, or find nothing, without a line about them.
    fn clear_quietly(&self) {
        // SAFETY: a live context.
        assert_eq!(unsafe { ASYNC_WAIT_CTX_clear_fd(self.0, ptr::null()) }, 0);
        let (mut fd, mut data, mut callback) = (0, ptr::null_mut(), None);
        // SAFETY: a live context, and places to write to.
        assert_eq!(unsafe { ASYNC_WAIT_CTX_get_fd(self.0, ptr::null(), &mut fd, &mut data) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { ASYNC_WAIT_CTX_get_callback(self.0, &mut callback, &mut data) }, 0);
    }
}

#[test]
fn errors_have_the_texts_of_libcryptos_table() {
    init(2, 5); // the first error loads the table
    for reason in [101, 102, 103, 105, MALLOC_FAILURE, PASSED_NULL, INTERNAL, 0x80109] {
        let text = ERR_reason_error_string(51 << 23 | reason);
        assert!(!text.is_null(), "{reason:x}");
        // SAFETY: a text of libcrypto's.
        println!("{reason:x}: {:?}", unsafe { CStr::from_ptr(text) });
    }
}

/// A client that pauses when its handshake begins.
struct Client(*mut c_void);

const WANT_READ: c_int = 2;
const WANT_ASYNC: c_int = 9;

impl Client {
    fn new() -> Client {
        const CTRL_MODE: c_int = 33;
        const MODE_ASYNC: c_long = 0x100;
        // SAFETY: a context that was just made.
        let ssl = unsafe { SSL_new(SSL_CTX_new(TLS_client_method())) };
        // SAFETY: a method that is always there.
        let [read, write] = [(), ()].map(|()| unsafe { BIO_new(BIO_s_mem()) });
        // SAFETY: all of them were just made.
        unsafe { SSL_set_bio(ssl, read, write) };
        // SAFETY: a command that takes a number.
        unsafe { SSL_ctrl(ssl, CTRL_MODE, MODE_ASYNC, ptr::null_mut()) };
        // SAFETY: a function of that type.
        unsafe { SSL_set_info_callback(ssl, pause_at_the_beginning) };
        Client(ssl)
    }

    /// What it wants when it cannot go on.
    fn connect(&self) -> c_int {
        // SAFETY: a live connection.
        let answer = unsafe { SSL_connect(self.0) };
        // SAFETY: as above.
        let wants = unsafe { SSL_get_error(self.0, answer) };
        println!("connect -> {answer}, wants {wants}");
        wants
    }
}

unsafe extern "C-unwind" fn pause_at_the_beginning(_: *const c_void, event: c_int, _: c_int) {
    const HANDSHAKE_START: c_int = 0x10;
    if event == HANDSHAKE_START {
        println!("in a job: {}", !current().is_null());
        pause();
    }
}

#[test]
fn libssl_pauses_a_handshake_and_goes_on_with_it() {
    let client = Client::new();
    assert_eq!(client.connect(), WANT_ASYNC);
    // SAFETY: a live connection.
    assert_eq!(unsafe { SSL_waiting_for_async(client.0) }, 1);
    assert_eq!(client.connect(), WANT_READ);
    // SAFETY: a live connection.
    assert_eq!(unsafe { SSL_waiting_for_async(client.0) }, 0);
    // SAFETY: freed once.
    unsafe { SSL_free(client.0) };
}

#[test]
fn libssl_inside_a_job_pauses_that_job() {
    let client = Client::new();
    let mut job = Job::new();
    // No job of its own: the pause is that of the one it runs in.
    assert_eq!(job.start(|| client.connect()), Pause);
    assert_eq!(job.finish(), WANT_READ);
    // SAFETY: freed once.
    unsafe { SSL_free(client.0) };
}

#[test]
fn libssl_says_when_there_are_no_jobs() {
    on_a_thread(|| {
        const WANT_ASYNC_JOB: c_int = 10;
        init(1, 1);
        let mut job = Job::paused(1);
        let client = Client::new();
        assert_eq!(client.connect(), WANT_ASYNC_JOB);
        job.finish();
        assert_eq!(client.connect(), WANT_ASYNC);
        assert_eq!(client.connect(), WANT_READ);
        // SAFETY: freed once.
        unsafe { SSL_free(client.0) };
    });
}
