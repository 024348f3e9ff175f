//! What forks, or changes what a whole process has: how its signals are handled, say.

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
#[cfg(feature = "scheduler")]
mod limits;
#[cfg(feature = "scheduler")]
mod offload;
mod overflow;
#[cfg(feature = "scheduler")]
mod scheduler;
#[cfg(feature = "scheduler")]
mod secrets;
mod signals;
mod stack;
