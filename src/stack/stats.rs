//! What stacks cost at the moment.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::{GuardMode, guard_mode, mappings, pool};

static SLABS: AtomicUsize = AtomicUsize::new(0);
static RESERVED: AtomicUsize = AtomicUsize::new(0);

/// What stacks cost at the moment: see [`stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How guards are made.
    pub guard_mode: GuardMode,
    /// Slabs of pooled stacks in this process.
    pub slabs: usize,
    /// Bytes of address space that the stacks and slabs of this process have reserved.
    pub reserved: usize,
    /// Mappings they use, at most: the kernel may join neighbours.
    pub mappings: usize,
    /// Stacks from the pool of this thread that are in use, leaked ones included.
    pub live: usize,
    /// Stacks that wait in the pool of this thread, with whatever memory they have touched.
    pub idle: usize,
}

/// What the stacks of this process and the pool of this thread cost at the moment.
pub fn stats() -> Stats {
    let (live, idle) = pool::census();
    Stats {
        guard_mode: guard_mode(),
        slabs: SLABS.load(Relaxed),
        reserved: RESERVED.load(Relaxed),
        mappings: mappings::used(),
        live,
        idle,
    }
}

pub(super) fn slab_mapped() {
    SLABS.fetch_add(1, Relaxed);
}

pub(super) fn slab_unmapped() {
    SLABS.fetch_sub(1, Relaxed);
}

pub(super) fn reserved(bytes: usize) {
    RESERVED.fetch_add(bytes, Relaxed);
}

pub(super) fn unreserved(bytes: usize) {
    RESERVED.fetch_sub(bytes, Relaxed);
}
