//! The declarations of the headers, and jobs written as closures.
#![allow(dead_code, reason = "the headers, whole")]

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use siding as _; // links the library

#[cfg_attr(windows, path = "device_windows.rs")]
pub mod device;
pub use device::{Fd, becomes_readable, close, drain, eventfd, readable, signal};

pub type Data = *mut c_void;
pub type Job = *mut c_void;
pub type Ctx = *mut c_void;
pub type Function = unsafe extern "C" fn(Data) -> c_int;

pub const ERR: c_int = 0;
pub const NO_JOBS: c_int = 1;
pub const PAUSE: c_int = 2;
pub const FINISH: c_int = 3;

pub const ON_WAKE: c_int = 0;
pub const DRAIN: c_int = 1;
pub const NOW: c_int = 2;

pub const WIPE: c_uint = 1;
pub const HIGH_WATER_MARK: c_uint = 2;
pub const FP_CONTROL: c_uint = 8;
pub const ERRNO: c_uint = 16;

#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Wake {
    pub slot: usize,
    pub generation: u64,
}

#[repr(C)]
pub struct Run {
    pub job: Job,
    pub ctx: Ctx,
    pub func: Option<Function>,
    pub args: Data,
    pub size: usize,
    pub code: c_int,
    pub ret: c_int,
}

#[derive(Clone, Copy, Default, Debug, PartialEq)]
#[repr(C)]
pub struct Stats {
    pub started: u64,
    pub live: u64,
    pub orphaned: u64,
    pub adopted: u64,
    pub drained: u64,
    pub refused_limit: u64,
    pub refused_stack: u64,
    pub pool: u64,
    pub pool_free: u64,
    pub stacks: u64,
    pub stack_bytes: u64,
    pub paused: u64,
}

unsafe extern "C" {
    pub safe fn ASYNC_pause_job() -> c_int;
    pub safe fn ASYNC_get_current_job() -> Job;
    pub safe fn ASYNC_init_thread(max: usize, init: usize) -> c_int;
    pub safe fn ASYNC_block_pause();
    pub safe fn ASYNC_unblock_pause();
    pub safe fn ASYNC_cleanup_thread();
    pub safe fn OPENSSL_thread_stop();
    pub fn ASYNC_get_wait_ctx(job: Job) -> Ctx;
    pub fn ASYNC_start_job(
        job: *mut Job,
        ctx: Ctx,
        ret: *mut c_int,
        func: Option<Function>,
        args: Data,
        size: usize,
    ) -> c_int;
    pub safe fn ASYNC_WAIT_CTX_new() -> Ctx;
    pub fn ASYNC_WAIT_CTX_clear_fd(ctx: Ctx, key: Data) -> c_int;
    pub fn ASYNC_WAIT_CTX_free(ctx: Ctx);
    pub fn ASYNC_WAIT_CTX_set_wait_fd(
        ctx: Ctx,
        key: Data,
        fd: Fd,
        data: Data,
        cleanup: Option<unsafe extern "C" fn(Ctx, Data, Fd, Data)>,
    ) -> c_int;
    pub fn ASYNC_WAIT_CTX_set_callback(
        ctx: Ctx,
        callback: Option<unsafe extern "C" fn(Data) -> c_int>,
        arg: Data,
    ) -> c_int;
    pub fn ASYNC_WAIT_CTX_get_callback(
        ctx: Ctx,
        callback: *mut Option<unsafe extern "C" fn(Data) -> c_int>,
        arg: *mut Data,
    ) -> c_int;

    pub fn siding_set_job_options(stack: usize, guard: usize, flags: c_uint) -> c_int;
    pub fn siding_run(jobs: *mut Run, count: usize) -> usize;
    pub fn siding_job_cancel(
        job: Job,
        mode: c_int,
        ended: Option<unsafe extern "C" fn(Data, c_int)>,
        arg: Data,
    ) -> c_int;
    pub safe fn siding_orphans_fd() -> Fd;
    pub safe fn siding_orphans_poll() -> usize;
    pub fn siding_orphans_each(see: Option<unsafe extern "C" fn(Job, Data)>, arg: Data) -> usize;
    pub fn siding_job_adopt(job: Job) -> c_int;
    pub fn siding_get_wake(job: Job, wake: *mut Wake) -> c_int;
    pub fn siding_wake(wake: Wake);
    pub fn siding_wake_callback(arg: Data) -> c_int;
    pub safe fn siding_wakes_fd() -> Fd;
    pub safe fn siding_next_woken() -> Job;
    pub fn siding_stats(stats: *mut Stats, size: usize) -> c_int;
    pub fn siding_high_water_mark(func: Option<Function>) -> usize;
    pub safe fn siding_last_error() -> u32;
    pub safe fn siding_report_overflows() -> c_int;
    pub safe fn siding_version() -> c_uint;
}

/// Resumes `*job`, or starts `func` with `arg` as its whole argument.
pub fn start(job: &mut Job, ctx: Ctx, func: Function, arg: usize) -> (c_int, Option<c_int>) {
    let (mut ret, mut arg) = (c_int::MIN, arg);
    let args = (&raw mut arg).cast();
    // SAFETY: valid pointers; the functions of these tests take one word.
    let code = unsafe { ASYNC_start_job(job, ctx, &mut ret, Some(func), args, size_of::<usize>()) };
    (code, (ret != c_int::MIN).then_some(ret))
}

/// A job that has just been started and has paused.
pub fn paused(ctx: Ctx, func: Function, arg: usize) -> Job {
    let mut job = ptr::null_mut();
    assert_eq!(start(&mut job, ctx, func, arg), (PAUSE, None));
    job
}

pub fn word(args: Data) -> usize {
    // SAFETY: every function of these tests is started with one word.
    unsafe { args.cast::<usize>().read() }
}

pub fn stats() -> Stats {
    let mut stats = Stats::default();
    // SAFETY: writable.
    assert_eq!(unsafe { siding_stats(&mut stats, size_of::<Stats>()) }, 1);
    stats
}

/// Pauses `arg` times, and returns how many of the pauses said that the job goes on.
pub unsafe extern "C" fn pause_often(args: Data) -> c_int {
    (0..word(args)).map(|_| ASYNC_pause_job()).sum()
}
