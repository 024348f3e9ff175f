//! The jobs of one thread: a limit on all of them, and free ones ready to start.
//!
//! # Safety
//!
//! The pool's address is kept in a word of its thread from its first use to its end.
#![cfg_attr(feature = "capi", allow(unsafe_code))]

use std::cell::{Cell, RefCell};
use std::fmt;

use super::StartError;
use super::core::Raw;
#[cfg(feature = "capi")]
use super::current;
use crate::stack::StackConfig;
use crate::sys;

struct Pool {
    free: RefCell<Vec<Raw>>,
    /// Free, running and paused.
    total: Cell<usize>,
    /// What free jobs are made of; others are made when asked for, and not kept.
    stack: Cell<StackConfig>,
    /// What C asked for besides.
    #[cfg(feature = "capi")]
    extras: Cell<u32>,
    /// 0 for no limit.
    max_size: Cell<usize>,
    /// Jobs of ours that the limit is not for.
    helpers: Cell<usize>,
    /// Free jobs to keep for reuse.
    wanted: Cell<usize>,
    /// The same as far as `free` has room, or none: from a cleanup, or while the limit is
    /// exceeded, until the next job is made.
    keep: Cell<usize>,
}

/// Free jobs a thread keeps unless `init_thread` asked for more.
const KEEP: usize = 64;

thread_local! {
    static POOL: Pool = const {
        Pool {
            free: RefCell::new(Vec::new()),
            total: Cell::new(0),
            stack: Cell::new(StackConfig::DEFAULT),
            #[cfg(feature = "capi")]
            extras: Cell::new(0),
            helpers: Cell::new(0),
            max_size: Cell::new(0),
            wanted: Cell::new(KEEP),
            keep: Cell::new(0),
        }
    };
}

/// The pool of this thread, unless the thread is ending and it is gone already.
#[cfg(not(feature = "capi"))]
#[inline(always)]
fn with<R>(f: impl FnOnce(&Pool) -> R) -> Option<R> {
    POOL.try_with(f).ok()
}

/// As above, by a word of the thread's that is one load away: in a shared library a
/// `thread_local!` costs a call.
#[cfg(feature = "capi")]
#[inline(always)]
fn with<R>(f: impl FnOnce(&Pool) -> R) -> Option<R> {
    // SAFETY: null, or set from the pool, which clears it when it goes.
    if let Some(pool) = unsafe { current::pool_word().cast::<Pool>().as_ref() } {
        return Some(f(pool));
    }
    let enter = |pool: &Pool| {
        current::set_pool_word(std::ptr::from_ref(pool).cast_mut().cast());
        f(pool)
    };
    POOL.try_with(enter).ok()
}

/// Sizes that contradict each other or exceed `i32::MAX`: see [`init_thread`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPoolSize;

impl fmt::Display for InvalidPoolSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid pool size")
    }
}

impl std::error::Error for InvalidPoolSize {}

/// Limits this thread to `max_size` jobs at a time, free ones included (0: no limit), and
/// has `init_size` of them ready. Called again, it adjusts the same pool. Threads that do
/// not call it have no limit. (ASYNC_init_thread(3).)
///
/// Fewer than `init_size` may be ready when memory is short: that is no error. Each takes at
/// least a page of memory at once; a system that overcommits does not say when it is short.
///
/// # Errors
///
/// If `init_size` is larger than `max_size` (also when that is 0, as in OpenSSL), or
/// `max_size` than `i32::MAX`.
pub fn init_thread(max_size: usize, init_size: usize) -> Result<(), InvalidPoolSize> {
    if init_size > max_size || max_size > i32::MAX as usize {
        return Err(InvalidPoolSize);
    }
    // The pool of an ending thread is already gone.
    with(|pool| {
        pool.max_size.set(max_size);
        pool.wanted.set(init_size.max(KEEP));
        if max_size != 0 {
            pool.shrink_to(max_size);
        }
        while pool.total.get() < init_size && pool.free.borrow_mut().try_reserve(1).is_ok() {
            let Ok(job) = pool.create(pool.stack.get()) else { break };
            pool.free.borrow_mut().push(job);
        }
        pool.keep.set(if pool.exceeds() || !nobody_waits() { 0 } else { pool.make_room() });
    });
    call_who_waits();
    Ok(())
}

