//! Jobs: functions that pause in the middle of their call stack, as OpenSSL's ASYNC_JOB.
//!
//! ```
//! use siding::job::{self, Progress};
//!
//! let Progress::Paused(job) = job::start(|| {
//!     job::pause().unwrap(); // from any depth
//!     "done"
//! })
//! .unwrap() else {
//!     unreachable!()
//! };
//! // ... do other work, then:
//! assert!(matches!(job.resume(), Progress::Finished("done")));
//! ```
//!
//! The behaviour is that of ASYNC_start_job(3) and ASYNC_WAIT_CTX_new(3); beyond it, jobs
//! nest, can be cancelled, and are guarded against overflow. A job belongs to the thread
//! that started it.
//!
//! # Safety
//!
//! The typed handle [`Job`] owns a paused job: it is resumed at most once at a time, and
//! its stack is recycled only when it has ended.
#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic;
#[cfg(feature = "future")]
use std::task::{Context, Poll};
use std::thread;

use crate::context::{self, tag};
use crate::stack::{self, StackConfig, StackError};

mod at_end;
#[cfg(doctest)]
mod attacks;
mod core;
mod current;
#[cfg(test)]
mod debugger;
mod fork;
mod free;
#[cfg(feature = "capi")]
pub(crate) mod handle;
mod inbox;
mod kept;
#[cfg(feature = "future")]
mod line;
mod measure;
#[cfg(feature = "capi")]
pub(crate) mod memory;
#[cfg(not(feature = "capi"))]
#[path = "memory_default.rs"]
mod memory;
#[cfg(feature = "capi")]
pub(crate) mod orphans;
mod overflow;
mod pool;
mod queue;
mod sync;
#[cfg_attr(not(feature = "trace"), path = "trace_off.rs")]
mod trace;
mod wait;
mod wait_ctx;
mod wake;
#[cfg(feature = "capi")]
pub(crate) mod woken;

pub use crate::sys::fd::AsyncFd;
#[cfg(feature = "future")]
pub(crate) use crate::sys::fd::{RawFd, of_async};
#[cfg(feature = "capi")]
pub(crate) use at_end::deepest;
pub use measure::{assert_stack_use, stack_use};
pub use overflow::report_overflows;
pub(crate) use pool::census;
#[cfg(feature = "capi")]
pub(crate) use pool::{Helper, set_options};
pub use pool::{InvalidPoolSize, cleanup_thread, init_thread};
#[cfg(feature = "trace")]
pub use trace::Events;
#[cfg(feature = "trace")]
pub(crate) use trace::events;
pub use wait::{
    Interest, Outcome, Wait, WaitError, park, park_until, sleep, wait, wait_fd, wake_handle,
    yield_now,
};
pub use wait_ctx::{Callback, Key, Status, WaitCtx};
#[cfg(feature = "capi")]
pub(crate) use wait_ctx::{CallbackFn, CleanupFn, Standing};
use wake::Slot;
pub use wake::Wake;

pub(crate) use crate::context::room;
pub(crate) use core::{Back, Raw, depth, hold_running};
pub(crate) use inbox::Inbox;
#[cfg(feature = "future")]
pub(crate) use line::Place;
pub(crate) use queue::Queue;
#[cfg(feature = "future")]
pub(crate) use wait::can_wait;
pub(crate) use wait::{can_pause, driven_wake_handle, wake_ticket};
pub(crate) use wake::Ticket;

/// What happens in a paused job that is cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CancelMode {
    /// The pause in progress unwinds, so that destructors run. For jobs whose frames,
    /// between start and pause, are all Rust: through a C frame the process aborts. So it
    /// does if the job has paused in a destructor while a panic of its own unwinds it. In a
    /// program built with `panic = "abort"` this is the same as `Return`.
    #[default]
    Unwind,
    /// The pause in progress and all later ones return [`Cancelled`], and the job takes
    /// its own error path to the end. Needed where C frames lie between.
    Return,
}

/// The job has been cancelled: return from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// How a job is to run. [`start`] takes the default.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(crate) stack: StackConfig,
    pub(crate) cancel: CancelMode,
    pub(crate) save_fp_control: bool,
    pub(crate) wipe: bool,
    pub(crate) driven: bool,
    pub(crate) name: Option<&'static str>,
    pub(crate) wait_ctx: Option<WaitCtx>,
}

