//! Stacks that wait for their next user: per thread, last in first out, bounded.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::slab::{COLOUR_ROOM, OwnedSlab, Taken};
use super::{Stack, StackConfig, StackError};
use crate::sys;

/// The stacks of one thread.
struct Pool {
    /// Zero until it has a slab; never used again after this thread.
    id: u64,
    /// Where the last request was found, unless for locked ones: most programs have one kind of
    /// stack.
    last: usize,
    /// How many idle stacks of a kind are kept.
    limit: usize,
    classes: Vec<Class>,
}

/// All stacks of one kind.
struct Class {
    /// As last asked for ...
    asked: StackConfig,
    /// ... and in whole pages.
    config: StackConfig,
    /// With the memory they have touched; the last one was used last.
    idle: Vec<Taken>,
    /// In order of age. Older ones are filled first, so that younger ones can go.
    slabs: Vec<OwnedSlab>,
    /// All slabs before this one are full.
    full: usize,
    /// If they are to be locked, the [`sys::fork_generation`] in which they were.
    locked_in: usize,
}

thread_local! {
    static POOL: RefCell<Pool> =
        const { RefCell::new(Pool { id: 0, last: usize::MAX, limit: 512, classes: Vec::new() }) };
}

/// Sets how many idle stacks of each kind this thread keeps with their memory (512 unless
/// told). When there are more, the longer idle half gives its memory back to the system.
pub fn set_pool_limit(stacks: usize) {
    with_pool((), |pool| {
        pool.limit = stacks;
        pool.classes.iter_mut().for_each(|class| class.release(stacks));
    });
}

/// Makes sure that this thread has `stacks` idle stacks of a kind, the top of each already
/// committed: cheaper for many at once than one by one. Raises the limit of
/// [`set_pool_limit`] if need be. Does nothing while the thread is ending.
///
/// # Errors
///
/// As [`PooledStack::new`]; what could be had is kept. [`StackError::TooLarge`] if so many do
/// not fit the address space.
pub fn reserve(config: StackConfig, stacks: usize) -> Result<(), StackError> {
    /// No process has more address space than this on any supported target.
    const ADDRESS_SPACE: usize = usize::MAX >> if usize::BITS > 47 { 17 } else { 1 };
    let StackConfig { size, guard, .. } = config;
    if stacks.saturating_mul(size.saturating_add(guard)) > ADDRESS_SPACE {
        return Err(StackError::TooLarge { size, guard });
    }
    with_pool(Ok(()), |pool| {
        let at = pool.find(config)?;
        let class = &mut pool.classes[at];
        let outcome = class.reserve(stacks, (pool.id, at));
        // Those that could not be had need no room.
        pool.limit = pool.limit.max(class.idle.len().min(stacks));
        outcome
    })
}

/// How many stacks of this thread are in use, and how many idle.
pub(super) fn census() -> (usize, usize) {
    with_pool((0, 0), |pool| {
        let mut out = 0;
        let mut idle = 0;
        for class in &mut pool.classes {
            class.collect();
            out += class.slabs.iter().map(OwnedSlab::out).sum::<usize>();
            idle += class.idle.len();
        }
        (out - idle, idle)
    })
}

/// How deep each stack of this thread's pool was used, in use or idle: bytes from its top
/// down to the lowest page that it has touched since it was new or gave its memory back.
/// Stacks without memory are left out. Asks the kernel about each stack: a microsecond or so.
pub fn high_water_marks() -> Vec<usize> {
    with_pool(Vec::new(), |pool| {
        let slabs = pool.classes.iter().flat_map(|class| &class.slabs);
        slabs.flat_map(OwnedSlab::touched).collect()
    })
}

/// Whether this thread is ending and its pool gone. Then other thread-locals are gone, too,
/// that suspended frames may refer to: all that were first used after the first stack. So
/// nobody must go on with those frames.
pub(crate) fn thread_has_ended() -> bool {
    sys::thread_is_ending() || POOL.try_with(|_| ()).is_err()
}

/// The answer of `f`; `otherwise` if the thread is ending and its pool gone.
fn with_pool<T>(otherwise: T, f: impl FnOnce(&mut Pool) -> T) -> T {
    let answer = sys::keep_errno(|| POOL.try_with(|pool| f(&mut pool.borrow_mut())));
    answer.unwrap_or(otherwise)
}

/// A guarded stack from a slab of many, which returns to its thread's pool when dropped,
/// on whatever thread that is.
///
/// Tops are staggered by a few cache lines, in addition to the size asked for. A stack
/// that is leaked is never reused nor unmapped, nor is its slab.
#[derive(Debug)]
pub struct PooledStack(ManuallyDrop<Taken>);

