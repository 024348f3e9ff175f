//! Where the wakes for one driver arrive: a lock-free list and an eventfd.
//!
//! Inboxes are never freed, only reused, so a late waker never touches dead memory: at
//! worst it wakes a driver that finds nothing for it.

use std::io;
use std::ptr;
use std::sync::atomic::Ordering;

use super::fork;
use super::free::Free;
use super::sync::{AtomicPtr, AtomicU8, Mutex, MutexGuard};
use super::trace;
use super::wake::Slot;
use crate::sys::{self, EventFd, fd};

/// One driver's inbox. See the module documentation.
pub(crate) struct Inbox {
    head: AtomicPtr<Slot>,
    driver: AtomicU8,
    event: EventFd,
    forks: usize,
}

/// What `Inbox::driver` says: it will look by itself; it waits for the event; it has been
/// sent the event; there is none any more.
const AWAKE: u8 = 0;
const ASLEEP: u8 = 1;
const SIGNALLED: u8 = 2;
const GONE: u8 = 3;

/// Inboxes whose driver is gone. In a forked child, those of the parent lie among them;
/// they are left alone, because the parent uses their events.
static FREE: Mutex<Free<Inbox>> = Mutex::new(Free::new());

pub(super) fn hold() -> MutexGuard<'static, Free<Inbox>> {
    FREE.lock().unwrap_or_else(|poison| poison.into_inner())
}