/// How far a job got.
#[derive(Debug)]
pub enum Progress<T> {
    /// It returned this.
    Finished(T),
    /// It waits to be resumed.
    Paused(Job<T>),
}

/// A paused job. Dropping it cancels it.
///
/// It stays on its thread:
///
/// ```compile_fail,E0277
/// fn needs_send<T: Send>() {}
/// needs_send::<siding::job::Job<()>>();
/// ```
///
/// and is resumed by value, so never twice:
///
/// ```compile_fail,E0382
/// # let siding::job::Progress::Paused(job) = siding::job::start(|| ()).unwrap() else { panic!() };
/// job.resume();
/// job.resume();
/// ```
pub struct Job<T> {
    raw: Raw,
    result: PhantomData<(T, *mut ())>,
}

/// Why a job was not started.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The thread has as many jobs as [`init_thread`] allows. Try again when one has ended.
    NoJobs,
    /// No stack could be had.
    Stack(StackError),
    /// The scheduler that was to run it has as many jobs as it may have.
    Full,
    /// The scheduler that was to run it is gone.
    NoScheduler,
}

/// A job that was not started, with the closure it was to run.
pub struct NotStarted<F> {
    /// Why.
    pub error: StartError,
    /// The closure, untouched.
    pub closure: F,
}

/// Which job this is: equal only for the same run of the same job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobId {
    address: usize,
    run: u64,
}

/// Starts a job on this thread with the default [`Options`].
///
/// # Errors
///
/// The closure comes back if there is no job to be had: see [`StartError`].
///
/// # Panics
///
/// With the job's panic, if it panics before its first pause.
#[inline]
pub fn start<T: 'static, F: FnOnce() -> T + 'static>(
    closure: F,
) -> Result<Progress<T>, NotStarted<F>> {
    // A reference: the value itself would be built, and dropped, at each start.
    const DEFAULT: &Options = &Options::new();
    DEFAULT.start(closure)
}

/// Pauses the current job, from any depth of its call stack: whoever started or resumed
/// it goes on. Returns when it is resumed. (ASYNC_pause_job(3).)
///
/// It does nothing outside a job, while [`block_pause`] is in force, and in a coroutine
/// that the job has entered, whose frames lie on another stack.
///
/// # Errors
///
/// [`Cancelled`] in a cancelled job: in the mode [`CancelMode::Return`], and in a
/// destructor that runs while it unwinds. Also where a scheduler or future that drives the job
/// cannot wait for a descriptor of its wait context (a file on a disk, say, or one that is
/// closed): then only this pause has failed. (A future without a reactor does not look at them.)
#[inline(always)]
pub fn pause() -> Result<(), Cancelled> {
    let Some(job) = core::here() else { return Ok(()) };
    let core = job.core();
    if core.cancelled.get() {
        return Err(job.cancelled());
    }
    if core.blocked.get() == 0 {
        // SAFETY: `here` found this code on the job's own stack.
        unsafe { job.leave() }?;
        return job.reset_wait_ctx();
    }
    Ok(())
}

/// The current job: the innermost one that runs this code, coroutines in it included.
pub fn current() -> Option<JobId> {
    core::innermost().map(Raw::id)
}

/// The wait context that the current job was started with.
pub fn wait_ctx() -> Option<WaitCtx> {
    core::innermost().and_then(Raw::wait_ctx)
}

/// The current job lets go of its wait context.
#[cfg(feature = "capi")]
pub(crate) fn take_wait_ctx() -> Option<WaitCtx> {
    core::innermost().and_then(|job| job.core().wait_ctx.take())
}

/// Keeps the current job from pausing until the guard is dropped; guards nest.
/// (ASYNC_block_pause(3).) The count belongs to the job. Outside a job it does nothing.
pub fn block_pause() -> BlockPause {
    BlockPause { job: block().map(Raw::id), thread: PhantomData }
}

pub(crate) fn block() -> Option<Raw> {
    let job = core::innermost()?;
    job.core().blocked.update(|count| count.saturating_add(1));
    Some(job)
}

