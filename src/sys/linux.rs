//! What Linux and Android do in ways of their own. `bsd.rs` has the same functions.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_int, c_ulong, iovec};
use memmap2::{MmapMut, MmapOptions};

use super::fault::{self, Kind};
use super::os::check;
use super::{Advice, page_size};

#[cfg(target_os = "android")]
pub(super) use libc::__errno as errno_location;
#[cfg(not(target_os = "android"))]
pub(super) use libc::__errno_location as errno_location;

pub(super) fn min_signal_stack() -> usize {
    const AT_MINSIGSTKSZ: c_ulong = 51;
    if cfg!(miri) {
        return libc::MINSIGSTKSZ;
    }
    // SAFETY: getauxval has no preconditions and answers 0 for what it does not know.
    let told = unsafe { libc::getauxval(AT_MINSIGSTKSZ) } as usize;
    told.max(libc::MINSIGSTKSZ)
}

/// Whether the program has privileges that whoever runs it may lack.
pub(super) fn is_privileged() -> bool {
    // SAFETY: getauxval has no preconditions.
    !cfg!(miri) && unsafe { libc::getauxval(libc::AT_SECURE) } != 0
}

/// How many mappings the kernel allows a process (`vm.max_map_count`), if it says.
pub(crate) fn max_map_count() -> Option<usize> {
    if cfg!(miri) {
        return None;
    }
    // No `String`: it is read when there may be no memory.
    let mut text = [0; 32];
    let len = File::open("/proc/sys/vm/max_map_count").ok()?.read(&mut text).ok()?;
    str::from_utf8(&text[..len]).ok()?.trim().parse().ok()
}

/// `Documentation/arch/riscv/zicfiss.rst` of the kernel's.
pub(super) fn ask_for_shadow_stack() -> bool {
    const PR_GET_SHADOW_STACK_STATUS: c_int = 74;
    const PR_SHADOW_STACK_ENABLE: c_ulong = 1;
    let mut status: c_ulong = 0;
    // SAFETY: the kernel writes one word through the pointer, or fails where it does not know
    // the request.
    let rc = unsafe {
        libc::prctl(PR_GET_SHADOW_STACK_STATUS, &raw mut status, 0_usize, 0_usize, 0_usize)
    };
    rc == 0 && status & PR_SHADOW_STACK_ENABLE != 0
}

/// The kernel's number of this thread.
pub(crate) fn thread_number() -> usize {
    // SAFETY: no preconditions.
    unsafe { libc::syscall(libc::SYS_gettid) as usize }
}

/// A counter that a poller can wait for.
pub(crate) struct EventFd(OwnedFd);