/// Frees this thread's idle jobs and lifts its limit. Running and paused jobs are not
/// affected. (ASYNC_cleanup_thread(3).)
pub fn cleanup_thread() {
    // The pool of an ending thread is already gone.
    with(|pool| {
        pool.max_size.set(0);
        pool.wanted.set(KEEP);
        pool.keep.set(0);
        pool.shrink_to(0);
    });
    call_who_waits();
}

/// The most recently freed job, or a new one.
#[inline]
pub(super) fn take(stack: StackConfig) -> Result<Raw, StartError> {
    with(|pool| pool.take(stack)).unwrap_or_else(|| Ok(Raw::new(stack)?))
}

/// A job such as [`set_options`] has asked for, and the word that came with that.
#[cfg(feature = "capi")]
#[inline]
pub(super) fn take_for_c() -> Result<(Raw, u32), StartError> {
    let take = |pool: &Pool| Ok((pool.take(pool.stack.get())?, pool.extras.get()));
    with(take).unwrap_or_else(|| {
        let last = Raw::new(StackConfig::DEFAULT)?;
        // It must not be left: nobody would notice the end of this thread any more, and another
        // one that takes its address would have the job.
        last.block_for_good();
        Ok((last, 0))
    })
}

/// What the jobs are made of that this thread keeps, and a word for
/// [`take_for_c`]. Fails if there are no such stacks.
#[cfg(feature = "capi")]
pub(crate) fn set_options(stack: StackConfig, extras: u32) -> Result<(), crate::stack::StackError> {
    let try_it = |pool: &Pool| {
        if pool.stack.get() != stack {
            let trial = Raw::new(stack)?;
            // SAFETY: nobody has used it.
            unsafe { trial.free() };
            pool.stack.set(stack);
            pool.shrink_to(0);
        }
        pool.extras.set(extras);
        Ok(())
    };
    with(try_it).unwrap_or(Ok(()))
}

/// While it is there, this thread's limit allows for one job more: not the program's, but one
/// that helps it to end another.
#[cfg(feature = "capi")]
pub(crate) struct Helper(());

#[cfg(feature = "capi")]
impl Helper {
    pub(crate) fn new() -> Self {
        with(|pool| pool.helpers.update(|helpers| helpers + 1));
        Helper(())
    }
}

#[cfg(feature = "capi")]
impl Drop for Helper {
    fn drop(&mut self) {
        with(|pool| {
            pool.helpers.update(|helpers| helpers.saturating_sub(1));
            pool.abstain_beyond_limit();
        });
    }
}

/// The jobs of this thread: all, and free ones.
pub(crate) fn census() -> (usize, usize) {
    with(|pool| (pool.total.get(), pool.free.borrow().len())).unwrap_or_default()
}

/// This thread takes over a job of one that has ended, if `take` succeeds. Not while it ends
/// itself: nobody would notice that it leaves the job behind.
#[cfg(feature = "capi")]
pub(super) fn adopt(take: impl FnOnce() -> bool) -> bool {
    let count = |pool: &Pool| {
        let taken = take();
        pool.total.update(|total| total + usize::from(taken));
        pool.abstain_beyond_limit();
        taken
    };
    with(count).unwrap_or(false)
}

/// So many jobs are this thread's no longer.
#[cfg(feature = "capi")]
pub(super) fn lose(jobs: usize) {
    with(|pool| pool.total.update(|total| total.saturating_sub(jobs)));
}

/// Takes back a job that has ended.
#[inline]
pub(super) fn put(job: Raw) {
    if job.reset() { keep_or_free(job) } else { put_with_left(job) }
}

