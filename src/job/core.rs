//! The untyped job: its control block, who is running, and the crossing itself.
//!
//! `current` names the innermost running job of the thread. Whoever resumes a job notes
//! in it which one was current before, and puts that back when control returns.

use std::cell::{Cell, RefCell};
use std::iter::successors;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;

use super::at_end::AtEnd;
use super::current;
use super::fork;
use super::inbox::Inbox;
use super::kept::Kept;
use super::memory;
use super::queue::Queue;
use super::trace;
use super::wait::{Outcome, Wait};
use super::wait_ctx::WaitCtx;
use super::wake::Slot;
use super::{CancelMode, Cancelled, Options};
use crate::context::{self, Context, Control, Landed, Word, tag};
use crate::stack::{CONTEXT_ROOM, GuardedStack, StackConfig, StackError};

/// What a job keeps in its control block. In this order, because the first 40 bytes share
/// a cache line with the bounds of the stack: all that a hand-over needs besides the link.
#[repr(C, align(8))] // everywhere: tools/gdb/siding.py knows it
pub(crate) struct Core {
    /// The job that was current when this one was last entered.
    pub(super) parent: Cell<Option<Raw>>,
    /// The queue from which `yield_now` may take the next job itself ...
    pub(super) queue: Cell<*const Queue>,
    /// ... and the place that this job has there, or had last.
    pub(super) place: Cell<usize>,
    pub(super) token: Cell<usize>,
    /// How often pausing is blocked; the last number stays: for good.
    pub(super) blocked: Cell<u32>,
    /// Whoever resumes it looks at `wait` and acts on it.
    pub(super) driven: Cell<bool>,
    /// Being cancelled: no pause is a usual one any more.
    pub(super) cancelled: Cell<bool>,
    /// The thread was panicking when the cancelling began.
    pub(super) cancelled_in_panic: Cell<bool>,
    pub(super) mode: Cell<CancelMode>,
    /// Tells runs apart: see [`JobId`](super::JobId).
    pub(super) run: Cell<u64>,
    /// The function of C's that it runs, or ran last.
    #[cfg(feature = "capi")]
    pub(super) function: Cell<usize>,
    pub(super) wait: Cell<Wait>,
    pub(super) outcome: Cell<Outcome>,
    pub(super) slot: Cell<Option<&'static Slot>>,
    /// Where wakes of this job go, under the name `token`.
    pub(super) driver: Cell<Option<&'static Inbox>>,
    pub(super) kept: Kept,
    /// What to do when it has ended.
    pub(super) at_end: Cell<AtEnd>,
    pub(super) wait_ctx: RefCell<Option<WaitCtx>>,
    pub(super) stack: StackConfig,
    /// Its place in the table of handles, once C has started it.
    #[cfg(feature = "capi")]
    pub(super) entry: Cell<Option<&'static super::handle::Entry>>,
    /// For reports.
    pub(super) name: Cell<Option<&'static str>>,
}

// A coroutine's block is smaller, and so is a pooled stack.
const _: () = assert!(context::least_room::<Core, GuardedStack>() <= CONTEXT_ROOM);

/// A job's context, by address. `Copy`: the layers above own jobs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raw(pub(super) NonNull<Control<Core>>);

/// The queue of a job that has none: not null, since that is no active queue.
pub(super) const NO_QUEUE: *const Queue = ptr::dangling();

/// First run numbers: each control block has 2^32 of its own.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// The innermost running job of this thread, whatever stack we are on.
#[inline(always)]
pub(super) fn innermost() -> Option<Raw> {
    current::get()
}

/// The innermost running job and those that wait for it, from the inside out.
pub(super) fn running() -> impl Iterator<Item = Raw> {
    successors(innermost(), |job| job.core().parent.get())
}

/// The running jobs of this thread have lost a driver for good: no pause of theirs leaves them
/// any more, but is an error, and wakes go nowhere.
pub(crate) fn hold_running() {
    for job in running() {
        let core = job.core();
        core.cancelled.set(true);
        core.mode.set(CancelMode::Return);
        core.queue.set(NO_QUEUE);
        core.driver.set(None);
        if let Some(slot) = core.slot.get() {
            slot.connect(None, 0);
        }
    }
}

/// How many jobs run on this thread, all but one of them waiting for one nested in them.
pub(crate) fn depth() -> usize {
    running().count()
}

