//! What forks, or changes what a whole process has: how its signals are handled, say.
//! Of these Windows has `overflow` alone, in processes of their own.
#[path = "expect_arch.rs"]
mod a_machine;
#[cfg(unix)]
mod abort;
mod common;
#[cfg(all(siding_faults, unix))]
mod faults;
#[cfg(all(feature = "scheduler", unix))]
mod forks;
#[cfg(all(feature = "scheduler", target_os = "linux"))]
#[path = "common/heap.rs"]
mod heap;
#[cfg(all(feature = "scheduler", unix))]
mod lifecycle;
#[cfg(all(feature = "scheduler", target_os = "linux"))]
mod limits;
#[cfg(all(feature = "scheduler", unix))]
mod offload;
mod overflow;
#[cfg(all(feature = "scheduler", unix))]
mod scheduler;
#[cfg(all(feature = "scheduler", target_os = "linux"))]
mod secrets;
// libc has no names for the timers of Android.
#[cfg(all(unix, not(target_os = "android")))]
mod signals;
#[cfg(unix)]
mod stack;
