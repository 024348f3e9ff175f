//! What can be waited for: sockets, by the names that other systems have for descriptors.

pub(crate) use std::os::windows::io::{
    AsRawSocket as AsRawFd, AsSocket as AsFd, BorrowedSocket as BorrowedFd, RawSocket as RawFd,
};

/// What a wait context holds, OpenSSL's `OSSL_ASYNC_FD`: the value of a `HANDLE`; elsewhere a
/// file descriptor.
pub type AsyncFd = isize;

pub(crate) fn number(fd: &impl AsFd) -> RawFd {
    fd.as_socket().as_raw_socket()
}

pub(crate) fn borrow(fd: &impl AsFd) -> BorrowedFd<'_> {
    fd.as_socket()
}

/// What there is in a wait context for a poller: a socket, or it will say that it is none.
pub(crate) fn of_async(fd: AsyncFd) -> RawFd {
    fd as RawFd
}

pub(crate) fn is_negative(_: RawFd) -> bool {
    false
}
