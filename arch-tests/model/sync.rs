//! In the place of `src/job/sync.rs`.
//!
//! loom takes SeqCst for AcqRel (it says so itself) and so would find wakes lost that are
//! not. Here it means what C++20 says, as far as the protocol needs it: a SeqCst load of a
//! word that was last changed by SeqCst finds that change or a later one. The order in which loom
//! executes is the total order of all that is SeqCst; anything else may be seen late.

use std::cell::Cell;
use std::ptr;
use std::sync::LockResult;
use std::sync::atomic::Ordering::{self, Relaxed, SeqCst};
use std::task::Waker;

use loom::lazy_static::Lazy;
use loom::sync::atomic;

pub(super) use loom::sync::MutexGuard;
pub(super) use loom::sync::atomic::AtomicUsize;

/// One is all that a model needs, and a successor gets it for certain.
pub(super) const CHUNK: usize = 1;

/// The order of the last change, in the order of execution, in which there is but one thread
/// at a time.
struct Last(Cell<Ordering>);

// SAFETY: loom runs all its threads on one, and there is no switch in a `get` or `set`.
unsafe impl Sync for Last {}

/// Of two accesses to a word each may be the first. loom itself forgets that a thread has loaded
/// a word once another loads it, and so leaves out that the other's change comes before.
struct Turns(atomic::AtomicBool);

impl Turns {
    fn new() -> Self {
        Turns(atomic::AtomicBool::new(false))
    }

    /// Fails, and orders nothing. To loom it is an access that must be tried before all others.
    fn next(&self) {
        let _ = self.0.compare_exchange(true, true, Relaxed, Relaxed);
    }
}

macro_rules! atomic {
    ($name:ident $(<$t:ident>)?, $value:ty, never: $never:expr) => {
        pub(super) struct $name $(<$t>)? {
            word: atomic::$name $(<$t>)?,
            turns: Turns,
            last: Last,
        }

        #[allow(dead_code)] // Not every word needs every operation.
        impl $(<$t>)? $name $(<$t>)? {
            /// No word ever has this value.
            const NEVER: $value = $never;

            pub(super) fn new(value: $value) -> Self {
                let last = Last(Cell::new(Relaxed));
                Self { word: atomic::$name::new(value), turns: Turns::new(), last }
            }

            /// After a change, with no switch in between.
            fn changed<V>(&self, order: Ordering, was: V) -> V {
                self.last.0.set(order);
                was
            }

            pub(super) fn load(&self, order: Ordering) -> $value {
                self.turns.next();
                let seen = self.word.load(order);
                if order != SeqCst || self.last.0.get() != SeqCst {
                    return seen;
                }
                // What is not exchanged is the last value.
                self.word.compare_exchange(Self::NEVER, Self::NEVER, SeqCst, SeqCst).unwrap_err()
            }

            pub(super) fn store(&self, value: $value, order: Ordering) {
                self.turns.next();
                self.word.store(value, order);
                self.changed(order, ());
            }

            pub(super) fn swap(&self, value: $value, order: Ordering) -> $value {
                self.turns.next();
                let was = self.word.swap(value, order);
                self.changed(order, was)
            }

            /// One that fails is a load, and may see a value that is not the last: loom's own
            /// never does.
            pub(super) fn compare_exchange(
                &self,
                expected: $value,
                new: $value,
                order: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                match self.load(failure) {
                    seen if seen != expected => Err(seen),
                    _ => self.compare_exchange_weak(expected, new, order, failure),
                }
            }

            /// In a loop, where it does not matter how old the value is that makes it fail.
            pub(super) fn compare_exchange_weak(
                &self,
                expected: $value,
                new: $value,
                order: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.turns.next();
                let was = self.word.compare_exchange(expected, new, order, failure)?;
                Ok(self.changed(order, was))
            }

            pub(super) fn fetch_update(
                &self,
                order: Ordering,
                failure: Ordering,
                change: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                self.turns.next();
                let was = self.word.fetch_update(order, failure, change)?;
                Ok(self.changed(order, was))
            }
        }
    };
}

atomic!(AtomicPtr<T>, *mut T, never: ptr::without_provenance_mut(usize::MAX));
atomic!(AtomicU8, u8, never: u8::MAX);
atomic!(AtomicU64, u64, never: u64::MAX);

impl AtomicU64 {
    pub(super) fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
        self.turns.next();
        let was = self.word.fetch_or(bits, order);
        self.changed(order, was)
    }

    pub(super) fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
        self.turns.next();
        let was = self.word.fetch_and(bits, order);
        self.changed(order, was)
    }
}

/// A mutex in a static, which each execution finds as it was at first.
pub(super) struct Mutex<T>(Lazy<loom::sync::Mutex<T>>);

impl<T: Default + 'static> Mutex<T> {
    /// `value` is the default.
    pub(super) const fn new(value: T) -> Self {
        std::mem::forget(value);
        Mutex(Lazy { init: Default::default, _p: std::marker::PhantomData })
    }

    pub(super) fn lock(&'static self) -> LockResult<MutexGuard<'static, T>> {
        self.0.get().lock()
    }
}

/// What the crate of that name promises, by a lock.
pub(super) struct AtomicWaker(loom::sync::Mutex<Option<Waker>>);

impl AtomicWaker {
    pub(super) fn new() -> Self {
        AtomicWaker(loom::sync::Mutex::new(None))
    }

    pub(super) fn register(&self, waker: &Waker) {
        self.0.lock().unwrap().replace(waker.clone());
    }

    pub(super) fn take(&self) -> Option<Waker> {
        self.0.lock().unwrap().take()
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.take() {
            waker.wake();
        }
    }
}
