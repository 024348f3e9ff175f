#![doc = include_str!("../README.md")]
#![cfg_attr(not(any(feature = "std", test, miri)), no_std)]
#![cfg_attr(
    not(feature = "scheduler"),
    allow(dead_code, unused_imports, reason = "for a driver of jobs")
)]

// First: its `thread_local!` is for all that follow.
#[cfg(miri)]
#[macro_use]
mod local;

pub mod coroutine;
#[cfg(feature = "future")]
pub mod future;
// Text only, for rustdoc and its tests.
#[cfg(all(any(doc, doctest), feature = "scheduler", feature = "future"))]
pub mod guide;
#[cfg(feature = "std")]
pub mod job;
#[cfg(feature = "std")]
pub mod offload;
#[cfg(feature = "scheduler")]
pub mod scheduler;
pub mod stack;
#[cfg(feature = "std")]
mod stats;

mod arch;
mod context;
#[cfg(feature = "capi")]
pub mod ffi;
#[cfg(feature = "std")]
mod sys;

#[cfg(feature = "std")]
pub use stats::{Jobs, Stats, stats};

#[cfg(siding_faults)]
#[doc(hidden)]
pub use sys::fault;
