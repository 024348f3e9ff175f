//! Those who wake jobs' drivers have to do with: a scheduler, a thread of C's, and a future,
//! without what does not concern wakes.

use std::task::{Poll, Waker};

use crate::inbox::Inbox;
use crate::wake::{Slot, Ticket};

pub use crate::wake::Wake;

/// A scheduler or a thread of C's. What it is told in answer is which jobs were woken.
#[derive(Clone, Copy)]
pub struct Driver(&'static Inbox);

impl Driver {
    pub fn new() -> Self {
        Driver(Inbox::take().unwrap())
    }

    /// `scheduler::Core::take_woken`, `woken::pass_on`.
    pub fn take_woken(self) -> Vec<usize> {
        let mut woken = Vec::new();
        self.0.drain(|token| woken.push(token));
        woken
    }

    /// `scheduler::Core::collect` before it asks the kernel.
    pub fn look(self) -> Vec<usize> {
        self.0.awake();
        self.take_woken()
    }

    /// Whether it may wait for its event.
    pub fn may_sleep(self) -> bool {
        self.0.may_sleep()
    }

    /// Whether a wait for its event would end.
    pub fn is_called(self) -> bool {
        self.0.event().is_readable()
    }

    /// `scheduler::Core::collect` after the event: `Poll::wait`, and what follows it.
    pub fn wake_up(self) -> Vec<usize> {
        if self.is_called() {
            self.0.clear_event();
        }
        self.look()
    }

    /// `woken::Woken::refill`: C's thread clears the event when it may have been sent one.
    pub fn refill(self) -> Vec<usize> {
        if self.0.rouse() {
            self.0.clear_event();
        }
        self.take_woken()
    }

    /// `woken::fd`, when there is something already.
    pub fn announce(self) {
        self.0.announce();
    }

    /// It ends.
    pub fn release(self) {
        self.0.release();
    }
}

impl Default for Driver {
    fn default() -> Self {
        Self::new()
    }
}

/// A job, as far as wakes go.
#[derive(Clone, Copy)]
pub struct Job(&'static Slot);

impl Job {
    /// `Raw::slot`, of a job that a future drives.
    pub fn awaited() -> Self {
        let slot = Slot::take().unwrap();
        slot.connect(None, 0);
        Job(slot)
    }

    /// `Raw::slot`, of one that `driver` calls `token`.
    pub fn driven(driver: Driver, token: usize) -> Self {
        let job = Self::awaited();
        job.connect(driver, token);
        job
    }

    /// `driver` drives it from now on.
    pub fn connect(self, driver: Driver, token: usize) {
        self.0.connect(Some(driver.0), token);
    }

    /// `Raw::disconnect`: the thread that looked for its wakes ends.
    pub fn disconnect(self) {
        self.0.connect(None, 0);
    }

    /// `woken::take_over`, `GivenUp::send_wakes_here`: nobody drives it any more. Whether it has been woken before.
    pub fn adopt(self, driver: Driver, token: usize) -> bool {
        self.0.adopt(driver.0, token)
    }

    pub fn handle(self) -> Wake {
        self.0.handle()
    }

    /// A handle that does not count.
    pub fn ticket(self) -> Later {
        Later(self.0.ticket())
    }

    pub fn has_handles(self) -> bool {
        self.0.has_handles()
    }

    pub fn is_notified(self) -> bool {
        self.0.is_notified()
    }

    /// The job goes on, or finds that it need not wait.
    pub fn consume(self) -> bool {
        self.0.consume()
    }

    /// `Job::poll_woken`: registered first, looked at second.
    pub fn poll(self, waker: &Waker) -> Poll<()> {
        self.0.set_waker(waker);
        if self.is_notified() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The same the other way round, which loses wakes.
    pub fn poll_badly(self, waker: &Waker) -> Poll<()> {
        let woken = self.is_notified();
        self.0.set_waker(waker);
        if woken { Poll::Ready(()) } else { Poll::Pending }
    }

    /// It ends, and its memory goes: the slot is for the next job, unless it is still queued.
    pub fn end(self) {
        if let (Some(slot), _) = self.0.end_job() {
            slot.release();
        }
    }

    /// Whether `other` has the same slot.
    pub fn is_in_place_of(self, other: Job) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

/// A handle that does not count: its drop tells nobody.
#[derive(Clone, Copy)]
pub struct Later(Ticket);

impl Later {
    pub fn wake(self) {
        self.0.wake();
    }
}
