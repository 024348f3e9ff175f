//! Memory under Miri, which maps none: from the allocator, and no advice is taken.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::ops::Range;
use std::ptr::NonNull;

use super::{Advice, page_size};

/// As in `memory.rs`.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: memory like any other.
unsafe impl Send for Mapping {}
// SAFETY: as above; it is only reached through raw pointers.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn reserve(len: usize) -> io::Result<Self> {
        let layout = Layout::from_size_align(len, page_size()).map_err(io::Error::other)?;
        // SAFETY: a length of zero is refused, as the kernel does.
        let start = if len == 0 { None } else { NonNull::new(unsafe { alloc_zeroed(layout) }) };
        let start = start.ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { start, layout })
    }

    pub(crate) fn start(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    pub(crate) fn len(&self) -> usize {
        self.layout.size()
    }

    pub(crate) fn advise(&self, advice: Advice, _: Range<usize>) -> io::Result<()> {
        match advice {
            Advice::Nonsense => Err(io::ErrorKind::InvalidInput.into()),
            Advice::Discard | Advice::DontDump | Advice::Populate => Ok(()),
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

    /// Nothing overflows: the frames are elsewhere.
    pub(crate) fn deny(&self, _: Range<usize>) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn lock_on_fault(&self, _: Range<usize>) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn name(&self, _: &'static std::ffi::CStr) {}

    pub(crate) fn is_accessible(&self, _: usize) -> io::Result<bool> {
        Ok(true)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: allocated like this.
        unsafe { dealloc(self.start.as_ptr(), self.layout) };
    }
}

/// All of it is there.
pub(crate) fn lowest_resident(range: Range<usize>) -> io::Result<Option<usize>> {
    Ok(Some(range.start))
}