/// The current job does not pause any more, whatever else it calls.
#[cfg(feature = "capi")]
pub(crate) fn block_for_good() {
    if let Some(job) = core::innermost() {
        job.block_for_good();
    }
}

#[cfg(feature = "capi")]
pub(crate) fn unblock() {
    if let Some(job) = core::innermost() {
        job.unblock();
    }
}

/// Keeps a job from pausing: see [`block_pause`].
#[must_use = "the job may pause again as soon as the guard is dropped"]
#[derive(Debug)]
pub struct BlockPause {
    job: Option<JobId>,
    thread: PhantomData<*mut ()>,
}

impl Drop for BlockPause {
    fn drop(&mut self) {
        // It may have been carried into a job nested in its own, or out of one that has
        // ended, and the count with it.
        if let Some(id) = self.job
            && let Some(job) = core::running().find(|job| job.id() == id)
        {
            job.unblock();
        }
    }
}

impl Options {
    /// A pooled stack of the default size; cancelled by unwinding; nobody drives it.
    pub const fn new() -> Self {
        Options {
            stack: StackConfig::DEFAULT,
            cancel: CancelMode::Unwind,
            save_fp_control: false,
            wipe: false,
            driven: false,
            name: None,
            wait_ctx: None,
        }
    }

    /// The stack to run on. Of jobs on another than the default one only the stack is kept
    /// for reuse, so starting one takes longer.
    pub const fn stack(mut self, stack: StackConfig) -> Self {
        self.stack = stack;
        self
    }

    /// What cancelling does.
    pub const fn cancel_mode(mut self, mode: CancelMode) -> Self {
        self.cancel = mode;
        self
    }

    /// Gives the job FP control words of its own (rounding, exception masks; MXCSR and the x87
    /// control word on x86, elsewhere FPCR, FPSCR, fcsr or fpc), which start as a copy of the
    /// caller's. Otherwise job and resumer share the thread's, which costs nothing; this
    /// costs about 5 ns a round trip on x86_64.
    pub const fn save_fp_control(mut self, save: bool) -> Self {
        self.save_fp_control = save;
        self
    }

    /// Overwrites what the job used of its stack when it has ended, however it did, before
    /// anything else uses the memory. For jobs that handle secrets: registers and heap
    /// memory are theirs to clean, and what was swapped out stays on the disk unless the
    /// stack is [locked](StackConfig::lock).
    pub const fn wipe(mut self, wipe: bool) -> Self {
        self.wipe = wipe;
        self
    }

    /// What [`report_overflows`] calls the job.
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// Promises that whoever resumes the job looks at [`Job::waiting`] and acts on it, so
    /// that waits inside are no error. (Of wakes `Job::poll_woken` tells, with the feature
    /// `future`.)
    pub const fn driven(mut self, driven: bool) -> Self {
        self.driven = driven;
        self
    }

    /// The wait context of the job, by which code inside tells when to resume it.
    pub fn wait_ctx(mut self, ctx: WaitCtx) -> Self {
        self.wait_ctx = Some(ctx);
        self
    }

    /// Starts a job on this thread: see [`start`].
    ///
    /// # Errors
    ///
    /// As [`start`].
    ///
    /// # Panics
    ///
    /// As [`start`].
    // switch 2/7: a job from the pool, armed with the closure.
    #[inline]
    pub fn start<T: 'static, F: FnOnce() -> T + 'static>(
        &self,
        closure: F,
    ) -> Result<Progress<T>, NotStarted<F>> {
        self.start_with(closure, |_| {})
    }

    /// As [`start`](Self::start); `prepare` sees the job before.
    #[inline(always)]
    pub(crate) fn start_with<T: 'static, F: FnOnce() -> T + 'static>(
        &self,
        closure: F,
        prepare: impl FnOnce(Raw),
    ) -> Result<Progress<T>, NotStarted<F>> {
        let raw = match self.reserve(const { room::<F, T>() }) {
            Ok(raw) => raw,
            Err(error) => return Err(NotStarted { error, closure }),
        };
        prepare(raw);
        // SAFETY: reserved for this closure.
        unsafe { raw.arm(self, closure) };
        // SAFETY: armed with a closure that returns a T.
        Ok(unsafe { raw.run(tag::GO) })
    }

