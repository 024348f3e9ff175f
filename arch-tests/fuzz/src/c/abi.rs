//! The declarations of the headers that are used here.

use std::ffi::{c_int, c_uint, c_void};
use std::ptr;

use siding as _; // links the library

pub type Data = *mut c_void;
pub type Job = *mut c_void;
pub type Ctx = *mut c_void;
pub type Function = unsafe extern "C" fn(Data) -> c_int;
pub type Cleanup = unsafe extern "C" fn(Ctx, Data, c_int, Data);

pub const ERR: c_int = 0;
pub const NO_JOBS: c_int = 1;
pub const PAUSE: c_int = 2;
pub const FINISH: c_int = 3;

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

impl Run {
    pub fn resume(job: Job) -> Self {
        let (ctx, args) = (ptr::null_mut(), ptr::null_mut());
        Run { job, ctx, func: None, args, size: 0, code: ERR, ret: 0 }
    }
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
    pub safe fn ASYNC_block_pause();
    pub safe fn ASYNC_unblock_pause();
    pub safe fn ASYNC_init_thread(max: usize, init: usize) -> c_int;
    pub safe fn ASYNC_cleanup_thread();
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
    pub fn ASYNC_WAIT_CTX_free(ctx: Ctx);
    pub fn ASYNC_WAIT_CTX_set_wait_fd(
        ctx: Ctx,
        key: Data,
        fd: c_int,
        data: Data,
        cleanup: Option<Cleanup>,
    ) -> c_int;
    pub fn ASYNC_WAIT_CTX_clear_fd(ctx: Ctx, key: Data) -> c_int;
    pub fn ASYNC_WAIT_CTX_get_all_fds(ctx: Ctx, fds: *mut c_int, count: *mut usize) -> c_int;
    pub fn ASYNC_WAIT_CTX_get_changed_fds(
        ctx: Ctx,
        added: *mut c_int,
        added_count: *mut usize,
        deleted: *mut c_int,
        deleted_count: *mut usize,
    ) -> c_int;
    pub fn siding_set_job_options(stack: usize, guard: usize, flags: c_uint) -> c_int;
    pub fn siding_run(jobs: *mut Run, count: usize) -> usize;
    pub fn siding_job_cancel(
        job: Job,
        mode: c_int,
        ended: Option<unsafe extern "C" fn(Data, c_int)>,
        arg: Data,
    ) -> c_int;
    pub fn siding_get_wake(job: Job, wake: *mut Wake) -> c_int;
    pub fn siding_wake(wake: Wake);
    pub safe fn siding_next_woken() -> Job;
    pub fn siding_stats(stats: *mut Stats, size: usize) -> c_int;
}
