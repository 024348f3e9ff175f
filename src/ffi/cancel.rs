//! `siding_job_cancel` and orphans: jobs that nobody resumes any more.
//!
//! A cancelled job that has to wait is driven by a scheduler of the thread's own: a small
//! job there waits for the wait context in its place, then goes on with it.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::mem;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::libcrypto::{self, Reason};
use super::start::fail;
use super::{AsyncJob, FAILED, OK, guarded, waiting};
use crate::job::handle::Handle;
use crate::job::orphans::{self, GivenUp};
use crate::job::{self, WaitCtx, WaitError, woken};
use crate::scheduler::{Scheduler, Turn};
use crate::sys;
use crate::sys::fd::AsyncFd;

const ON_WAKE: c_int = 0;
const DRAIN: c_int = 1;
const NOW: c_int = 2;

/// `siding_ended_fn`.
type EndedFn = unsafe extern "C" fn(arg: *mut c_void, ret: c_int);

/// Cancelled jobs that have ended, ever.
pub(super) static DRAINED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static ORPHANS: RefCell<Option<Driver>> = const { RefCell::new(None) };
}

/// What drives the orphans of a thread, and the process it belongs to.
struct Driver(Rc<Scheduler>, usize);

impl Drop for Driver {
    fn drop(&mut self) {
        // Before the scheduler goes: the next one has its inbox, and jobs of the same names.
        orphans::disconnect_given_up();
    }
}

/// The scheduler of this thread's orphans; `None` if there can be none.
fn scheduler() -> Option<Rc<Scheduler>> {
    let forks = sys::fork_generation();
    let get = |slot: &mut Option<Driver>| {
        if slot.as_ref().is_none_or(|Driver(_, theirs)| *theirs != forks) {
            let made = Scheduler::new().ok().map(|scheduler| Driver(Rc::new(scheduler), forks));
            // The parent's, in a forked child, stays as it is: its jobs are anybody's here.
            mem::forget(mem::replace(slot, made));
        }
        slot.as_ref().map(|Driver(scheduler, _)| Rc::clone(scheduler))
    };
    ORPHANS.try_with(|orphans| get(&mut orphans.borrow_mut())).ok()?
}

/// Who is to be told that a job has ended.
struct Ended(Option<EndedFn>, *mut c_void);

impl Ended {
    /// # Safety
    /// As promised to `siding_job_cancel`.
    unsafe fn tell(&self, ret: c_int) {
        DRAINED.fetch_add(1, Ordering::Relaxed);
        if let Ended(Some(ended), arg) = *self {
            // SAFETY: by this function's contract.
            unsafe { ended(arg, ret) };
        }
    }
}

/// `siding_job_cancel`.
///
/// # Safety
/// As declared in `siding.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn siding_job_cancel(
    job: *mut AsyncJob,
    mode: c_int,
    ended: Option<EndedFn>,
    arg: *mut c_void,
) -> c_int {
    if !matches!(mode, ON_WAKE | DRAIN | NOW) {
        return fail(Reason::InvalidArgument);
    }
    // SAFETY: by this function's contract.
    guarded(FAILED, || unsafe { cancel(job, mode, Ended(ended, arg)) })
}

/// # Safety
/// As [`siding_job_cancel`].
unsafe fn cancel(job: *mut AsyncJob, mode: c_int, ended: Ended) -> c_int {
    let handle = Handle::from_ptr(job.cast());
    let Ok(job) = orphans::give_up(handle) else { return fail(Reason::Internal) };
    let ctx = job.wait_ctx().filter(|ctx| ctx.can_wake() && !ctx.is_shut());
    let Some(ctx) = ctx.filter(|_| mode != NOW) else {
        let ret = finish(&job);
        // SAFETY: by this function's contract.
        unsafe { ended.tell(ret) };
        return OK;
    };
    let Some(scheduler) = scheduler() else {
        orphans::take_back(handle);
        return fail(Reason::MallocFailure);
    };
    let calls_back = ctx.callback().is_some();
    let kept = ctx.keep(handle.number(), calls_back);
    // The program's limit is full when it gives up all that it has.
    let helper = job::Helper::new();
    let waiter = scheduler.spawn_with(&waiting::options(&ctx), move || {
        let _helper = helper;
        if let Some(wake) = job::wake_handle() {
            kept.wake_by(wake);
        }
        let ret = drain(&job, mode, calls_back, &ctx);
        // For C this is no job that could pause, neither in a cleanup nor in `ended`.
        job::block_for_good();
        guarded((), || drop((kept, ctx, job::take_wait_ctx())));
        if let Some(ret) = ret {
            // SAFETY: by the contract of `siding_job_cancel`.
            unsafe { ended.tell(ret) };
        }
    });
    if waiter.is_err() {
        orphans::take_back(handle);
        return fail(Reason::MallocFailure);
    }
    // From here on its descriptors are polled. Inside another orphan that comes later.
    settle(&scheduler);
    OK
}

