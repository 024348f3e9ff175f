//! Memory on Windows, and what it can be told about it.

use std::ffi::{CStr, c_void};
use std::io;
use std::ops::Range;
use std::ptr::{self, NonNull};

use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_DECOMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE,
    VirtualAlloc, VirtualFree, VirtualProtect,
};

use super::fault::{self, Kind};
use super::os::check;
use super::{Advice, page_size};

/// As in `memory.rs`.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<c_void>,
    len: usize,
}

// SAFETY: memory like any other.
unsafe impl Send for Mapping {}
// SAFETY: as above; it is only reached through raw pointers.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Counts against the system's commit limit as a whole, and takes memory as it is
    /// touched.
    pub(crate) fn reserve(len: usize) -> io::Result<Self> {
        fault::check(Kind::Map)?;
        let how = MEM_RESERVE | MEM_COMMIT;
        // SAFETY: fresh memory, wherever there is room.
        let start = unsafe { VirtualAlloc(ptr::null(), len, how, PAGE_READWRITE) };
        let start = NonNull::new(start).ok_or_else(io::Error::last_os_error)?;
        Ok(Mapping { start, len })
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr().cast()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn advise(&self, advice: Advice, range: Range<usize>) -> io::Result<()> {
        fault::check(Kind::Advise)?;
        match advice {
            Advice::Discard => self.renew(&range),
            Advice::Nonsense => Err(io::ErrorKind::InvalidInput.into()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn advise_all(
        &self,
        advice: Advice,
        mut ranges: impl ExactSizeIterator<Item = Range<usize>>,
    ) -> io::Result<()> {
        ranges.try_for_each(|range| self.advise(advice, range))
    }

    /// Gives the memory back; it reads as zeros afterwards.
    fn renew(&self, range: &Range<usize>) -> io::Result<()> {
        let part = self.part(range);
        // SAFETY: a range of this mapping, into which nobody holds references.
        check(unsafe { VirtualFree(part, range.len(), MEM_DECOMMIT) })?;
        // SAFETY: as above.
        let again = unsafe { VirtualAlloc(part, range.len(), MEM_COMMIT, PAGE_READWRITE) };
        // No error: who asked to discard would take the memory for still there. Others may have
        // used up the commit limit meanwhile.
        assert!(!again.is_null(), "memory that was given back cannot be had again");
        Ok(())
    }

    /// Makes a range inaccessible.
    pub(crate) fn deny(&self, range: Range<usize>) -> io::Result<()> {
        fault::check(Kind::Protect)?;
        let (part, mut before) = (self.part(&range), 0);
        // SAFETY: the range lies inside this mapping, which nobody holds references into.
        check(unsafe { VirtualProtect(part, range.len(), PAGE_NOACCESS, &mut before) })
    }

    /// `VirtualLock` would commit all of it.
    pub(crate) fn lock_on_fault(&self, _: Range<usize>) -> io::Result<()> {
        fault::check(Kind::Lock)?;
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn name(&self, _: &'static CStr) {}

    /// There are no guards whose presence would have to be found out.
    pub(crate) fn is_accessible(&self, _: usize) -> io::Result<bool> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn part(&self, range: &Range<usize>) -> *mut c_void {
        let page = page_size();
        assert!(range.start <= range.end && range.end <= self.len);
        assert!(range.start.is_multiple_of(page) && range.end.is_multiple_of(page));
        self.start.as_ptr().wrapping_byte_add(range.start)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: reserved as a whole, and nobody uses it any more.
        unsafe { VirtualFree(self.start.as_ptr(), 0, MEM_RELEASE) };
    }
}

/// Pages may have been paged out: all of the range, as far as can be told.
pub(crate) fn lowest_resident(range: Range<usize>) -> io::Result<Option<usize>> {
    fault::check(Kind::Resident)?;
    Ok(Some(range.start))
}