/// A wait context and a task's waker are dropped last: what that runs may panic, or start jobs.
#[inline(never)]
fn put_with_left(job: Raw) {
    let (wait_ctx, waker) = job.take_left();
    keep_or_free(job);
    if waker.is_none() {
        // As nearly always: what several panics need is not for free.
        return drop(wait_ctx);
    }
    let mut first_panic = sys::FirstPanic::default();
    first_panic.of(|| drop(waker));
    first_panic.of(|| drop(wait_ctx));
    first_panic.go_on();
}

/// As [`put`] where C would have to deal with a panic of such a cleanup.
#[cfg(feature = "capi")]
#[inline]
pub(super) fn put_for_c(job: Raw) {
    if job.reset() { keep_or_free(job) } else { put_with_left_for_c(job) }
}

#[cfg(feature = "capi")]
#[inline(never)]
fn put_with_left_for_c(job: Raw) {
    sys::contain(|| put_with_left(job));
}

#[inline(always)]
fn keep_or_free(job: Raw) {
    let kept = with(|pool| {
        let mut free = pool.free.borrow_mut();
        let keep = job.core().stack == pool.stack.get() && free.len() < pool.keep.get();
        if keep {
            free.push(job);
        } else {
            pool.total.set(pool.total.get().saturating_sub(1));
        }
        keep
    });
    if !kept.unwrap_or(false) {
        // SAFETY: the job has ended, and is not in the pool.
        unsafe { job.free() };
        call_who_waits();
    }
}

/// Frees every job that ends, which is when somebody in the line is called; until the next
/// job is made and the line is empty.
#[cfg(feature = "future")]
pub(super) fn keep_none() {
    with(|pool| pool.keep.set(0));
}

/// There may be a job to spare.
#[inline(always)]
fn call_who_waits() {
    #[cfg(feature = "future")]
    super::line::call();
}

fn nobody_waits() -> bool {
    #[cfg(feature = "future")]
    return super::line::is_empty();
    #[cfg(not(feature = "future"))]
    return true;
}

impl Pool {
    #[inline(always)]
    fn take(&self, stack: StackConfig) -> Result<Raw, StartError> {
        if stack == self.stack.get()
            && let Some(job) = self.free.borrow_mut().pop()
        {
            return Ok(job);
        }
        self.create(stack)
    }

    #[cold]
    fn create(&self, stack: StackConfig) -> Result<Raw, StartError> {
        let limit = self.limit();
        if limit != 0 {
            // A free job of another kind may make room.
            self.shrink_to(limit - 1);
            if self.total.get() >= limit {
                return Err(StartError::NoJobs);
            }
        }
        let job = Raw::new(stack)?;
        self.total.update(|total| total + 1);
        if nobody_waits() {
            self.keep.set(self.make_room());
        }
        Ok(job)
    }

    /// How many jobs there may be in all; 0 for no limit.
    fn limit(&self) -> usize {
        match self.max_size.get() {
            0 => 0,
            limit => limit + self.helpers.get(),
        }
    }

    fn exceeds(&self) -> bool {
        let limit = self.limit();
        limit != 0 && self.total.get() > limit
    }

    /// Keeps no job that ends, until the next is made.
    #[cfg(feature = "capi")]
    fn abstain_beyond_limit(&self) {
        if self.exceeds() {
            self.keep.set(0);
        }
    }

    /// How many of those that are wanted the list has room for, which is made if there is
    /// memory: a job that ends must not need any.
    fn make_room(&self) -> usize {
        let wanted = self.wanted.get();
        let mut free = self.free.borrow_mut();
        let missing = wanted.min(self.total.get()).saturating_sub(free.len());
        let _ = sys::keep_errno(|| free.try_reserve(missing));
        wanted.min(free.capacity())
    }

    /// Frees idle jobs until there are `total` in all, or no idle ones.
    fn shrink_to(&self, total: usize) {
        while self.total.get() > total {
            let Some(job) = self.free.borrow_mut().pop() else { break };
            self.total.set(self.total.get() - 1);
            // SAFETY: it was free, and is no longer in the pool.
            unsafe { job.free() };
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        #[cfg(feature = "capi")]
        {
            current::set_pool_word(std::ptr::null_mut());
            super::orphans::bury();
            super::orphans::orphan_all();
        }
        self.shrink_to(0);
    }
}
