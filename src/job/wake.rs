//! Wake handles: any thread or signal handler tells a job's driver to resume it.
//!
//! A handle names a slot and a generation. Slots are never freed, so a handle of a job
//! that has ended leads to readable memory, where another generation stands: it has no
//! effect. One atomic word per slot decides everything:
//!
//! ```text
//! generation (32) | handles (24) | ... | QUEUED | NOTIFIED
//! ```
//!
//! Whoever sets QUEUED owns the slot's `next` and pushes it on the inbox of the driver;
//! the driver clears QUEUED when it takes the slot out. NOTIFIED stays until the job
//! consumes it, so a wake that comes before the wait is not lost.
#![allow(
    deprecated,
    reason = "try_update, as fetch_update is called from Rust 1.99 on, is too young"
)]

use std::fmt;
use std::ptr;
use std::sync::atomic::Ordering;
use std::task::Waker;

use super::free::Free;
use super::inbox::Inbox;
#[cfg(feature = "future")]
use super::sync::AtomicWaker;
use super::sync::{AtomicPtr, AtomicU64, AtomicUsize, CHUNK, Mutex, MutexGuard};

const NOTIFIED: u64 = 1;
const QUEUED: u64 = 2;
/// The job is gone while the slot was queued: whoever takes it out recycles it.
const ABANDONED: u64 = 4;
const HANDLE: u64 = 1 << 8;
const HANDLES: u64 = 0xff_ffff << 8;
const GENERATION: u64 = 1 << 32;

/// Where the wakes of one job meet.
pub(crate) struct Slot {
    state: AtomicU64,
    /// Owned by whoever set QUEUED.
    pub(super) next: AtomicPtr<Slot>,
    inbox: AtomicPtr<Inbox>,
    token: AtomicUsize,
    /// The task that waits for the job, if a future drives it instead of an inbox.
    #[cfg(feature = "future")]
    waker: AtomicWaker,
}

/// Slots of jobs whose memory was given back.
static FREE: Mutex<Free<Slot>> = Mutex::new(Free::new());

pub(super) fn hold() -> MutexGuard<'static, Free<Slot>> {
    FREE.lock().unwrap_or_else(|poison| poison.into_inner())
}

/// Wakes one job: whoever drives it resumes it soon.
///
/// May be used from any thread; [`wake`](Self::wake) also from a signal handler. A wake
/// that comes too late, twice, or before the job waits is harmless: wakes do not count,
/// and one that comes early makes the next [`park`](super::park) return at once. What waits for
/// something of its own (`sleep`, `offload`, `block_on`, `join`) uses up the wakes that come
/// meanwhile. So look at what you wait for before you park.
///
/// A scheduler whose jobs all wait keeps waiting as long as such a handle exists, so let
/// it go when it is of no more use.
pub struct Wake(Ticket);

/// A wake handle that is not counted: its holder does not keep a scheduler waiting.
#[derive(Clone, Copy)]
pub(crate) struct Ticket {
    slot: &'static Slot,
    generation: u64,
}