impl Inbox {
    /// An inbox for a new driver, to be given back by [`release`](Self::release).
    pub(crate) fn take() -> io::Result<&'static Inbox> {
        fork::prepare();
        let forks = sys::fork_generation();
        let mut free = hold();
        if let Some(inbox) = free.take(|inbox| !inbox.is_inherited()) {
            // Sent to the one before, who did not look.
            inbox.clear_event();
            inbox.awake();
            return Ok(inbox);
        }
        let mut event = Some(EventFd::new()?);
        let new = free.make(1, |_| Inbox {
            head: AtomicPtr::new(ptr::null_mut()),
            driver: AtomicU8::new(AWAKE),
            event: event.take().expect("one inbox, one event"),
            forks,
        });
        new.map_err(|_| io::ErrorKind::OutOfMemory)?;
        Ok(free.pop().expect("just made"))
    }

    /// Whether the event is that of a process that this one was forked from.
    pub(super) fn is_inherited(&self) -> bool {
        self.forks != sys::fork_generation()
    }

    pub(crate) fn release(&'static self) {
        // SeqCst: who pushes too late to be seen here sees this, see `push`.
        self.driver.swap(GONE, Ordering::SeqCst);
        self.drain(|_| {});
        hold().push(self);
    }

    /// Readable when somebody has pushed while the driver slept.
    pub(crate) fn event(&self) -> fd::BorrowedFd<'_> {
        fd::borrow(&self.event)
    }

    /// The same for C.
    #[cfg(feature = "capi")]
    pub(crate) fn async_fd(&self) -> fd::AsyncFd {
        self.event.async_fd()
    }

    /// Adds `slot`, whose QUEUED flag the caller has just set.
    pub(super) fn push(&self, slot: &'static Slot) {
        #[cfg(feature = "capi")]
        let generation = slot.generation();
        self.put(slot);
        self.look_again();
        #[cfg(feature = "capi")]
        if slot.is_left_in(self, generation) {
            // Its job has another driver by now, and this one may not look before it is polled.
            self.pass_on();
        }
    }

    fn put(&self, slot: &'static Slot) {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            slot.next.store(head, Ordering::Relaxed);
            let new = ptr::from_ref(slot).cast_mut();
            // SeqCst: against the change of `driver` in `may_sleep`, one of the two sides
            // sees the other's.
            match self.head.compare_exchange_weak(head, new, Ordering::SeqCst, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => head = now,
            }
        }
    }

    /// Has a sleeping driver look at its jobs once more.
    pub(super) fn look_again(&self) {
        match self.driver.compare_exchange(ASLEEP, SIGNALLED, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) if self.is_inherited() => {} // In the parent nobody was woken.
            Ok(_) => self.event.notify(),
            Err(GONE) => self.pass_on(),
            Err(_) => {}
        }
    }

    /// A waker was held up until the driver was gone, or no longer the job's: what it brought goes
    /// to whoever drives the job by now.
    #[cold]
    fn pass_on(&self) {
        self.take_out(|slot| match slot.pass_on() {
            // Whoever has the inbox next recycles it: this may be a signal handler.
            None => self.put(slot),
            Some(false) => {}
            Some(true) => match slot.inbox() {
                // Nobody yet: the note stays for who will.
                Some(inbox) if ptr::eq(inbox, self) && self.is_gone() => {}
                Some(inbox) => slot.forward(inbox),
                None => {}
            },
        });
    }

    /// Asked after a job's inbox was: a driver connects jobs after it has taken its inbox.
    fn is_gone(&self) -> bool {
        self.driver.load(Ordering::SeqCst) == GONE
    }

    /// Announces that the driver is about to wait for [`event`](Self::event); false if
    /// there is something to take out first. Undone by [`awake`](Self::awake).
    pub(crate) fn may_sleep(&self) -> bool {
        // A swap: qemu's aarch64 lets the load pass a store that releases (STLR, LDAR) where the
        // machine under it does, and a wake was lost once in a million.
        self.driver.swap(ASLEEP, Ordering::SeqCst);
        self.head.load(Ordering::SeqCst).is_null() || {
            self.awake();
            false
        }
    }

    /// For the driver itself: it has something to do that no wake tells of, so whoever watches its
    /// event for it must hear. (It falls asleep by itself alone: what is seen here is not late.)
    #[inline]
    pub(crate) fn has_work(&self) {
        if self.driver.load(Ordering::Relaxed) == ASLEEP {
            self.look_again();
        }
    }

    /// Makes the event readable, for a driver that has found something itself.
    #[cfg(feature = "capi")]
    pub(super) fn announce(&self) {
        self.driver.store(SIGNALLED, Ordering::SeqCst);
        self.event.notify();
    }

    /// The driver looks by itself again. Whether it has been sent the event.
    pub(crate) fn awake(&self) -> bool {
        self.driver.swap(AWAKE, Ordering::SeqCst) == SIGNALLED
    }

    /// The same, for a driver that does not see whether it has been sent the event. Whether it
    /// may have been: not only now, as one who was SIGNALLED may look before the event is there.
    #[cfg(feature = "capi")]
    pub(super) fn rouse(&self) -> bool {
        self.driver.swap(AWAKE, Ordering::SeqCst) != AWAKE
    }

    /// Takes the event back, after it was seen.
    pub(crate) fn clear_event(&self) {
        self.event.drain();
    }

    /// Hands out the tokens of all jobs that were woken, the first one first.
    pub(crate) fn drain(&self, mut woken: impl FnMut(usize)) {
        self.take_out(|slot| {
            if slot.taken_out() {
                match slot.inbox() {
                    Some(inbox) if ptr::eq(inbox, self) => {
                        trace::woken();
                        woken(slot.token());
                    }
                    Some(inbox) => slot.forward(inbox),
                    // Nobody drives the job any more: the note stays for who will.
                    None => {}
                }
            }
        });
    }

    /// Empties the list. What is done with a slot clears QUEUED, or puts it back.
    fn take_out(&self, mut each: impl FnMut(&'static Slot)) {
        // SeqCst: for `release`, against the exchange of `driver` in `look_again`; after
        // `Slot::adopt`, against the look of `push`.
        if self.head.load(Ordering::SeqCst).is_null() {
            return;
        }
        let mut taken = self.head.swap(ptr::null_mut(), Ordering::Acquire);
        let mut first = ptr::null_mut::<Slot>();
        // The list is last in, first out: turn it round.
        while let Some(slot) = Slot::from_list(taken) {
            let next = slot.next.swap(first, Ordering::Relaxed);
            first = taken;
            taken = next;
        }
        while let Some(slot) = Slot::from_list(first) {
            // Before QUEUED is cleared: afterwards somebody else may push it.
            first = slot.next.load(Ordering::Relaxed);
            each(slot);
        }
    }
}
