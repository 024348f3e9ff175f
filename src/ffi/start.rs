//! Jobs, their pool, and pausing.

use std::ffi::{c_int, c_void};
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::sync::atomic::Ordering;

use super::libcrypto::{self, Reason};
use super::{AsyncJob, AsyncWaitCtx, FAILED, OK, guarded, put};
use crate::arch::with_caller;
use crate::job::handle::{
    self, Answer, Function, Handle, Link, Luggage, NotStarted, Ready, Unusable, Word,
};
use crate::job::{self, WaitCtx};
use crate::stack;

const ERR: c_int = 0;
const NO_JOBS: c_int = 1;
const PAUSE: c_int = 2;
const FINISH: c_int = 3;

/// `ASYNC_start_job`.
///
/// # Safety
/// As declared in `siding/async.h`: every pointer is NULL or valid for its purpose.
// Not guarded: nothing here panics, and `pthread_exit` in the job must be able to pass.
// Entering the job is the last act, so that one return leads from the switch to the caller:
// each further one would be predicted wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ASYNC_start_job(
    job: *mut *mut AsyncJob,
    ctx: *mut AsyncWaitCtx,
    ret: *mut c_int,
    func: Option<Function>,
    args: *mut c_void,
    size: usize,
) -> c_int {
    // SAFETY: by this function's contract.
    match unsafe { ready(job, ctx, func, args, size) } {
        // SAFETY: `start_came_back` is for this, and its pointers are by this function's contract.
        Ok(ready) => unsafe { ready.enter_then(job.cast(), ret.cast(), start_came_back) },
        Err(code) => code as c_int,
    }
}

/// A job to enter, which has begun: a new one, or the one that `job` names. Or the code to
/// return, in the width that lets both come back in registers.
///
/// # Safety
/// As [`ASYNC_start_job`].
#[inline(always)]
unsafe fn ready(
    job: *mut *mut AsyncJob,
    ctx: *mut AsyncWaitCtx,
    func: Option<Function>,
    args: *mut c_void,
    size: usize,
) -> Result<Ready, usize> {
    // SAFETY: NULL, or a pointer the caller may have written through.
    let Some(job) = (unsafe { job.as_mut() }) else {
        return Err(fail(Reason::PassedNull) as usize);
    };
    if !job.is_null() {
        return resume(job);
    }
    // SAFETY: by this function's contract.
    unsafe { start(ctx, func, args, size) }
}

/// # Safety
/// As [`ASYNC_start_job`].
#[inline(never)]
unsafe fn start(
    ctx: *mut AsyncWaitCtx,
    func: Option<Function>,
    args: *mut c_void,
    size: usize,
) -> Result<Ready, usize> {
    let Some(func) = func else { return Err(fail(Reason::PassedNull) as usize) };
    // SAFETY: NULL, or from `ASYNC_WAIT_CTX_new` and not freed; borrowed for this call.
    let ctx = (!ctx.is_null()).then(|| ManuallyDrop::new(unsafe { WaitCtx::from_ptr(ctx.cast()) }));
    // SAFETY: by this function's contract.
    match unsafe { handle::start(func, args, size, ctx.as_deref()) } {
        Ok(ready) => {
            if libcrypto::follows() {
                pack(&ready, libcrypto::default_ctx());
            }
            ready.begin();
            Ok(ready)
        }
        // No error: up to 3.6 libssl looks at the queue before it looks at what we want.
        Err(NotStarted::NoJobs) => Err(NO_JOBS as usize),
        Err(NotStarted::Args) => Err(fail(Reason::MallocFailure) as usize),
        // For good: `ASYNC_NO_JOBS` would be tried again for ever.
        Err(NotStarted::ShadowStack) => Err(fail(Reason::Unsupported) as usize),
    }
}

#[inline(always)]
fn resume(job: &mut *mut AsyncJob) -> Result<Ready, usize> {
    let ready = match handle::paused(Handle::from_ptr((*job).cast())) {
        Ok(ready) => ready,
        Err(why) => return Err(refuse(job, why)),
    };
    if libcrypto::follows() && follow(&ready).is_err() {
        return Err(fail(Reason::Internal) as usize);
    }
    ready.begin();
    Ok(ready)
}

#[cold]
fn refuse(job: &mut *mut AsyncJob, why: Unusable) -> usize {
    if why == Unusable::Stale {
        *job = ptr::null_mut();
    }
    fail(Reason::Internal) as usize
}

/// The job's default library context becomes the thread's.
#[cold]
fn follow(ready: &Ready) -> Result<(), ()> {
    let inside = ready.luggage().map_or(ptr::null_mut(), |it| it.inside.load(Ordering::Relaxed));
    pack(ready, libcrypto::enter_default_ctx(inside)?);
    Ok(())
}

/// The caller's default library context, for when the job comes back.
fn pack(ready: &Ready, outside: *mut c_void) {
    if let Some(luggage) = ready.luggage() {
        luggage.outside.store(outside, Ordering::Relaxed);
    }
}

/// `siding_run_t`.
#[repr(C)]
pub struct SidingRun {
    job: *mut AsyncJob,
    ctx: *mut AsyncWaitCtx,
    func: Option<Function>,
    args: *mut c_void,
    size: usize,
    code: c_int,
    ret: c_int,
}

