//! `ASYNC_*` as C calls it. Each call prints a line of what it did: where the same tests
//! run on two implementations, the lines are compared.
#![allow(dead_code, reason = "each program uses its own part")]

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
#[cfg(unix)]
use std::mem::{self, MaybeUninit};
use std::ptr;

use crate::queue;
use crate::wait::Ctx;

#[repr(C)]
pub struct AsyncJob([u8; 0]);
#[repr(C)]
pub struct AsyncWaitCtx([u8; 0]);

pub type Function = unsafe extern "C-unwind" fn(*mut c_void) -> c_int;
pub type Callback = unsafe extern "C" fn(*mut c_void) -> c_int;
pub type Cleanup = unsafe extern "C" fn(*mut AsyncWaitCtx, *const c_void, Fd, *mut c_void);

/// `OSSL_ASYNC_FD`: a descriptor, a `HANDLE`.
#[cfg(not(windows))]
pub type Fd = c_int;
#[cfg(windows)]
pub type Fd = isize;

unsafe extern "C-unwind" {
    pub fn ASYNC_start_job(
        job: *mut *mut AsyncJob,
        ctx: *mut AsyncWaitCtx,
        ret: *mut c_int,
        func: Option<Function>,
        args: *mut c_void,
        size: usize,
    ) -> c_int;
    pub safe fn ASYNC_pause_job() -> c_int;
}

unsafe extern "C" {
    pub safe fn ASYNC_is_capable() -> c_int;
    pub safe fn ASYNC_init_thread(max_size: usize, init_size: usize) -> c_int;
    pub safe fn ASYNC_cleanup_thread();
    pub safe fn ASYNC_get_current_job() -> *mut AsyncJob;
    pub fn ASYNC_get_wait_ctx(job: *mut AsyncJob) -> *mut AsyncWaitCtx;
    pub safe fn ASYNC_block_pause();
    pub safe fn ASYNC_unblock_pause();
    pub safe fn ASYNC_WAIT_CTX_new() -> *mut AsyncWaitCtx;
    pub fn ASYNC_WAIT_CTX_free(ctx: *mut AsyncWaitCtx);
    pub fn ASYNC_WAIT_CTX_set_wait_fd(
        ctx: *mut AsyncWaitCtx,
        key: *const c_void,
        fd: Fd,
        custom_data: *mut c_void,
        cleanup: Option<Cleanup>,
    ) -> c_int;
    pub fn ASYNC_WAIT_CTX_get_fd(
        ctx: *mut AsyncWaitCtx,
        key: *const c_void,
        fd: *mut Fd,
        custom_data: *mut *mut c_void,
    ) -> c_int;
    pub fn ASYNC_WAIT_CTX_get_all_fds(
        ctx: *mut AsyncWaitCtx,
        fd: *mut Fd,
        numfds: *mut usize,
    ) -> c_int;
    pub fn ASYNC_WAIT_CTX_get_changed_fds(
        ctx: *mut AsyncWaitCtx,
        addfd: *mut Fd,
        numaddfds: *mut usize,
        delfd: *mut Fd,
        numdelfds: *mut usize,
    ) -> c_int;
    pub fn ASYNC_WAIT_CTX_clear_fd(ctx: *mut AsyncWaitCtx, key: *const c_void) -> c_int;
    pub fn ASYNC_WAIT_CTX_set_callback(
        ctx: *mut AsyncWaitCtx,
        callback: Option<Callback>,
        callback_arg: *mut c_void,
    ) -> c_int;
    pub fn ASYNC_WAIT_CTX_get_callback(
        ctx: *mut AsyncWaitCtx,
        callback: *mut Option<Callback>,
        callback_arg: *mut *mut c_void,
    ) -> c_int;
    pub fn ASYNC_WAIT_CTX_set_status(ctx: *mut AsyncWaitCtx, status: c_int) -> c_int;
    pub fn ASYNC_WAIT_CTX_get_status(ctx: *mut AsyncWaitCtx) -> c_int;
}

/// What `ASYNC_start_job` answers, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Code {
    Err = 0,
    NoJobs = 1,
    Pause = 2,
    Finish = 3,
}
pub use Code::*;

/// The reasons of errors of the library ASYNC, as the queue has them.
pub const INVALID_POOL_SIZE: u64 = 103;
pub const MALLOC_FAILURE: u64 = 0xC0100;
pub const PASSED_NULL: u64 = 0xC0102;
pub const INTERNAL: u64 = 0xC0103;