    /// A free job with [`room`] for a closure, to be armed.
    #[inline]
    pub(crate) fn reserve(&self, room: usize) -> Result<Raw, StartError> {
        let raw = pool::take(self.stack)?;
        match raw.check_room(room) {
            Ok(()) => Ok(raw),
            Err(error) => {
                pool::put(raw);
                Err(error.into())
            }
        }
    }
}

impl Raw {
    /// Enters the job and makes a typed answer of what comes back.
    ///
    /// # Safety
    /// It is armed or paused, its closure returns a `T`, and its driver does not let it
    /// hand over to other jobs.
    #[inline(always)]
    unsafe fn run<T>(self, how: usize) -> Progress<T> {
        // SAFETY: armed or paused.
        let back = unsafe { self.enter(how) };
        if back.tag == tag::PAUSED {
            return Progress::Paused(Job { raw: back.job, result: PhantomData });
        }
        // SAFETY: it has ended, and returns a T.
        match unsafe { back.end() } {
            Ok(value) => Progress::Finished(value),
            Err(payload) => panic::resume_unwind(payload),
        }
    }

    #[cfg(feature = "capi")]
    fn block_for_good(self) {
        self.core().blocked.set(u32::MAX);
    }

    fn unblock(self) {
        self.core().blocked.update(|count| match count {
            0 | u32::MAX => count,
            count => count - 1,
        });
    }

    /// A pause in a job that is being cancelled. One that unwinds and has swallowed that
    /// is sent to the canceller, which unwinds it again or gives it up.
    #[cold]
    pub(super) fn cancelled(self) -> Cancelled {
        // In a destructor another unwind would abort: there the error has to do.
        if self.unwinds() && !thread::panicking() {
            // SAFETY: called by code that `here` found on the job's own stack.
            let _ = unsafe { self.leave() };
        } else if self.unwinds() && self.core().cancelled_in_panic.get() {
            // This may be no destructor, but a loop that has to come to an end.
            // SAFETY: as above.
            unsafe { self.check_in() };
        }
        Cancelled
    }

    /// Whether cancelling unwinds it, as far as this build can.
    fn unwinds(self) -> bool {
        self.core().mode.get() == CancelMode::Unwind && cfg!(panic = "unwind")
    }

    pub(crate) fn id(self) -> JobId {
        JobId { address: self.address(), run: self.core().run.get() }
    }

    /// Ends a job that has not: see [`Job::cancel`].
    ///
    /// # Safety
    /// Armed or paused, its closure returns a `T`, and nobody enters it afterwards.
    #[cold]
    pub(crate) unsafe fn cancel<T>(self) {
        /// A loop around `catch_unwind` may swallow the unwinding this often.
        const PATIENCE: u32 = 1000;
        let how = if self.unwinds() || self.is_fresh() { tag::UNWIND } else { tag::CANCEL };
        let core = self.core();
        trace::cancelled(self);
        core.cancelled.set(true);
        core.cancelled_in_panic.set(thread::panicking());
        // From here on it answers to this frame alone.
        core.queue.set(core::NO_QUEUE);
        // While its thread ends, its frames may refer to thread-locals that are gone.
        let patience = if stack::thread_has_ended() { 0 } else { PATIENCE };
        for _ in 0..patience {
            // SAFETY: armed or paused.
            let back = unsafe { self.enter(how) };
            if back.tag != tag::PAUSED {
                // SAFETY: it has ended, and returns a T. A panic was reported by the hook.
                drop(unsafe { back.end::<T>() });
                return;
            }
        }
        // It will not end: its stack is leaked with everything on it. Its wakes go nowhere.
        if let Some((Some(slot), _waker)) = core.slot.take().map(Slot::end_job) {
            slot.release();
        }
    }
}

impl Back {
    /// Takes the result of a job that has ended, which goes back to the pool.
    ///
    /// # Safety
    /// The tag says that it has ended, and its closure returns a `T`.
    #[inline(always)]
    pub(crate) unsafe fn end<T>(self) -> Result<T, context::Payload> {
        let result = if self.tag == tag::FINISHED {
            // SAFETY: the entry returned a T with this word.
            Ok(unsafe { context::take(self.word) })
        } else {
            // SAFETY: the only other tag is that of a panic.
            Err(unsafe { context::take_panic(self.word) })
        };
        pool::put(self.job);
        result
    }
}

