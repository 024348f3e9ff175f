//! What a device has to say that it is done: an eventfd.

/// `OSSL_ASYNC_FD`.
pub type Fd = std::ffi::c_int;

pub fn readable(fd: Fd) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 && poll.revents & libc::POLLIN != 0 }
}

pub fn becomes_readable(fd: Fd) -> bool {
    readable(fd)
}

pub fn eventfd() -> Fd {
    // SAFETY: no preconditions.
    let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK) };
    assert!(fd >= 0);
    fd
}

pub fn signal(fd: Fd) {
    let one = 1_u64;
    // SAFETY: eight bytes from a live integer.
    assert_eq!(unsafe { libc::write(fd, (&raw const one).cast(), 8) }, 8);
}

pub fn drain(fd: Fd) {
    let mut count = 0_u64;
    // SAFETY: eight bytes into a live integer.
    assert_eq!(unsafe { libc::read(fd, (&raw mut count).cast(), 8) }, 8);
}

/// How many descriptors this process has.
pub fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub fn close(fd: Fd) {
    // SAFETY: nobody uses it any more.
    assert_eq!(unsafe { libc::close(fd) }, 0);
}