impl PooledStack {
    /// The most recently returned stack of this kind, or a new one.
    ///
    /// # Errors
    ///
    /// As [`GuardedStack::new`](super::GuardedStack::new).
    #[inline]
    pub fn new(config: StackConfig) -> Result<Self, StackError> {
        match POOL.try_with(|pool| pool.borrow_mut().take_warm(&config)) {
            Ok(Some(stack)) => Ok(PooledStack(ManuallyDrop::new(stack))),
            _ => Self::new_slowly(config),
        }
    }

    #[cold]
    fn new_slowly(config: StackConfig) -> Result<Self, StackError> {
        sys::keep_errno(|| {
            let taken = POOL.try_with(|pool| pool.borrow_mut().take(config));
            // Without a pool (the thread is ending) it gets a slab of its own.
            let stack = taken.unwrap_or_else(|_| lone(config))?;
            Ok(PooledStack(ManuallyDrop::new(stack)))
        })
    }
}

impl Drop for PooledStack {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: dropped once, and never used again: `self` is going away.
        let mut stack = Some(unsafe { ManuallyDrop::take(&mut self.0) });
        let _ = POOL.try_with(|pool| pool.borrow_mut().put(&mut stack));
        if let Some(foreign) = stack {
            sys::keep_errno(|| foreign.return_from_afar());
        }
    }
}

// SAFETY: the slab keeps the memory for this stack alone until it is returned.
unsafe impl Stack for PooledStack {
    #[inline]
    fn top(&self) -> *mut u8 {
        self.0.top()
    }

    #[inline]
    fn bottom(&self) -> *mut u8 {
        self.0.bottom()
    }
}

/// A stack of a slab that has no owner and no other stack.
fn lone(config: StackConfig) -> Result<Taken, StackError> {
    const NOBODY: u64 = u64::MAX;
    let mut slab = OwnedSlab::new(config.in_pages(COLOUR_ROOM)?, 1, (NOBODY, 0))?;
    Ok(slab.take()?.expect("a new slab has a stack"))
}

impl Pool {
    /// Takes the last stack returned, if it is of the kind last asked for.
    #[inline]
    fn take_warm(&mut self, config: &StackConfig) -> Option<Taken> {
        let class = self.classes.get_mut(self.last)?;
        if class.asked == *config { class.idle.pop() } else { None }
    }

    fn take(&mut self, config: StackConfig) -> Result<Taken, StackError> {
        let at = self.find(config)?;
        let owner = (self.id, at);
        self.classes[at].take(owner).or_else(|error| {
            // Rather give up all that is idle than fail.
            let before: usize = self.classes.iter().map(Class::reserved).sum();
            self.classes.iter_mut().for_each(|class| class.shrink(0));
            let after: usize = self.classes.iter().map(Class::reserved).sum();
            if after < before { self.classes[at].take(owner) } else { Err(error) }
        })
    }

