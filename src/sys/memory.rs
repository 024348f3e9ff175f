//! Memory mappings and what the kernel can be told about them.

use std::io::{self, PipeReader, PipeWriter};
use std::ops::Range;
use std::os::fd::AsRawFd;

use memmap2::MmapRaw;

use super::fault::{self, Kind};
use super::os::check;
use super::{Advice, page_size, system};

/// Fresh private memory, unmapped on drop. It is only ever reached through raw pointers,
/// so whatever the kernel is told about it here, no reference sees its bytes change.
#[derive(Debug)]
pub(crate) struct Mapping(MmapRaw);

impl Mapping {
    /// Reserves memory, readable and writable, committed only as it is touched.
    pub(crate) fn reserve(len: usize) -> io::Result<Self> {
        fault::check(Kind::Map)?;
        Ok(Mapping(system::map(len)?.into()))
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.0.as_mut_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives one piece of advice for one range.
    pub(crate) fn advise(&self, advice: Advice, range: Range<usize>) -> io::Result<()> {
        system::advise(advice, &self.part(&range))
    }

    /// Gives the same advice for many ranges, with as few system calls as this kernel
    /// allows. On an error some of the ranges may have been dealt with.
    pub(crate) fn advise_all(
        &self,
        advice: Advice,
        mut ranges: impl ExactSizeIterator<Item = Range<usize>>,
    ) -> io::Result<()> {
        let mut parts: Vec<libc::iovec> = Vec::new();
        if parts.try_reserve_exact(ranges.len()).is_err() {
            return ranges.try_for_each(|range| self.advise(advice, range));
        }
        parts.extend(ranges.map(|range| self.part(&range)));
        // What the batch call leaves or refuses is done one by one, which also says why.
        let done = system::advise_batched(advice, &mut parts);
        parts[done..].iter().try_for_each(|part| system::advise(advice, part))
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
        fault::check(Kind::Lock)?;
        system::lock_on_fault(&self.part(&range))
    }

    /// Gives the whole mapping a name, for whoever looks at the process.
    pub(crate) fn name(&self, name: &'static std::ffi::CStr) {
        system::name(&self.part(&(0..self.len())), name);
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

/// The address of the lowest page in `range`, which begins with a page, that has memory
/// behind it.
pub(crate) fn lowest_resident(range: Range<usize>) -> io::Result<Option<usize>> {
    fault::check(Kind::Resident)?;
    system::lowest_resident(range)
}
