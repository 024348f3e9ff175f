#![doc = include_str!("../README.md")]

pub mod coroutine;
pub mod job;
pub mod offload;
#[cfg(feature = "scheduler")]
pub mod scheduler;
pub mod stack;

mod arch;
mod context;
#[cfg(feature = "capi")]
pub mod ffi;
mod sys;