thread_local! {
    static RAISED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Notes what a call has raised and prints a line.
pub fn note(call: &str) {
    let raised = queue::take();
    println!("{call} {raised:x?}");
    RAISED.set(raised);
}

/// Asserts that the last call raised just this, where there is a queue to see it.
#[track_caller]
pub fn assert_raised(reason: u64) {
    let raised = RAISED.take();
    if queue::PRESENT {
        assert_eq!(raised, [51 << 23 | reason], "(hexadecimal: {raised:x?})");
    }
}

/// Asserts that the last call raised nothing.
#[track_caller]
pub fn assert_quiet() {
    assert_eq!(RAISED.take(), []);
}

/// A job as C has it: a handle, a place for the result, and a wait context.
pub struct Job {
    pub handle: *mut AsyncJob,
    pub ret: c_int,
    pub ctx: *mut AsyncWaitCtx,
}

/// Neither wait context nor arguments.
pub const NO_CTX: *mut AsyncWaitCtx = ptr::null_mut();
pub const NO_ARGS: *mut c_void = ptr::null_mut();

/// What `ret` holds before anything is written there.
pub const UNTOUCHED: c_int = -77;

impl Job {
    pub fn new() -> Job {
        Job::with(&Ctx::leak())
    }

    pub fn with(ctx: &Ctx) -> Job {
        Job { handle: ptr::null_mut(), ret: UNTOUCHED, ctx: ctx.0 }
    }

    pub fn without_ctx() -> Job {
        Job { handle: ptr::null_mut(), ret: UNTOUCHED, ctx: ptr::null_mut() }
    }

    /// Starts a closure. It is leaked: a test that fails may leave the job behind.
    pub fn start<F: FnMut() -> c_int>(&mut self, body: F) -> Code {
        let body = Box::into_raw(Box::new(body));
        let args = ptr::from_ref(&body).cast_mut().cast();
        self.start_function(Some(run::<F>), args, size_of_val(&body))
    }

    pub fn start_function(&mut self, f: Option<Function>, args: *mut c_void, size: usize) -> Code {
        let Job { handle, ret, ctx } = self;
        // SAFETY: all of them are what the function expects; tests that give it something
        // else know what they do.
        unsafe { start_job(handle, *ctx, ret, f, args, size) }
    }

    /// Goes on with it, giving nothing.
    pub fn resume(&mut self) -> Code {
        self.start_function(None, ptr::null_mut(), 0)
    }

    /// A job that pauses once and returns `value`, at that pause.
    pub fn paused(value: c_int) -> Job {
        let mut job = Job::new();
        assert_eq!(job.start(move || pause_then(value)), Pause);
        job
    }

    /// Resumes it to its end.
    #[track_caller]
    pub fn finish(&mut self) -> c_int {
        assert_eq!(self.resume(), Finish);
        self.ret
    }
}

pub fn pause_then(value: c_int) -> c_int {
    assert_eq!(pause(), 1);
    value
}

unsafe extern "C-unwind" fn run<F: FnMut() -> c_int>(args: *mut c_void) -> c_int {
    // SAFETY: `Job::start` gave the address of such a closure, which it leaked.
    let body = unsafe { *args.cast::<*mut F>() };
    // SAFETY: as above.
    unsafe { (*body)() }
}

/// `ASYNC_start_job`, with a line about all it did.
///
/// # Safety
/// As the function.
#[track_caller]
pub unsafe fn start_job(
    job: &mut *mut AsyncJob,
    ctx: *mut AsyncWaitCtx,
    ret: *mut c_int,
    f: Option<Function>,
    args: *mut c_void,
    size: usize,
) -> Code {
    let before = *job;
    // SAFETY: by this function's contract.
    let code = unsafe { ASYNC_start_job(job, ctx, ret, f, args, size) };
    let what = if before.is_null() { "start" } else { "resume" };
    let handle = match *job {
        now if now.is_null() => "gone",
        now if now == before => "the same",
        _ => "new",
    };
    // SAFETY: NULL, or readable.
    let value = unsafe { ret.as_ref() };
    note(&format!("{what} -> {code}, job {handle}, ret {value:?}"));
    let code = match code {
        0 => Err,
        1 => NoJobs,
        2 => Pause,
        3 => Finish,
        other => panic!("ASYNC_start_job returned {other}"),
    };
    if code != Err {
        RAISED.with_borrow(|raised| assert_eq!(*raised, [], "{code:?} is no error"));
    }
    code
}

pub fn pause() -> c_int {
    let answer = ASYNC_pause_job();
    note(&format!("pause -> {answer}"));
    answer
}

pub fn init(max_size: usize, init_size: usize) -> c_int {
    let answer = ASYNC_init_thread(max_size, init_size);
    note(&format!("init({max_size}, {init_size}) -> {answer}"));
    answer
}

pub fn cleanup_thread() {
    ASYNC_cleanup_thread();
    note("cleanup_thread");
}

pub fn current() -> *mut AsyncJob {
    let job = ASYNC_get_current_job();
    note(&format!("current -> {}", if job.is_null() { "none" } else { "a job" }));
    job
}

/// The wait context of a job of this test.
pub fn wait_ctx_of(handle: *mut AsyncJob) -> *mut AsyncWaitCtx {
    // SAFETY: a handle; that it need not be one of a live job is what siding promises.
    unsafe { ASYNC_get_wait_ctx(handle) }
}

/// Runs a test on a thread of its own, with its own pool.
pub fn on_a_thread(body: impl FnOnce() + Send + 'static) {
    if let Result::Err(payload) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(payload);
    }
}

#[cfg(unix)]
pub type Unwindable = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// Runs a function on a thread that is not Rust's: those must not be left by pthread_exit.
#[cfg(unix)]
pub fn on_a_c_thread(f: Unwindable) -> *mut c_void {
    type Main = extern "C" fn(*mut c_void) -> *mut c_void;
    let (mut thread, mut value) = (MaybeUninit::uninit(), ptr::null_mut());
    // SAFETY: the two types differ in that one may be unwound.
    let f = unsafe { mem::transmute::<Unwindable, Main>(f) };
    // SAFETY: a function that needs nothing.
    let made =
        unsafe { libc::pthread_create(thread.as_mut_ptr(), ptr::null(), f, ptr::null_mut()) };
    assert_eq!(made, 0);
    // SAFETY: it was started, so its id is written.
    let thread = unsafe { thread.assume_init() };
    // SAFETY: a thread that is joined once, and a place for its value.
    unsafe { libc::pthread_join(thread, &mut value) };
    value
}
