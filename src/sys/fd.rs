//! Descriptors: what can be waited for.

pub(crate) use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// What a wait context holds, OpenSSL's `OSSL_ASYNC_FD`: a file descriptor; on Windows the
/// value of a `HANDLE`.
pub type AsyncFd = RawFd;

pub(crate) fn number(fd: &impl AsFd) -> RawFd {
    fd.as_fd().as_raw_fd()
}

pub(crate) fn borrow(fd: &impl AsFd) -> BorrowedFd<'_> {
    fd.as_fd()
}

/// What there is in a wait context for a poller.
pub(crate) fn of_async(fd: AsyncFd) -> RawFd {
    fd
}

pub(crate) fn is_negative(fd: RawFd) -> bool {
    fd < 0
}
