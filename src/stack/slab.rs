//! A region of many stacks: owned by one thread, its stacks returned by any.
//!
//! The owner keeps its side of the books ([`OwnedSlab`]) to itself. Other threads push
//! what they return onto a list that the owner collects. An owner that goes away abandons
//! its slabs; from then on each counts down, and whoever returns the last stack unmaps it.
//! There is no lock, so a fork cannot leave one taken.
#![allow(
    deprecated,
    reason = "try_update, as fetch_update is called from Rust 1.99 on, is too young"
)]

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use super::guard::GuardMode;
use super::listed::{self, Listed};
use super::region::Region;
use super::{StackConfig, StackError, stats};
use crate::sys::try_box;

/// Bytes by which tops are staggered: page-aligned tops would put the hot line of every
/// stack into one L1 set. In sequence, so that the prefetcher can follow.
const LINE: usize = 64;
const COLOURS: usize = 32;
/// What staggering takes from a stack at most.
pub(super) const COLOUR_ROOM: usize = (COLOURS - 1) * LINE;

/// What all threads see.
#[derive(Debug)]
struct Slab {
    region: Region,
    listed: &'static Listed,
    /// The pool it belongs to, and the class in there.
    owner: (u64, usize),
    places: Vec<Place>,
    /// A [`Ledger`].
    returned: AtomicU64,
}

/// One stack of a slab.
#[derive(Debug)]
struct Place {
    slab: NonNull<Slab>,
    index: u32,
    /// In a list: the place after this one.
    next: AtomicU32,
}

/// Stands for a stack that has been taken from its slab, and is returned to it just once:
/// until then the slab stays.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Taken(NonNull<Place>);

// SAFETY: places and slabs are made to be shared by threads; the rest is addresses.
unsafe impl Send for Taken {}
// SAFETY: as above.
unsafe impl Sync for Taken {}

impl Taken {
    #[inline]
    fn place(&self) -> &Place {
        // SAFETY: a slab, with its places, stays while one of its stacks is taken.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn slab(&self) -> &Slab {
        // SAFETY: as above.
        unsafe { self.place().slab.as_ref() }
    }

    #[inline]
    fn index(&self) -> usize {
        self.place().index as usize
    }

    #[inline]
    pub(super) fn top(&self) -> *mut u8 {
        self.slab().region.top(self.index()).wrapping_sub(self.index() % COLOURS * LINE)
    }

    #[inline]
    pub(super) fn bottom(&self) -> *mut u8 {
        self.slab().region.bottom(self.index())
    }

    /// The pool that its slab belongs to, and the class in there.
    #[inline]
    pub(super) fn owner(&self) -> (u64, usize) {
        self.slab().owner
    }

    pub(super) fn is_neighbour(&self, other: &Taken) -> bool {
        self.place().slab == other.place().slab
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        self.listed.take_out();
        stats::slab_unmapped();
    }
}

/// What other threads have returned, in one word: while the slab is owned, a list and its
/// length; once it is abandoned, how many stacks are still out.
#[derive(Clone, Copy)]
struct Ledger {
    abandoned: bool,
    count: u32,
    head: u32,
}

const END: u32 = u32::MAX;

impl Ledger {
    const EMPTY: Ledger = Ledger { abandoned: false, count: 0, head: END };
    const ABANDONED: u64 = 1 << 63;

    const fn pack(self) -> u64 {
        let flag = if self.abandoned { Self::ABANDONED } else { 0 };
        flag | (self.count as u64) << 32 | self.head as u64
    }

    const fn unpack(word: u64) -> Self {
        Ledger {
            abandoned: word & Self::ABANDONED != 0,
            count: (word >> 32) as u32 & (u32::MAX >> 1),
            head: word as u32,
        }
    }
}

impl Taken {
    /// Returns a stack to a slab that is not this thread's.
    #[cold]
    pub(super) fn return_from_afar(self) {
        let (place, slab) = (self.place(), self.slab());
        slab.region.discard([self.index()].into_iter());
        let mut last = false;
        let enter = |word| {
            let mut ledger = Ledger::unpack(word);
            if ledger.abandoned {
                ledger.count -= 1;
                last = ledger.count == 0;
            } else {
                place.next.store(ledger.head, Relaxed);
                ledger.count += 1;
                ledger.head = place.index;
            }
            Some(ledger.pack())
        };
        let whole = place.slab;
        // Acquire as well: the last one unmaps what the others have used.
        let _ = slab.returned.fetch_update(AcqRel, Acquire, enter);
        // From here on the slab is somebody else's, unless this was the last stack.
        if last {
            // SAFETY: abandoned, and no stack is taken: nobody else has the pointer.
            drop(unsafe { Box::from_raw(whole.as_ptr()) });
        }
    }
}

/// The owner's side of a slab. Dropping it abandons the slab: it is unmapped as soon as no
/// stack of it is in use, perhaps at once, perhaps never.
#[derive(Debug)]
pub(super) struct OwnedSlab {
    slab: NonNull<Slab>,
    /// A list of stacks that have been used and given their memory back.
    head: u32,
    /// Stacks from here on have never been used ...
    fresh: usize,
    /// ... and from here on not been prepared.
    prepared: usize,
    /// Stacks not in use: those in the list and the fresh ones.
    free: usize,
}

