//! A few mutexes that guard any number of values, so that a fork can hold them all.
//!
//! # Safety
//!
//! A value is only reached through [`Locked`], which holds its mutex: by the value's address,
//! so always the same one.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One on a cache line.
#[repr(align(64))]
struct Lock(Mutex<()>);

static LOCKS: [Lock; 64] = [const { Lock(Mutex::new(())) }; 64];

/// A value guarded by one of the mutexes. Whoever holds one must not ask for another.
#[derive(Default)]
pub(super) struct Guarded<T>(UnsafeCell<T>);

// SAFETY: one thread at a time reaches the value, by its mutex.
unsafe impl<T: Send> Sync for Guarded<T> {}

/// A guarded value, and its mutex held.
pub(super) struct Locked<'a, T> {
    value: *mut T,
    _held: MutexGuard<'static, ()>,
    life: PhantomData<&'a Guarded<T>>,
}

impl Lock {
    fn hold(&'static self) -> MutexGuard<'static, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All of them: no value is being changed then.
pub(in crate::job) fn hold() -> impl Sized + 'static {
    LOCKS.each_ref().map(Lock::hold)
}

impl<T> Guarded<T> {
    pub(super) fn lock(&self) -> Locked<'_, T> {
        let lock = &LOCKS[ptr::from_ref(self).addr() / 64 % LOCKS.len()];
        Locked { _held: lock.hold(), value: self.0.get(), life: PhantomData }
    }
}

impl<T> Deref for Locked<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: borrowed from a value that is there, whose mutex is held.
        unsafe { &*self.value }
    }
}

impl<T> DerefMut for Locked<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above.
        unsafe { &mut *self.value }
    }
}
