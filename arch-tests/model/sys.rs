//! In the place of `src/sys`.

use std::io;
use std::sync::atomic::Ordering::Relaxed;

use loom::sync::atomic::AtomicBool;

/// An eventfd, of which the kernel shows everybody the last state and orders nothing else.
pub(super) struct EventFd(AtomicBool);

impl EventFd {
    pub(super) fn new() -> io::Result<Self> {
        Ok(EventFd(AtomicBool::new(false)))
    }

    pub(super) fn notify(&self) {
        self.0.swap(true, Relaxed);
    }

    pub(super) fn drain(&self) {
        self.0.swap(false, Relaxed);
    }

    /// Nothing here is C's.
    pub(super) fn async_fd(&self) -> fd::AsyncFd {}

    fn is_readable(&self) -> bool {
        self.0.fetch_or(false, Relaxed)
    }
}

pub(super) mod fd {
    pub(crate) type AsyncFd = ();

    /// Stands for a descriptor.
    pub(crate) struct BorrowedFd<'a>(&'a super::EventFd);

    pub(crate) fn borrow(event: &super::EventFd) -> BorrowedFd<'_> {
        BorrowedFd(event)
    }

    impl BorrowedFd<'_> {
        pub(crate) fn is_readable(&self) -> bool {
            self.0.is_readable()
        }
    }
}

/// Nobody forks here.
pub(super) fn fork_generation() -> usize {
    0
}
