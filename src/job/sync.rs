//! What `wake.rs` and `inbox.rs` are made of. `arch-tests/model` includes these two as they
//! are and puts a module of its own in the place of this one, to run them in every order.

pub(super) use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, AtomicUsize};
pub(super) use std::sync::{Mutex, MutexGuard};

#[cfg(feature = "future")]
pub(super) use atomic_waker::AtomicWaker;

/// Slots that are made at a time.
pub(super) const CHUNK: usize = 64;