/// The current job, if this code runs on its own stack: not in a coroutine that it
/// entered, where pausing would switch the coroutine's frames away with it.
#[inline(always)]
pub(super) fn here() -> Option<Raw> {
    current::get().filter(|job| job.control().contains(context::stack_pointer()))
}

impl Raw {
    /// A new job on a pooled stack.
    pub(super) fn new(stack: StackConfig) -> Result<Raw, StackError> {
        fork::prepare();
        let core = Core {
            parent: Cell::new(None),
            blocked: Cell::new(0),
            driven: Cell::new(false),
            cancelled: Cell::new(false),
            cancelled_in_panic: Cell::new(false),
            mode: Cell::new(CancelMode::Unwind),
            wait: Cell::new(Wait::Resume),
            outcome: Cell::new(Outcome::Ready),
            slot: Cell::new(None),
            driver: Cell::new(None),
            queue: Cell::new(NO_QUEUE),
            place: Cell::new(0),
            token: Cell::new(0),
            kept: Kept::nothing(),
            at_end: Cell::new(AtEnd::Nothing),
            wait_ctx: RefCell::new(None),
            stack,
            #[cfg(feature = "capi")]
            function: Cell::new(0),
            #[cfg(feature = "capi")]
            entry: Cell::new(None),
            name: Cell::new(None),
            run: Cell::new(RUNS.fetch_add(1 << 32, Ordering::Relaxed)),
        };
        Ok(Raw(memory::context(stack, core)?.into_raw()))
    }

    /// The bottom of its stack, and where the part below the control block ends.
    pub(super) fn bounds(self) -> (usize, usize) {
        self.control().bounds()
    }

    pub(super) fn address(self) -> usize {
        self.0.addr().get()
    }

    /// Whether it has been readied and not yet entered.
    pub(super) fn is_fresh(self) -> bool {
        self.control().is_fresh()
    }