impl Slot {
    /// A slot from the free list, or new ones, never to be freed; `None` without memory for them.
    pub(super) fn take() -> Option<&'static Slot> {
        let mut free = hold();
        if free.is_empty() {
            free.make(CHUNK, |_| Slot::new()).ok()?;
        }
        free.pop()
    }

    fn new() -> Slot {
        Slot {
            state: AtomicU64::new(0),
            next: AtomicPtr::new(ptr::null_mut()),
            inbox: AtomicPtr::new(ptr::null_mut()),
            token: AtomicUsize::new(0),
            #[cfg(feature = "future")]
            waker: AtomicWaker::new(),
        }
    }

    /// Puts the slot back on the free list. Its job has ended: see [`end_job`](Self::end_job).
    pub(super) fn release(&'static self) {
        hold().push(self);
    }

    /// Sends wakes to `inbox`, where the job goes by `token`.
    pub(super) fn connect(&self, inbox: Option<&'static Inbox>, token: usize) {
        self.token.store(token, Ordering::Relaxed);
        let inbox = inbox.map_or(ptr::null_mut(), |inbox| ptr::from_ref(inbox).cast_mut());
        self.inbox.store(inbox, Ordering::Release);
    }

    /// The same for a job that nobody drives any more. Whether it has been woken before; a wake
    /// that this does not tell of goes to `inbox`, or is among those of the driver before.
    #[cfg(feature = "capi")]
    pub(super) fn adopt(&self, inbox: &'static Inbox, token: usize) -> bool {
        self.token.store(token, Ordering::Relaxed);
        // SeqCst: who pushes too late for a look at the driver before sees this, see `is_left_in`.
        self.inbox.swap(ptr::from_ref(inbox).cast_mut(), Ordering::SeqCst);
        // Not a load: who changes the state after this one sees the inbox, see `Ticket::noted`.
        self.state.fetch_or(0, Ordering::AcqRel) & NOTIFIED != 0
    }

    /// Calls `waker` at the next wake. To be set before [`is_notified`](Self::is_notified)
    /// is asked, or a wake may be missed.
    #[cfg(feature = "future")]
    pub(super) fn set_waker(&self, waker: &Waker) {
        // Taken out first: if `register` dropped it and that panics, no waker could be set or
        // called any more.
        let old = self.waker.take();
        self.waker.register(waker);
        drop(old);
    }

    /// The inbox of the present driver.
    pub(super) fn inbox(&self) -> Option<&'static Inbox> {
        // SAFETY: null, or stored by `connect` from a reference to an inbox, which is never freed.
        unsafe { self.inbox.load(Ordering::Acquire).as_ref() }
    }

    #[cfg(feature = "capi")]
    pub(super) fn generation(&self) -> u64 {
        self.state.load(Ordering::Relaxed) / GENERATION
    }

    /// Whether the job that was queued in `inbox` still is, though its wakes go elsewhere by now.
    #[cfg(feature = "capi")]
    pub(super) fn is_left_in(&self, inbox: &Inbox, generation: u64) -> bool {
        let now = self.inbox.load(Ordering::SeqCst);
        let state = self.state.load(Ordering::Relaxed);
        let still = state / GENERATION == generation && state & (QUEUED | ABANDONED) == QUEUED;
        !ptr::eq(now, inbox) && !now.is_null() && still
    }

    /// A slot in a list of `next` pointers.
    pub(super) fn from_list(entry: *mut Slot) -> Option<&'static Slot> {
        // SAFETY: null, or pushed from a reference to a slot, which is never freed.
        unsafe { entry.as_ref() }
    }

    /// Queues the slot on another inbox: its job has changed drivers in the meantime.
    pub(super) fn forward(&'static self, inbox: &Inbox) {
        if self.state.fetch_or(QUEUED, Ordering::AcqRel) & QUEUED == 0 {
            inbox.push(self);
        }
    }

    pub(super) fn token(&self) -> usize {
        self.token.load(Ordering::Relaxed)
    }

    pub(crate) fn handle(&'static self) -> Wake {
        let ticket = self.ticket();
        self.update(ticket.generation, one_more);
        Wake(ticket)
    }

    pub(super) fn ticket(&'static self) -> Ticket {
        let generation = self.state.load(Ordering::Relaxed) / GENERATION;
        Ticket { slot: self, generation }
    }

    /// Whether a handle of the present job exists.
    pub(super) fn has_handles(&'static self) -> bool {
        // SeqCst: asked after `may_sleep`, as a wake is looked for; see `Inbox::push`.
        self.state.load(Ordering::SeqCst) & HANDLES != 0
    }

    /// Whether [`consume`](Self::consume) would find a wake.
    pub(super) fn is_notified(&'static self) -> bool {
        self.state.load(Ordering::Acquire) & NOTIFIED != 0
    }

    /// Whether the job has been woken since this was last asked.
    pub(super) fn consume(&self) -> bool {
        self.state.fetch_and(!NOTIFIED, Ordering::Acquire) & NOTIFIED != 0
    }

    /// Makes all handles stale. Gives the slot back for the next job, unless it is still
    /// queued somewhere; and the task's waker, which is foreign code to drop.
    pub(super) fn end_job(&'static self) -> (Option<&'static Slot>, Option<Waker>) {
        // Before the slot may be another job's.
        #[cfg(feature = "future")]
        let waker = self.waker.take();
        #[cfg(not(feature = "future"))]
        let waker = None;
        let next = |state: u64| (state / GENERATION + 1) % (1 << 32) * GENERATION;
        let end = |state: u64| match state & QUEUED {
            0 => next(state),
            queued => next(state) | queued | ABANDONED,
        };
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |s| Some(end(s)));
        ((before.unwrap_or(0) & QUEUED == 0).then_some(self), waker)
    }

    /// Called by the driver that took the slot out of its inbox: whether it still means
    /// a job that wants waking.
    pub(super) fn taken_out(&'static self) -> bool {
        let before = self.state.fetch_and(!(QUEUED | ABANDONED), Ordering::AcqRel);
        if before & ABANDONED != 0 {
            self.release();
        }
        before & (NOTIFIED | ABANDONED) == NOTIFIED
    }

    /// The same for somebody who is in no driver's place and takes no locks: `None` for one that
    /// is still queued because it is to be recycled.
    pub(super) fn pass_on(&'static self) -> Option<bool> {
        let take = |state| (state & ABANDONED == 0).then_some(state & !QUEUED);
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, take).ok()?;
        Some(before & NOTIFIED != 0)
    }

    /// Runs `change` on the state as long as `generation` is the present one.
    fn update(&self, generation: u64, change: impl Fn(u64) -> u64) -> Option<u64> {
        self.state
            .fetch_update(Ordering::SeqCst, Ordering::Acquire, |state| {
                (state / GENERATION == generation).then(|| change(state))
            })
            .ok()
    }
}

