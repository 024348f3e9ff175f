//! What can share a process: one program, so that it is linked once a variant.

#[path = "expect_arch.rs"]
mod a_machine;
mod backtrace;
mod coroutine;
mod coroutine_stack;
mod drops;
// They use pipes and poll(2).
#[cfg(unix)]
mod examples;
#[cfg(all(feature = "future", feature = "scheduler"))]
mod future;
mod job;
#[cfg(feature = "scheduler")]
mod offload_edges;
#[cfg(feature = "scheduler")]
mod scheduler_edges;
mod soundness;
mod stats;
#[path = "common/stream.rs"]
mod stream;
mod threads;
mod unwind;
mod wait_ctx;
#[cfg(feature = "scheduler")]
mod wake;