impl<T> Job<T> {
    /// Goes on with the job where it paused.
    ///
    /// # Panics
    ///
    /// With the job's panic, if it panics.
    #[inline(always)]
    pub fn resume(self) -> Progress<T> {
        let job = ManuallyDrop::new(self);
        // SAFETY: a `Job` is paused, and returns a T.
        unsafe { job.raw.run(tag::GO) }
    }

    /// Goes on with the job and tells it how its [wait](Self::waiting) ended.
    ///
    /// # Panics
    ///
    /// As [`resume`](Self::resume).
    pub fn resume_with(self, outcome: Outcome) -> Progress<T> {
        self.raw.core().outcome.set(outcome);
        self.resume()
    }

    /// What it waits for.
    pub fn waiting(&self) -> Wait {
        self.raw.core().wait.get()
    }

    /// Ends the job in the [`CancelMode`] it was started with: by unwinding it, or by
    /// letting its pause return an error and running it to its end. Its result is dropped;
    /// a panic of its own on the way is reported by the panic hook and goes no further. (One
    /// in the destructor of the result, or of the panic's payload, comes out of here.)
    ///
    /// A job that keeps pausing all the same, because it catches the unwinding in a loop,
    /// is given up: it never runs again, and its stack is leaked.
    pub fn cancel(self) {
        drop(self);
    }

    /// Which job it is.
    pub fn id(&self) -> JobId {
        self.raw.id()
    }

    /// A handle that wakes it.
    pub fn wake_handle(&self) -> Wake {
        self.raw.slot().handle()
    }

    /// The wait context it was started with.
    pub fn wait_ctx(&self) -> Option<WaitCtx> {
        self.raw.wait_ctx()
    }

    /// Ready if it has been woken, by a [`Wake`]; otherwise the waker of `cx` is called when it
    /// is (of several polls, that of the last). For a loop of your own: a wake ends [`Wait::Wake`],
    /// as `park`, `offload` and `block_on` wait, and [`Wait::Resume`]; one that comes during other
    /// waits is for the next `park`. Once told, resume the job: that may have used up the wake.
    ///
    /// ```
    /// use siding::job::{Options, Progress};
    /// use siding::offload::offload;
    /// use std::future::poll_fn;
    ///
    /// let mut progress = Options::new().driven(true).start(|| offload(|| 6 * 7).unwrap()).unwrap();
    /// while let Progress::Paused(job) = progress {
    ///     pollster::block_on(poll_fn(|cx| job.poll_woken(cx)));
    ///     progress = job.resume();
    /// }
    /// assert!(matches!(progress, Progress::Finished(42)));
    /// ```
    #[cfg(feature = "future")]
    pub fn poll_woken(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Before the look: see `set_waker`.
        self.raw.slot().set_waker(cx.waker());
        if !self.raw.is_woken() {
            return Poll::Pending;
        }
        if self.waiting() == Wait::Resume {
            // A plain pause does not: kept, one wake would end all pauses to come.
            self.raw.consume_wake();
        }
        Poll::Ready(())
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        // SAFETY: a `Job` is paused, returns a T, and goes away.
        unsafe { self.raw.cancel::<T>() };
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("id", &self.id()).field("waiting", &self.waiting()).finish()
    }
}

impl<F> fmt::Debug for NotStarted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NotStarted").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<F> fmt::Display for NotStarted<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F> std::error::Error for NotStarted<F> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJobs => f.write_str("no job is free on this thread, and its limit is reached"),
            Self::Stack(error) => error.fmt(f),
            Self::Full => f.write_str("the scheduler has as many jobs as it may have"),
            Self::NoScheduler => f.write_str("the scheduler is gone"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoJobs | Self::Full | Self::NoScheduler => None,
            Self::Stack(error) => Some(error),
        }
    }
}

impl From<StackError> for StartError {
    fn from(error: StackError) -> Self {
        StartError::Stack(error)
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job has been cancelled")
    }
}

impl std::error::Error for Cancelled {}