/// Counts a handle. A full count stays full: the driver then waits in vain at worst.
fn one_more(state: u64) -> u64 {
    if state & HANDLES == HANDLES { state } else { state + HANDLE }
}

fn one_less(state: u64) -> u64 {
    // None is left to a handle that outlived 2^32 jobs and passes for one of the present job.
    if matches!(state & HANDLES, 0 | HANDLES) { state } else { state - HANDLE }
}

impl Ticket {
    pub(crate) fn wake(self) {
        let inbox = self.slot.inbox();
        // Without a driver there is nothing to queue on: the next wait finds the note.
        let flags = if inbox.is_some() { NOTIFIED | QUEUED } else { NOTIFIED };
        let before = self.slot.update(self.generation, |state| state | flags);
        match (inbox, before) {
            (Some(inbox), Some(before)) if before & QUEUED == 0 => inbox.push(self.slot),
            (None, Some(_)) => self.noted(),
            _ => {}
        }
    }

    /// After a note for nobody in particular.
    fn noted(self) {
        #[cfg(feature = "future")]
        self.slot.waker.wake();
        // Who has adopted the job in the meantime may have looked for the note too early.
        if let Some(inbox) = self.slot.inbox()
            && let Some(before) = self.slot.update(self.generation, |state| state | QUEUED)
            && before & QUEUED == 0
        {
            inbox.push(self.slot);
        }
    }

    /// The same, counted.
    #[cfg(feature = "future")]
    pub(crate) fn counted(self) -> Wake {
        self.slot.update(self.generation, one_more);
        Wake(self)
    }

    /// A handle that [`counted`](Self::counted) has made and that was forgotten.
    #[cfg(feature = "future")]
    pub(crate) fn again(self) -> Wake {
        Wake(self)
    }
}

#[cfg(feature = "capi")]
impl Ticket {
    /// The address of the slot, and the generation.
    pub(crate) fn to_parts(self) -> (usize, u64) {
        (ptr::from_ref(self.slot).expose_provenance(), self.generation)
    }

    /// From [`to_parts`](Self::to_parts); `None` for a slot of zero.
    ///
    /// # Safety
    /// They are zero, or come from there.
    pub(crate) unsafe fn from_parts(slot: usize, generation: u64) -> Option<Self> {
        // SAFETY: slots are never freed.
        let slot = unsafe { ptr::with_exposed_provenance::<Slot>(slot).as_ref() }?;
        Some(Ticket { slot, generation })
    }
}

impl Wake {
    /// Has the job resumed, now or when it next waits. Lock-free; at most one system
    /// call, when the driver sleeps. `errno` is kept. A job that is awaited as a future is
    /// woken through its task's `Waker`: then this is what that is, and few of them are
    /// meant for signal handlers.
    pub fn wake(&self) {
        self.0.wake();
    }
}

impl Clone for Wake {
    fn clone(&self) -> Self {
        // A stale handle is not counted, nor is its clone.
        self.0.slot.update(self.0.generation, one_more);
        Wake(self.0)
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        let Ticket { slot, generation } = self.0;
        let before = slot.update(generation, one_less);
        // The driver may be waiting for nothing but this handle: let it look again.
        if before.is_some_and(|state| state & HANDLES == HANDLE)
            && let Some(inbox) = slot.inbox()
        {
            inbox.look_again();
        }
    }
}

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ticket { slot, generation } = self.0;
        write!(f, "Wake({:p}, generation {generation})", ptr::from_ref(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_whose_job_ends_while_it_is_queued_is_recycled_when_it_is_taken_out() {
        let inbox = Inbox::take().unwrap();
        let slot = Slot::take().unwrap();
        slot.connect(Some(inbox), 7);
        slot.handle().wake();
        assert!(slot.end_job().0.is_none());
        inbox.drain(|token| panic!("{token} was woken"));
        assert!(hold().has(slot));
        inbox.release();
    }

    #[test]
    fn a_full_count_of_handles_neither_overflows_nor_is_counted_down() {
        let slot = Slot::take().unwrap();
        let wake = slot.handle();
        slot.state.fetch_or(HANDLES, Ordering::Relaxed);
        drop(wake.clone());
        drop(slot.handle());
        assert!(slot.has_handles());
        assert_eq!(slot.ticket().generation, wake.0.generation);
        wake.wake();
        assert!(slot.consume());
        assert!(slot.end_job().0.is_some());
        assert!(!slot.has_handles());
    }
}
