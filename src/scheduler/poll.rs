//! Descriptors, through `polling`.
//!
//! Registrations are one-shot: an event disarms the descriptor until a job waits for it
//! again, so one `epoll_ctl` a wait and none to remove. Only a wait that no event has ended
//! is unregistered. Several jobs may wait for the same descriptor.
//!
//! # Safety
//!
//! `polling` asks that a registered source outlive its registration, because some kernel
//! interfaces keep a pointer. epoll and kqueue forget a descriptor that is closed, and
//! jobs keep theirs open while they wait; a stale registration at worst wakes in vain.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::mem::ManuallyDrop;
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use crate::job::{Inbox, Interest};
use crate::sys;
use crate::sys::fd::{self, BorrowedFd, RawFd};

pub(super) struct Poll {
    poller: ManuallyDrop<Poller>,
    forks: usize,
    events: RefCell<Events>,
    sources: RefCell<HashMap<RawFd, Source>>,
    waiting: Cell<usize>,
}

/// A descriptor that somebody waits for.
#[derive(Default)]
struct Source {
    waiters: Vec<Waiter>,
    /// Whether the kernel would report it.
    armed: bool,
}

#[derive(Clone, Copy)]
struct Waiter {
    token: usize,
    interest: Interest,
}

/// The key of the inbox; a descriptor's is its number.
const INBOX: usize = usize::MAX - 1;

impl Poll {
    pub(super) fn new(inbox: BorrowedFd<'_>) -> io::Result<Self> {
        let poller = Poller::new()?;
        // SAFETY: an inbox, with its descriptor, is never freed.
        unsafe { poller.add_with_mode(&inbox, Event::readable(INBOX), PollMode::Level)? };
        Ok(Poll {
            poller: ManuallyDrop::new(poller),
            forks: sys::fork_generation(),
            events: RefCell::default(),
            sources: RefCell::default(),
            waiting: Cell::new(0),
        })
    }

    pub(super) fn has_waiters(&self) -> bool {
        self.waiting.get() != 0
    }

    /// Has the job `token` wait for `fd`.
    pub(super) fn add(&self, fd: RawFd, interest: Interest, token: usize) -> io::Result<()> {
        if fd::is_negative(fd) {
            return Err(io::Error::from_raw_os_error(9)); // EBADF
        }
        let mut sources = self.sources.borrow_mut();
        let source = sources.entry(fd).or_default();
        source.waiters.push(Waiter { token, interest });
        let armed = self.arm(fd, source);
        if armed.is_ok() {
            self.waiting.update(|n| n + 1);
        } else {
            source.waiters.pop();
            if source.waiters.is_empty() {
                sources.remove(&fd);
            }
        }
        armed
    }

    /// The job `token` no longer waits for `fd`.
    pub(super) fn remove(&self, fd: RawFd, token: usize) {
        let mut sources = self.sources.borrow_mut();
        let Some(source) = sources.get_mut(&fd) else { return };
        let before = source.waiters.len();
        source.waiters.retain(|waiter| waiter.token != token);
        let removed = before - source.waiters.len();
        if removed == 0 {
            return;
        }
        self.waiting.update(|n| n - removed);
        // Nothing to mend if it is closed by now.
        if !source.waiters.is_empty() {
            let _ = self.arm(fd, source);
        } else if sources.remove(&fd).is_some_and(|source| source.armed) {
            let _ = self.forget(fd);
        }
    }

    /// Waits for events; afterwards [`ready`](Self::ready) names the jobs concerned.
    pub(super) fn wait(&self, timeout: Option<Duration>, inbox: &Inbox) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        events.clear();
        match self.poller.wait(&mut events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        if events.iter().any(|event| event.key == INBOX) {
            inbox.clear_event();
        }
        Ok(())
    }

    /// Names each job that has a ready descriptor, which waits for that no more. A
    /// registration whose event came is disarmed: it is armed again for those that are left.
    pub(super) fn ready(&self, mut ready: impl FnMut(usize)) {
        let events = self.events.borrow();
        let events = || events.iter().filter(|event| event.key != INBOX);
        // All of them first: what ends a job's wait for one may arm another again.
        for event in events() {
            if let Some(source) = self.sources.borrow_mut().get_mut(&(event.key as RawFd)) {
                source.armed = false;
            }
        }
        for event in events() {
            let fd = event.key as RawFd;
            let mut sources = self.sources.borrow_mut();
            let Some(source) = sources.get_mut(&fd) else { continue };
            let gone = source.waiters.extract_if(.., |waiter| waiter.is_ready(&event));
            let tokens: Vec<usize> = gone.map(|waiter| waiter.token).collect();
            self.waiting.update(|n| n - tokens.len());
            // Nothing to mend if it is closed by now.
            if !source.waiters.is_empty() {
                let _ = self.arm(fd, source);
            } else if sources.remove(&fd).is_some_and(|source| source.armed) {
                let _ = self.forget(fd);
            }
            drop(sources);
            tokens.into_iter().for_each(&mut ready);
        }
    }

    /// Whether this is a forked child, with the parent's poller: what it changed there, the
    /// parent would miss.
    fn is_parents(&self) -> bool {
        self.forks != sys::fork_generation()
    }

    /// Tells the kernel what the waiters of `fd` wait for.
    fn arm(&self, fd: RawFd, source: &mut Source) -> io::Result<()> {
        if self.is_parents() {
            return Ok(());
        }
        let wants = |interest| source.waiters.iter().any(|waiter| waiter.interest == interest);
        let event = Event::new(fd as usize, wants(Interest::Readable), wants(Interest::Writable));
        // SAFETY: a job that waits keeps its descriptor open; see the module documentation.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let mut result = self.poller.modify(borrowed, event);
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            // SAFETY: see the module documentation.
            result = unsafe { self.poller.add(&borrowed, event) };
        }
        source.armed = result.is_ok();
        result
    }

    /// Has the kernel forget `fd`. Registered for nothing it would report errors and hang-ups
    /// all the same, under a number that may be another's by then.
    fn forget(&self, fd: RawFd) -> io::Result<()> {
        if self.is_parents() {
            return Ok(());
        }
        // SAFETY: of one that is closed by now the kernel is only asked, by its number, and says that
        // it is not registered; see the module documentation.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        self.poller.delete(borrowed)
    }
}

impl Waiter {
    fn is_ready(&self, event: &Event) -> bool {
        // An error or a hang-up is reported as both.
        match self.interest {
            Interest::Readable => event.readable,
            Interest::Writable => event.writable,
        }
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        // In a child its descriptors are leaked: closing it would unregister them first.
        if !self.is_parents() {
            // SAFETY: dropped once, and never used again: `self` is going away.
            unsafe { ManuallyDrop::drop(&mut self.poller) };
        }
    }
}

#[cfg(unix)]
impl fd::AsFd for Poll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}
