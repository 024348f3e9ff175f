//! Jobs, their pool, and pausing.

use std::ffi::{c_int, c_void};
use std::mem::{self, ManuallyDrop};
use std::ptr;
use std::sync::atomic::Ordering;

use super::libcrypto::{self, Reason};
use super::{AsyncJob, AsyncWaitCtx, FAILED, OK, guarded, put};
use crate::arch::with_caller;
use crate::job::handle::{self, Answer, Function, Handle, NotStarted, Unusable};
use crate::job::{self, WaitCtx};

const ERR: c_int = 0;
const NO_JOBS: c_int = 1;
const PAUSE: c_int = 2;
const FINISH: c_int = 3;

/// `ASYNC_start_job`.
///
/// # Safety
/// As declared in `siding/async.h`: every pointer is NULL or valid for its purpose.
// Not guarded: nothing here panics, and `pthread_exit` in the job must be able to pass.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn ASYNC_start_job(
    job: *mut *mut AsyncJob,
    ctx: *mut AsyncWaitCtx,
    ret: *mut c_int,
    func: Option<Function>,
    args: *mut c_void,
    size: usize,
) -> c_int {
    // SAFETY: NULL, or a pointer the caller may have written through.
    let Some(job) = (unsafe { job.as_mut() }) else {
        return fail(Reason::PassedNull);
    };
    let answer = if !job.is_null() {
        resume(job)
    } else if let Some(func) = func {
        // SAFETY: by this function's contract.
        unsafe { start(ctx, func, args, size) }
    } else {
        return fail(Reason::PassedNull);
    };
    match answer {
        Ok(Answer::Paused(handle)) => {
            *job = handle.as_ptr();
            PAUSE
        }
        Ok(Answer::Finished(value)) => {
            *job = ptr::null_mut();
            // SAFETY: by this function's contract.
            unsafe { put(ret, value) };
            FINISH
        }
        Err(code) => code,
    }
}

/// # Safety
/// As [`ASYNC_start_job`].
unsafe fn start(
    ctx: *mut AsyncWaitCtx,
    func: Function,
    args: *mut c_void,
    size: usize,
) -> Result<Answer, c_int> {
    // SAFETY: NULL, or from `ASYNC_WAIT_CTX_new` and not freed; borrowed for this call.
    let ctx = (!ctx.is_null()).then(|| ManuallyDrop::new(unsafe { WaitCtx::from_ptr(ctx.cast()) }));
    let before = libcrypto::default_ctx();
    // SAFETY: by this function's contract.
    let answer = unsafe { handle::start(func, args, size, ctx.as_deref()) };
    match answer {
        Ok(answer) => {
            put_back(before, &answer);
            Ok(answer)
        }
        // No error: up to 3.6 libssl looks at the queue before it looks at what we want.
        Err(NotStarted::NoJobs) => Err(NO_JOBS),
        Err(NotStarted::Args) => Err(fail(Reason::MallocFailure)),
    }
}

fn resume(job: &mut *mut AsyncJob) -> Result<Answer, c_int> {
    let handle = Handle::from_ptr((*job).cast());
    if let Err(why) = handle::usable(handle) {
        if why == Unusable::Stale {
            *job = ptr::null_mut();
        }
        return Err(fail(Reason::Internal));
    }
    let luggage = handle::luggage(handle).map_or(ptr::null_mut(), |l| l.load(Ordering::Relaxed));
    let Ok(before) = libcrypto::enter_default_ctx(luggage) else {
        return Err(fail(Reason::Internal));
    };
    let Ok(answer) = handle::resume(handle) else { return Err(fail(Reason::Internal)) };
    put_back(before, &answer);
    Ok(answer)
}

/// The job's default library context goes with it; the caller gets its own back.
fn put_back(before: *mut c_void, answer: &Answer) {
    let jobs = libcrypto::swap_default_ctx(before);
    if let Answer::Paused(handle) = answer
        && let Some(luggage) = handle::luggage(*handle)
    {
        luggage.store(jobs, Ordering::Relaxed);
    }
}

fn fail(reason: Reason) -> c_int {
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

/// `ASYNC_is_capable`: on every supported target.
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_is_capable() -> c_int {
    OK
}

/// `ASYNC_init_thread`.
// libcrypto's own ASYNC_start_job, reached by dlsym, calls it too, through the PLT, and
// means its own pool: whoever calls from a libcrypto gets that library's function.
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_init_thread(max_size: usize, init_size: usize) -> c_int {
    with_caller!(init_thread)
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
#[unsafe(naked)]
#[unsafe(no_mangle)]
pub extern "C" fn ASYNC_cleanup_thread() {
    with_caller!(cleanup_thread)
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