    /// Finds the class of `config`, or makes it.
    fn find(&mut self, config: StackConfig) -> Result<usize, StackError> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        if self.id == 0 {
            self.id = NEXT_ID.fetch_add(1, Relaxed);
        }
        let known = self.classes.iter().position(|class| class.asked == config);
        let at = match known {
            Some(at) => at,
            None => {
                let pages = config.in_pages(COLOUR_ROOM)?;
                let same = self.classes.iter().position(|class| class.config == pages);
                let at = same.unwrap_or(self.classes.len());
                if same.is_none() {
                    self.classes.try_reserve(1).map_err(StackError::no_memory)?;
                    self.classes.push(Class::new(pages));
                }
                self.classes[at].asked = config;
                at
            }
        };
        if !config.has(StackConfig::LOCK) {
            self.last = at;
        }
        Ok(at)
    }

    /// Takes a stack back, unless it belongs to another thread or there is no memory to note it.
    #[inline]
    fn put(&mut self, stack: &mut Option<Taken>) {
        if let Some(owned) = stack.take_if(|stack| stack.owner().0 == self.id) {
            let class = &mut self.classes[owned.owner().1];
            if class.idle.len() == class.idle.capacity() && !class.more_room() {
                *stack = Some(owned);
                return;
            }
            class.idle.push(owned);
            if class.idle.len() > self.limit {
                class.release(self.limit / 2);
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // What is still in use keeps its slab: dropping an owned slab only abandons it.
        self.classes.iter_mut().for_each(|class| class.shrink(0));
    }
}

impl Class {
    fn new(config: StackConfig) -> Self {
        let locked_in = if config.has(StackConfig::LOCK) { sys::fork_generation() } else { 0 };
        Class { asked: config, config, idle: Vec::new(), slabs: Vec::new(), full: 0, locked_in }
    }

    #[cold]
    fn more_room(&mut self) -> bool {
        sys::keep_errno(|| self.idle.try_reserve(1).is_ok())
    }

    /// How many stacks its slabs have, in use or not.
    fn reserved(&self) -> usize {
        self.slabs.iter().map(OwnedSlab::count).sum()
    }

    /// A forked child inherits no locks.
    fn lock_again(&mut self) -> Result<(), StackError> {
        let forks = || sys::fork_generation();
        if self.config.has(StackConfig::LOCK) && self.locked_in != forks() {
            self.slabs.iter().try_for_each(OwnedSlab::lock)?;
            self.locked_in = forks();
        }
        Ok(())
    }

    fn take(&mut self, owner: (u64, usize)) -> Result<Taken, StackError> {
        self.lock_again()?;
        match self.idle.pop() {
            Some(stack) => Ok(stack),
            None => self.take_cold(owner, 1),
        }
    }

    /// Takes a stack without memory, from a new slab if need be; `wanted` such stacks
    /// are to be taken.
    fn take_cold(&mut self, owner: (u64, usize), wanted: usize) -> Result<Taken, StackError> {
        loop {
            while let Some(slab) = self.slabs.get_mut(self.full) {
                match slab.take() {
                    Ok(Some(stack)) => return Ok(stack),
                    Ok(None) => self.full += 1,
                    // No more can be prepared, but some may have come back.
                    Err(_) if self.collect() => {}
                    Err(error) => return Err(error),
                }
            }
            if !self.collect() {
                let size = self.next_size(wanted);
                self.slabs.try_reserve(1).map_err(StackError::no_memory)?;
                self.slabs.push(OwnedSlab::new(self.config, size, owner)?);
            }
        }
    }

    /// Slabs double the number of stacks until they are large.
    fn next_size(&self, wanted: usize) -> usize {
        const MIN: usize = 16;
        const MAX: usize = 4096;
        /// With 32 bits, one of 32 parts of the address space.
        const MAX_BYTES: usize = 1 << if usize::BITS == 64 { 32 } else { 27 };
        let stacks = self.reserved().max(wanted).clamp(MIN, MAX);
        stacks.min(MAX_BYTES / self.config.stride()).max(1)
    }

    fn reserve(&mut self, wanted: usize, owner: (u64, usize)) -> Result<(), StackError> {
        self.lock_again()?;
        let missing = wanted.saturating_sub(self.idle.len());
        let mut stacks = Vec::new();
        stacks.try_reserve_exact(missing).map_err(StackError::no_memory)?;
        self.idle.try_reserve(missing).map_err(StackError::no_memory)?;
        let mut outcome = Ok(());
        while stacks.len() < missing {
            match self.take_cold(owner, missing - stacks.len()) {
                Ok(stack) => stacks.push(stack),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        stacks.sort_unstable();
        for same in stacks.chunk_by(Taken::is_neighbour) {
            let at = slab_of(&same[0], &self.slabs);
            self.slabs[at].populate(same);
        }
        // Below the warmer ones, and so that they are used in sequence.
        stacks.reverse();
        self.idle.splice(0..0, stacks);
        outcome
    }

    /// Takes back what other threads have returned. Says whether that was anything.
    fn collect(&mut self) -> bool {
        let mut any = false;
        for slab in &mut self.slabs {
            any |= slab.collect();
        }
        if any {
            self.full = 0;
        }
        any
    }

    /// Keeps `keep` idle stacks; the others give their memory back.
    #[cold]
    fn release(&mut self, keep: usize) {
        sys::keep_errno(|| {
            self.cool(keep);
            self.drop_empty(1);
        });
    }

    /// Gives back all that is idle, but for `spare` slabs.
    fn shrink(&mut self, spare: usize) {
        self.collect();
        self.cool(0);
        self.drop_empty(spare);
    }

    /// Returns all but the `keep` warmest idle stacks to their slabs. Allocates nothing: it is
    /// what helps where there is no memory.
    fn cool(&mut self, keep: usize) {
        let Class { idle, slabs, full, .. } = self;
        let surplus = idle.len().saturating_sub(keep);
        idle[..surplus].sort_unstable();
        for same in idle[..surplus].chunk_by(Taken::is_neighbour) {
            let at = slab_of(&same[0], slabs);
            slabs[at].put_back(same);
            *full = at.min(*full);
        }
        idle.drain(..surplus);
    }

    /// Unmaps the slabs of which nothing is in use, but for the `spare` oldest.
    fn drop_empty(&mut self, mut spare: usize) {
        self.slabs.retain(|slab| {
            let empty = slab.out() == 0;
            let keep = !empty || spare > 0;
            spare -= usize::from(empty && keep);
            keep
        });
        self.full = 0;
    }
}

/// The place among `slabs` of the one that an idle stack belongs to.
fn slab_of(stack: &Taken, slabs: &[OwnedSlab]) -> usize {
    let at = slabs.iter().position(|slab| slab.has(stack));
    at.expect("the slab of an idle stack is there")
}
