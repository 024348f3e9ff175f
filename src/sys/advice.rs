//! What the kernel can be told about memory.

/// Advice for a range of pages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Advice {
    /// Give the memory back; it reads as zeros afterwards. Guards stay.
    Discard,
    /// Leave the range out of core dumps.
    DontDump,
    /// The child of a fork sees zeros. It sees no guards inside the range, either.
    WipeOnFork,
    /// Make the pages present and writable, as if they had been written to.
    Populate,
    /// As `Discard`, also where the memory is locked.
    DiscardLocked,
    /// Make every access a SIGSEGV, without a mapping of its own.
    InstallGuard,
    /// No advice at all: a kernel that looks at what it is told refuses it.
    Nonsense,
}