impl OwnedSlab {
    /// Maps a slab of up to `count` stacks, of fewer if there is no room for more.
    pub(super) fn new(
        config: StackConfig,
        mut count: usize,
        owner: (u64, usize),
    ) -> Result<Self, StackError> {
        let region = loop {
            match Region::new(config, count) {
                Err(StackError::Map(_)) if count > 1 => count /= 2,
                other => break other?,
            }
        };
        let mut places = Vec::new();
        places.try_reserve_exact(count).map_err(StackError::no_memory)?;
        let listed = listed::list(&region).map_err(StackError::no_memory)?;
        stats::slab_mapped();
        let returned = AtomicU64::new(Ledger::EMPTY.pack());
        let slab = try_box(Slab { region, listed, owner, places, returned });
        let at = NonNull::from(Box::leak(slab.map_err(StackError::no_memory)?));
        let place = |index| Place { slab: at, index, next: AtomicU32::new(END) };
        // SAFETY: nobody else has the pointer yet.
        let places = unsafe { &mut (*at.as_ptr()).places };
        places.extend((0..count as u32).map(place));
        Ok(OwnedSlab { slab: at, head: END, fresh: 0, prepared: 0, free: count })
    }

    fn shared(&self) -> &Slab {
        // SAFETY: unmapped only after it was abandoned.
        unsafe { self.slab.as_ref() }
    }

    pub(super) fn has(&self, stack: &Taken) -> bool {
        self.slab == stack.place().slab
    }

    pub(super) fn count(&self) -> usize {
        self.shared().region.count()
    }

    /// The bytes that its stacks have touched, of those that have touched any.
    pub(super) fn touched(&self) -> impl Iterator<Item = usize> {
        let region = &self.shared().region;
        (0..self.fresh).map(|index| region.touched(index)).filter(|&bytes| bytes > 0)
    }

    /// Stacks that are in use, or in the pool with their memory.
    pub(super) fn out(&self) -> usize {
        self.count() - self.free
    }

    /// Takes a stack, ready to run on. `None` if all are out.
    pub(super) fn take(&mut self) -> Result<Option<Taken>, StackError> {
        if self.free == 0 {
            return Ok(None);
        }
        let index = if self.head != END {
            let index = self.head;
            self.head = self.shared().places[index as usize].next.load(Relaxed);
            index
        } else {
            if self.fresh == self.prepared {
                self.prepare()?;
            }
            self.fresh += 1;
            (self.fresh - 1) as u32
        };
        self.free -= 1;
        Ok(Some(Taken(NonNull::from(&self.shared().places[index as usize]))))
    }

    /// Guards the next stacks, as many at a time as pays, fewer if the system refuses.
    #[cold]
    fn prepare(&mut self) -> Result<(), StackError> {
        let region = &self.shared().region;
        let batch = match region.mode() {
            GuardMode::Madvise => 256,
            GuardMode::Mprotect => 16,
        };
        let mut batch = batch.min(region.count() - self.prepared);
        loop {
            match region.prepare(self.prepared..self.prepared + batch) {
                Ok(()) => break,
                Err(_) if batch > 1 => batch /= 2,
                Err(e) => return Err(e),
            }
        }
        self.prepared += batch;
        Ok(())
    }

    /// Locks what has been prepared.
    pub(super) fn lock(&self) -> Result<(), StackError> {
        self.shared().region.lock(0..self.prepared)
    }

    /// Takes back stacks of this slab; their memory goes to the system.
    pub(super) fn put_back(&mut self, stacks: &[Taken]) {
        self.shared().region.discard(stacks.iter().map(Taken::index));
        for stack in stacks {
            stack.place().next.store(self.head, Relaxed);
            self.head = stack.place().index;
        }
        self.free += stacks.len();
    }

    /// Takes back what other threads have returned. Says whether that was anything.
    pub(super) fn collect(&mut self) -> bool {
        let slab = self.shared();
        if Ledger::unpack(slab.returned.load(Relaxed)).count == 0 {
            return false;
        }
        let list = Ledger::unpack(slab.returned.swap(Ledger::EMPTY.pack(), Acquire));
        let mut tail = list.head;
        for _ in 1..list.count {
            tail = slab.places[tail as usize].next.load(Relaxed);
        }
        slab.places[tail as usize].next.store(self.head, Relaxed);
        self.head = list.head;
        self.free += list.count as usize;
        true
    }

    /// Touches the tops of stacks of this slab.
    pub(super) fn populate(&self, stacks: &[Taken]) {
        self.shared().region.populate(stacks.iter().map(Taken::index));
    }
}

impl Drop for OwnedSlab {
    fn drop(&mut self) {
        let mut left = 0;
        let abandon = |word| {
            left = self.out() as u32 - Ledger::unpack(word).count;
            Some(Ledger { abandoned: true, count: left, head: END }.pack())
        };
        let _ = self.shared().returned.fetch_update(AcqRel, Acquire, abandon);
        if left == 0 {
            // SAFETY: abandoned, and no stack is in use: nobody else has the pointer.
            drop(unsafe { Box::from_raw(self.slab.as_ptr()) });
        }
    }
}
