//! The wakes of jobs that C resumes by itself: one inbox a thread, and who was woken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::mem;

use super::current;
use super::handle::{self, Handle, Ready, Unusable};
use super::inbox::Inbox;
use super::wake::Ticket;
use crate::sys::fd::AsyncFd;

/// A thread's inbox, once it has asked for a wake handle or for the woken.
struct Woken {
    inbox: &'static Inbox,
    /// Handles of jobs that were woken and not named since.
    handles: VecDeque<usize>,
}

thread_local! {
    static WOKEN: RefCell<Option<Woken>> = const { RefCell::new(None) };
}

fn with<R>(f: impl FnOnce(&mut Woken) -> R) -> io::Result<R> {
    let gone = |_| io::Error::from(io::ErrorKind::NotFound);
    WOKEN.try_with(|woken| Ok(f(Woken::of_this_process(&mut woken.borrow_mut())?))).map_err(gone)?
}

/// The wake handle of a live job of this thread, whose wakes [`next`] will report unless
/// somebody else drives it.
///
/// # Errors
///
/// `NotFound` if there is no such job; any other if a handle cannot be had.
pub(crate) fn ticket(handle: Handle) -> io::Result<Ticket> {
    let job = handle::own(handle).ok_or(io::ErrorKind::NotFound)?;
    let slot = job.try_slot().ok_or(io::ErrorKind::OutOfMemory)?;
    if !job.has_driver() {
        with(|woken| slot.connect(Some(woken.inbox), handle.number()))?;
    }
    Ok(slot.ticket())
}

/// The wake handle of the current job, if C has started it. One that was given up is driven by
/// whoever took it over.
///
/// # Errors
///
/// As [`ticket`].
pub(crate) fn own_ticket() -> io::Result<Ticket> {
    let (Some(handle), Some(job)) = (handle::running(), current::get()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    match ticket(handle) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(job.try_slot().ok_or(io::ErrorKind::OutOfMemory)?.ticket())
        }
        other => other,
    }
}

/// The next paused job of this thread that was woken, each once.
pub(crate) fn next() -> Option<Handle> {
    with(Woken::next).ok()?
}

/// Readable when [`next`] has something to report, after it has had nothing.
pub(crate) fn fd() -> io::Result<AsyncFd> {
    with(|woken| {
        woken.refill();
        // Now the first wake is announced.
        if !woken.inbox.may_sleep() || !woken.handles.is_empty() {
            woken.inbox.announce();
        }
        woken.inbox.async_fd()
    })
}

/// The wakes of a job that this thread has adopted are for it to report: those of handles
/// that others hold, and one that came while the job was nobody's. Without a descriptor for
/// that, only [`ticket`] can say so.
pub(super) fn take_over(handle: Handle) {
    let Some(job) = handle::own(handle).filter(|job| job.core().slot.get().is_some()) else {
        return;
    };
    let before = job.slot().inbox();
    let _ = with(|woken| {
        if job.slot().adopt(woken.inbox, handle.number()) {
            woken.handles.push_back(handle.number());
            woken.inbox.announce();
        }
    });
    // Where nobody of this process looks: a job that is queued there would be nowhere else.
    if let Some(inbox) = before.filter(|inbox| inbox.is_inherited()) {
        inbox.drain(|_| {});
    }
}

/// Wakes that wait here for jobs which somebody else drives by now go there.
pub(crate) fn pass_on() {
    let pass_on = |woken: &RefCell<Option<Woken>>| {
        if let Some(Woken { inbox, handles }) = &mut *woken.borrow_mut() {
            // The event stays as it is: it is for what is left.
            inbox.drain(|number| handles.push_back(number));
        }
    };
    // Where it is gone it has passed them on.
    let _ = WOKEN.try_with(pass_on);
}

impl Woken {
    /// In a forked child the parent's inbox is left to the parent, whose event it has.
    fn of_this_process(place: &mut Option<Woken>) -> io::Result<&mut Woken> {
        if place.as_ref().is_none_or(|woken| woken.inbox.is_inherited()) {
            let mut new = Woken { inbox: Inbox::take()?, handles: VecDeque::new() };
            if let Some(mut parents) = place.take() {
                handle::each_own(|handle, job| {
                    job.redirect(parents.inbox, new.inbox, handle.number());
                });
                new.handles = mem::take(&mut parents.handles);
            } // Its drop passes on what it still has.
            *place = Some(new);
        }
        Ok(place.as_mut().expect("just made, if it was not there"))
    }

    fn next(&mut self) -> Option<Handle> {
        loop {
            self.refill();
            for _ in 0..self.handles.len() {
                let number = self.handles.pop_front()?;
                let handle = Handle::from_number(number);
                match handle::paused(handle) {
                    // Woken twice, it may be in the list twice.
                    Ok(Ready(job)) if job.consume_wake() => return Some(handle),
                    // It runs: to be reported once it has paused.
                    Err(Unusable::Busy) if handle::own(handle).is_some() => {
                        self.handles.push_back(number);
                    }
                    _ => {}
                }
            }
            if self.inbox.may_sleep() {
                return None;
            }
        }
    }

    fn refill(&mut self) {
        if self.inbox.rouse() {
            self.inbox.clear_event();
        }
        self.inbox.drain(|number| self.handles.push_back(number));
    }
}

impl Drop for Woken {
    fn drop(&mut self) {
        self.inbox.release();
    }
}