impl EventFd {
    pub(crate) fn new() -> io::Result<Self> {
        fault::check(Kind::EventFd)?;
        // SAFETY: eventfd has no preconditions.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        check(fd)?;
        // SAFETY: the kernel has just opened it for us alone.
        Ok(EventFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes it readable. Async-signal-safe; keeps `errno`.
    pub(crate) fn notify(&self) {
        let one = 1_u64;
        // A full counter (EAGAIN) is readable as well: nothing is lost.
        super::keep_errno(|| {
            // SAFETY: writes eight bytes from a live integer.
            unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
        });
    }

    pub(crate) fn async_fd(&self) -> super::fd::AsyncFd {
        super::fd::number(self)
    }

    /// Makes it unreadable until the next [`notify`](Self::notify).
    pub(crate) fn drain(&self) {
        let mut count = 0_u64;
        super::keep_errno(|| {
            // SAFETY: reads eight bytes into a live integer; an empty counter is EAGAIN.
            unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
        });
    }
}

/// What a wait context can tell of.
pub(crate) type Event = EventFd;

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Memory for stacks, committed only as it is touched.
pub(super) fn map(len: usize) -> io::Result<MmapMut> {
    MmapOptions::new().len(len).stack().no_reserve_swap().map_anon()
}

/// Gives a range of a mapping a name in `/proc/self/maps`, where the kernel can.
pub(super) fn name(range: &iovec, name: &'static std::ffi::CStr) {
    const PR_SET_VMA: c_int = 0x5356_4d41;
    const PR_SET_VMA_ANON_NAME: c_ulong = 0;
    // SAFETY: the kernel copies the string, and changes nothing but what it shows.
    unsafe {
        libc::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, range.iov_base, range.iov_len, name.as_ptr())
    };
}

pub(super) fn lock_on_fault(part: &iovec) -> io::Result<()> {
    const MLOCK_ONFAULT: usize = 1;
    // SAFETY: mlock2 changes no contents.
    let rc = unsafe { libc::syscall(libc::SYS_mlock2, part.iov_base, part.iov_len, MLOCK_ONFAULT) };
    check(rc as c_int)
}

/// The kernel's number, spelled out because libc does not know the newer ones on every target.
fn number(advice: Advice) -> c_int {
    match advice {
        Advice::Discard => 4,
        Advice::DontDump => 16,
        Advice::WipeOnFork => 18,
        Advice::Populate => 23,
        Advice::DiscardLocked => 24, // Linux 5.18
        Advice::InstallGuard => 102, // Linux 6.13
        Advice::Nonsense => 9999,
    }
}

/// `part` is a range of a [`Mapping`](super::Mapping), to whose bytes there are no references.
pub(super) fn advise(advice: Advice, part: &iovec) -> io::Result<()> {
    fault::check(Kind::Advise)?;
    // SAFETY: no advice does more than change the contents of the range, or make
    // accesses to it fault; nobody holds references into it.
    check(unsafe { libc::madvise(part.iov_base, part.iov_len, number(advice)) })
}

/// Returns for how many of `parts` the advice has been given; cuts a half-done one short.
pub(super) fn advise_batched(advice: Advice, parts: &mut [iovec]) -> usize {
    /// Below this, opening the pidfd costs more than it saves.
    const WORTHWHILE: usize = 8;
    const MOST: usize = 1024; // UIO_MAXIOV
    if parts.len() < WORTHWHILE {
        return 0;
    }
    // Opened for each batch: kept, it would mean the parent in the child of a fork.
    let Ok(own) = own_pidfd() else { return 0 };
    let mut done = 0;
    while done < parts.len() {
        if fault::check(Kind::AdviseMany).and(fault::check(Kind::Advise)).is_err() {
            return done;
        }
        let batch = &parts[done..parts.len().min(done + MOST)];
        // SAFETY: the parts are ranges of a Mapping, as for `advise`, in this process.
        let advised = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                own.as_raw_fd(),
                batch.as_ptr(),
                batch.len(),
                number(advice),
                0,
            )
        };
        let Ok(mut bytes @ 1..) = usize::try_from(advised) else { return done };
        while done < parts.len() && bytes >= parts[done].iov_len {
            bytes -= parts[done].iov_len;
            done += 1;
        }
        if bytes > 0 {
            let half = &mut parts[done];
            half.iov_base = half.iov_base.wrapping_byte_add(bytes);
            half.iov_len -= bytes;
        }
    }
    done
}

fn own_pidfd() -> io::Result<OwnedFd> {
    fault::check(Kind::AdviseMany)?;
    // SAFETY: getpid has no preconditions.
    let pid = unsafe { libc::getpid() };
    // SAFETY: pidfd_open has none either; it returns a new descriptor or -1.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as c_int;
    check(fd)?;
    // SAFETY: a descriptor just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The address of the lowest page in `range`, which begins with a page, that has memory
/// behind it.
pub(super) fn lowest_resident(range: Range<usize>) -> io::Result<Option<usize>> {
    let page = page_size();
    let mut pages = [0_u8; 256];
    let mut start = range.start;
    while start < range.end {
        let len = (range.end - start).min(pages.len() * page);
        // SAFETY: the kernel checks the range, and writes one byte for each page of it.
        check(unsafe {
            libc::mincore(std::ptr::without_provenance_mut(start), len, pages.as_mut_ptr())
        })?;
        let found = pages[..len.div_ceil(page)].iter().position(|resident| resident & 1 != 0);
        if let Some(index) = found {
            return Ok(Some(start + index * page));
        }
        start += len;
    }
    Ok(None)
}
