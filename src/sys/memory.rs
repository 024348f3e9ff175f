//! Memory mappings and what the kernel can be told about them.

use std::io::{self, PipeReader, PipeWriter};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use memmap2::{MmapOptions, MmapRaw};

use super::fault::{self, Kind};
use super::{check, page_size};

/// Fresh private memory, unmapped on drop. It is only ever reached through raw pointers,
/// so whatever the kernel is told about it here, no reference sees its bytes change.
#[derive(Debug)]
pub(crate) struct Mapping(MmapRaw);

/// Advice for a range of pages. The numbers are the kernel's, spelled out because libc
/// does not know the newer ones on every target.
#[derive(Clone, Copy, Debug)]
#[repr(i32)]
pub(crate) enum Advice {
    /// Give the memory back; it reads as zeros afterwards. Guards stay.
    Discard = 4,
    /// Leave the range out of core dumps.
    DontDump = 16,
    /// The child of a fork sees zeros. It sees no guards inside the range, either.
    WipeOnFork = 18,
    /// Make the pages present and writable, as if they had been written to.
    Populate = 23,
    /// As `Discard`, also where the memory is locked (Linux 5.18).
    DiscardLocked = 24,
    /// Make every access a SIGSEGV, without a mapping of its own (Linux 6.13).
    InstallGuard = 102,
    /// No advice at all: a kernel that looks at what it is told refuses it.
    Nonsense = 9999,
}

impl Mapping {
    /// Reserves memory, readable and writable, committed only as it is touched.
    pub(crate) fn reserve(len: usize) -> io::Result<Self> {
        fault::check(Kind::Map)?;
        let map = MmapOptions::new().len(len).stack().no_reserve_swap().map_anon()?;
        Ok(Mapping(map.into()))
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives one piece of advice for one range.
    pub(crate) fn advise(&self, advice: Advice, range: Range<usize>) -> io::Result<()> {
        let part = self.part(&range);
        madvise(advice, &part)
    }

    /// Gives the same advice for many ranges, with as few system calls as this kernel
    /// allows. On an error some of the ranges may have been dealt with.
    pub(crate) fn advise_all(
        &self,
        advice: Advice,
        ranges: impl Iterator<Item = Range<usize>>,
    ) -> io::Result<()> {
        let mut parts: Vec<libc::iovec> = ranges.map(|range| self.part(&range)).collect();
        // What the batch call leaves or refuses is done one by one, which also says why.
        let done = advise_batched(advice, &mut parts);
        parts[done..].iter().try_for_each(|part| madvise(advice, part))
    }

    /// Makes a range inaccessible: a mapping of its own, inside this one.
    pub(crate) fn deny(&self, range: Range<usize>) -> io::Result<()> {
        let part = self.part(&range);
        fault::check(Kind::Protect)?;
        // SAFETY: the range lies inside this mapping, which nobody holds references into.
        check(unsafe { libc::mprotect(part.iov_base, part.iov_len, libc::PROT_NONE) })
    }

    /// Keeps the pages of a range in memory once they have been touched.
    pub(crate) fn lock_on_fault(&self, range: Range<usize>) -> io::Result<()> {
        const MLOCK_ONFAULT: usize = 1;
        let part = self.part(&range);
        fault::check(Kind::Lock)?;
        // SAFETY: mlock2 changes no contents, and the range lies inside this mapping.
        let rc =
            unsafe { libc::syscall(libc::SYS_mlock2, part.iov_base, part.iov_len, MLOCK_ONFAULT) };
        check(rc as libc::c_int)
    }

    /// Gives the whole mapping a name in `/proc/self/maps`, where the kernel can.
    pub(crate) fn name(&self, name: &'static std::ffi::CStr) {
        const PR_SET_VMA: libc::c_int = 0x5356_4d41;
        const PR_SET_VMA_ANON_NAME: libc::c_ulong = 0;
        // SAFETY: names the range of this mapping; the kernel copies the string.
        unsafe {
            libc::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, self.start(), self.len(), name.as_ptr())
        };
    }

    /// Whether the byte at `offset` can be accessed, as the kernel itself finds out.
    pub(crate) fn is_accessible(&self, offset: usize) -> io::Result<bool> {
        assert!(offset < self.len());
        fault::check(Kind::Pipe)?;
        let (_reader, writer): (PipeReader, PipeWriter) = io::pipe()?;
        let byte = self.start().wrapping_add(offset);
        // SAFETY: the kernel reads one byte, or answers EFAULT.
        match unsafe { libc::write(writer.as_raw_fd(), byte.cast(), 1) } {
            1 => Ok(true),
            _ => match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(libc::EFAULT) => Ok(false),
                e => Err(e),
            },
        }
    }

    fn part(&self, range: &Range<usize>) -> libc::iovec {
        let page = page_size();
        assert!(range.start <= range.end && range.end <= self.len());
        assert!(range.start.is_multiple_of(page) && range.end.is_multiple_of(page));
        let start = self.start().wrapping_add(range.start);
        libc::iovec { iov_base: start.cast(), iov_len: range.len() }
    }
}

/// `part` is a range of a [`Mapping`], to whose bytes there are no references.
fn madvise(advice: Advice, part: &libc::iovec) -> io::Result<()> {
    fault::check(Kind::Advise)?;
    // SAFETY: no advice does more than change the contents of the range, or make
    // accesses to it fault; nobody holds references into it.
    check(unsafe { libc::madvise(part.iov_base, part.iov_len, advice as libc::c_int) })
}

/// Returns for how many of `parts` the advice has been given; cuts a half-done one short.
fn advise_batched(advice: Advice, parts: &mut [libc::iovec]) -> usize {
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
        // SAFETY: the parts are ranges of a Mapping, as for `madvise`, in this process.
        let advised = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                own.as_raw_fd(),
                batch.as_ptr(),
                batch.len(),
                advice as libc::c_int,
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
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int;
    check(fd)?;
    // SAFETY: a descriptor just opened, owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The address of the lowest page in `range`, which begins with a page, that has memory
/// behind it.
pub(crate) fn lowest_resident(range: Range<usize>) -> io::Result<Option<usize>> {
    let page = page_size();
    let mut pages = [0_u8; 256];
    let mut start = range.start;
    fault::check(Kind::Resident)?;
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