/// Takes turns until all of them wait.
fn settle(scheduler: &Scheduler) {
    // A job that wakes itself all the time must not keep the caller for ever.
    for _ in 0..1 << 16 {
        if !matches!(scheduler.turn(Some(Duration::ZERO)), Ok(Turn::Busy)) {
            break;
        }
    }
}

/// Resumes the job whenever it is woken, up to its end; `None` if before that the thread ends, or
/// the job is not its own any more. Where it pauses and nothing can wake it, its pauses fail: it
/// has no callback, and no descriptors, or such as cannot be polled.
fn drain(job: &GivenUp, mode: c_int, calls_back: bool, ctx: &WaitCtx) -> Option<c_int> {
    // It may be no longer in a child that it has forked, and after a wait.
    while job.is_ours() {
        if !calls_back && ctx.all_fds().is_empty() {
            return Some(finish(job));
        }
        // One that wakes itself all the time is not to keep all others waiting.
        let waited = if job.send_wakes_here() { job::yield_now() } else { waiting::wait(ctx) };
        match waited {
            Ok(()) => {}
            Err(WaitError::Io(_)) if calls_back => job::park().ok()?,
            Err(WaitError::Io(_)) => return job.is_ours().then(|| finish(job)),
            Err(_) => return None,
        }
        if !job.is_ours() {
            break;
        }
        if mode == ON_WAKE {
            job.refuse_pauses();
        }
        if let Some(ret) = go_on(job, false) {
            return Some(ret);
        }
    }
    None
}

/// Has every pause of the job fail, from the one in progress on, up to its end.
fn finish(job: &GivenUp) -> c_int {
    job.refuse_pauses();
    loop {
        if let Some(ret) = go_on(job, true) {
            return ret;
        }
    }
}

/// One run of the job, with its own default library context and without its errors.
fn go_on(job: &GivenUp, cancelled: bool) -> Option<c_int> {
    let luggage = job.ready();
    let luggage = luggage.luggage();
    let inside = luggage.map_or(std::ptr::null_mut(), |l| l.inside.load(Ordering::Relaxed));
    let outside = libcrypto::swap_default_ctx(inside);
    let ret = libcrypto::without_errors(|| job.go_on(cancelled));
    let inside = libcrypto::swap_default_ctx(outside);
    if let (None, Some(luggage)) = (ret, luggage) {
        luggage.inside.store(inside, Ordering::Relaxed);
    }
    ret
}

/// `siding_orphans_fd`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_orphans_fd() -> AsyncFd {
    guarded(-1, || {
        // Whoever ran it last has left it so that a wake makes its descriptor readable.
        scheduler().map_or(-1, |scheduler| scheduler.async_fd())
    })
}

/// `siding_orphans_poll`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_orphans_poll() -> usize {
    guarded(0, || {
        let Some(scheduler) = scheduler() else { return 0 };
        // A waker that was held up since before its job was given up knew of no other place.
        woken::pass_on();
        settle(&scheduler);
        scheduler.live()
    })
}

/// `siding_orphans_each`.
///
/// # Safety
/// As declared in `siding.h`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn siding_orphans_each(
    see: Option<unsafe extern "C" fn(*mut AsyncJob, *mut c_void)>,
    arg: *mut c_void,
) -> usize {
    let mut count = 0;
    guarded((), || {
        orphans::each_orphan(|job| {
            count += 1;
            if let Some(see) = see {
                // SAFETY: by this function's contract.
                unsafe { see(job.as_ptr(), arg) };
            }
        });
    });
    count
}

/// `siding_job_adopt`.
#[unsafe(no_mangle)]
pub extern "C" fn siding_job_adopt(job: *mut AsyncJob) -> c_int {
    match orphans::adopt(Handle::from_ptr(job.cast())) {
        Ok(()) => OK,
        Err(_) => fail(Reason::Internal),
    }
}
