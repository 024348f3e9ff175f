//! Descriptors, through `polling`.
//!
//! Registrations are one-shot: an event disarms the descriptor until a job waits for it
//! again, so one `epoll_ctl` a wait and none to remove. Several jobs may wait for the
//! same descriptor.
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
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use crate::job::{Inbox, Interest};

pub(super) struct Poll {
    poller: Poller,
    events: RefCell<Events>,
    waiters: RefCell<HashMap<RawFd, Vec<Waiter>>>,
    waiting: Cell<usize>,
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
            poller,
            events: RefCell::default(),
            waiters: RefCell::default(),
            waiting: Cell::new(0),
        })
    }

    pub(super) fn has_waiters(&self) -> bool {
        self.waiting.get() != 0
    }

    /// Has the job `token` wait for `fd`.
    pub(super) fn add(&self, fd: RawFd, interest: Interest, token: usize) -> io::Result<()> {
        if fd < 0 {
            return Err(io::Error::from_raw_os_error(9)); // EBADF
        }
        let mut all = self.waiters.borrow_mut();
        let waiters = all.entry(fd).or_default();
        waiters.push(Waiter { token, interest });
        if let Err(error) = self.arm(fd, waiters) {
            waiters.pop();
            return Err(error);
        }
        self.waiting.update(|n| n + 1);
        Ok(())
    }

    /// The job `token` no longer waits for `fd`.
    pub(super) fn remove(&self, fd: RawFd, token: usize) {
        let mut all = self.waiters.borrow_mut();
        let Some(waiters) = all.get_mut(&fd) else { return };
        let before = waiters.len();
        waiters.retain(|waiter| waiter.token != token);
        self.waiting.update(|n| n - (before - waiters.len()));
        // Nothing to mend if it is closed by now.
        let _ = self.arm(fd, waiters);
        if waiters.is_empty() {
            all.remove(&fd);
        }
    }

    /// Waits for events and names each job whose descriptor is ready.
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        inbox: &Inbox,
        mut ready: impl FnMut(usize),
    ) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        events.clear();
        match self.poller.wait(&mut events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in events.iter() {
            if event.key == INBOX {
                inbox.clear_event();
                continue;
            }
            let fd = event.key as RawFd;
            let mut all = self.waiters.borrow_mut();
            let Some(waiters) = all.get_mut(&fd) else { continue };
            let before = waiters.len();
            waiters.retain(|waiter| {
                let stays = !waiter.is_ready(&event);
                if !stays {
                    ready(waiter.token);
                }
                stays
            });
            self.waiting.update(|n| n - (before - waiters.len()));
            if waiters.is_empty() {
                all.remove(&fd);
            } else {
                let _ = self.arm(fd, waiters);
            }
        }
        Ok(())
    }

    /// Tells the kernel what the waiters of `fd` wait for.
    fn arm(&self, fd: RawFd, waiters: &[Waiter]) -> io::Result<()> {
        let wants = |interest| waiters.iter().any(|waiter| waiter.interest == interest);
        let event = Event::new(fd as usize, wants(Interest::Readable), wants(Interest::Writable));
        // SAFETY: a job that waits keeps its descriptor open; see the module documentation.
        let source = unsafe { BorrowedFd::borrow_raw(fd) };
        match self.poller.modify(source, event) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // SAFETY: see the module documentation.
                unsafe { self.poller.add(&source, event) }
            }
            result => result,
        }
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

impl AsFd for Poll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}
