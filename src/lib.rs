#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "scheduler"),
    allow(dead_code, unused_imports, reason = "for a driver of jobs")
)]

pub mod coroutine;
#[cfg(feature = "future")]
pub mod future;
// Text only, for rustdoc and its tests.
#[cfg(all(any(doc, doctest), feature = "scheduler", feature = "future"))]
pub mod guide;
pub mod job;
pub mod offload;
#[cfg(feature = "scheduler")]
pub mod scheduler;
pub mod stack;
mod stats;

mod arch;
mod context;
#[cfg(feature = "capi")]
pub mod ffi;
mod sys;

pub use stats::{Jobs, Stats, stats};
