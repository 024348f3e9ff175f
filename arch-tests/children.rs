//! What forks, or changes what a whole process has: how its signals are handled, say.
// Windows does not fork.
#![cfg(unix)]

#[path = "expect_arch.rs"]
mod a_machine;
mod abort;
mod common;
#[cfg(siding_faults)]
mod faults;
#[cfg(feature = "scheduler")]
mod forks;
#[cfg(feature = "scheduler")]
mod lifecycle;
#[cfg(all(feature = "scheduler", target_os = "linux"))]
mod limits;
#[cfg(feature = "scheduler")]
mod offload;
mod overflow;
#[cfg(feature = "scheduler")]
mod scheduler;
#[cfg(all(feature = "scheduler", target_os = "linux"))]
mod secrets;
// libc has no names for the timers of Android.
#[cfg(not(target_os = "android"))]
mod signals;
mod stack;
