//! Jobs that C has started and nobody resumes any more: given up by their owner, or left
//! behind by a thread that has ended.
//!
//! # Safety
//!
//! A [`GivenUp`] stays on the thread of its job, and nobody else enters it as long as it is that
//! thread's: whoever has waited asks [`GivenUp::is_ours`] first.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use super::core::{self, Raw};
use super::handle::{
    self, Entry, GIVEN_UP, Handle, LOST, NOBODY, Ready, Unusable, each, each_of, this_thread,
};
use super::wait_ctx::WaitCtx;
use super::{current, pool, trace, woken};
use crate::context::tag;

/// This thread ends. Jobs that it ended inside of, by `pthread_exit`, are unwound and over;
/// unless it is on the stack of one, as when a C library does not unwind.
pub(super) fn bury() {
    if core::here().is_some() {
        return;
    }
    // Each knows the next before it is put back.
    let dead = core::running();
    current::set(None);
    for raw in dead {
        if let Some(entry) = raw.core().entry.get().filter(|entry| entry.is_live()) {
            entry.ctx.store(ptr::null_mut(), Ordering::Release);
            entry.next_run();
            pool::put_for_c(raw);
        }
    }
}

/// In a forked child: only this thread is left, and it does not wait for the jobs that it has
/// given up in the parent.
pub(super) fn orphan_others() {
    let me = this_thread();
    let mut given_up = 0;
    each(|entry| {
        let owner = entry.owner.load(Ordering::Relaxed);
        given_up += usize::from(entry.is_live() && owner == me | GIVEN_UP);
        if owner != me && owner != LOST {
            entry.owner.store(NOBODY, Ordering::Relaxed);
        }
    });
    if given_up != 0 {
        pool::lose(given_up); // Only then is there a pool for sure.
    }
}

/// This thread ends: the jobs it leaves paused belong to nobody. One that it ends on the stack of
/// can never go on, nor those that it is nested in.
pub(super) fn orphan_all() {
    let me = this_thread();
    each_of(
        |owner| owner & !GIVEN_UP == me,
        |entry, job| {
            job.disconnect();
            let owner = if job.is_running() { LOST } else { NOBODY };
            entry.owner.store(owner, Ordering::Release);
        },
    );
    core::hold_running();
}

/// Whoever looked for the wakes of the jobs that this thread has given up is gone.
pub(crate) fn disconnect_given_up() {
    let me = this_thread();
    each_of(|owner| owner == me | GIVEN_UP, |_, job| job.disconnect());
}

/// Of the jobs that C has started: how many ever, how many live, how many are orphans.
pub(crate) fn census() -> (u64, u64, u64) {
    let (mut started, mut live, mut orphaned) = (0, 0, 0);
    each(|entry| {
        started += entry.run.load(Ordering::Relaxed).div_ceil(2);
        live += u64::from(entry.is_live());
        orphaned += u64::from(entry.is_orphan());
    });
    (started, live, orphaned)
}

/// How many jobs that C has started on this thread are paused.
pub(crate) fn paused() -> u64 {
    let (me, mut paused) = (this_thread(), 0);
    each_of(|owner| owner & !GIVEN_UP == me, |_, job| paused += u64::from(!job.is_running()));
    paused
}

/// Shows the handle of each orphan: jobs whose thread has ended, and jobs given up.
pub(crate) fn each_orphan(mut see: impl FnMut(Handle)) {
    each(|entry| {
        if entry.is_orphan() {
            see(entry.handle());
        }
    });
}

/// Makes this thread the owner of a job whose thread has ended.
pub(crate) fn adopt(handle: Handle) -> Result<(), Unusable> {
    let entry = handle.entry().ok_or(Unusable::Stale)?;
    let (me, order) = (this_thread(), Ordering::Acquire);
    let take = || entry.owner.compare_exchange(NOBODY, me, order, Ordering::Relaxed).is_ok();
    if !pool::adopt(take) {
        return Err(Unusable::Busy);
    }
    ADOPTED.fetch_add(1, Ordering::Relaxed);
    // Whoever had given it up may not have come to that.
    if let Some(ctx) = handle::own(handle).and_then(Raw::wait_ctx) {
        ctx.let_go(handle.number());
    }
    woken::take_over(handle);
    Ok(())
}

/// Jobs that were adopted, ever.
pub(crate) static ADOPTED: AtomicU64 = AtomicU64::new(0);

/// A paused job that C has given up: only this can go on with it, as long as it
/// [is ours](Self::is_ours). Left to itself it stays where it is.
pub(crate) struct GivenUp(Raw, &'static Entry);

/// Takes a paused job away from whoever holds its handle.
pub(crate) fn give_up(handle: Handle) -> Result<GivenUp, Unusable> {
    let Ready(raw) = handle::paused(handle)?;
    trace::cancelled(raw);
    let entry = raw.core().entry.get().ok_or(Unusable::Stale)?;
    entry.owner.store(this_thread() | GIVEN_UP, Ordering::Relaxed);
    Ok(GivenUp(raw, entry))
}

/// Undoes [`give_up`], whose answer was dropped.
pub(crate) fn take_back(handle: Handle) {
    if let Some(entry) = handle.entry() {
        entry.owner.store(this_thread(), Ordering::Relaxed);
    }
}

impl GivenUp {
    /// Not when this thread has left its jobs behind, as it ends: another may have adopted it.
    pub(crate) fn is_ours(&self) -> bool {
        self.1.owner.load(Ordering::Relaxed) == this_thread() | GIVEN_UP
    }

    pub(crate) fn wait_ctx(&self) -> Option<WaitCtx> {
        self.0.wait_ctx()
    }

    /// Its pauses return an error from now on, except one that is in progress.
    pub(crate) fn refuse_pauses(&self) {
        self.0.core().cancelled.set(true);
    }

    /// What is kept with it.
    pub(crate) fn ready(&self) -> Ready {
        Ready(self.0)
    }

    /// Goes on with it, by telling its pause that it is `cancelled` or not. Its value, if it
    /// has ended; it must not be used then.
    pub(crate) fn go_on(&self, cancelled: bool) -> Option<c_int> {
        let how = if cancelled { tag::CANCEL } else { tag::GO };
        // Kept, what has ended this pause would end the next one, too.
        self.0.consume_wake();
        // SAFETY: paused, and this thread's: a `GivenUp` does not leave it, and is asked `is_ours`.
        let back = unsafe { self.0.enter(how) };
        if back.is_paused() {
            return None;
        }
        Some(handle::finished(back.job, back.word, self.1))
    }

    /// Has its wakes reach the current job, which waits for it. Whether there was one.
    pub(crate) fn send_wakes_here(&self) -> bool {
        let woken = current::get().is_some_and(|here| self.0.share_driver_of(here));
        // One that is still queued elsewhere would keep later ones from coming.
        woken::pass_on();
        woken
    }
}
