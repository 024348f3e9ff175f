//! Under Miri, where a context is a thread of its own (`src/arch/miri.rs`): thread-locals
//! that belong to the thread which the context belongs to. `thread_local!` makes them, so
//! the rest of the crate does not know.
//!
//! # Safety
//!
//! A value is used by its owner alone: the thread, or a context of the thread's, of which
//! only one runs at a time. It lives until the thread ends.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

macro_rules! thread_local {
    ($($(#[$meta:meta])* static $name:ident: $type:ty = const $init:block;)+) => { $(
        $(#[$meta])*
        static $name: $crate::local::Local<$type> = $crate::local::Local::new(|| $init);
    )+ };
    ($($(#[$meta:meta])* static $name:ident: $type:ty = const $init:block);+) => {
        thread_local! { $($(#[$meta])* static $name: $type = const $init;)+ }
    };
}

/// What `thread_local!` makes.
pub(crate) struct Local<T: 'static> {
    init: fn() -> T,
    /// By owner; `None` once it is gone.
    values: Mutex<BTreeMap<usize, Option<Value<T>>>>,
}

struct Value<T>(NonNull<T>);

// SAFETY: only its owner uses it.
unsafe impl<T> Send for Value<T> {}

/// The owner has ended.
#[derive(Debug)]
pub(crate) struct Gone;

type Drops = Mutex<BTreeMap<usize, Vec<Box<dyn FnOnce() + Send>>>>;
/// What is left to drop of each owner's.
static DROPS: Drops = Mutex::new(BTreeMap::new());

/// Ends the values of a thread with it.
struct Guard(usize);

std::thread_local! {
    static OWNER: Cell<usize> = const { Cell::new(0) };
    static GUARD: RefCell<Option<Guard>> = const { RefCell::new(None) };
}

/// The thread that this code runs for.
pub(crate) fn owner() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    if OWNER.get() == 0 {
        OWNER.set(NEXT.fetch_add(1, Relaxed));
        GUARD.set(Some(Guard(OWNER.get())));
    }
    OWNER.get()
}

/// This thread is a context that belongs to `owner`.
pub(crate) fn adopt(owner: usize) {
    OWNER.set(owner);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Each may need others, made before it or made again.
        while let Some(drop) = lock(&DROPS).get_mut(&self.0).and_then(Vec::pop) {
            drop();
        }
    }
}

impl<T> Local<T> {
    pub(crate) const fn new(init: fn() -> T) -> Self {
        Local { init, values: Mutex::new(BTreeMap::new()) }
    }

    pub(crate) fn try_with<R>(&'static self, f: impl FnOnce(&T) -> R) -> Result<R, Gone> {
        let owner = owner();
        let known = match lock(&self.values).get(&owner) {
            Some(None) => return Err(Gone),
            Some(Some(value)) => Some(value.0),
            None => None,
        };
        let value = known.unwrap_or_else(|| self.make(owner));
        // SAFETY: a box of this owner's, who is not gone.
        Ok(f(unsafe { value.as_ref() }))
    }

    fn make(&'static self, owner: usize) -> NonNull<T> {
        let value = NonNull::from(Box::leak(Box::new((self.init)())));
        lock(&self.values).insert(owner, Some(Value(value)));
        let drop_it = move || {
            let value = lock(&self.values).insert(owner, None).flatten();
            let value = value.expect("it is dropped once");
            // SAFETY: from a box, and nobody finds it any more.
            drop(unsafe { Box::from_raw(value.0.as_ptr()) });
        };
        lock(&DROPS).entry(owner).or_default().push(Box::new(drop_it));
        value
    }

    pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        self.try_with(f).expect("the thread has ended")
    }
}

impl<T: Copy> Local<Cell<T>> {
    pub(crate) fn get(&'static self) -> T {
        self.with(Cell::get)
    }

    pub(crate) fn set(&'static self, value: T) {
        self.with(|cell| cell.set(value));
    }

    pub(crate) fn replace(&'static self, value: T) -> T {
        self.with(|cell| cell.replace(value))
    }
}
