//! macOS and the BSDs: what they do in ways of their own, or do not. `linux.rs` has the same
//! functions.

use std::ffi::CStr;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use libc::{c_int, iovec};
use memmap2::{MmapMut, MmapOptions};

use super::fault::{self, Kind};
use super::os::check;
use super::{Advice, keep_errno};

#[cfg(any(target_os = "openbsd", target_os = "netbsd"))]
pub(super) use libc::__errno as errno_location;
#[cfg(not(any(target_os = "openbsd", target_os = "netbsd")))]
pub(super) use libc::__error as errno_location;

/// No system says: enough for a frame with the largest vector state there is, AMX's.
pub(super) fn min_signal_stack() -> usize {
    12 << 10
}

/// Whether the program has privileges that whoever runs it may lack.
pub(super) fn is_privileged() -> bool {
    // SAFETY: no preconditions.
    unsafe { libc::issetugid() != 0 }
}

/// Nothing but memory limits the number of mappings.
pub(crate) fn max_map_count() -> Option<usize> {
    Some(usize::MAX)
}

/// No system offers any.
pub(super) fn ask_for_shadow_stack() -> bool {
    false
}

/// A number that no other thread has.
pub(crate) fn thread_number() -> usize {
    // SAFETY: no preconditions.
    unsafe { libc::pthread_self() as usize }
}

/// Something that a poller can wait for: a pipe, with a byte in it or not.
pub(crate) struct EventFd {
    reader: PipeReader,
    writer: PipeWriter,
}

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        fault::check(Kind::EventFd)?;
        let (reader, writer) = io::pipe()?;
        do_not_block(reader.as_fd())?;
        do_not_block(writer.as_fd())?;
        Ok(EventFd { reader, writer })
    }

    /// Makes it readable. Async-signal-safe; keeps `errno`.
    pub(crate) fn notify(&self) {
        // A full pipe (EAGAIN) is readable as well: nothing is lost.
        let _ = keep_errno(|| (&self.writer).write(&[1]));
    }

    pub(crate) fn async_fd(&self) -> super::fd::AsyncFd {
        super::fd::number(self)
    }

    /// Makes it unreadable until the next [`notify`](Self::notify).
    pub(crate) fn drain(&self) {
        let mut bytes = [0; 64];
        keep_errno(|| while matches!((&self.reader).read(&mut bytes), Ok(1..)) {});
    }
}

/// What a wait context can tell of.
pub(crate) type Event = EventFd;

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

fn do_not_block(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: sets a flag of an open descriptor that has no others.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })
}

/// Memory for stacks, committed only as it is touched. Not by FreeBSD's MAP_STACK, which is
/// for one stack that grows.
pub(super) fn map(len: usize) -> io::Result<MmapMut> {
    let map = MmapOptions::new().len(len).no_reserve_swap().map_anon()?;
    if cfg!(target_os = "openbsd") {
        renew(&iovec { iov_base: map.as_ptr().cast_mut().cast(), iov_len: len })?;
    }
    Ok(map)
}

/// Maps a range of a mapping anew: it reads as zeros.
fn renew(part: &iovec) -> io::Result<()> {
    /// OpenBSD kills a process whose stack pointer is elsewhere.
    const MAP_STACK: c_int = if cfg!(target_os = "openbsd") { 0x4000 } else { 0 };
    let access = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANON | MAP_STACK;
    // SAFETY: takes the place of memory that the caller owns, and to whose bytes there are no
    // references.
    let at = unsafe { libc::mmap(part.iov_base, part.iov_len, access, flags, -1, 0) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(super) fn name(_: &iovec, _: &'static CStr) {}

/// `mlock` would commit all of it.
pub(super) fn lock_on_fault(_: &iovec) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// `part` is a range of a [`Mapping`](super::Mapping), to whose bytes there are no references.
pub(super) fn advise(advice: Advice, part: &iovec) -> io::Result<()> {
    fault::check(Kind::Advise)?;
    match advice {
        // What `madvise` knows leaves the contents to chance.
        Advice::Discard | Advice::DiscardLocked => renew(part),
        #[cfg(target_os = "freebsd")]
        Advice::DontDump => {
            // SAFETY: changes nothing but what a core dump shows.
            check(unsafe { libc::madvise(part.iov_base, part.iov_len, libc::MADV_NOCORE) })
        }
        Advice::Nonsense => Err(io::ErrorKind::InvalidInput.into()),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// No system takes advice for many ranges.
pub(super) fn advise_batched(_: Advice, _: &mut [iovec]) -> usize {
    0
}

/// Where a page may be compressed or paged out, and `mincore` not find it, or there is no
/// `mincore`: all of the range, as far as can be told.
pub(super) fn lowest_resident(range: Range<usize>) -> io::Result<Option<usize>> {
    Ok(Some(range.start))
}
