//! What `siding.h` adds to `ASYNC_*`, called as C calls it.
// They use eventfds, or Windows' events.
#![cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", windows))]
#![allow(unsafe_code, reason = "the C ABI")]

#[path = "expect_arch.rs"]
mod a_machine;
mod common;

#[path = "c_extensions/api.rs"]
mod api;
#[path = "c_extensions/cancel.rs"]
mod cancel;
#[path = "c_extensions/given_up.rs"]
mod given_up;
// It needs many children a test, which Windows does not have.
#[cfg(unix)]
#[path = "common/heap.rs"]
mod heap;
#[path = "c_extensions/lifecycle.rs"]
mod lifecycle;
#[cfg(unix)]
#[path = "c_extensions/memory.rs"]
mod memory;
#[path = "c_extensions/options.rs"]
mod options;
#[path = "c_extensions/run.rs"]
mod run;
#[path = "c_extensions/wakes.rs"]
mod wakes;