/// `siding_run`.
///
/// # Safety
/// As declared in `siding.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn siding_run(jobs: *mut SidingRun, count: usize) -> usize {
    if jobs.is_null() {
        return 0;
    }
    let mut paused = 0;
    // SAFETY: by this function's contract.
    for run in unsafe { std::slice::from_raw_parts_mut(jobs, count) } {
        // SAFETY: by this function's contract.
        let ready = unsafe { ready(&mut run.job, run.ctx, run.func, run.args, run.size) };
        run.code = match ready {
            Err(code) => code as c_int,
            // SAFETY: it has begun.
            Ok(ready) => match unsafe { ready.enter(unpack) } {
                Answer::Paused(handle) => {
                    run.job = handle.as_ptr();
                    PAUSE
                }
                Answer::Finished(value) => {
                    run.job = ptr::null_mut();
                    run.ret = value;
                    FINISH
                }
            },
        };
        paused += usize::from(run.code == PAUSE);
    }
    paused
}

crate::arch::asm_abi! {
/// Where [`ASYNC_start_job`] goes on.
///
/// # Safety
/// Called by `enter_then` with the pointers of a call of `ASYNC_start_job`.
unsafe fn start_came_back(
    word: Word,
    tag: usize,
    link: *mut Link,
    job: *mut (),
    ret: *mut (),
) -> c_int {
    if !libcrypto::follows()
        // SAFETY: by this function's contract.
        && let Some(handle) = unsafe { handle::came_back_plainly(tag, link) }
    {
        // The usual end of a call, without a frame.
        // SAFETY: not NULL, or no job would have been entered.
        unsafe { job.cast::<*mut AsyncJob>().write(handle.as_ptr()) };
        return PAUSE;
    }
    // SAFETY: by this function's contract.
    unsafe { start_ended(word, tag, link, job, ret) }
}
}

/// The rest of [`start_came_back`].
///
/// # Safety
/// As there.
#[inline(never)]
unsafe extern "C-unwind" fn start_ended(
    word: Word,
    tag: usize,
    link: *mut Link,
    job: *mut (),
    ret: *mut (),
) -> c_int {
    // SAFETY: by this function's contract.
    let (handle, code) = match unsafe { handle::came_back(word, tag, link, unpack) } {
        Answer::Paused(handle) => (handle.as_ptr(), PAUSE),
        Answer::Finished(value) => {
            // SAFETY: NULL or writable.
            unsafe { put(ret.cast(), value) };
            (ptr::null_mut(), FINISH)
        }
    };
    // SAFETY: not NULL, or no job would have been entered.
    unsafe { job.cast::<*mut AsyncJob>().write(handle) };
    code
}

/// The job's default library context goes with it; the caller gets its own back.
#[inline(always)]
fn unpack(luggage: &Luggage, paused: bool) {
    if libcrypto::follows() {
        let inside = libcrypto::swap_default_ctx(luggage.outside.load(Ordering::Relaxed));
        if paused {
            luggage.inside.store(inside, Ordering::Relaxed);
        }
    }
}

pub(super) fn fail(reason: Reason) -> c_int {
    libcrypto::raise(reason);
    ERR
}

/// `ASYNC_pause_job`.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn ASYNC_pause_job() -> c_int {
    match job::pause() {
        Ok(()) => OK,
        Err(job::Cancelled) => fail(Reason::Cancelled),
    }
}

/// `ASYNC_get_current_job`.
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_get_current_job() -> *mut AsyncJob {
    handle::running().map_or(ptr::null_mut(), Handle::as_ptr)
}

/// `ASYNC_get_wait_ctx`.
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_get_wait_ctx(job: *mut AsyncJob) -> *mut AsyncWaitCtx {
    handle::wait_ctx(Handle::from_ptr(job.cast())).cast()
}

/// `ASYNC_block_pause`.
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_block_pause() {
    job::block();
}

/// `ASYNC_unblock_pause`.
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_unblock_pause() {
    job::unblock();
}

/// `ASYNC_is_capable`: wherever it builds, but for threads with a hardware shadow stack.
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_is_capable() -> c_int {
    if stack::shadow_stack_active() { FAILED } else { OK }
}

/// `ASYNC_init_thread`.
// libcrypto's own ASYNC_start_job, reached by dlsym, calls it too, through the PLT, and
// means its own pool: whoever calls from a libcrypto gets that library's function.
#[cfg_attr(not(siding_ucontext), unsafe(naked))]
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_init_thread(max_size: usize, init_size: usize) -> c_int {
    with_caller!(init_thread, max_size, init_size)
}

type InitThread = extern "C" fn(usize, usize) -> c_int;
type CleanupThread = extern "C" fn();

extern "C" fn init_thread(max_size: usize, init_size: usize, caller: *const c_void) -> c_int {
    guarded(FAILED, || {
        if let Some(theirs) = libcrypto::callers_own(caller, c"ASYNC_init_thread") {
            // SAFETY: the function of this name has this type.
            let theirs = unsafe { mem::transmute::<*mut c_void, InitThread>(theirs) };
            return theirs(max_size, init_size);
        }
        libcrypto::look();
        match job::init_thread(max_size, init_size) {
            Ok(()) => OK,
            Err(job::InvalidPoolSize) => {
                libcrypto::raise(Reason::InvalidPoolSize);
                FAILED
            }
        }
    })
}

/// `ASYNC_cleanup_thread`.
#[cfg_attr(not(siding_ucontext), unsafe(naked))]
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_cleanup_thread() {
    with_caller!(cleanup_thread, 0, 0)
}

extern "C" fn cleanup_thread(_: usize, _: usize, caller: *const c_void) {
    guarded((), || {
        if let Some(theirs) = libcrypto::callers_own(caller, c"ASYNC_cleanup_thread") {
            // SAFETY: the function of this name has this type.
            let theirs = unsafe { mem::transmute::<*mut c_void, CleanupThread>(theirs) };
            return theirs();
        }
        job::cleanup_thread();
    });
}