    /// The last act of a pause: what changed in the wait context has been seen. An error if
    /// the driver could not wait for it.
    #[inline(always)]
    pub(super) fn reset_wait_ctx(self) -> Result<(), Cancelled> {
        let core = self.core();
        if let Some(ctx) = &*core.wait_ctx.borrow() {
            ctx.reset();
            let outcome = core.outcome.replace(Outcome::Ready);
            if matches!(outcome, Outcome::Failed(_) | Outcome::NoReactor) {
                return Err(Cancelled);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn control(&self) -> &Control<Core> {
        // SAFETY: a `Raw` is only reachable while its owner keeps the context alive, and
        // everything in the block that changes is in cells.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub(super) fn core(&self) -> &Core {
        &self.control().extra
    }

    #[inline(always)]
    pub(super) fn check_room(self, needed: usize) -> Result<(), StackError> {
        self.control().check_room(needed)
    }

    /// Readies a free job to run `body` as `options` say.
    ///
    /// # Safety
    /// The job was reserved for such a closure, and neither runs nor is paused.
    #[inline(always)]
    pub(crate) unsafe fn arm<F, T>(self, options: &Options, body: F)
    where
        F: FnOnce() -> T,
    {
        self.set_up(options);
        let body = move |_: Word, _: usize, _: NonNull<Control<Core>>| body();
        // SAFETY: free, by this function's contract; the body captures one closure `F`.
        unsafe { context::arm(self.0, body) };
    }

    #[inline(always)]
    fn set_up(self, options: &Options) {
        let core = self.core();
        core.mode.set(options.cancel);
        core.driven.set(options.driven);
        core.name.set(options.name);
        core.kept.start(options.save_fp_control);
        core.at_end.set(if options.wipe { AtEnd::Wipe } else { AtEnd::Nothing });
        if let Some(ctx) = &options.wait_ctx {
            *core.wait_ctx.borrow_mut() = Some(ctx.clone());
        }
    }

    /// Runs the job until it pauses or ends. The job that came back is in the answer.
    ///
    /// # Safety
    /// The job is armed or paused, and belongs to this thread.
    #[inline(always)]
    pub(crate) unsafe fn enter(self, how: usize) -> Back {
        self.begin();
        // SAFETY: armed or paused, by this function's contract.
        let landed = unsafe { context::resume(self.0, Word::uninit(), how) };
        Back::from(landed)
    }

    /// Starts it or goes on with it.
    ///
    /// # Safety
    /// As [`enter`](Self::enter).
    #[inline(always)]
    pub(crate) unsafe fn go(self) -> Back {
        // SAFETY: by this function's contract.
        unsafe { self.enter(tag::GO) }
    }

    /// As [`enter`](Self::enter) after [`begin`](Self::begin), by the stub and as the last
    /// act of the caller: see [`context::resume_then`].
    ///
    /// # Safety
    /// As `enter`; it has begun; `then` begins with [`Back::from`], and takes `a` and `b`.
    #[cfg(feature = "capi")]
    #[inline(always)]
    pub(super) unsafe fn enter_then(
        self,
        how: usize,
        a: *mut (),
        b: *mut (),
        then: context::Then,
    ) -> std::ffi::c_int {
        // SAFETY: armed or paused, by this function's contract.
        unsafe { context::resume_then(self.0, how, a, b, then) }
    }

    /// Makes it the current job.
    #[inline(always)]
    pub(super) fn begin(self) {
        let core = self.core();
        trace::entered(self);
        core.parent.set(current::get());
        current::set(Some(self));
        core.kept.enter();
    }

    /// Makes the caller its driver: wakes go to `inbox` under the name `token`, and
    /// `yield_now` may take the next job out of `queue`.
    ///
    /// # Safety
    /// `queue` outlives the job's run.
    pub(crate) unsafe fn attach(self, inbox: &'static Inbox, token: usize, queue: &Queue) {
        let core = self.core();
        core.driven.set(true);
        core.driver.set(Some(inbox));
        core.token.set(token);
        core.queue.set(queue);
        if core.kept.is_anything() {
            queue.forbid_hand_overs();
        }
        if let Some(slot) = core.slot.get() {
            slot.connect(Some(inbox), token);
        }
    }

    /// Whether somebody looks after its wakes.
    #[cfg(feature = "capi")]
    pub(super) fn has_driver(self) -> bool {
        self.core().driver.get().is_some()
    }

    /// Wakes go where those of `other` go, as if they were its. Whether it has been woken before.
    #[cfg(feature = "capi")]
    pub(super) fn share_driver_of(self, other: Raw) -> bool {
        let (slot, driver) = (self.core().slot.get(), other.core().driver.get());
        let adopt = |(slot, driver): (&Slot, _)| slot.adopt(driver, other.core().token.get());
        slot.zip(driver).is_some_and(adopt)
    }

    /// Wakes that went to `from` go to `to`.
    #[cfg(feature = "capi")]
    pub(super) fn redirect(self, from: &Inbox, to: &'static Inbox, token: usize) {
        if let Some(slot) = self.core().slot.get()
            && slot.inbox().is_some_and(|inbox| ptr::eq(inbox, from))
        {
            slot.connect(Some(to), token);
        }
    }

    /// Wakes go nowhere: the thread that looked for them ends.
    #[cfg(feature = "capi")]
    pub(super) fn disconnect(self) {
        if let Some(slot) = self.core().slot.get() {
            slot.connect(None, 0);
        }
    }

    /// What the driver calls this job.
    #[inline(always)]
    pub(crate) fn token(self) -> usize {
        self.core().token.get()
    }

    #[inline(always)]
    pub(crate) fn waiting(self) -> Wait {
        self.core().wait.get()
    }

    pub(crate) fn set_outcome(self, outcome: Outcome) {
        self.core().outcome.set(outcome);
    }

    pub(crate) fn wait_ctx(self) -> Option<WaitCtx> {
        self.core().wait_ctx.borrow().clone()
    }

    /// Whether a wake is waiting to be consumed.
    pub(crate) fn is_woken(self) -> bool {
        self.core().slot.get().is_some_and(Slot::is_notified)
    }

    /// Uses up a wake; whether one was waiting.
    pub(crate) fn consume_wake(self) -> bool {
        self.core().slot.get().is_some_and(Slot::consume)
    }

    /// Whether a counted wake handle of this job exists.
    pub(crate) fn has_outside_handle(self) -> bool {
        self.core().slot.get().is_some_and(Slot::has_handles)
    }

    /// Whether it runs, or waits for a job nested in it that runs.
    #[inline(always)]
    pub(crate) fn is_running(self) -> bool {
        innermost().is_some() && self.is_among_the_running()
    }

    #[inline(never)]
    fn is_among_the_running(self) -> bool {
        running().any(|job| job == self)
    }

    /// Brings the control block into the cache, ahead of entering the job.
    #[inline(always)]
    pub(super) fn prefetch(self) {
        context::prefetch(self.0);
    }

    /// Brings its stack into the cache, some time after the control block.
    #[inline(always)]
    pub(super) fn prefetch_frame(self) {
        self.control().prefetch_frame();
    }

    /// Leaves the running job for `next`, which answers to the same resumer.
    ///
    /// # Safety
    /// The calling code runs on this job's own stack; `next` comes from the queue of their
    /// common driver.
    #[inline(always)]
    pub(super) unsafe fn hand_over(self, next: Raw) -> Result<(), Cancelled> {
        trace::left(self, true);
        trace::entered(next);
        next.core().parent.set(self.core().parent.get());
        current::set(Some(next));
        // SAFETY: what is in a driver's queue is armed or paused; see `forbid_hand_overs`
        // for FP control words.
        let answer = unsafe { context::hand_over(self.0, next.0) };
        if answer.tag == tag::GO { Ok(()) } else { Err(told(answer.tag)) }
    }

    /// Leaves the running job for whoever entered it.
    ///
    /// # Safety
    /// The calling code runs on this job's own stack.
    #[inline(always)]
    pub(super) unsafe fn leave(self) -> Result<(), Cancelled> {
        // SAFETY: by this function's contract.
        let answer = unsafe { context::pause(self.0, Word::uninit()) };
        if answer.tag == tag::GO { Ok(()) } else { Err(told(answer.tag)) }
    }

    /// Leaves the job for its canceller, who counts how often, and ignores the answer.
    ///
    /// # Safety
    /// As for [`leave`](Self::leave).
    pub(super) unsafe fn check_in(self) {
        // SAFETY: by this function's contract.
        unsafe { context::pause(self.0, Word::uninit()) };
    }

    /// Clears what belongs to the job that has ended, so that the next finds nothing of it; false
    /// if there is something [left](Self::take_left).
    #[inline(always)]
    pub(super) fn reset(self) -> bool {
        let core = self.core();
        if core.at_end.get() != AtEnd::Nothing {
            self.finish_off();
        }
        core.run.update(|run| run + 1);
        core.driver.set(None);
        core.queue.set(NO_QUEUE);
        // Neighbours that become zero together: one store.
        core.blocked.set(0);
        core.driven.set(false);
        core.cancelled.set(false);
        core.cancelled_in_panic.set(false);
        core.mode.set(CancelMode::Unwind);
        core.wait.set(Wait::Resume);
        core.outcome.set(Outcome::Ready);
        core.slot.get().is_none() && !core.has_wait_ctx()
    }

    /// Ends what others know it by. Dropping the answer may run foreign code.
    pub(super) fn take_left(self) -> (Option<WaitCtx>, Option<Waker>) {
        let core = self.core();
        let mut waker = None;
        if let Some(slot) = core.slot.take() {
            let kept;
            (kept, waker) = slot.end_job();
            if let Some(slot) = kept {
                slot.connect(None, 0);
            }
            core.slot.set(kept);
        }
        (core.wait_ctx.take(), waker)
    }

    /// Gives the stack back.
    ///
    /// # Safety
    /// The job neither runs nor is paused, and nobody uses it again.
    pub(super) unsafe fn free(self) {
        if let Some(slot) = self.core().slot.take() {
            slot.release();
        }
        #[cfg(feature = "capi")]
        if let Some(entry) = self.core().entry.take() {
            entry.release();
        }
        // SAFETY: the owner gives it up, and nothing lives on the stack.
        drop(unsafe { Context::from_raw(self.0) });
    }
}

/// What a canceller tells a job instead of `GO`.
#[cold]
fn told(tag: usize) -> Cancelled {
    if tag == tag::UNWIND {
        context::force_unwind();
    }
    Cancelled
}

impl Core {
    #[inline(always)]
    fn has_wait_ctx(&self) -> bool {
        self.wait_ctx.borrow().is_some()
    }
}

impl From<Landed> for Back {
    /// Who came back is no longer current.
    #[inline(always)]
    fn from(landed: Landed) -> Back {
        // SAFETY: only jobs come back from a job, and never a null link.
        let job = Raw(unsafe { NonNull::new_unchecked(landed.link.cast()) });
        trace::left(job, landed.tag == tag::PAUSED);
        job.core().kept.leave();
        current::set(job.core().parent.get());
        Back { job, word: landed.word, tag: landed.tag }
    }
}

impl Back {
    /// Whether the job has paused; otherwise it has ended.
    #[inline(always)]
    pub(crate) fn is_paused(&self) -> bool {
        self.tag == tag::PAUSED
    }
}

/// What [`Raw::enter`] comes back with.
pub(crate) struct Back {
    pub(crate) job: Raw,
    pub(crate) word: Word,
    pub(crate) tag: usize,
}
