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
use super::wait_ctx::WaitCtx;
use crate::stack::StackConfig;

struct Pool {
    free: RefCell<Vec<Raw>>,
    /// Free, running and paused.
    total: Cell<usize>,
    /// 0 for no limit.
    max_size: Cell<usize>,
    /// Free jobs to keep for reuse.
    wanted: Cell<usize>,
    /// The same, or none: from a cleanup, or while the limit is exceeded, until the next
    /// job is made.
    keep: Cell<usize>,
}

/// Free jobs a thread keeps unless `init_thread` asked for more.
const KEEP: usize = 64;

thread_local! {
    static POOL: Pool = const {
        Pool {
            free: RefCell::new(Vec::new()),
            total: Cell::new(0),
            max_size: Cell::new(0),
            wanted: Cell::new(KEEP),
            keep: Cell::new(KEEP),
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
/// Fewer than `init_size` may be ready when memory is short: that is no error.
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
        let exceeded = max_size != 0 && pool.total.get() > max_size;
        pool.keep.set(if exceeded { 0 } else { pool.wanted.get() });
        while pool.total.get() < init_size {
            let Ok(job) = pool.create(StackConfig::DEFAULT) else { break };
            pool.free.borrow_mut().push(job);
        }
    });
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
}

/// The most recently freed job, or a new one.
#[inline]
pub(super) fn take(stack: StackConfig) -> Result<Raw, StartError> {
    with(|pool| {
        if stack == StackConfig::DEFAULT
            && let Some(job) = pool.free.borrow_mut().pop()
        {
            return Ok(job);
        }
        pool.create(stack)
    })
    .unwrap_or_else(|| Ok(Raw::new(stack)?))
}

/// Takes back a job that has ended.
#[inline]
pub(super) fn put(job: Raw) {
    match job.reset() {
        None => keep_or_free(job),
        Some(wait_ctx) => put_with(job, wait_ctx),
    }
}

/// A wait context is dropped last: its cleanups may panic, or start jobs.
#[cold]
fn put_with(job: Raw, wait_ctx: WaitCtx) {
    keep_or_free(job);
    drop(wait_ctx);
}

#[inline(always)]
fn keep_or_free(job: Raw) {
    let kept = with(|pool| {
        let mut free = pool.free.borrow_mut();
        let keep = job.core().stack == StackConfig::DEFAULT && free.len() < pool.keep.get();
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
    }
}

impl Pool {
    #[cold]
    fn create(&self, stack: StackConfig) -> Result<Raw, StartError> {
        let limit = self.max_size.get();
        if limit != 0 {
            // A free job of another kind may make room.
            self.shrink_to(limit - 1);
            if self.total.get() >= limit {
                return Err(StartError::NoJobs);
            }
        }
        let job = Raw::new(stack)?;
        self.total.set(self.total.get() + 1);
        self.keep.set(self.wanted.get());
        Ok(job)
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
            super::handle::bury();
            super::handle::orphan_all();
        }
        self.shrink_to(0);
    }
}
